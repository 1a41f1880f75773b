"""Is the PostgreSQL of FABGATE_DATABASE_URL there, and does it keep what is acknowledged? SQLite is the default."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any, Final

from django.db import DatabaseError, connection

from fabgate.errors import FabgateError, UsageError

log = logging.getLogger(__name__)

#: Whoever brings the tables up to date holds this: others may start on other computers.
_MIGRATION_LOCK: Final = 0x66616268
#: Without these a power cut may lose what the gates were told is stored, and have deleted since.
_KEEPS: Final = {"fsync": {"on"}, "synchronous_commit": {"on", "remote_apply", "remote_write", "local"}}
#: How many connections the web process keeps, each for one request at a time.
_POOL: Final = {"min_size": 1, "max_size": 10, "timeout": 10.0}


def check_library() -> None:
    """Raise UsageError where the library that speaks to it is not installed."""
    if find_spec("psycopg") is None:
        raise UsageError(
            "FABGATE_DATABASE_URL: found PostgreSQL, but not the library for it; pip install"
            " 'fabgate[collector,postgresql]'"
        )


def connect() -> None:
    """Connect. Raises FabgateError, without the URL: it may carry a password.

    Not UsageError: a server that restarts refuses in the same words as a wrong URL, and `run` ends for wrong input.
    """
    try:
        connection.ensure_connection()
    except DatabaseError as error:  # also one that is too old
        why = " ".join(str(error).split())
        raise FabgateError(
            f"FABGATE_DATABASE_URL: found a database on {host()} that cannot be used ({why}); start it, or correct the"
            " URL"
        ) from error
    encoding = _ask("SHOW server_encoding")
    if encoding != "UTF8":
        raise UsageError(
            f"FABGATE_DATABASE_URL: found the encoding {encoding}, wanted UTF8; make the database with"
            " createdb --encoding=UTF8 --template=template0"
        )
    for name, right in _KEEPS.items():
        if (value := _ask(f"SHOW {name}")) not in right:
            log.warning("PostgreSQL has %s = %s: a power cut may lose what the gates were told is stored", name, value)


def host() -> str:
    """Return where the database is, for people."""
    return str(connection.settings_dict["HOST"] or "this computer")


def place() -> str:
    """Return what no copy shares with its original: the server and its timeline, the database, and the table of links.

    A dump makes its tables anew, and a server that was set back to a moment begins another timeline.
    """
    return str(
        _ask(
            "SELECT concat_ws('/', (SELECT system_identifier FROM pg_control_system()),"
            " (SELECT timeline_id FROM pg_control_checkpoint()),"
            " (SELECT oid FROM pg_database WHERE datname = current_database()), 'collector_onetimelink'::regclass::oid)"
        )
    )


def is_empty() -> bool:
    """Return whether no collector was made in the database yet."""
    return "collector_collector" not in connection.introspection.table_names()


@contextmanager
def alone() -> Iterator[None]:
    """Wait for others in the same block, wherever they run."""
    _ask(f"SELECT pg_advisory_lock({_MIGRATION_LOCK})")
    try:
        yield
    finally:
        _ask(f"SELECT pg_advisory_unlock({_MIGRATION_LOCK})")


def keep_connections() -> None:
    """Keep connections open between requests, each of which has a thread of its own; nothing for SQLite.

    Not for processes that use one: they shall hear at once that the database is away, not after a wait for the pool.
    """
    if connection.vendor == "postgresql":
        connection.close()
        connection.settings_dict["OPTIONS"]["pool"] = dict(_POOL)


def _ask(statement: str) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchone()[0]
