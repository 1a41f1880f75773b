"""Two machines and four people, and what they did: little enough that a test can count it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from fabgate import wire
from fabgate.collector.ground.models import Gate, Machine, Member
from fabgate.collector.recording.intake.store import Store
from tests.collector.gates import Journal

#: Noon of the day before yesterday, where the site is (its zone is UTC in tests).
NOON = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=2)
MINUTE = timedelta(minutes=1)
#: When the gates were switched on.
BOOTED = NOON - timedelta(days=81)


@dataclass
class Used:
    """The workshop; each gate writes its own journal."""

    journals: dict[str, Journal] = field(default_factory=dict)
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __post_init__(self) -> None:
        for gate, name, title in (("saw-1", "bandsaw", "Band saw"), ("lathe-1", "lathe", "Metal lathe")):
            Gate.objects.create(name=gate, machine=Machine.objects.create(name=name, title=title))
            self.journals[gate] = Journal(gate=gate, name=f"journal-{gate}", boot=f"boot-{gate}")
            self.write(gate, "gate.started", NOON - timedelta(days=80), version="1")
        for pk, name, category in (
            ("m-1", "Zoé Müller", "student"),
            ("m-2", "Bjørn Sørensen", "adult"),
            ("m-3", "Zoé Petit", ""),
            ("m-4", "=1+2", ""),
        ):
            Member.objects.create(id=pk, name=name, category=category)

    def write(self, gate: str, kind: str, at: datetime, **data: Any) -> None:
        """Store an entry that was written `at`."""
        journal = self.journals[gate]
        if journal.synced:  # as on a real gate: both clocks go at one pace
            journal.boottime_ms = (at - BOOTED) // timedelta(milliseconds=1) - 1000
        Store("lyon").store([journal.write(kind, time=at if journal.synced else None, **data)], self.now)

    def begin(self, session: str, member: str, at: datetime, gate: str = "saw-1", **more: Any) -> None:
        """Begin a session."""
        said = {"badge": f"badge-{member}", "basis": wire.Basis(kind="grant"), "mode": "tap", **more}
        self.write(gate, "session.started", at, session=session, member=member, **said)

    def end(self, session: str, member: str, at: datetime, ms: int, gate: str = "saw-1", **more: Any) -> None:
        """End a session."""
        said = {"badge": f"badge-{member}", "reason": "badge", "running_ms": ms // 2, **more}
        self.write(gate, "session.ended", at, session=session, member=member, energised_ms=ms, **said)

    def session(self, session: str, member: str, at: datetime, minutes: int, gate: str = "saw-1", **more: Any) -> str:
        """Store a whole session."""
        self.begin(session, member, at, gate)
        self.end(session, member, at + minutes * MINUTE, minutes * 60_000, gate, **more)
        return session

    def refuse(self, badge: str, member: str | None, at: datetime, *reasons: str, gate: str = "saw-1") -> None:
        """Store a refusal."""
        self.write(gate, "access.refused", at, badge=badge, member=member, reasons=list(reasons))


def machine(name: str = "bandsaw") -> int:
    """Return a machine's row."""
    return Machine.objects.get(name=name).pk


def text(response: Any) -> str:
    """Return what a page says, in one line a word."""
    return " ".join(response.content.decode().split())


def body(response: Any) -> bytes:
    """Return a file that was streamed."""
    return b"".join(response.streaming_content)
