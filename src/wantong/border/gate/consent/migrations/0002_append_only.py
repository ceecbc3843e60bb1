# For databases that were made before SQLite refused deletions as well.

from django.db import migrations

from wantong.ground.appendonly import AppendOnly


class Migration(migrations.Migration):

    dependencies = [
        ("consent", "0001_initial"),
    ]

    operations = [
        AppendOnly("ConsentRecord"),
    ]
