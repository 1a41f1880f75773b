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

from bench.people import SITE
from fabgate import seal, wire
from fabgate.gate.journal.ids import uuid7

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
class Journal:
    """A gate's journal, and what a collector holds that has stored it exactly once."""

    gate: str
    name: str = field(default_factory=lambda: uuid.uuid4().hex)
    bodies: list[bytes] = field(default_factory=list)
    topics: list[str] = field(default_factory=list)
    #: The state that the gate publishes after the entry of that number.
    states: dict[int, bytes] = field(default_factory=dict)
    ended: int = 0
    energised_ms: int = 0
    refused: int = 0

    @property
    def head(self) -> int:
        """Return the number of the last entry."""
        return len(self.bodies)

    def hash(self, seq: int) -> str:
        """Return the hash of an entry as in an acknowledgement."""
        return seal.to_text(seal.entry_hash(self.bodies[seq - 1]) if seq else seal.ZERO_HASH)

    def write(self, data: wire.Data, kind: str, time: datetime) -> None:
        """Append an entry."""
        own = wire.GateTopics(SITE, self.gate)
        self.bodies.append(
            wire.encode_entry(
                topics=own,
                journal=self.name,
                seq=self.head + 1,
                prev=self.hash(self.head) if self.bodies else seal.to_text(seal.first_prev(self.name)),
                uid=uuid7(round(time.timestamp() * 1000)),
                event_type=kind,
                data=data,
                time=time,
            )
        )
        self.topics.append(own.event(wire.full_type(kind)))


def journal(gate: str, entries: int, seed: int = 0) -> Journal:
    """Return a journal of `entries` entries."""
    made = Journal(gate)
    boot, ms, session = uuid.uuid4().hex, seed * 977 % 500, ""
    facts = _facts(made, seed)
    data: wire.Data
    while made.head < entries:
        if not made.bodies:
            clock = wire.Clock(boot=boot, boottime_ms=ms, synced=True)
            kind, data = "gate.started", wire.GateStarted(clock=clock, version="bench")
        else:
            after_ms, kind, make = next(facts)
            ms += after_ms
            if kind == "session.started":
                session = uuid7(round(BEGAN.timestamp() * 1000) + ms)
            named = {"session": session} if kind.startswith("session.") else {}
            data = wire.ENTRY_TYPES[kind](clock=wire.Clock(boot=boot, boottime_ms=ms, synced=True), **named, **make)
        made.write(data, kind, BEGAN + timedelta(milliseconds=ms))
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
        holder = {"member": member(number), "badge": digest(number), "roster": 7}
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
        yield (
            PAUSE_MS,
            "access.refused",
            {"badge": digest(number + 7), "member": member(number + 7), "reasons": ["training-missing"]},
        )
