"""Of a federation: who is left out and why, when its statements were made."""

from django.db import migrations, models

from wantong.ground.appendonly import AppendOnly


class Migration(migrations.Migration):
    dependencies = [("trustlists", "0002_federation")]
    operations = [
        migrations.AddField(
            "received",
            "federation",
            models.JSONField(
                default=dict, help_text="of a federation: who is left out and why, when its statements were made"
            ),
        ),
        AppendOnly("Received"),  # SQLite has made the table anew
    ]
