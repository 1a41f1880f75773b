"""A table that is written to a file: its columns, and the kinds of their cells."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from itertools import islice
from typing import Any, Final

Cell = str | int
#: Kinds of columns: free text; an integer, or "" where it is not known; a safe text that is different in each row, such as a moment in UTC;
#: milliseconds; a local moment in ISO 8601; a day in ISO 8601; a number with decimals as text, such as ``-12.50``, or "".
TEXT, NUMBER, PLAIN, DURATION, MOMENT, DAY = "text", "number", "plain", "duration", "moment", "day"
DECIMAL = "decimal"
#: How many rows are written together.
_AT_ONCE: Final = 250
#: How many texts are kept in the cache.
_CACHED: Final = 10_000
_MINUTE_MS: Final = 60_000
_HUNDREDTH: Final = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its heading, and the kind of its cells."""

    head: str
    kind: str = TEXT


@dataclass(frozen=True, slots=True)
class Table:
    """A table to export: title, columns, and rows, which are read once."""

    title: str
    columns: Sequence[Column]
    rows: Iterable[Sequence[Cell]]


def by_column(rows: Iterable[Sequence[Cell]]) -> Iterator[list[Sequence[Any]]]:
    """Yield batches of rows as columns, so that each column's conversion is looked up once."""
    rows = iter(rows)
    while batch := list(islice(rows, _AT_ONCE)):
        yield list(zip(*batch, strict=True))


class Cached(dict[str, str]):
    """A cache of converted texts, because most texts repeat."""

    def __init__(self, convert: Callable[[str], str]) -> None:
        self._convert = convert

    def __missing__(self, text: str) -> str:
        if len(self) == _CACHED:
            self.clear()
        self[text] = self._convert(text)
        return self[text]


def clock(ms: int) -> str:
    """Return a duration as h:mm:ss, rounded down."""
    minutes, seconds = divmod(ms // 1000, 60)
    return f"{minutes // 60}:{minutes % 60:02}:{seconds:02}"


def minutes(ms: int) -> str:
    """Return milliseconds in minutes with two decimals, rounded half up."""
    return str((Decimal(ms) / _MINUTE_MS).quantize(_HUNDREDTH, ROUND_HALF_UP))
