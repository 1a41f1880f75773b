"""By how much was a gate's clock wrong when it refused somebody?"""

from django.db import migrations, models


class Migration(migrations.Migration):
    """A column without a default: no row is written anew."""

    dependencies = [
        ('collector', '0014_sums_told_apart'),
    ]

    operations = [
        migrations.AddField(
            model_name='refusal',
            name='clock_off_ms',
            field=models.BigIntegerField(null=True),
        ),
        migrations.AddIndex(
            model_name='refusal',
            index=models.Index(condition=models.Q(('clock_off_ms__isnull', False)), fields=['seen_at'], name='refusal_clock_off'),
        ),
    ]
