"""Compares journal, collector and observer, to the millisecond.

A session with a certain end must equal the observed time of power within ``TOLERANCE_MS``; for an uncertain one the observed
time must lie in [value, value + uncertainty]. Sessions joined by a handover are compared by their sum, because the power
stayed on between them. Power must never have been on outside a session whose start was on disk.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from fabgate import wire
from fabgate.demo.observer import Powered

TOLERANCE_MS: Final = 20


@dataclass(slots=True)
class Booked:
    """One session in a journal. Times are boot milliseconds."""

    session: str
    member: str
    started_ms: int
    joined: bool
    ended_ms: int | None = None
    energised_ms: int = 0
    uncertainty_ms: int = 0
    reason: str = ""


@dataclass(slots=True)
class Books:
    """The sessions of a journal in the order of their starts, and the contradictions in it."""

    sessions: dict[str, Booked] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)


def read(bodies: Iterable[bytes], boots: Mapping[str, int] | None = None) -> Books:
    """Read a journal's entries, in order.

    `boots`: when a boot began on the observer's clock (milliseconds), for simulated power cuts.
    """
    books = Books()
    began_ms = boots or {}
    for body in bodies:
        entry = wire.decode_entry(body)
        data = wire.decode_data(entry)
        if isinstance(data, wire.SessionStarted):
            if data.session in books.sessions:
                books.wrong.append(f"entry {entry.seq}: session {data.session} starts twice")
            joined = data.energised_from_ms is not None
            started_ms = data.clock.boottime_ms + began_ms.get(data.clock.boot, 0)
            books.sessions[data.session] = Booked(data.session, data.member, started_ms, joined)
        elif isinstance(data, wire.SessionEnded):
            booked = books.sessions.get(data.session)
            if booked is None:
                books.wrong.append(f"entry {entry.seq}: session {data.session} ends and never started")
            elif booked.ended_ms is not None:
                books.wrong.append(f"entry {entry.seq}: session {data.session} ends twice")
            else:
                booked.ended_ms = data.clock.boottime_ms
                booked.energised_ms, booked.uncertainty_ms = data.energised_ms, data.uncertainty_ms
                booked.reason = data.reason
    return books


def ended(books: Books) -> tuple[Books, int | None]:
    """Return the sessions that have ended, and when the running one began (None: no session is running).

    Sessions that handed over to the running one count as running, because the power has stayed on.
    """
    groups = _joined(books)
    if not groups or groups[-1][-1].ended_ms is not None:
        return books, None
    over = [session for group in groups[:-1] for session in group]
    return Books({session.session: session for session in over}, books.wrong), groups[-1][0].started_ms


def against_observer(
    books: Books, observed: Sequence[Powered], *, tolerance_ms: int = TOLERANCE_MS, outlives_ms: int = 0
) -> list[str]:
    """Compare a journal with the observed power; return the differences.

    After the death of its gate, which leaves a session uncertain, a machine may have had power for `outlives_ms` longer.
    """
    wrong = []
    groups = _joined(books)
    starts = [group[0].started_ms for group in groups]
    for number, group in enumerate(groups):
        until = starts[number + 1] if number + 1 < len(groups) else None
        seen = [
            stretch
            for stretch in observed
            if starts[number] <= stretch.on_ns // 1_000_000 and (until is None or stretch.on_ns // 1_000_000 < until)
        ]
        seen_ms = sum(stretch.ms for stretch in seen)
        booked_ms = sum(session.energised_ms for session in group)
        doubt_ms = sum(session.uncertainty_ms for session in group)
        longer_ms = outlives_ms if doubt_ms else 0
        name = " + ".join(f"{session.member} ({session.reason or 'open'})" for session in group)
        if not booked_ms - tolerance_ms <= seen_ms <= booked_ms + doubt_ms + longer_ms + tolerance_ms:
            wrong.append(f"{name}: the books say {booked_ms} ms + {doubt_ms}, the pins were on for {seen_ms:.0f} ms")
        if len(seen) > 1:
            wrong.append(f"{name}: power came on {len(seen)} times for one tap")
    early = [stretch for stretch in observed if not starts or stretch.on_ns // 1_000_000 < starts[0]]
    wrong.extend(f"power was on for {stretch.ms:.0f} ms before any session was recorded" for stretch in early)
    return wrong


def against_collector(books: Books, rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Compare a journal with the collector's sessions (session, member, energised_ms, uncertainty_ms, reason)."""
    wrong = []
    stored = {row["session"]: row for row in rows}
    for booked in books.sessions.values():
        row = stored.pop(booked.session, None)
        if row is None:
            wrong.append(f"{booked.member}: session {booked.session} is not at the collector")
            continue
        ours = (booked.member, booked.energised_ms, booked.uncertainty_ms, booked.reason)
        theirs = (row["member"], row["energised_ms"], row["uncertainty_ms"], row["reason"] or "")
        if ours != theirs:
            wrong.append(f"session {booked.session}: the journal says {ours}, the collector {theirs}")
    wrong.extend(f"session {session} is at the collector and in no journal" for session in stored)
    return wrong


def _joined(books: Books) -> list[list[Booked]]:
    groups: list[list[Booked]] = []
    for session in books.sessions.values():
        if session.joined and groups:
            groups[-1].append(session)
        else:
            groups.append([session])
    return groups
