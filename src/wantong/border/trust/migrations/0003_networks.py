from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('trust', '0002_foreign_peers'),
    ]

    operations = [
        migrations.AddField(
            model_name='peer',
            name='networks',
            field=models.JSONField(blank=True, default=list, help_text='private networks in which its addresses may lie, as 10.8.0.0/16'),
        ),
    ]
