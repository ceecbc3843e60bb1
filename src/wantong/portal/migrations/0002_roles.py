from django.db import migrations

ROLES = ("declarer", "approver", "auditor", "operator")


def make(apps, schema_editor):
    group = apps.get_model("auth", "Group")
    for role in ROLES:
        group.objects.get_or_create(name=role)


class Migration(migrations.Migration):
    dependencies = (("portal", "0001_initial"), ("auth", "0012_alter_user_first_name_max_length"))
    operations = (migrations.RunPython(make, migrations.RunPython.noop),)
