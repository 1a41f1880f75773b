"""Ties the clock of a boot to wall time, and decides which wall times are possible."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

#: Wall clocks outside these years are wrong; the limit also keeps date arithmetic from overflowing.
YEARS: Final = range(2000, 2200)


@dataclass(frozen=True, slots=True)
class Tie:
    """A reading of a boot's clock, and the wall time of that reading."""

    boottime_ms: int
    at: datetime

    def date(self, boottime_ms: int) -> datetime | None:
        """Return the wall time at `boottime_ms` of the same boot; None if it is impossible."""
        try:
            found = self.at + timedelta(milliseconds=boottime_ms - self.boottime_ms)
        except OverflowError:  # a gate may report any number
            return None
        return found if found.year in YEARS else None


@dataclass(frozen=True, slots=True)
class BootDates:
    """The known dates of a boot: the tie of its clock, or else the dated entries before and after it."""

    tie: Tie | None = None
    not_before: datetime | None = None
    not_after: datetime | None = None
