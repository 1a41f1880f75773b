"""A busy evening on the floor: every state that a machine can be in, refusals and orders of the last minutes."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from fabgate.collector.models import Gate, Hole, Journal, Machine, Order, Refusal
from tests.collector.pages import workshop


def begins(now: datetime, *, sessions: int = 160) -> None:
    """Fill the database with a workshop at its busiest."""
    workshop.open_for_business(now, sessions=sessions)
    uses("laser-1", "m-1", now, minutes=17, running_ms=540_000, ran_at=now)
    uses("lathe-1", "m-11", now, minutes=42)
    uses("mill-1", "m-18", now, minutes=95, running_ms=1_800_000, ran_at=now - timedelta(minutes=26))
    uses("print-1", "m-26", now, minutes=340, running_ms=340 * 60_000, ran_at=now, state="finishing")
    Gate.objects.filter(name="saw-2").update(causes=["lock-idle"], state="idle")
    Gate.objects.filter(name="weld-1").update(causes=["estop"], state="idle", session="", session_member="")
    Gate.objects.filter(name="saw-1").update(state="active", session_member="m-3")
    Gate.objects.filter(name="print-2").update(state="idle", session="", session_member="", synced=False)
    Journal.objects.filter(gate__name="lathe-1").update(head=10_000)
    Machine.objects.filter(name="printer-b").update(title="")
    refused("laser-1", now - timedelta(minutes=2), ["unknown-badge"])
    refused("mill-1", now - timedelta(minutes=9), ["expired", "training-missing", "in-use"], member="m-23")
    ordered("laser-1", "extend", now - timedelta(minutes=4), outcome="done")
    ordered("mill-1", "stop", now - timedelta(seconds=8))
    ordered("saw-2", "lock", now - timedelta(minutes=12), outcome="refused", detail="a newer roster has said otherwise")
    journal = Journal.objects.get(gate__name="saw-1")
    Hole.objects.create(journal=journal, first=412, last=415, state=Hole.LOST, found_at=now - timedelta(days=2))


def uses(gate: str, member: str, now: datetime, *, minutes: int, state: str = "active", **more: Any) -> None:
    """Let a member use a machine since so many minutes."""
    since = now - timedelta(minutes=minutes)
    said = {"state": state, "session": f"{gate}-now", "session_member": member, "state_since": since, "causes": []}
    row = {"energised_ms": minutes * 60_000, "running_ms": 0, "ran_at": None, "online": True, "seen_at": now}
    Gate.objects.filter(name=gate).update(**said, **row | more)


def refused(gate: str, at: datetime, reasons: list[str], *, member: str = "", badge: str = "f" * 64) -> Refusal:
    """Let a gate refuse a badge."""
    found = Gate.objects.get(name=gate)
    journal = Journal.objects.get(gate=found)
    seq = 900_000 + Refusal.objects.count()
    return Refusal.objects.create(
        gate=found,
        machine=found.machine,
        journal=journal,
        seq=seq,
        member=member,
        badge=badge,
        reasons=reasons,
        at=at,
        seen_at=at,
    )


def ordered(gate: str, verb: str, at: datetime, **more: Any) -> Order:
    """Let somebody have given an order."""
    found = Gate.objects.get(name=gate)
    count = Order.objects.count()
    until = at + timedelta(seconds=60)
    return Order.objects.create(id=f"order-{count}", gate=found, command=verb, actor="maya", at=at, until=until, **more)
