"""The journals of light gates: sessions and refusals, made before the measurement.

Four entries in turn, as on an evening: started, progress, ended, refused. Sessions last one to ninety minutes, by their
clocks too; every fortieth end is uncertain. Ids are UUIDv7 in the order of time, as gates make them.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache

from bench.gates.people import SITE
from fabgate import wire
from fabgate.gate.journal.ids import uuid7
from tests.collector import gates

MEMBERS = 400
MINUTE_MS = 60_000
#: From the start of a gate to its first session, and between a session and a refusal.
PAUSE_MS = 1_500
#: Long enough ago that no journal ends in the future: a thousand entries take eight days.
BEGAN = datetime(2026, 10, 5, 9, 0, tzinfo=UTC)


def member(number: int) -> str:
    """Return the id of a member."""
    return f"m-{number % MEMBERS:03d}"


@cache
def digest(number: int) -> str:
    """Return the digest of a member's badge."""
    return hashlib.sha256(member(number).encode()).hexdigest()


@dataclass
class Journal(gates.Journal):
    """A gate's journal, and what a collector holds that has stored it exactly once."""

    #: The state that the gate publishes after the entry of that number.
    states: dict[int, bytes] = field(default_factory=dict)
    ended: int = 0
    energised_ms: int = 0
    refused: int = 0


def journal(gate: str, entries: int, seed: int = 0) -> Journal:
    """Return a journal of `entries` entries."""
    made = Journal(gate, SITE)
    boot, ms, session = uuid.uuid4().hex, seed * 977 % 500, ""
    facts = _facts(made, seed)
    while made.head < entries:
        kind: str = "gate.started"
        more: dict[str, object] = {"version": "bench"}
        if made.bodies:
            after_ms, kind, more = next(facts)
            ms += after_ms
            if kind == "session.started":
                session = uuid7(round(BEGAN.timestamp() * 1000) + ms)
            if kind.startswith("session."):
                more["session"] = session
        data = wire.ENTRY_TYPES[kind](clock=wire.Clock(boot=boot, boottime_ms=ms, synced=True), **more)
        time = BEGAN + timedelta(milliseconds=ms)
        made.append(kind, data, uid=uuid7(round(time.timestamp() * 1000)), copyof=None, time=time)
        if isinstance(data, wire.SessionStarted):
            made.states[made.head] = wire.encode(wire.State(state="active", session=data.session, member=data.member))
        elif isinstance(data, wire.SessionEnded):
            made.states[made.head] = wire.encode(wire.State(state="idle"))
    return made


def _facts(made: Journal, seed: int) -> Iterator[tuple[int, str, dict[str, object]]]:
    """Yield (milliseconds until it, entry type, its fields), and count what they add up to."""
    number = seed
    while True:
        number += 1
        holder: dict[str, object] = {"member": member(number), "badge": digest(number), "roster": 7}
        basis = wire.Basis(kind="grant", grant=f"training-{number % 9}")
        yield PAUSE_MS, "session.started", {**holder, "basis": basis, "mode": "tap"}
        on_ms = (1 + number % 90) * MINUTE_MS
        half_ms = on_ms // 2
        yield half_ms, "session.progress", {**holder, "energised_ms": half_ms, "running_ms": on_ms // 4}
        made.ended += 1
        made.energised_ms += on_ms
        doubt = {"uncertainty_ms": 90_000, "reason": "power-loss"} if number % 40 == 0 else {"reason": "badge"}
        yield half_ms, "session.ended", {**holder, "energised_ms": on_ms, "running_ms": half_ms, **doubt}
        made.refused += 1
        refused: dict[str, object] = {
            "badge": digest(number + 7),
            "member": member(number + 7),
            "reasons": ["training-missing"],
        }
        yield PAUSE_MS, "access.refused", refused
