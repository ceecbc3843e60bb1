from django.db import migrations

from wantong.ground.appendonly import AppendOnly


class Migration(migrations.Migration):

    dependencies = [
        ("log", "0002_order_of_recording"),
    ]

    operations = [
        AppendOnly("LogEntry", filled_once=("index",)),
    ]
