"""What sessions took, by the energy meter of their gate, and the sums."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """Adds columns that may be empty; no row changes, and no table is copied. What was recorded before has no energy."""

    dependencies = [
        ('collector', '0018_badge_forms'),
    ]

    operations = [
        migrations.AddField(
            model_name='usagesession',
            name='energy_wh',
            field=models.BigIntegerField(null=True),
        ),
        migrations.AddField(
            model_name='usageday',
            name='energy_wh',
            field=models.BigIntegerField(null=True),
        ),
        migrations.AddField(
            model_name='usageday',
            name='measured',
            field=models.BigIntegerField(null=True),
        ),
        migrations.AddField(
            model_name='usagemonth',
            name='energy_wh',
            field=models.BigIntegerField(null=True),
        ),
        migrations.AddField(
            model_name='usagemonth',
            name='measured',
            field=models.BigIntegerField(null=True),
        ),
    ]
