"""Runs frequent statements with less overhead than Django's cursors.

Some run hundreds of times a second. Django wraps each cursor of SQLite and rewrites each statement for it, and SQLite
prepares every statement whose text is new to it, such as one with a list of another length.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import islice
from types import TracebackType
from typing import Any, Final, Protocol, Self, TypeVar

from django.db import DEFAULT_DB_ALIAS, connections, models
from django.db.backends.base.base import BaseDatabaseWrapper

T = TypeVar("T")
#: SQLite allows 32,766 parameters in a statement, older versions 999, and some statements have three for each row. A
#: power of two, see `listed`.
CHUNK: Final = 256
#: With more values than this all rows are read, which is faster than statements with such long lists.
MOST_LISTED: Final = 2_000


class Cursor(Protocol):
    """The cursor methods that are used here; statements have %s placeholders on every database."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
    def execute(self, statement: str, values: Sequence[Any] = ()) -> Any:
        """Run a statement."""

    def executemany(self, statement: str, rows: Sequence[Sequence[Any]]) -> Any:
        """Run a statement for each row."""

    def fetchall(self) -> list[tuple[Any, ...]]:
        """Return all rows."""


def database() -> BaseDatabaseWrapper:
    """Return this thread's connection; the proxy `django.db.connection` looks it up at each use."""
    return connections[DEFAULT_DB_ALIAS]


def cursor() -> Cursor:
    """Return a cursor, as a context manager; its errors are Django's."""
    connection = database()
    return (
        _SqliteCursor(connection)
        if connection.vendor == "sqlite" and not connection.queries_logged
        else connection.cursor()
    )


def chunks(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """Yield `items` in chunks that fit one statement."""
    for start in range(0, len(items), CHUNK):
        yield items[start : start + CHUNK]


def pages(items: Iterable[T], most: int) -> Iterator[list[T]]:
    """Yield items that need not be in memory, `most` at a time."""
    left = iter(items)
    while page := list(islice(left, most)):
        yield page


def listed(values: Collection[T]) -> tuple[str, list[T]]:
    """Return the placeholders for ``IN ({})`` and their values.

    The last value is repeated, so that there are only a few different statements.
    """
    padded = list(values)
    if padded:
        padded += padded[-1:] * ((1 << (len(padded) - 1).bit_length()) - len(padded))
    return ", ".join(["%s"] * len(padded)), padded


def rows_among(
    rows: models.QuerySet[Any], column: str, wanted: Sequence[Any], *columns: str
) -> Iterator[tuple[Any, ...]]:
    """Yield `column` and `columns` of each row of `rows` whose `column` is one of `wanted`."""
    if len(wanted) > MOST_LISTED:
        values = set(wanted)
        yield from (row for row in rows.values_list(column, *columns).iterator() if row[0] in values)
        return
    for chunk in chunks(wanted):
        yield from rows.filter(**{f"{column}__in": chunk}).values_list(column, *columns)


class _SqliteCursor:
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
