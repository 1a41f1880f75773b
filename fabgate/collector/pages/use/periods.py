"""From when to when? Presets in the site's own days, and days of one's own."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any, Final

from django.utils import timezone
from django.utils.translation import gettext_lazy as _

#: What may be looked at without saying of whom, or of which machine.
MOST_DAYS: Final = 31
RECENT, TODAY, WEEK, MONTH, LAST_MONTH, OWN, ALL = "recent", "today", "week", "month", "last-month", "own", "all"
PRESETS: Final[list[tuple[str, Any]]] = [
    (RECENT, _("Last 31 days")),
    (TODAY, _("Today")),
    (WEEK, _("This week")),
    (MONTH, _("This month")),
    (LAST_MONTH, _("Last month")),
    (OWN, _("Own days…")),
    (ALL, _("At any time")),
]


@dataclass(frozen=True, slots=True)
class Period:
    """Days, both included."""

    first: date
    last: date

    @property
    def days(self) -> int:
        """Return how many days it has."""
        return (self.last - self.first).days + 1

    @property
    def is_months(self) -> bool:
        """Say whether it is a month, or months, from the first day to the last."""
        return self.first.day == 1 and (self.last + timedelta(days=1)).day == 1

    @property
    def start(self) -> datetime:
        """Return the moment at which the first day begins where the site is."""
        return midnight(self.first)

    @property
    def end(self) -> datetime:
        """Return the moment at which the last day is over."""
        return midnight(self.last + timedelta(days=1))

    @classmethod
    def preset(cls, name: str, today: date) -> Period | None:
        """Return the period of a preset; None for one that has no fixed days."""
        month = today.replace(day=1)
        if name == RECENT:
            return cls(today - timedelta(days=MOST_DAYS - 1), today)
        if name == TODAY:
            return cls(today, today)
        if name == WEEK:
            monday = today - timedelta(days=today.weekday())
            return cls(monday, monday + timedelta(days=6))
        if name == MONTH:
            return cls.month(month.year, month.month)
        if name == LAST_MONTH:
            before = month - timedelta(days=1)
            return cls.month(before.year, before.month)
        return None

    @classmethod
    def month(cls, year: int, month: int) -> Period:
        """Return a whole month."""
        after = date(year + month // 12, month % 12 + 1, 1)
        return cls(date(year, month, 1), after - timedelta(days=1))


def midnight(day: date) -> datetime:
    """Return the moment at which a day begins where the site is."""
    return timezone.make_aware(datetime.combine(day, time()))


def today() -> date:
    """Return the day it is where the site is."""
    return timezone.localdate()
