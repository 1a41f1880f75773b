"""Quarantine has a quota for each gate: what was dropped is counted, and the newest of a gate are found quickly."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """One column with a default, one index on a small table."""

    dependencies = [
        ('collector', '0021_corrected_figures'),
    ]

    operations = [
        migrations.AddField(
            model_name='gate',
            name='quarantine_dropped',
            field=models.BigIntegerField(default=0),
        ),
        migrations.AddIndex(
            model_name='quarantine',
            index=models.Index(fields=['gate', 'counts', 'id'], name='quarantine_of_gate'),
        ),
    ]
