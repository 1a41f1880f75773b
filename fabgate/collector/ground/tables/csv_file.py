"""Writes a table as CSV: UTF-8 with a byte order mark, moments with their offset.

An apostrophe precedes texts that a spreadsheet would take for formulas (csv_safety.py).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from functools import partial
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from fabgate.collector.ground.tables.csv_safety import escape_cell
from fabgate.collector.ground.tables.table import (
    DAY,
    DECIMAL,
    DURATION,
    MOMENT,
    NUMBER,
    PLAIN,
    TEXT,
    Cached,
    Table,
    by_column,
    clock,
)

_LINE_END: Final = "\r\n"


class Dialect(NamedTuple):
    """What spreadsheets of a language expect between cells, and in a number before its decimals."""

    separator: str = ","
    point: str = "."


_DIALECTS: Final = MappingProxyType({"fr": Dialect(";", ",")})


def dialect_of(lang: str) -> Dialect:
    """Return how spreadsheets of a language read CSV."""
    return _DIALECTS.get(lang, Dialect())


def write_csv(table: Table, separator: str, point: str = ".") -> Iterator[bytes]:
    """Yield the bytes of the file: the head, then batches of rows. `point` precedes the decimals of a number."""
    texts, clocks = Cached(partial(_quoted, separator=separator)), _Clocks()
    yield f"\ufeff{separator.join(texts[column.head] for column in table.columns)}{_LINE_END}".encode()
    as_csv: dict[str, Callable[[Any], str]] = {
        TEXT: texts.__getitem__,
        NUMBER: str,
        DECIMAL: lambda number: number.replace(".", point),
        DURATION: lambda ms: clocks[ms // 1000],
        **dict.fromkeys((PLAIN, MOMENT, DAY), str),
    }
    for columns in by_column(table.rows):
        made = [map(as_csv[column.kind], cells) for column, cells in zip(table.columns, columns, strict=True)]
        yield "".join([separator.join(cells) + _LINE_END for cells in zip(*made, strict=True)]).encode()


class _Clocks(dict[int, str]):
    """Formats durations as h:mm:ss, with a cache by whole seconds."""

    def __missing__(self, second: int) -> str:
        self[second] = clock(second * 1000)
        return self[second]


def _quoted(text: str, separator: str) -> str:
    """Return a CSV cell that is no formula, quoted if needed.

    The csv module is slow, so it is called once for each text and the lines are joined here.
    """
    if not text or (text[0].isalnum() and text.replace("-", "").isalnum()):
        return text  # most texts; and the ids of sessions, which differ in each line
    out = io.StringIO()
    csv.writer(out, delimiter=separator, lineterminator=_LINE_END).writerow([escape_cell(text)])
    return out.getvalue().removesuffix(_LINE_END)
