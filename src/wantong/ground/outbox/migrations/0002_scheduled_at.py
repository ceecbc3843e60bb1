import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("outbox", "0001_initial")]

    operations = [
        migrations.AddField(
            model_name="event",
            name="scheduled_at",
            field=models.DateTimeField(
                default=django.utils.timezone.now,
                help_text="when available_at was decided, by the clock as it then was",
            ),
        ),
    ]
