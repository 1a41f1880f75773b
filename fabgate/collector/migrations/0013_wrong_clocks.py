"""By how much was a gate's clock wrong, as its entries showed when they arrived?"""

from django.db import migrations, models


class Migration(migrations.Migration):
    """Columns without a default: no row is written anew."""

    dependencies = [
        ('collector', '0012_rosters_apart'),
    ]

    operations = [
        migrations.AddField(
            model_name='gate',
            name='clock_off_ms',
            field=models.BigIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='gate',
            name='head_at',
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='usagesession',
            name='clock_off_ms',
            field=models.BigIntegerField(null=True),
        ),
    ]
