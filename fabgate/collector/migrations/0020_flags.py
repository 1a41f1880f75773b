"""Which partial indexes can every version of Django use? Those whose conditions are written by us (models/fields.py).

Django 6.1 wrote ``"x" = 0`` where those before it wrote ``NOT "x"``, and SQLite uses a partial index only where query and
index say the same. There an index that says something else is made again. On PostgreSQL every version wrote the same.
"""

import logging
import time

from django.db import migrations, transaction

from fabgate.collector.models.fields import Flag

log = logging.getLogger(__name__)

#: Each flag by its model.
_FLAGS = (
    ('entry', 'is_copy'),
    ('quarantine', 'counts'),
    ('usagesession', 'start_timed'),
    ('usagesession', 'uncertain'),
    ('usagesession', 'has_end'),
    ('usagesession', 'last_timed'),
)
#: Each index by its model. Of two that fit a question alike SQLite takes the one that was made last: in their order.
_INDEXES = (
    ('entry', 'fact_once'),
    ('quarantine', 'quarantined_number_once'),
    ('usagesession', 'session_uncertain'),
    ('usagesession', 'session_member_uncertain'),
    ('usagesession', 'session_machine_uncertain'),
    ('usagesession', 'session_open'),
    ('usagesession', 'session_unended'),
    ('usagesession', 'session_start_undated'),
    ('usagesession', 'session_end_undated'),
)


def make_again(apps, schema):
    """Make each index again that says something else than we write.

    Each in a transaction of its own: after an interruption the next start goes on with the first that is left.
    """
    if schema.connection.vendor != 'sqlite':
        return
    with schema.connection.cursor() as cursor:
        cursor.execute("SELECT name, sql FROM sqlite_master WHERE type = 'index'")
        there = dict(cursor.fetchall())
    wanted = {name: (model, _statement(apps.get_model('collector', model), name, schema)) for model, name in _INDEXES}
    left = [name for _, name in _INDEXES if there.get(name) != wanted[name][1]]
    for number, name in enumerate(left, 1):
        model, statement = wanted[name]
        with schema.connection.cursor() as cursor:
            cursor.execute(f'SELECT MAX(rowid) FROM collector_{model}')  # to count them takes as long as to make one
            rows = cursor.fetchone()[0] or 0
        if rows:  # in a database that has just begun there is nothing to wait for
            log.info('making the index %s of about %s rows again (%d of %d)', name, f'{rows:,}', number, len(left))
        began_s = time.monotonic()
        with transaction.atomic(using=schema.connection.alias):
            schema.execute(f'DROP INDEX IF EXISTS "{name}"')
            schema.execute(statement, params=None)
        if rows:
            log.info('made the index %s in %.1f s', name, time.monotonic() - began_s)


def _statement(model, name, schema):
    options = model._meta
    (found,) = (one for one in (*options.indexes, *options.constraints) if one.name == name)
    return str(found.create_sql(model, schema))


class Migration(migrations.Migration):
    """Taken back in the list of migrations only: the indexes stay as they are."""

    atomic = False
    dependencies = [
        ('collector', '0019_sums_of_months'),
    ]

    operations = [
        # In the database a flag is what it was.
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.AlterField(model_name=model, name=name, field=Flag(default=False)) for model, name in _FLAGS
            ]
        ),
        migrations.RunPython(make_again, migrations.RunPython.noop),
    ]
