"""Checks the PostgreSQL of FABGATE_DATABASE_URL: reachable and safe for acknowledged entries. SQLite is the default."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any, Final

from django.db import DatabaseError, connection

from fabgate import installed
from fabgate.errors import FabgateError, UsageError

log = logging.getLogger(__name__)

#: Held while the tables are brought up to date: processes may start on several computers.
_MIGRATION_LOCK: Final = 0x66616268
#: Settings without which a power cut may lose entries that were acknowledged, and that gates have then deleted.
_DURABLE: Final = {"fsync": {"on"}, "synchronous_commit": {"on", "remote_apply", "remote_write", "local"}}
#: Connections of the web process, each used by one request at a time.
_POOL: Final = {"min_size": 1, "max_size": 10, "timeout": 10.0}


def check_library() -> None:
    """Raise UsageError if the PostgreSQL driver is not installed."""
    if find_spec("psycopg") is None:
        raise UsageError(
            "FABGATE_DATABASE_URL names PostgreSQL, but its library is not installed; run"
            f" {installed.database_library()}"
        )


def connect() -> None:
    """Connect. Raises FabgateError, whose text does not contain the URL and its password.

    It is no UsageError: a restarting server gives the same error as a wrong URL, and `run` ends on UsageError.
    """
    try:
        connection.ensure_connection()
    except DatabaseError as error:  # also a server that is too old
        why = " ".join(str(error).split())
        raise FabgateError(
            f"FABGATE_DATABASE_URL: the database on {host()} cannot be used ({why}); start it, or correct the URL"
        ) from error
    encoding = _query("SHOW server_encoding")
    if encoding != "UTF8":
        raise UsageError(
            f"FABGATE_DATABASE_URL: found the encoding {encoding}, wanted UTF8; make the database with"
            " createdb --encoding=UTF8 --template=template0"
        )
    for name, value in undurable().items():
        log.warning("PostgreSQL has %s = %s: a power cut may lose entries that are acknowledged", name, value)


def undurable() -> dict[str, str]:
    """Return the settings of the server with which a power cut may lose entries that are acknowledged."""
    found = {name: str(_query(f"SHOW {name}")) for name in _DURABLE}
    return {name: value for name, value in found.items() if value not in _DURABLE[name]}


def host() -> str:
    """Return the host of the database, for messages."""
    return str(connection.settings_dict["HOST"] or "this computer")


def identity() -> str:
    """Return an identity that a copy does not share: the server and its timeline, the database, and the oid of a table.

    A restored dump has new tables, and a server restored to a point in time has a new timeline.
    """
    return str(
        _query(
            "SELECT concat_ws('/', (SELECT system_identifier FROM pg_control_system()),"
            " (SELECT timeline_id FROM pg_control_checkpoint()),"
            " (SELECT oid FROM pg_database WHERE datname = current_database()), 'collector_onetimelink'::regclass::oid)"
        )
    )


def is_empty() -> bool:
    """Return whether the database contains no collector yet."""
    return "collector_collector" not in connection.introspection.table_names()


@contextmanager
def migration_lock() -> Iterator[None]:
    """Hold the migration lock inside the block; other processes wait, on any computer."""
    _query(f"SELECT pg_advisory_lock({_MIGRATION_LOCK})")
    try:
        yield
    finally:
        _query(f"SELECT pg_advisory_unlock({_MIGRATION_LOCK})")


def keep_connections() -> None:
    """Use a pool of connections for requests, each of which has its own thread; SQLite needs no pool.

    Only for the web process. The others use one connection, and should fail at once when the database is gone instead
    of waiting for the pool.
    """
    if connection.vendor == "postgresql":
        connection.close()
        connection.settings_dict["OPTIONS"]["pool"] = dict(_POOL)


def _query(statement: str) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchone()[0]
