"""Keeps the sums of days and months up to date by adding differences, and rebuilds them if they are not reliable.

A session counts on the day of its end in the site's time zone. Code that changes a session passes the row before and
after: the old values are subtracted and the new ones added in the same transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import connection, transaction

from fabgate.collector.ground.db import bulk, pulse
from fabgate.collector.ground.models import Collector, UsageDay, UsageMonth, UsageSession, UsageSums
from fabgate.collector.ground.models.sessions import counted
from fabgate.collector.recording.sessions.merge import COLUMNS, DerivedSession

SUM_COLUMNS = ("sessions", "counted_ms", "running_ms", "uncertainty_ms", "uncertain", "about", "energy_wh", "measured")
_ADD: dict[type[UsageSums], str] = {
    model: (
        f"INSERT INTO {table} AS t (day, machine_key, gate_id, used_by, category, {', '.join(SUM_COLUMNS)})"  # noqa: S608
        f" VALUES ({', '.join(['%s'] * (5 + len(SUM_COLUMNS)))})"
        " ON CONFLICT (day, machine_key, gate_id, used_by, category) DO UPDATE SET"
        f" {', '.join(f'{c} = COALESCE(t.{c}, 0) + excluded.{c}' for c in SUM_COLUMNS)}"
    )
    for model, table in ((UsageDay, "collector_usageday"), (UsageMonth, "collector_usagemonth"))
}

#: (day, or first day of the month; machine's id or 0; gate's id; member; category)
Key = tuple[date, int, int, str, str]
_SUMS = len(SUM_COLUMNS)


class Counted(counted.SessionFigures, Protocol):
    """The fields of a session that its sums need: of a row that a batch works on, or of a few columns of it."""

    machine_id: int | None
    gate_id: int
    used_by: str
    category: str
    uncertain: bool
    energy_wh: int | None


def add(pairs: Iterable[tuple[DerivedSession | None, DerivedSession]]) -> None:
    """Update the sums for sessions that changed, given as (before, after)."""
    zone = ZoneInfo(settings.ENVIRONMENT.tz)
    sums: dict[Key, list[int]] = {}
    for before, after in pairs:
        for session, sign in ((before, -1), (after, 1)):
            if session is not None and session.reason is not None and session.ended_at is not None:
                count(sums, session, sign, zone)
    # Before the rows of the sums (ground/db/pulse.py): a correction and ingest would otherwise wait for each other.
    pulse.lock()
    _add(sums)


def ensure(tz: str) -> bool:
    """Rebuild the sums if they are of another time zone or missing; return whether there are any."""
    with transaction.atomic():
        pulse.lock()  # no other transaction adds to the sums meanwhile
        row = Collector.objects.select_for_update(no_key=True).filter(id=1).first()
        if row is None or row.rolled_tz == tz:
            return False
        UsageDay.objects.all().delete()
        UsageMonth.objects.all().delete()
        sums: dict[Key, list[int]] = {}
        zone = ZoneInfo(tz)
        ended = UsageSession.objects.filter(reason__isnull=False, ended_at__isnull=False)
        for values in ended.values_list(*COLUMNS).iterator(chunk_size=2_000):
            count(sums, DerivedSession(*values), 1, zone)
        _add(sums)
        row.rolled_tz = tz
        row.save(update_fields=["rolled_tz"])
    return bool(sums)


def _add(days: dict[Key, list[int]]) -> None:
    months: dict[Key, list[int]] = {}
    for (day, machine, gate, member, category), line in days.items():
        month = months.setdefault((day.replace(day=1), machine, gate, member, category), [0] * _SUMS)
        for place, value in enumerate(line):
            month[place] += value
    for model, sums in ((UsageDay, days), (UsageMonth, months)):
        add_sums(model, [(*key, *sums[key]) for key in sorted(sums) if any(sums[key])])


def count(sums: dict[Key, list[int]], session: Counted, sign: int, zone: ZoneInfo) -> None:
    """Add an ended session to `sums`, or subtract it if `sign` is -1."""
    assert session.ended_at is not None
    day = session.ended_at.astimezone(zone).date()
    key = day, session.machine_id or 0, session.gate_id, session.used_by, session.category
    line = sums.setdefault(key, [0] * _SUMS)
    about = session.not_after is not None
    running_ms, uncertainty_ms = counted.running_ms(session), counted.uncertainty_ms(session)
    energy = (session.energy_wh or 0, session.energy_wh is not None)
    values: tuple[Any, ...] = (1, session.counted_ms, running_ms, uncertainty_ms, session.uncertain, about, *energy)
    for place, value in enumerate(values):
        line[place] += sign * value


def add_sums(model: type[UsageSums], rows: Sequence[tuple[Any, ...]]) -> None:
    """Add rows to the sums of days or months: a key, then the amount to add to each sum."""
    day = connection.ops.adapt_datefield_value
    bulk.many(_ADD[model], [(day(row[0]), *row[1:]) for row in rows])
