"""How long a member used each machine, month by month."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import date, datetime, time
from typing import Final

from django.db.models.functions import Coalesce
from django.utils import timezone

from fabgate.collector.ground.models import UsageSession

#: How many months can be chosen.
MONTHS: Final = 12


@dataclass(slots=True)
class Month:
    """A month and its totals."""

    first: date
    counted_ms: int = 0
    sessions: int = 0
    uncertain: int = 0
    machines: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    @property
    def key(self) -> str:
        """Return the month as in the URL."""
        return f"{self.first:%Y-%m}"

    @property
    def by_machine(self) -> list[tuple[str, int, int]]:
        """Return (machine, time, percentage of the longest time), the longest time first."""
        longest = max(self.machines.values(), default=0) or 1
        rows = sorted(self.machines.items(), key=lambda row: (-row[1], row[0]))
        return [(name, ms, round(100 * ms / longest)) for name, ms in rows]


def last_months(member: str, today: date) -> list[Month]:
    """Return the last twelve months, this one first. A session counts on the day it ended."""
    months = {month: Month(month) for month in _firsts(today)}
    rows = (
        UsageSession.objects.filter(used_by=member, ended_at__gte=_midnight(min(months)))
        .annotate(where=Coalesce("machine__title", "gate__name"), named=Coalesce("machine__name", "gate__name"))
        .values_list("ended_at", "where", "named", "counted_ms", "uncertain")
    )
    for ended_at, title, name, counted_ms, is_uncertain in rows.iterator():
        month = months.get(timezone.localtime(ended_at).date().replace(day=1))
        if month is not None:  # no month is shown if a gate's clock was ahead
            month.counted_ms += counted_ms
            month.sessions += 1
            month.uncertain += is_uncertain
            month.machines[title or name] += counted_ms
    return list(months.values())


def used(year: Collection[Month], chosen: Month) -> list[tuple[Month, int]]:
    """Return the months with sessions, and the chosen one, each with its percentage of the longest time."""
    longest = max(month.counted_ms for month in year) or 1
    return [(month, round(100 * month.counted_ms / longest)) for month in year if month.sessions or month is chosen]


def period(month: date) -> tuple[datetime, datetime]:
    """Return the start and end of a month in the site's time zone."""
    return _midnight(month), _midnight(_next(month))


def _firsts(today: date) -> list[date]:
    firsts = [today.replace(day=1)]
    while len(firsts) < MONTHS:
        last = firsts[-1]
        firsts.append(
            last.replace(year=last.year - 1, month=12) if last.month == 1 else last.replace(month=last.month - 1)
        )
    return firsts


def _next(month: date) -> date:
    return month.replace(year=month.year + 1, month=1) if month.month == 12 else month.replace(month=month.month + 1)


def _midnight(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time()))
