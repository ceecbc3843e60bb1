# For databases that were made before SQLite refused deletions as well.

from django.db import migrations

from wantong.ground.appendonly import AppendOnly


class Migration(migrations.Migration):

    dependencies = [
        ("declarations", "0002_title_in_languages"),
    ]

    operations = [
        AppendOnly("Action"),
    ]
