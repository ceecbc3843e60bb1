from django.db import migrations


def forget(apps, schema_editor):
    # a verdict is reached anew in the next conversation; those of before are told in an older form
    apps.get_model("dcp", "Judgement").objects.all().delete()


class Migration(migrations.Migration):

    dependencies = [
        ('dcp', '0002_issuance'),
    ]

    operations = [
        migrations.RunPython(forget, migrations.RunPython.noop),
    ]
