"""For how long did a machine have power before a session's start was written? Nothing is known of those before."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """A column with the database's own default: no row is written.

    Written by us, because on SQLite Django copies the table for it, which takes long where there are many sessions.
    """

    dependencies = [
        ('collector', '0022_quarantine_of_gates'),
    ]

    operations = [
        migrations.RunSQL(
            'ALTER TABLE collector_usagesession ADD COLUMN early_ms bigint DEFAULT 0 NOT NULL',
            'ALTER TABLE collector_usagesession DROP COLUMN early_ms',
            state_operations=[
                migrations.AddField(
                    model_name='usagesession',
                    name='early_ms',
                    field=models.BigIntegerField(db_default=0, default=0),
                ),
            ],
        ),
    ]
