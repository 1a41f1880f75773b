"""Drafts, sessions and SQL for tests of the journal."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from fabgate import wire
from fabgate.gate.journal.ids import uuid7
from fabgate.gate.journal.reader import JournalReader
from fabgate.gate.journal.writer import Draft, OpenSession, open_connection

TOPICS = wire.GateTopics("lyon", "laser-1")

CLOCK = wire.Clock(boot="6f1c2a5e-0000-4000-8000-000000000001", boottime_ms=1, synced=True)

START = datetime(2026, 11, 24, 8, tzinfo=UTC)

SESSION = OpenSession("s-1", "m-1", "d" * 64, 7, 0, 0, "boot", 1000, 90_000)


def refused(*, time: datetime | None = START, size: int = 1) -> Draft:
    data = wire.AccessRefused(clock=CLOCK, badge="b" * 64, reasons=["training-missing"] * size)
    return Draft(uuid7(), "access.refused", data, time)


def started(session: str = "s-1") -> Draft:
    data = wire.SessionStarted(
        clock=CLOCK, session=session, member="m-1", badge="d" * 64, basis=wire.Basis(kind="grant"), mode="tap"
    )
    return Draft(uuid7(), "session.started", data, START)


def ms(time: datetime) -> int:
    return round(time.timestamp() * 1000)


def uids(path: Path) -> list[str]:
    view = JournalReader(path)
    found = [wire.decode_entry(entry.body).uid for entry in view.after(0, most=1000)]
    view.close()
    return found


def sql(path: Path, *statements: str) -> None:
    db = open_connection(str(path))
    for statement in statements:
        db.execute(statement)
    db.close()
