"""A machine with its gate, two people, and commands that were sent.

Import `a_gate` into a test module: it is the fixture `gate`, which every test there gets.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from fabgate.collector.ground.models import Gate, Journal, Machine, Member, Order


@pytest.fixture(autouse=True, name="gate")
def a_gate(database) -> Gate:
    machine = Machine.objects.create(name="saw", title="Bandsaw")
    Member.objects.create(id="m-1", name="Zoé Müller-Østergård", email="zoé+x@example.org", lang="fr")
    Member.objects.create(id="m-2", name="Léa Fournier", level="supervisor")
    seen_at = datetime.now(UTC)
    found = Gate.objects.create(name="saw-1", machine=machine, online=True, seen_at=seen_at, boot="b", state="idle")
    Journal.objects.create(name="j", gate=found)
    return found


def order(now: datetime, minutes_ago: float, **more: object) -> Order:
    """Store a command that was sent this many minutes before `now`."""
    at = now - timedelta(minutes=minutes_ago)
    row = {"gate": Gate.objects.get(), "command": "stop", "actor": "maya", "at": at, "until": at + timedelta(minutes=1)}
    return Order.objects.create(id=f"o-{Order.objects.count()}", **{**row, **more})
