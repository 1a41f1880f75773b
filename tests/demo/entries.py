"""A gate's entries of sessions, and when the pins were on."""

from __future__ import annotations

from fabgate import wire
from fabgate.demo.observer import Powered

TOPICS = wire.GateTopics("lyon", "laser-1")
MS = 1_000_000


def entry(seq: int, kind: str, data: wire.Data) -> bytes:
    return wire.encode_entry(
        topics=TOPICS, journal="j", seq=seq, prev="p", uid=f"u{seq}", event_type=kind, data=data, time=None
    )


def started(seq: int, session: str, at_ms: int, *, member: str = "m-1", since: int | None = None) -> bytes:
    return entry(
        seq,
        "session.started",
        wire.SessionStarted(
            clock=wire.Clock(boot="b", boottime_ms=at_ms),
            session=session,
            member=member,
            badge="d",
            basis=wire.Basis(kind="grant"),
            mode="tap",
            energised_from_ms=since,
        ),
    )


def ended(seq: int, session: str, at_ms: int, energised_ms: int, *, reason: str = "badge", doubt_ms: int = 0) -> bytes:
    return entry(
        seq,
        "session.ended",
        wire.SessionEnded(
            clock=wire.Clock(boot="b", boottime_ms=at_ms),
            session=session,
            member="m-1",
            badge="d",
            energised_ms=energised_ms,
            running_ms=0,
            reason=reason,
            uncertainty_ms=doubt_ms,
        ),
    )


ONE = [started(1, "s1", 1000), ended(2, "s1", 2010, 1000)]


def powered(on_ms: int, off_ms: int) -> Powered:
    return Powered(on_ms * MS, off_ms * MS)
