"""Adds up the stored sessions again, and compares the result with the sums of days and months.

Sessions are read in the order of their ends, so that only a few days are in memory at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from fabgate.collector.ground.models import UsageDay, UsageMonth, UsageSession, UsageSums
from fabgate.collector.processes.verify.findings import Advance, Report
from fabgate.collector.processes.verify.snapshot import PAGE
from fabgate.collector.recording.sessions import sums
from fabgate.collector.recording.sessions.sums import SUM_COLUMNS, Key

_COLUMNS: Final = (
    *("machine_id", "gate_id", "used_by", "category", "corrected", "energised_ms", "running_ms", "counted_ms"),
    *("uncertainty_ms", "started_at", "ended_at", "not_after", "reason", "uncertain", "energy_wh"),
)
#: In some zones a clock that goes back at midnight repeats an hour of the day before.
_STILL_OPEN: Final = timedelta(days=1)
_NOTHING: Final = (0,) * len(SUM_COLUMNS)


@dataclass(slots=True)
class _Session:
    machine_id: int | None
    gate_id: int
    used_by: str
    category: str
    corrected: str
    energised_ms: int
    running_ms: int
    counted_ms: int
    uncertainty_ms: int
    started_at: datetime | None
    ended_at: datetime | None
    not_after: datetime | None
    reason: str | None
    uncertain: bool
    energy_wh: int | None


def check(report: Report, zone: ZoneInfo, advance: Advance) -> None:
    """Check the sums of all days and months in the site's time zone."""
    days, months = _Table(UsageDay, "usageday", report), _Table(UsageMonth, "usagemonth", report)
    for number, session in enumerate(_sessions(), 1):
        found: dict[Key, list[int]] = {}
        sums.count(found, session, 1, zone)
        for key, line in found.items():
            days.add(key, line)
            months.add((key[0].replace(day=1), *key[1:]), line)
        if number % PAGE == 0:
            advance(PAGE)
    days.finish()
    months.finish()


def _sessions() -> Iterator[_Session]:
    ended = UsageSession.objects.filter(reason__isnull=False, ended_at__isnull=False).order_by("ended_at", "id")
    for values in ended.values_list(*_COLUMNS).iterator(chunk_size=PAGE):
        yield _Session(*values)


class _Table:
    """Compares one table of sums, day by day."""

    def __init__(self, model: type[UsageSums], name: str, report: Report) -> None:
        self._model, self._name, self._report = model, name, report
        self._open: dict[date, dict[Key, list[int]]] = {}
        self._done: set[date] = set()

    def add(self, key: Key, line: list[int]) -> None:
        """Add the values of one session."""
        if key[0] not in self._open:
            for day in [day for day in self._open if day < key[0] - _STILL_OPEN]:
                self._compare(day)
            self._open[key[0]] = {}
        total = self._open[key[0]].setdefault(key, list(_NOTHING))
        for place, value in enumerate(line):
            total[place] += value

    def finish(self) -> None:
        """Compare the days that are left, and those that are stored but have no session."""
        for day in sorted(self._open):
            self._compare(day)
        for day in sorted(set(self._model._default_manager.values_list("day", flat=True).distinct()) - self._done):  # noqa: SLF001 (Django's name for it)
            self._open[day] = {}
            self._compare(day)

    def _compare(self, day: date) -> None:
        wanted = self._open.pop(day)
        self._done.add(day)
        columns = ("day", "machine_key", "gate_id", "used_by", "category", *SUM_COLUMNS)
        stored = self._model._default_manager.filter(day=day).values_list(*columns)  # noqa: SLF001 (as above)
        self._report.compared[self._name] += len(wanted)
        for row in stored.iterator(chunk_size=PAGE):
            key, found = row[:5], tuple(one or 0 for one in row[5:])
            right = wanted.pop(key, None)
            name = "/".join(map(str, key))
            if right is None and any(found):
                self._report.added(self._name, name, "no session counts there")
                continue
            for column, one, other in zip(SUM_COLUMNS, found, right or _NOTHING, strict=True):
                if one != other:
                    self._report.changed(self._name, name, column, one, other)
        for key, right in wanted.items():
            if any(right):
                self._report.missing(self._name, "/".join(map(str, key)), f"{right[0]} sessions count there")
