from django.db import migrations, models


def keep(apps, schema_editor):
    """What was called by one string goes by it in every language."""
    declarations = apps.get_model("declarations", "Declaration").objects.using(schema_editor.connection.alias)
    for declaration in declarations.iterator():
        declaration.titles = declaration.title
        declaration.save(update_fields=["titles"])


class Migration(migrations.Migration):
    dependencies = [("declarations", "0001_initial")]

    operations = [
        migrations.AddField("declaration", "titles", models.JSONField(default="")),
        migrations.RunPython(keep, migrations.RunPython.noop, elidable=True),
        migrations.RemoveField("declaration", "title"),
        migrations.RenameField("declaration", "titles", "title"),
        migrations.AlterField(
            "declaration",
            "title",
            models.JSONField(help_text="language map; plain text if its language is not stated"),
        ),
    ]
