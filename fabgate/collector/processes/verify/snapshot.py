"""Reads pages of rows, and keeps large intermediate results on disk."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from typing import Any, Final

from fabgate.collector.ground.db import statements

#: How many rows are read at once.
PAGE: Final = 1_000


def pages(select: str, key: str, *, values: Sequence[Any] = (), after: Any = 0) -> Iterator[list[tuple[Any, ...]]]:
    """Yield pages of rows in the order of `key`, the first column of `select`, which has a unique index.

    `select` ends inside its WHERE clause; `values` are for its placeholders.
    """
    while True:
        with statements.cursor() as cursor:
            cursor.execute(f"{select} {key} > %s ORDER BY {key} LIMIT {PAGE}", [*values, after])
            page = cursor.fetchall()
        if page:
            yield page
        if len(page) < PAGE:
            return
        after = page[-1][0]


def grouped(select: str, wanted: Collection[Any]) -> dict[Any, list[tuple[Any, ...]]]:
    """Return the rows of ``select`` by their first column, for the `wanted` values in place of its braces."""
    found: dict[Any, list[tuple[Any, ...]]] = defaultdict(list)
    for chunk in statements.chunks(list(wanted)):
        places, padded = statements.listed(chunk)
        with statements.cursor() as cursor:
            cursor.execute(select.format(places), padded)
            for key, *values in cursor.fetchall():
                found[key].append(tuple(values))
    return found


def moment(value: Any) -> datetime | None:
    """Return a time from the database; the driver of SQLite returns it without its zone."""
    if not isinstance(value, datetime):
        return None
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


_TABLES: Final = """
CREATE TABLE session_entry (session TEXT, entry INTEGER);
CREATE TABLE copied (journal TEXT, seq INTEGER);
CREATE TABLE line (session TEXT, id INTEGER, line BLOB);
CREATE TABLE decided (subject TEXT, id INTEGER, decision BLOB);
CREATE TABLE seen (session TEXT PRIMARY KEY) WITHOUT ROWID;
"""


class Workspace:
    """A temporary database on disk, so that memory does not grow with the number of sessions."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        database.executescript(f"PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=-32000; {_TABLES}")
        database.execute("BEGIN")  # and never a commit: nothing is kept

    def insert(self, table: str, rows: Sequence[Sequence[Any]]) -> None:
        """Add rows to a table of the workspace."""
        if rows:
            self._database.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(rows[0]))})", rows)  # noqa: S608

    def index(self, table: str, *columns: str) -> None:
        """Add an index once all rows are there."""
        self._database.execute(f"CREATE INDEX of_{table} ON {table} ({', '.join(columns)})")

    def of(self, table: str, wanted: Sequence[str]) -> dict[str, list[tuple[Any, ...]]]:
        """Return the rows of a table by their first column, in the order of the second."""
        found: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
        for chunk in statements.chunks(wanted):
            places = ", ".join("?" * len(chunk))
            column = {"decided": "subject"}.get(table, "session")
            second = {"session_entry": "entry"}.get(table, "id")
            rows = self._database.execute(
                f"SELECT * FROM {table} WHERE {column} IN ({places}) ORDER BY {second}",  # noqa: S608
                chunk,
            )
            for key, *values in rows:
                found[key].append(tuple(values))
        return found

    def query(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return all rows of a query."""
        return self._database.execute(statement, values).fetchall()


@contextmanager
def workspace() -> Iterator[Workspace]:
    """Give a workspace, which is deleted at the end of the block."""
    # The empty name makes a temporary file, in the folder that SQLITE_TMPDIR or TMPDIR names.
    with closing(sqlite3.connect("", isolation_level=None)) as database:
        yield Workspace(database)
