"""Reads days and moments, and asks back about a year that was probably mistyped: 0026 for 2026, or 2062.

The bounds are years, not spans from today, so that a gate whose clock is wrong reads the same days as the collector.
"""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from typing import Final

#: A day outside these is mistyped: no workshop has members from before, and "for good" is written by leaving the day empty.
#: Spreadsheets read 30 to 49 as 1930 to 1949.
FIRST: Final = date(1950, 1, 1)
LAST: Final = date(2060, 12, 31)
#: 2026-12-31, also with two digits of the year, as people write it. `datetime.fromisoformat` reads 20261231 and 2026-W53-4 too.
_ISO: Final = re.compile(r"([0-9]{4}|[0-9]{2})-([0-9]{1,2})-([0-9]{1,2})")
#: 2027-03-01, 2027-03-01T18:00 or 2027-03-01 18:00:30+01:00.
_MOMENT: Final = re.compile(
    r"(?P<day>[0-9-]+)(?:[T ](?P<time>[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?)(?P<zone>Z|[+-][0-9]{2}:[0-9]{2})?)?"
)


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
    return checked(_day(text))


def read_moment(text: str) -> datetime:
    """Return the moment of a text such as 2027-03-01, or 2027-03-01T18:00 with or without seconds and a zone.

    A day alone is its midnight. Raises ValueError for other text, and UnlikelyDay.
    """
    moment = any_moment(text)
    checked(moment.date())
    return moment


def any_moment(text: str) -> datetime:
    """Return the moment of a text as ``read_moment`` does, of any year. Raises ValueError."""
    match = _MOMENT.fullmatch(text.strip())
    if match is None:
        raise ValueError(text)
    return datetime.fromisoformat(f"{_day(match['day'])}T{match['time'] or '00:00'}{match['zone'] or ''}")


def checked(day: date) -> date:
    """Return the day. Raises UnlikelyDay."""
    if not FIRST <= day <= LAST:
        raise UnlikelyDay(day)
    return day


def of_short_year(first: str, month: str, last: str) -> date:
    """Return the likelier day of 26-12-31, in the year 26: its year may be the first number or the last one.

    Memberships end on the last day of a month, so such a day is the likelier one; otherwise it is the later of the two.
    Raises ValueError if neither is a day.
    """
    found = [_last_of_month_first(*numbers) for numbers in ((first, month, last), (last, month, first))]
    likely = max(filter(None, found), default=None)
    if likely is None:
        raise ValueError(f"{first}-{month}-{last}")
    return likely[1]


def _last_of_month_first(year: str, month: str, day: str) -> tuple[bool, date] | None:
    """Return whether a day is the last one of its month, and the day; None if it does not exist."""
    if len(year) < len("26"):
        return None
    try:
        found = date(int(year), int(month), int(day))
    except ValueError:
        return None
    return (found + timedelta(days=1)).day == 1, found


def _day(text: str) -> date:
    match = _ISO.fullmatch(text.strip())
    if match is None:
        raise ValueError(text)
    if len(match[1]) == len("26"):
        return of_short_year(*match.groups())
    return date(int(match[1]), int(match[2]), int(match[3]))


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
