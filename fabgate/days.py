"""Reads days, and asks back about a year that was probably mistyped: 0026 for 2026, or 2062.

The bounds are years, not spans from today, so that a gate whose clock is wrong reads the same days as the collector.
"""

from __future__ import annotations

import re
from datetime import date
from typing import Final

#: A day outside these is mistyped: no workshop has members from before, and "for good" is written by leaving the day empty.
#: Spreadsheets read 30 to 49 as 1930 to 1949.
FIRST: Final = date(1950, 1, 1)
LAST: Final = date(2060, 12, 31)
#: 2026-12-31, also with two digits of the year, as people write it.
_ISO: Final = re.compile(r"(\d{4}|\d\d)-(\d\d?)-(\d\d?)")


class UnlikelyDay(ValueError):  # noqa: N818 (it names what was found)
    """A day before FIRST or after LAST. `meant` is the day that was probably meant, or None."""

    def __init__(self, day: date) -> None:
        self.day = day
        self.meant = _meant(day)
        super().__init__(f"wanted a day from {FIRST} to {LAST}{f'; did you mean {self.meant}?' if self.meant else ''}")


def read(text: str) -> date:
    """Return the day of a text such as 2026-12-31. Raises ValueError for other text, and UnlikelyDay.

    26-12-31 is unlikely, too: it is read as the year 26.
    """
    match = _ISO.fullmatch(text.strip())
    if match is None:
        raise ValueError(text)
    return checked(date(int(match[1]), int(match[2]), int(match[3])))


def checked(day: date) -> date:
    """Return the day. Raises UnlikelyDay."""
    if not FIRST <= day <= LAST:
        raise UnlikelyDay(day)
    return day


def _meant(day: date) -> date | None:
    """Return the same day in 2026 for the years 26, 1926, 3026 and 2062, or None if none of these is likely."""
    two = day.year % 100
    swapped = two % 10 * 10 + two // 10
    for year in (2000 + two, 2000 + swapped):
        try:
            found = day.replace(year=year)
        except ValueError:  # 29 February
            continue
        if FIRST <= found <= LAST and found != day and (day.year < 100 or day.year >= 1000):
            return found
    return None
