"""Indexes by which the log is sorted, and a machine's refusals are found. The rows that are there are indexed, and stay."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """Without these indexes SQLite reads all changes, or all refusals, for each page."""

    dependencies = [
        ('collector', '0001_initial'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='change',
            index=models.Index(fields=['actor', 'at', 'id'], name='change_by'),
        ),
        migrations.AddIndex(
            model_name='change',
            index=models.Index(fields=['verb', 'at', 'id'], name='change_what'),
        ),
        migrations.AddIndex(
            model_name='refusal',
            index=models.Index(fields=['machine', 'about', 'id'], name='refusal_machine'),
        ),
    ]
