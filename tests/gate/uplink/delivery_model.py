"""Models of both ends of the wire."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache

import msgspec

from fabgate import seal, wire
from fabgate.gate.journal.reader import StoredEntry

TOPICS = wire.GateTopics("lyon", "laser-1")
#: A gate of the model keeps this many acknowledged entries.
KEEP = 12
_TIME = datetime(2026, 11, 24, 12, tzinfo=UTC)
_CLOCK = wire.Clock(boot="boot-1", boottime_ms=1_000_000, synced=True)


# --- the gate's journal: a list ---------------------------------------------------------------------------------------


class Body(msgspec.Struct, frozen=True):
    """What an entry of the model says."""

    type: str
    journal: str
    seq: int
    prev: str
    uid: str
    copyof: tuple[str, int, str] | None = None
    forked: tuple[str, int, int, int] | None = None  # the journal that this one follows, its floor, head and mark


@lru_cache(maxsize=200_000)
def read(body: bytes) -> Body:
    """Return what an entry says."""
    entry = wire.decode_entry(body)
    data = wire.decode_data(entry)
    copyof = forked = None
    if entry.copyof:
        journal, seq, digest = entry.copyof.split("/", 2)
        copyof = journal, int(seq), digest
    if isinstance(data, wire.JournalForked):
        forked = data.journal, data.floor, data.head, data.mark
    return Body(wire.short_type(entry.type), entry.journal, entry.seq, entry.prev, entry.uid, copyof, forked)


@dataclass
class Card:
    """What is on the gate's card: a journal as a list, with an anchor where it was trimmed."""

    id: str
    bodies: list[bytes] = field(default_factory=list)
    anchor: tuple[int, bytes] = (0, b"")
    mark: int = 0

    @property
    def head(self) -> int:
        return self.anchor[0] + len(self.bodies)

    @property
    def floor(self) -> int:
        return self.anchor[0] + 1

    def body(self, seq: int) -> bytes:
        return self.bodies[seq - self.floor]

    def append(
        self,
        uid: str,
        *,
        copyof: tuple[str, int, str] | None = None,
        forked: tuple[str, int, int, int] | None = None,
    ) -> None:
        prev = self.hash_at(self.head) if self.head else seal.first_prev(self.id)
        assert prev is not None
        data: wire.Data = wire.AccessRefused(clock=_CLOCK, badge="d1", reasons=["unknown-badge"])
        if forked is not None:
            journal, floor, head, mark = forked
            data = wire.JournalForked(clock=_CLOCK, journal=journal, floor=floor, head=head, mark=mark)
        self.bodies.append(
            wire.encode_entry(
                topics=TOPICS,
                journal=self.id,
                seq=self.head + 1,
                prev=seal.to_text(prev),
                uid=uid,
                event_type="access.refused" if forked is None else "journal.forked",
                data=data,
                time=_TIME,
                copyof=None if copyof is None else "/".join(map(str, copyof)),
            )
        )

    def hash_at(self, seq: int) -> bytes | None:
        if seq == 0:
            return seal.ZERO_HASH
        if seq == self.anchor[0]:
            return self.anchor[1]
        return seal.entry_hash(self.body(seq)) if self.floor <= seq <= self.head else None

    def acknowledge(self, seq: int) -> None:
        self.mark = min(max(seq, self.anchor[0]), self.head)
        self.trim(min(self.mark, self.head - KEEP))

    def trim(self, last: int) -> None:
        if last > self.anchor[0]:
            kept = self.hash_at(last)
            assert kept is not None
            self.bodies = self.bodies[last - self.anchor[0] :]
            self.anchor = (last, kept)

    def renew(self, new: str, uid: str) -> None:
        old, kept, floor = self.id, self.bodies, self.floor
        forked = (old, floor, self.head, self.mark)
        self.id, self.bodies, self.anchor, self.mark = new, [], (0, b""), 0
        self.append(uid, forked=forked)
        for number, body in enumerate(kept, floor):
            found = read(body)
            self.append(
                found.uid,
                copyof=found.copyof or (old, number, seal.to_text(seal.entry_hash(body))),
                forked=found.forked,
            )

    def uids(self) -> list[str]:
        return [read(body).uid for body in self.bodies]


class View:
    """What the uplink reads the journal through. `path` is the card itself."""

    def __init__(self, path: Card) -> None:
        self.path = path
        self.id = path.id
        self.topics = TOPICS

    def bounds(self) -> tuple[int, int, int]:
        return self.path.floor, self.path.head, self.path.mark

    def hash_at(self, seq: int) -> bytes | None:
        return self.path.hash_at(seq)

    def after(self, seq: int, *, most: int) -> list[StoredEntry]:
        first = max(seq + 1, self.path.floor)
        upto = min(first + most - 1, self.path.head)
        return [
            StoredEntry(n, wire.full_type(read(self.path.body(n)).type), self.path.body(n))
            for n in range(first, upto + 1)
        ]

    def close(self) -> None:
        pass


# --- the collector ----------------------------------------------------------------------------------------------------


@dataclass
class Book:
    """What the collector has of one journal. Each number maps to (hash, prev, uid, copyof)."""

    entries: dict[int, tuple[bytes, bytes, str, tuple[str, int, str] | None]] = field(default_factory=dict)
    lost: set[int] = field(default_factory=set)
    forks: set[int] = field(default_factory=set)
    #: The first entry that the gate keeps, as it last reported it.
    floor: int = 1
    known_head: int = 0

    def reach(self) -> tuple[int, bytes]:
        """Return the highest stored number below which nothing is missing but what is lost, and its hash.

        A number from the floor on is never passed: a card still has that entry, even if another one had not.
        """
        seq, found, before = 0, (0, seal.ZERO_HASH), None
        while True:
            seq += 1
            here = self.entries.get(seq)
            if here is None:
                if seq not in self.lost or seq >= self.floor:
                    return found
                before = None
                continue
            if before is not None and here[1] != before:
                return found
            found, before = (seq, here[0]), here[0]


@dataclass
class Books:
    """The collector's database."""

    id: str
    journals: dict[str, Book] = field(default_factory=dict)
    counted: set[str] = field(default_factory=set)
    counted_twice: set[str] = field(default_factory=set)

    def book(self, journal: str) -> Book:
        return self.journals.setdefault(journal, Book())

    def ack(self, journal: str) -> wire.Ack:
        book = self.book(journal)
        seq, found = book.reach()
        return wire.Ack(collector=self.id, journal=journal, seq=seq, hash=seal.to_text(found), floor=book.floor)

    def entry(self, body: bytes) -> wire.Ack | None:
        """Store an entry. Returns the word that tells a gate of its fork: what is stored here where it says otherwise.

        An entry that fits on one side of a gap and not on the other moves no ack, so the ack alone would never differ
        from the gate's own history, and the gate would wait for ever.
        """
        found, digest = read(body), seal.entry_hash(body)
        book, prev = self.book(found.journal), seal.from_text(found.prev)
        book.known_head = max(book.known_head, found.seq)
        here, before = book.entries.get(found.seq), book.entries.get(found.seq - 1)
        after = book.entries.get(found.seq + 1)
        witness = None
        if here is not None:
            if here[0] == digest:
                return None
            witness = (found.seq, here[0])
        elif before is not None and before[0] != prev:
            witness = (found.seq - 1, before[0])
        elif after is not None and after[1] != digest:
            witness = (found.seq + 1, after[0])
        if witness is not None:
            book.forks.add(found.seq)
            seq, stored = witness
            return wire.Ack(collector=self.id, journal=found.journal, seq=seq, hash=seal.to_text(stored), floor=seq)
        book.entries[found.seq] = (digest, prev, found.uid, found.copyof)
        book.lost.discard(found.seq)
        if found.copyof is not None:
            self.book(found.copyof[0]).lost.discard(found.copyof[1])
        self.counted.add(found.uid)
        if found.forked is not None and found.copyof is None:
            old, _, head, _ = found.forked
            self.book(old).known_head = max(self.book(old).known_head, head)
            self.end(old)
        return None

    def status(self, status: wire.Status) -> bool:
        """Take a gate's status; say whether it is to be answered by an ack."""
        assert status.journal is not None
        book = self.book(status.journal)
        book.floor, book.known_head = status.floor, max(book.known_head, status.head)
        for number in range(1, status.floor):
            if number not in book.entries:
                book.lost.add(number)
        for name in self.journals:
            if name != status.journal:
                self.end(name)
        return status.mark != book.reach()[0]

    def end(self, journal: str) -> None:
        """Name what is missing in a journal that another one followed."""
        book = self.book(journal)
        copied = {
            original[1]
            for other in self.journals.values()
            for _, _, _, original in other.entries.values()
            if original is not None and original[0] == journal
        }
        book.lost |= {n for n in range(1, book.known_head + 1) if n not in book.entries and n not in copied}
