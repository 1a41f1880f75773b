"""How is a statement run hundreds of times a second? Past what costs more than the database's own work.

Django wraps each cursor of SQLite, and rewrites each statement for it; and SQLite prepares again whatever it has not
seen, such as a list of another length.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator, Sequence
from types import TracebackType
from typing import Any, Final, Protocol, Self, TypeVar

from django.db import DEFAULT_DB_ALIAS, connections, models
from django.db.backends.base.base import BaseDatabaseWrapper

T = TypeVar("T")
#: SQLite takes 32,766 parameters in a statement, older ones 999, and some rows have three. A power of two: see `listed`.
CHUNK: Final = 256
#: Of more than that all rows are read: to write so long a list into statements takes longer.
MOST_LISTED: Final = 2_000


class Cursor(Protocol):
    """What is needed of a cursor; statements are written with %s on every database."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
    def execute(self, statement: str, values: Sequence[Any] = ()) -> Any:
        """Run a statement."""

    def executemany(self, statement: str, rows: Sequence[Sequence[Any]]) -> Any:
        """Run a statement for each row."""

    def fetchall(self) -> list[tuple[Any, ...]]:
        """Return what it found."""


def database() -> BaseDatabaseWrapper:
    """Return the connection of this thread itself: behind the name `connection` it is looked for at each use."""
    return connections[DEFAULT_DB_ALIAS]


def cursor() -> Cursor:
    """Return a cursor, as a context manager; what goes wrong is raised as Django's errors."""
    mine = database()
    return _OfSqlite(mine) if mine.vendor == "sqlite" and not mine.queries_logged else mine.cursor()


def chunks(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """Yield `items` in parts that one statement takes."""
    for start in range(0, len(items), CHUNK):
        yield items[start : start + CHUNK]


def listed(values: Collection[T]) -> tuple[str, list[T]]:
    """Return the places of ``IN ({})`` and what stands in them: of few lengths, the last value again and again."""
    found = list(values)
    if found:
        found += found[-1:] * ((1 << (len(found) - 1).bit_length()) - len(found))
    return ", ".join(["%s"] * len(found)), found


def among(rows: models.QuerySet[Any], column: str, wanted: Sequence[Any], *columns: str) -> Iterator[tuple[Any, ...]]:
    """Yield this column and the others of those of `rows` where it is among what is `wanted`, each once."""
    if len(wanted) > MOST_LISTED:
        some = set(wanted)
        yield from (row for row in rows.values_list(column, *columns).iterator() if row[0] in some)
        return
    for chunk in chunks(wanted):
        yield from rows.filter(**{f"{column}__in": chunk}).values_list(column, *columns)


class _OfSqlite:
    """The driver's own cursor on Django's connection."""

    def __init__(self, database: BaseDatabaseWrapper) -> None:
        self._database = database
        self._errors = database.wrap_database_errors

    def __enter__(self) -> Self:
        self._database.ensure_connection()
        self._cursor: sqlite3.Cursor = self._database.connection.cursor()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._cursor.close()
        self._errors.__exit__(kind, error, trace)

    def execute(self, statement: str, values: Sequence[Any] = ()) -> Any:
        return self._cursor.execute(statement.replace("%s", "?"), values)

    def executemany(self, statement: str, rows: Sequence[Sequence[Any]]) -> Any:
        return self._cursor.executemany(statement.replace("%s", "?"), rows)

    def fetchall(self) -> list[tuple[Any, ...]]:
        return self._cursor.fetchall()
