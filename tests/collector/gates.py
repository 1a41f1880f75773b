"""A gate as far as the wire sees it: a journal with a chain, and the messages that carry it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from fabgate import seal, wire
from fabgate.collector.recording.broker.message import Received

#: Where the clock of a journal's boot stands before its first entry. Its sessions say that the machine had power since
#: the boot, so that tests need not let as much time pass as their sessions count.
BOOTED_MS = 1_000_000_000
NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


@dataclass
class Journal:
    gate: str = "laser-1"
    site: str = "lyon"
    name: str = field(default_factory=lambda: uuid.uuid4().hex)
    boot: str = "boot-1"
    synced: bool = True
    boottime_ms: int = 0
    #: By how much its wall clock is wrong; it does not know.
    off: timedelta = timedelta()
    bodies: list[bytes] = field(default_factory=list)
    types: list[str] = field(default_factory=list)
    uids: list[str] = field(default_factory=list)

    @property
    def topics(self) -> wire.GateTopics:
        return wire.GateTopics(self.site, self.gate)

    @property
    def head(self) -> int:
        return len(self.bodies)

    def hash(self, seq: int) -> bytes:
        return seal.entry_hash(self.bodies[seq - 1]) if seq else seal.ZERO_HASH

    def write(
        self, kind: str, *, uid: str | None = None, copyof: str | None = None, time: datetime | None = None, **data: Any
    ) -> Received:
        """Append an entry, a second after the last one, and return its message."""
        self.boottime_ms += 1000
        if time is None and self.synced:
            time = NOON + timedelta(milliseconds=self.boottime_ms) + self.off
        clock = wire.Clock(boot=self.boot, boottime_ms=BOOTED_MS + self.boottime_ms, synced=self.synced)
        return self.append(kind, wire.ENTRY_TYPES[kind](clock=clock, **data), uid=uid, copyof=copyof, time=time)

    def append(
        self, kind: str, data: wire.Data, *, uid: str | None, copyof: str | None, time: datetime | None
    ) -> Received:
        seq = self.head + 1
        self.uids.append(uid or uuid.uuid4().hex)
        self.types.append(kind)
        self.bodies.append(
            wire.encode_entry(
                topics=self.topics,
                journal=self.name,
                seq=seq,
                prev=seal.to_text(self.hash(seq - 1) if seq > 1 else seal.first_prev(self.name)),
                uid=self.uids[-1],
                event_type=kind,
                data=data,
                time=time,
                copyof=copyof,
            )
        )
        return self.message(seq)

    def message(self, seq: int) -> Received:
        topic = self.topics.event(wire.full_type(self.types[seq - 1]))
        return Received(topic, self.bodies[seq - 1], self.name, str(seq))

    def messages(self, first: int = 1) -> list[Received]:
        return [self.message(seq) for seq in range(first, self.head + 1)]

    def status(self, *, at: datetime | None = None, **changed: Any) -> Received:
        said = {"online": True, "journal": self.name, "head": self.head, "boot": self.boot, **changed}
        return Received(self.topics.topic("status"), wire.encode(wire.Status(**said)), at=at)

    def state(self, **said: Any) -> Received:
        return Received(self.topics.topic("state"), wire.encode(wire.State(**said)))

    def start(self, session: str, member: str = "m-1") -> Received:
        return self.write(
            "session.started",
            session=session,
            member=member,
            badge="d1",
            basis=wire.Basis(kind="grant"),
            mode="tap",
            energised_from_ms=0,
        )

    def progress(self, session: str, energised_ms: int, member: str = "m-1", running_ms: int = 0) -> Received:
        return self.write(
            "session.progress",
            session=session,
            member=member,
            badge="d1",
            energised_ms=energised_ms,
            running_ms=running_ms,
        )

    def end(self, session: str, energised_ms: int, member: str = "m-1", **more: Any) -> Received:
        data = {"reason": "badge", "running_ms": 0, **more}
        return self.write(
            "session.ended", session=session, member=member, badge="d1", energised_ms=energised_ms, **data
        )

    def fork(self, *, floor: int = 1, mark: int = 0, **more: Any) -> Journal:
        """Open the journal that a restored image opens: it names this one and copies all of it."""
        new = Journal(
            gate=self.gate, site=self.site, boot=self.boot, synced=self.synced, boottime_ms=self.boottime_ms, **more
        )
        new.write("journal.forked", journal=self.name, floor=floor, head=self.head, mark=mark)
        for seq in range(floor, self.head + 1):
            entry = wire.decode_entry(self.bodies[seq - 1])
            data = wire.decode_data(entry)
            assert data is not None
            new.append(
                self.types[seq - 1],
                data,
                uid=entry.uid,
                copyof=entry.copyof or f"{self.name}/{seq}/{seal.to_text(self.hash(seq))}",  # always the first original
                time=entry.time or None,
            )
        return new


def ack(publications: list[Any], gate: str = "laser-1") -> wire.Ack:
    """Return the one ack for `gate` among the publications."""
    (found,) = [p for p in publications if p.topic == wire.GateTopics("lyon", gate).topic("ack")]
    return wire.decode(found.body, wire.Ack)
