"""The database of a test process on the PostgreSQL of tests/support/postgresql.py, if there is one."""

from __future__ import annotations

import os
from functools import cache

#: The server's URL, without the name of a database.
SERVER = os.environ.get("FABGATE_TEST_DATABASE_URL", "")
#: How many examples of a property of the store are tried: on SQLite the same code is tried more often.
EXAMPLES = 12 if SERVER else 60


def make(name: str) -> str:
    """Make an empty database and return its URL."""
    import psycopg

    with psycopg.connect(f"{SERVER}/postgres", autocommit=True) as connection:
        connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        connection.execute(f'CREATE DATABASE "{name}"')
    return f"{SERVER}/{name}"


def empty() -> None:
    """Delete every row of every table of the collector, and count from 1 again."""
    from django.db import connection

    # Most tests fill a few tables only, and TRUNCATE is slow for each table: ten times as slow as this.
    with connection.cursor() as cursor:
        cursor.execute(_filled())
        deletes = [f"DELETE FROM {table}" for (table,) in cursor.fetchall()]
        cursor.execute("SELECT sequencename FROM pg_sequences WHERE last_value IS NOT NULL")
        counters = [f"SELECT setval('{name}', 1, false)" for (name,) in cursor.fetchall() if not name.startswith(_KEPT)]
        # In this role foreign keys are not checked.
        roles = ("SET session_replication_role = replica", "SET session_replication_role = DEFAULT")
        cursor.execute("; ".join((roles[0], *deletes, *counters, roles[1])))


#: Tables whose rows the migrations made.
_KEPT = ("django_migrations", "django_content_type", "auth_permission")


@cache
def _filled() -> str:
    from django.db import connection

    tables = [name for name in connection.introspection.table_names() if name not in _KEPT]
    return " UNION ALL ".join(f"SELECT '{name}' WHERE EXISTS (SELECT 1 FROM {name})" for name in sorted(tables))
