"""How does SQLite answer what it is asked: along an index, or by a walk through a table?

What it answers does not depend on how many rows there are: SQLite knows that only where somebody ran ANALYZE, and the
collector does not.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

from django.db import connection

#: Statements that were run, each with the values that it was run with first.
Asked = dict[str, Any]
_READS: Final = re.compile(r"\s*(SELECT|WITH|UPDATE|DELETE|INSERT)\b", re.IGNORECASE)
_TABLE: Final = re.compile(r'\b(collector_\w+)"?(?:\s+(?:AS\s+)?"?(\w+))?', re.IGNORECASE)
_SCAN: Final = re.compile(r"SCAN (\w+)(?: USING (?:COVERING )?INDEX (\w+))?$")


class Walk(NamedTuple):
    """A table that is read from one end on, in the order of an index or of its rows."""

    table: str
    index: str | None
    statement: str


class Plans(NamedTuple):
    """What the statements walk through, and the indexes that they use."""

    walks: list[Walk]
    indexes: set[str]


@contextmanager
def listening() -> Iterator[Asked]:
    """Give the statements that this thread runs meanwhile, those that pass Django by too."""
    found: Asked = {}

    def listen(execute: Callable[..., Any], statement: str, values: Any, many: bool, context: dict[str, Any]) -> Any:
        if _READS.match(statement):
            found.setdefault(statement, values[0] if many and values else values)
        return execute(statement, values, many, context)

    before = connection.force_debug_cursor
    connection.force_debug_cursor = True  # without it ingest uses the driver's own cursor (statements.cursor)
    try:
        with connection.execute_wrapper(listen):
            yield found
    finally:
        connection.force_debug_cursor = before


def plans(asked: Asked) -> Plans:
    """Ask the database how it would answer each statement."""
    connection.ensure_connection()
    found = Plans([], set())
    for statement, values in asked.items():
        tables: dict[str, str] = {}
        for table, alias in _TABLE.findall(statement):
            tables |= {table: table, alias: table}
        marked = statement if values is None else statement % (("?",) * len(values))
        for *_, step in connection.connection.execute(f"EXPLAIN QUERY PLAN {marked}", values or ()):
            found.indexes.update(re.findall(r"\bINDEX (\w+)", step))
            scan = _SCAN.search(step)
            if scan and scan[1] in tables:
                found.walks.append(Walk(tables[scan[1]], scan[2], statement))
    return found
