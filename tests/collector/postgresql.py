"""The database of a test process on the PostgreSQL of tests/support/postgresql.py, if there is one."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache

#: The server's URL, without the name of a database.
SERVER = os.environ.get("FABGATE_TEST_DATABASE_URL", "")
#: How many examples of a property of the store are tried: on SQLite the same code is tried more often.
EXAMPLES = 12 if SERVER else 300 if os.environ.get("FABGATE_SOAK") else 30


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


def rows() -> dict[str, bytes]:
    """Return the rows of each table that has any, and the counters of ids, for `put_back`."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(_filled())
        tables = [table for (table,) in cursor.fetchall()]
        cursor.execute("SELECT sequencename, last_value FROM pg_sequences WHERE last_value IS NOT NULL")
        counters = "; ".join(f"SELECT setval('{name}', {value})" for name, value in cursor.fetchall())
    found = {"": counters.encode()}
    for table in tables:
        with connection.connection.cursor().copy(f"COPY {table} TO STDOUT") as copy:
            found[table] = b"".join(copy)
    return found


def put_back(rows: Mapping[str, bytes]) -> None:
    """Put what `rows` returned into the empty database."""
    from django.db import connection

    with connection.cursor() as cursor:  # connects
        cursor.execute("SET session_replication_role = replica")  # foreign keys are not checked
        for table, lines in rows.items():
            if table:
                with connection.connection.cursor().copy(f"COPY {table} FROM STDIN") as copy:
                    copy.write(lines)
        cursor.execute(f"SET session_replication_role = DEFAULT; {rows[''].decode()}")


#: Tables whose rows the migrations made.
_KEPT = ("django_migrations", "django_content_type", "auth_permission")


@cache
def _filled() -> str:
    from django.db import connection

    tables = [name for name in connection.introspection.table_names() if name not in _KEPT]
    return " UNION ALL ".join(f"SELECT '{name}' WHERE EXISTS (SELECT 1 FROM {name})" for name in sorted(tables))
