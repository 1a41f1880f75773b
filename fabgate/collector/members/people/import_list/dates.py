"""Reads dates as spreadsheets write them: 2026-12-31, 31/12/2026, 31.12.2026, 12/31/2026, or Excel's serial numbers.

01/02/2027 may be in January or in February. A date that can be read in one order only, such as 31/12/2026, decides for
the whole file. Without one, the day is assumed to be first; the result says so, and a person may choose.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from openpyxl.utils.datetime import from_excel

from fabgate import days

DAY_FIRST: Final = "day-first"
MONTH_FIRST: Final = "month-first"
ORDERS: Final = (DAY_FIRST, MONTH_FIRST)

#: A time of day is allowed if it is midnight: spreadsheets add it to a date.
_TIME: Final = r"(?:[ T]0?0:00(?::00(?:\.0+)?)?)?"
_YEAR_FIRST: Final = re.compile(rf"(\d{{4}})([-/.])(\d{{1,2}})\2(\d{{1,2}}){_TIME}")
#: With points the day is always first, as in German and French.
_POINTS: Final = re.compile(rf"(\d{{1,2}})\.(\d{{1,2}})\.(\d{{4}}|\d\d){_TIME}")
_YEAR_LAST: Final = re.compile(rf"(\d{{1,2}})([-/])(\d{{1,2}})\2(\d{{4}}|\d\d){_TIME}")
_FORMATS: Final = {"": "%Y-%m-%d", DAY_FIRST: "%d/%m/%Y", MONTH_FIRST: "%m/%d/%Y"}
#: A date in a cell that is formatted as a number. 10000 is in 1927, so that years (2027) are not taken for days.
_SERIAL: Final = re.compile(r"[1-9]\d{4}")


@dataclass(frozen=True, slots=True)
class DateReader:
    """How the dates of a file are read.

    `order` is one of ORDERS, or empty where no date depends on it. `is_ambiguous`: each such date has two readings, and
    `order` was assumed or chosen. `example` is one of these dates. `epoch` is that of a workbook, None for CSV.
    """

    order: str = ""
    is_ambiguous: bool = False
    example: str = ""
    epoch: datetime | None = None

    def read(self, text: str) -> date:
        """Return the date. Raises ValueError for other text, and for a day that does not exist or is unlikely.

        A year of two digits is unlikely (days.UnlikelyDay): it may be that of a birth, too.
        """
        return days.checked(self._read(text.strip()))

    def written(self, day: date) -> str:
        """Return a date as the others of the file are written."""
        return f"{day:{_FORMATS[self.order]}}"

    def _read(self, text: str) -> date:
        if match := _YEAR_FIRST.fullmatch(text):
            return date(int(match[1]), int(match[3]), int(match[4]))
        if match := _POINTS.fullmatch(text):
            return date(int(match[3]), int(match[2]), int(match[1]))
        if match := _YEAR_LAST.fullmatch(text):
            if len(match[4]) == len("26") and (self.order != MONTH_FIRST or int(match[1]) > 12):
                return days.of_short_year(match[1], match[3], match[4])
            day, month = (match[3], match[1]) if self.order == MONTH_FIRST else (match[1], match[3])
            return date(int(match[4]), int(month), int(day))
        if self.epoch is not None and _SERIAL.fullmatch(text):
            moment = from_excel(int(text), self.epoch)
            assert isinstance(moment, datetime)
            return moment.date()
        raise ValueError(text)


def reader(cells: Iterable[str], *, chosen: str = "", epoch: datetime | None = None) -> DateReader:
    """Return the reader for a file whose date columns hold `cells`. `chosen` is the order that a person chose, or empty."""
    found = [(cell.strip(), match) for cell in cells if (match := _YEAR_LAST.fullmatch(cell.strip()))]
    if not found:
        return DateReader(epoch=epoch)
    is_day_first = any(int(match[1]) > 12 >= int(match[3]) for _cell, match in found)
    is_month_first = any(int(match[3]) > 12 >= int(match[1]) for _cell, match in found)
    is_ambiguous = is_day_first == is_month_first
    example = next((cell for cell, match in found if max(int(match[1]), int(match[3])) <= 12), found[0][0])
    order = DAY_FIRST if is_day_first or not is_month_first else MONTH_FIRST
    if is_ambiguous and chosen in ORDERS:
        order = chosen
    return DateReader(order, is_ambiguous, example, epoch)
