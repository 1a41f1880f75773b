"""Tariffs: prices per minute, windows with other prices, and what is added or limited."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time
from decimal import Decimal
from typing import Final, NamedTuple

#: What a tariff's price counts: the time in which the machine has power, or the time in which a job runs.
ON, RUNNING = "on", "running"
CHARGED_FOR: Final = (ON, RUNNING)


class Peak(NamedTuple):
    """Hours of the week with another price per minute, in local time: [start, end).

    ``end`` is on the next day if it is not after ``start``; midnight to midnight is a whole day.
    """

    #: 0 is Monday, as in ``date.weekday()``; the day on which the window starts
    days: frozenset[int]
    start: time
    end: time
    price: Decimal

    def covers(self, wall: datetime) -> bool:
        """Return whether the clock on the wall shows a time of this window at `wall`, a naive local time."""
        now, today = wall.time(), wall.weekday()
        if self.start < self.end:
            return today in self.days and self.start <= now < self.end
        began_today = today in self.days and now >= self.start
        began_yesterday = (today - 1) % 7 in self.days and now < self.end
        return began_today or began_yesterday


@dataclass(frozen=True, slots=True)
class Tariff:
    """What a machine costs. Money is in the currency's main unit; prices are per minute.

    ``peaks`` do not overlap, and are for a price of ``on`` time only: a session records how long a job ran, but not when.
    """

    price: Decimal
    charged_for: str = ON
    #: For the time in which the machine had power and no job ran; only if a job's time is charged (``running``).
    idle_price: Decimal = Decimal(0)
    peaks: tuple[Peak, ...] = ()
    #: Added to each session that is not free.
    session_fee: Decimal = Decimal(0)
    #: The least that a session costs if it is not free.
    minimum: Decimal = Decimal(0)
    #: The most that one user pays for one machine on one day; None: no cap.
    daily_cap: Decimal | None = None
    #: A session of at most this long costs nothing: the wrong badge, the wrong machine.
    grace_s: int = 0
    #: Time is rounded up to a whole number of these.
    step_s: int = 1

    def price_when(self, wall: datetime) -> Decimal:
        """Return the price per minute while the clock on the wall shows `wall`, a naive local time."""
        return next((peak.price for peak in self.peaks if peak.covers(wall)), self.price)

    @property
    def prices_time(self) -> bool:
        """Return whether any minute costs anything. If none does, the session fee is the whole price."""
        return any(price > 0 for price in (self.price, self.idle_price, *(peak.price for peak in self.peaks)))
