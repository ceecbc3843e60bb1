from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('trust', '0003_networks'),
    ]

    operations = [
        migrations.AddField(
            model_name='peer',
            name='earlier',
            field=models.JSONField(blank=True, default=list, help_text='keys before these: protocol_key, log_vkey, witness_vkey, and until when they counted (null: they do)'),
        ),
    ]
