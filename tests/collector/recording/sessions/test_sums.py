"""The sums of days: always what a count of the sessions says, whatever order they came in."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.conf import settings

from fabgate.collector.ground.models import (
    Collector,
    Gate,
    Machine,
    Member,
    UsageDay,
    UsageMonth,
    UsageSession,
    UsageSums,
)
from fabgate.collector.recording.sessions import corrections, sums
from tests.collector.gates import NOON, Journal

#: When the entries of a history have arrived.
LATER = NOON + timedelta(days=8)


def paris(monkeypatch) -> None:
    monkeypatch.setattr(settings, "ENVIRONMENT", replace(settings.ENVIRONMENT, tz="Europe/Paris"))


def counted(zone: str, cut: Callable[[date], date] = lambda day: day) -> Counter:
    """What a look at every session says."""
    found: Counter = Counter()
    for row in UsageSession.objects.filter(reason__isnull=False, ended_at__isnull=False):
        day = row.ended_at.astimezone(ZoneInfo(zone)).date()
        key = (cut(day), row.machine_id or 0, row.gate_id, row.used_by, row.category)
        values = {
            "sessions": 1,
            "counted_ms": row.counted_ms,
            "running_ms": min(row.running_ms, row.counted_ms) if "time" in row.corrected else row.running_ms,
            "uncertainty_ms": 0 if "time" in row.corrected else row.uncertainty_ms,
            "uncertain": int(row.is_uncertain),
            "about": int(row.is_about),
            "energy_wh": row.energy_wh or 0,
            "measured": int(row.energy_wh is not None),
        }
        found.update({(*key, name): value for name, value in values.items() if value})
    return found


def summed(model: type[UsageSums] = UsageDay) -> Counter:
    names = ("sessions", "counted_ms", "running_ms", "uncertainty_ms", "uncertain", "about", "energy_wh", "measured")
    found: Counter = Counter()
    for row in model._default_manager.all():
        key = (row.day, row.machine_key, row.gate_id, row.used_by, row.category)
        found.update({(*key, name): getattr(row, name) for name in names if getattr(row, name)})
    return found


def agree(zone: str) -> bool:
    """Whether both are what a count says."""
    months = counted(zone, lambda day: day.replace(day=1))
    return summed() == counted(zone) and summed(UsageMonth) == months and sum(months.values()) > 0


def history(seed: int) -> list:
    """Days of sessions, across the end of a month, on two gates: late ends, open ones, uncertain ones, and a boot without the time."""
    pick = random.Random(seed)
    messages = []
    for gate in ("laser-1", "saw-1"):
        journal = Journal(gate=gate, boottime_ms=5 * 86_400_000)
        for number in range(30):
            session, member = f"{gate}-{number}", pick.choice(["m-1", "m-2"])
            journal.boottime_ms += pick.randrange(0, 10_000_000)
            journal.synced = number % 10 != 7
            messages.append(journal.start(session, member))
            if pick.random() < 0.3:
                messages.append(journal.progress(session, 5_000, member, running_ms=1_000))
            if pick.random() < 0.9:
                more = pick.choice([{}, {"energy_wh": 0}, {"energy_wh": number}])
                more["uncertainty_ms"] = pick.choice([0, 0, 5, 70_000])
                messages.append(journal.end(session, 10_000 + number, member, **more))
    pick.shuffle(messages)
    return messages


@pytest.mark.parametrize("seed", range(4))
def test_the_sums_are_what_a_count_says_in_whatever_order_entries_come(store, monkeypatch, seed):
    paris(monkeypatch)
    Gate.objects.create(name="laser-1", machine=Machine.objects.create(name="laser"))
    Member.objects.create(id="m-1", category="student")
    messages = history(seed)
    for first in range(0, len(messages), 7):
        store.store(messages[first : first + 7], LATER)
    assert agree("Europe/Paris")
    used = UsageSession.objects.filter(reason__isnull=False).first()
    corrections.correct(used.id, "time", "77", author="eve", reason="x")
    assert agree("Europe/Paris")


def test_a_session_counts_on_the_local_day_of_its_end(store, monkeypatch):
    paris(monkeypatch)
    journal = Journal()
    late = NOON.replace(hour=23, minute=30)  # half past midnight in Paris
    ended = {"member": "m-1", "badge": "d1", "energised_ms": 5, "running_ms": 0, "reason": "badge"}
    store.store([journal.start("s-1"), journal.end("s-1", 1)], NOON)
    store.store([journal.write("session.ended", time=late, session="s-2", **ended)], NOON)
    days = UsageDay.between(date(2026, 11, 24), date(2026, 11, 25)).order_by("day")
    assert list(days.values_list("day", "counted_ms")) == [(date(2026, 11, 24), 1), (date(2026, 11, 25), 5)]


def test_in_another_time_zone_the_sums_are_made_anew_once(store, monkeypatch):
    for message in history(1):
        store.store([message], LATER)
    assert sums.ensure("UTC") is True
    assert agree("UTC")
    assert sums.ensure("UTC") is False
    assert sums.ensure("Pacific/Auckland") is True
    assert agree("Pacific/Auckland")
    assert Collector.objects.get().rolled_tz == "Pacific/Auckland"


def test_a_repeated_entry_adds_nothing(store):
    journal = Journal()
    messages = [journal.start("s-1"), journal.end("s-1", 1_000)]
    for _ in range(3):
        store.store(messages, NOON + timedelta(seconds=1))
    assert UsageDay.objects.get().counted_ms == 1_000
