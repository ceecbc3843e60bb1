from django.db import migrations


class Migration(migrations.Migration):
    """Counts of failed sign-ins live for a day: the new table (app http) begins empty."""

    dependencies = [("portal", "0002_roles")]

    operations = [migrations.DeleteModel(name="SignInFailures")]
