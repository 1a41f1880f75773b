"""Pages of rows that are computed rather than stored: a page is named by the number of rows before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar
from urllib.parse import urlencode

from django.http import QueryDict

from fabgate.collector.faces.pages.lists import keyset

Row = TypeVar("Row")
SIZE: Final = 50
#: No list is longer; larger numbers in an address are not parsed.
_MOST_DIGITS: Final = 9


@dataclass(frozen=True, slots=True)
class NumberedPage(Generic[Row]):
    """Some rows, and the query strings of the adjacent pages, empty if there are none."""

    rows: Sequence[Row]
    before: str
    after: str


def numbered_page(rows: Sequence[Row], query: QueryDict) -> NumberedPage[Row]:
    """Return the page of `rows` that ``?after=N`` asks for; the first one if N is no number."""
    typed = query.get("after", "")
    skipped = int(typed) if typed.isascii() and typed.isdigit() and len(typed) <= _MOST_DIGITS else 0
    before = _query(query, max(0, skipped - SIZE)) if skipped else ""
    after = _query(query, skipped + SIZE) if skipped + SIZE < len(rows) else ""
    return NumberedPage(rows[skipped : skipped + SIZE], before, after)


def _query(query: QueryDict, skipped: int) -> str:
    kept = [(name, value) for name, values in query.lists() if name not in keyset.CURSORS for value in values]
    return f"?{urlencode([*kept, *([('after', skipped)] if skipped else [])])}"
