"""Cursors of lists that grow by whole closed months: which month comes next, and after what in it.

A closed month never changes, so a place in it is found again as long as the books are the same. Its SHA-256 covers all
months before it too: a cursor that names its first digits is refused after another copy was put back.
"""

from __future__ import annotations

import re
from datetime import date
from typing import Final, NamedTuple

from fabgate.collector.faces.api.programs.interface import BadCursor
from fabgate.collector.ground.models import ClosedMonth

#: 0 before any; else a month, the place in it, and the first digits of its SHA-256.
CURSOR: Final = r"^(?:0|([12][0-9]{3}-(?:0[1-9]|1[0-2]))\.([0-9a-z-]{1,40})\.([0-9a-f]{16}))$"
#: The place behind everything of a month.
END: Final = "end"
_DIGITS: Final = 16


class ParsedCursor(NamedTuple):
    """Where to go on: in a closed month, after a place in it, or "" before its first one. Without a month: at the end."""

    month: ClosedMonth | None
    after: str


def parsed(cursor: str, places: str) -> ParsedCursor:
    """Return where to go on after a cursor. Raises BadCursor for one of other books, or whose place is none of `places`."""
    match = re.match(CURSOR, cursor)
    if match is None or match[1] is None:
        return ParsedCursor(_first_after(None), "")
    closed = ClosedMonth.objects.filter(month=first_day(match[1])).first()
    is_ours = match[2] == END or re.match(places, match[2])
    if closed is None or closed.sha256[:_DIGITS] != match[3] or not is_ours:
        raise BadCursor("charges with the same `id`, and lines and months with the same number, are the same")
    return ParsedCursor(_first_after(closed.month), "") if match[2] == END else ParsedCursor(closed, match[2])


def cursor(closed: ClosedMonth, place: str) -> str:
    """Return the cursor of a place in a closed month."""
    return f"{closed.month:%Y-%m}.{place}.{closed.sha256[:_DIGITS]}"


def has_more(closed: ClosedMonth) -> bool:
    """Return whether a later month is closed."""
    return ClosedMonth.objects.filter(month__gt=closed.month).exists()


def first_day(month: str) -> date:
    """Return the first day of a month such as 2027-01."""
    return date.fromisoformat(f"{month}-01")


def _first_after(month: date | None) -> ClosedMonth | None:
    rows = ClosedMonth.objects.order_by("month")
    return rows.first() if month is None else rows.filter(month__gt=month).first()
