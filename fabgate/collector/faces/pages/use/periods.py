"""Periods in the days of the site: presets and custom ranges."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any, Final

from django.utils import timezone
from django.utils.translation import gettext_lazy as _

#: The longest period without a person or a machine.
MOST_DAYS: Final = 31
RECENT, TODAY, WEEK, MONTH, LAST_MONTH, OWN, ALL = "recent", "today", "week", "month", "last-month", "own", "all"
PRESETS: Final[list[tuple[str, Any]]] = [
    (RECENT, _("Last 31 days")),
    (TODAY, _("Today")),
    (WEEK, _("This week")),
    (MONTH, _("This month")),
    (LAST_MONTH, _("Last month")),
    (OWN, _("Custom range…")),
    (ALL, _("All time")),
]


@dataclass(frozen=True, slots=True)
class Period:
    """A range of days, both included."""

    first: date
    last: date

    @property
    def days(self) -> int:
        """Return the number of days."""
        return (self.last - self.first).days + 1

    @property
    def is_months(self) -> bool:
        """Return whether it is one or more whole months."""
        return self.first.day == 1 and (self.last + timedelta(days=1)).day == 1

    @property
    def start(self) -> datetime:
        """Return the start of the first day in the site's time zone."""
        return midnight(self.first)

    @property
    def end(self) -> datetime:
        """Return the end of the last day."""
        return midnight(self.last + timedelta(days=1))

    @classmethod
    def preset(cls, name: str, today: date) -> Period | None:
        """Return the days of a preset, or None if it has no fixed days."""
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
    """Return the start of a day in the site's time zone."""
    return timezone.make_aware(datetime.combine(day, time()))


def today() -> date:
    """Return the current day in the site's time zone."""
    return timezone.localdate()
