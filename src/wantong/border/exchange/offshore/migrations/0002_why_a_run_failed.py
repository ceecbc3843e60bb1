"""Why a run failed is told in every language; what was told before keeps its one."""

from django.db import migrations, models


def forward(apps, schema_editor):
    there = schema_editor.connection.alias  # a move makes another database than the one in use
    for run in apps.get_model("offshore", "Run").objects.using(there).exclude(reason=""):
        text = dict.fromkeys(("zh-hans", "zh-hant", "en", "pt"), run.reason)
        run.failure = {"reason": "told", "text": text}
        run.save(update_fields=("failure",))


class Migration(migrations.Migration):
    dependencies = [("offshore", "0001_initial")]
    operations = [
        migrations.AddField(
            "run",
            "failure",
            models.JSONField(default=dict, help_text="`reason`, a code, and `text`, a language map"),
        ),
        migrations.RunPython(forward, migrations.RunPython.noop),
        migrations.RemoveField("run", "reason"),
    ]
