"""What ties the clock of a boot to wall time, and which wall times can be right?"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

#: Wall clocks outside of this are wrong, whatever they say; it also keeps time arithmetic from overflowing.
YEARS: Final = range(2000, 2200)


@dataclass(frozen=True, slots=True)
class Tie:
    """What ties a boot's clock to wall time."""

    boottime_ms: int
    at: datetime

    def date(self, boottime_ms: int) -> datetime | None:
        """Return the wall time of `boottime_ms` of the same boot; None for one that cannot be: no gate runs for so long."""
        try:
            found = self.at + timedelta(milliseconds=boottime_ms - self.boottime_ms)
        except OverflowError:  # a clock's word may be any number, and the calendar ends
            return None
        return found if found.year in YEARS else None


@dataclass(frozen=True, slots=True)
class When:
    """What is known of a boot: the tie of its clock, or else the last dated entry before it and the first after it."""

    tie: Tie | None = None
    not_before: datetime | None = None
    not_after: datetime | None = None
