"""Reads the collector's database by plain SQL, as it is at one moment, without changing anything.

The database may be of a newer version than this program, so a question is asked only if its tables and columns are there.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from django.db import DatabaseError, connection, transaction

from fabgate.collector.ground.base import environ
from fabgate.collector.ground.db import migration, postgresql
from fabgate.errors import FabgateError, UsageError

Row = tuple[Any, ...]

_OF_SQLITE: Final = """
SELECT m.name, c.name FROM sqlite_master AS m, pragma_table_info(m.name) AS c WHERE m.type = 'table'"""
_OF_POSTGRESQL: Final = """
SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = current_schema()"""


@dataclass(frozen=True, slots=True)
class Database:
    """The database at one moment: it answers questions."""

    ask: Callable[[str, tuple[Any, ...]], list[Row]]
    columns: Mapping[str, frozenset[str]]
    is_sqlite: bool

    def has(self, table: str, *columns: str) -> bool:
        """Return whether there is a table with these columns."""
        return table in self.columns and self.columns[table].issuperset(columns)

    def rows(self, sql: str, *values: Any) -> list[Row]:
        """Return the rows of a query, in which each value is `%s`. Raises FabgateError if it fails."""
        if self.is_sqlite:
            sql = sql.replace("%s", "?")
            values = tuple(_as_text(value) if isinstance(value, datetime) else value for value in values)
        try:
            return self.ask(sql, values)
        except (sqlite3.Error, DatabaseError) as error:
            why = " ".join(str(error).split())
            raise FabgateError(f"the database cannot be read ({why}); run it again, or restore a copy") from error

    def steps(self) -> set[str]:
        """Return the migrations that the database has; empty if it has no tables."""
        if not self.has("django_migrations", "app", "name"):
            return set()
        return {f"{app}.{name}" for app, name in self.rows(migration.APPLIED)}


def when(value: Any) -> datetime:
    """Return a moment that the database gave, in UTC: SQLite has text."""
    found = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)


def _as_text(at: datetime) -> str:
    return at.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")


@contextlib.contextmanager
def reading(env: environ.Environment) -> Iterator[Database]:
    """Yield the database as it is at one moment; the collector may run. Raises UsageError without a database, and FabgateError."""
    with _of_postgresql() if env.database_url else _of_sqlite(env) as found:
        yield found


@contextlib.contextmanager
def _of_sqlite(env: environ.Environment) -> Iterator[Database]:
    if not env.database.is_file():
        raise UsageError(
            f"found no collector database at {env.database}; set FABGATE_DATA to the collector's directory"
        )
    try:
        opened = sqlite3.connect(f"{env.database.as_uri()}?mode=ro", uri=True, timeout=20, isolation_level=None)
        with contextlib.closing(opened) as file:
            file.execute("BEGIN")  # all questions are about the same moment

            def ask(sql: str, values: tuple[Any, ...]) -> list[Row]:
                return file.execute(sql, values).fetchall()

            yield Database(ask, _grouped(ask(_OF_SQLITE, ())), is_sqlite=True)
    except sqlite3.Error as error:
        raise FabgateError(f"{env.database} cannot be read ({error}); restore an older copy") from error


@contextlib.contextmanager
def _of_postgresql() -> Iterator[Database]:
    def ask(sql: str, values: tuple[Any, ...]) -> list[Row]:
        with connection.cursor() as cursor:
            cursor.execute(sql, values)
            return list(cursor.fetchall())

    postgresql.check_library()
    postgresql.connect()
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        yield Database(ask, _grouped(ask(_OF_POSTGRESQL, ())), is_sqlite=False)


def _grouped(rows: list[Row]) -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for table, column in rows:
        found.setdefault(table, set()).add(column)
    return {table: frozenset(columns) for table, columns in found.items()}
