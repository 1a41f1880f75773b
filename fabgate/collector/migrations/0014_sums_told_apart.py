"""Which columns of the sums say the same? A gate stands at one machine, a member is of one category: PostgreSQL is told.

By itself it takes them for independent of each other and expects four times as many lines of a month as there are, too
many to add up in memory: it sorted the rows in a file instead, which took longer than all the rest of the report.
"""

from django.db import migrations

_TOLD = """CREATE STATISTICS usage_day_alike (ndistinct)
ON machine_key, gate_id, used_by, category FROM collector_usageday"""


def tell(apps, schema_editor):
    """Let the planner count what is there together; whatever fills the table later is looked at by autovacuum."""
    if schema_editor.connection.vendor == 'postgresql':
        schema_editor.execute(_TOLD)
        schema_editor.execute('ANALYZE collector_usageday')


def take_back(apps, schema_editor):
    """Leave it to guess."""
    if schema_editor.connection.vendor == 'postgresql':
        schema_editor.execute('DROP STATISTICS usage_day_alike')


class Migration(migrations.Migration):
    """SQLite does not guess: it goes through the rows in any case."""

    dependencies = [
        ('collector', '0013_wrong_clocks'),
    ]

    operations = [
        migrations.RunPython(tell, take_back),
    ]
