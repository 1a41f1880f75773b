"""Both ends of the wire under everything that happens to them: does every entry arrive, once, or is named as lost?

The gate's end is the real uplink and its real ``Delivery``, turn by turn and without a network, on a journal that is a
list. The collector's end is a second implementation in sixty lines. Between them a broker that loses, doubles and reorders,
forgets what it retained or remembers an older word. Both ends are killed; the collector is restored from a copy, or
emptied; the gate's card is restored from an image, or made anew. Then the faults end, time passes, and the books are
compared.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from fabgate import seal, wire
from fabgate.gate.config.gate_yaml import Mqtt, UplinkOptions
from fabgate.gate.journal.reader import StoredEntry
from fabgate.gate.journal.recorder import JournalRenewed
from fabgate.gate.uplink.connection import Uplink
from fabgate.gate.uplink.events import Connected, ForkFound, LinkChanged, MarkMoved, MessageArrived, Puback
from tests.gate.shell import gate_config

TOPICS = wire.GateTopics("lyon", "laser-1")
RUNS = int(os.environ.get("FABGATE_MODEL_RUNS", "160"))
STEPS = 120
#: A gate of the model keeps this many acknowledged entries.
KEEP = 12


# --- the gate's journal: a list ---------------------------------------------------------------------------------------


class Body(msgspec.Struct, frozen=True):
    """What an entry of the model says."""

    journal: str
    seq: int
    prev: str
    uid: str
    copyof: tuple[str, int, str] | None = None
    forked: tuple[str, int, int, int] | None = None  # the journal that this one follows, its floor, head and mark


_DECODE = msgspec.json.Decoder(Body).decode
_ENCODE = msgspec.json.encode


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

    def append(self, uid: str, **more: Any) -> None:
        prev = self.hash_at(self.head) if self.head else seal.first_prev(self.id)
        assert prev is not None
        self.bodies.append(_ENCODE(Body(self.id, self.head + 1, seal.to_text(prev), uid, **more)))

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
            found = _DECODE(body)
            self.append(
                found.uid,
                copyof=found.copyof or (old, number, seal.to_text(seal.entry_hash(body))),
                forked=found.forked,
            )

    def uids(self) -> list[str]:
        return [_DECODE(body).uid for body in self.bodies]


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
        return [StoredEntry(n, "access.refused", self.path.body(n)) for n in range(first, upto + 1)]

    def close(self) -> None:
        pass


# --- the collector ----------------------------------------------------------------------------------------------------


@dataclass
class Book:
    """What the collector has of one journal. Each number maps to (hash, prev, uid, copyof)."""

    entries: dict[int, tuple[bytes, bytes, str, tuple[str, int, str] | None]] = field(default_factory=dict)
    lost: set[int] = field(default_factory=set)
    forks: set[int] = field(default_factory=set)
    known_head: int = 0
    over: bool = False

    def reach(self) -> tuple[int, bytes]:
        """Return the highest stored number below which nothing is missing but what is lost, and its hash."""
        seq, found, before = 0, (0, seal.ZERO_HASH), None
        while True:
            seq += 1
            here = self.entries.get(seq)
            if here is None:
                if seq not in self.lost:
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
        seq, found = self.book(journal).reach()
        return wire.Ack(collector=self.id, journal=journal, seq=seq, hash=seal.to_text(found))

    def entry(self, body: bytes) -> wire.Ack | None:
        """Store an entry. Returns the word that tells a gate of its fork: what is stored here where it says otherwise.

        An entry that fits on one side of a gap and not on the other moves no ack, so the ack alone would never differ
        from the gate's own history, and the gate would wait for ever.
        """
        found, digest = _DECODE(body), seal.entry_hash(body)
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
            return wire.Ack(collector=self.id, journal=found.journal, seq=witness[0], hash=seal.to_text(witness[1]))
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
        book.known_head = max(book.known_head, status.head)
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


# --- the world --------------------------------------------------------------------------------------------------------


class Client:
    """One connection as the uplink sees it."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._mid = 0

    def subscribe(self, topics: list[Any]) -> None:
        self._world.tell_retained()

    def publish(self, topic: str, body: bytes, *, qos: int, retain: bool = False, properties: Any = None) -> Any:
        assert qos == 1
        if "/event/" in topic:
            found = _DECODE(body)
            number = [(wire.PROP_JOURNAL, found.journal), (wire.PROP_SEQ, str(found.seq))]
            beside = Properties(PacketTypes.PUBLISH)
            beside.unpack(properties.pack())
            assert beside.UserProperty == number, "the number beside an entry is another one's"
        self._mid += 1
        self._world.published(topic, body, self._mid)
        return self

    @property
    def mid(self) -> int:
        return self._mid


class World:
    """One gate, one broker, one collector."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.random = Random(seed)
        self.ms = 1_000_000
        self.names = iter(range(1, 1_000_000))
        self.config = gate_config(folder, mqtt=Mqtt(host="nowhere"), uplink=UplinkOptions(resend_s=10, resend_max_s=60))
        self.card = Card(self.name("j"))
        self.books = Books(self.name("c"))
        self.collecting = True
        self.link = False
        self.to_collector: list[tuple[str, bytes]] = []
        self.to_gate: list[tuple[str, bytes]] = []
        self.retained: dict[str, bytes] = {}
        self.past: dict[str, list[bytes]] = {}
        self.images: list[Card] = []
        self.copies: list[Books] = []
        self.written: set[str] = set()
        self.heads: dict[str, int] = {}
        self.told: list[object] = []
        self.forks = 0
        self.card_faults = 0
        self.lossy = 0.0
        self.collector_comes()
        self.gate_starts()

    def name(self, what: str) -> str:
        return f"{what}{next(self.names)}"

    # --- the gate ---

    def gate_starts(self) -> None:
        self.note_head()
        self.told.clear()
        self.link = False
        self.uplink = Uplink(self.config, View(self.card), self.told.append, boot_ms=lambda: self.ms)  # type: ignore[arg-type]
        self.uplink.publish(wire.Status(online=True))

    def connects(self) -> None:
        if not self.link:
            self.link = True
            self.to_gate.clear()
            self.uplink._queue.put(Connected(Client(self)))  # type: ignore[arg-type]

    def loses_link(self) -> None:
        if self.link:
            self.link = False
            self.uplink._queue.put(LinkChanged(connected=False))

    def writes(self) -> None:
        for _ in range(self.random.choice((1, 1, 2, 30))):
            uid = self.name("u")
            self.card.append(uid)
            self.written.add(uid)
        self.uplink.entries_stored(self.card.head)

    def gate_turns(self) -> None:
        while not self.uplink._queue.empty():
            self.uplink._turn(self.uplink._queue.get())
        self.uplink._turn(None)

    def recorder_turns(self) -> None:
        """Do what the uplink asked of the daemon."""
        told, self.told[:] = list(self.told), []
        for event in told:
            if isinstance(event, MarkMoved):
                self.card.acknowledge(event.seq)
                self.uplink.entries_stored(self.card.head)
            elif isinstance(event, ForkFound):
                self.forks += 1
                uid = self.name("u")
                self.note_head()
                self.card.renew(self.name("j"), uid)
                self.written.add(uid)
                self.told.append(JournalRenewed(self.card.id, self.card.head))  # the daemon hears of it a little later
            elif isinstance(event, JournalRenewed):
                self.uplink.journal_replaced()

    def note_head(self) -> None:
        self.heads[self.card.id] = max(self.card.head, self.heads.get(self.card.id, 0))

    # --- the broker ---

    def published(self, topic: str, body: bytes, mid: int) -> None:
        if not self.link:
            return
        self.uplink._queue.put(Puback(mid))  # TCP loses none while it lasts
        for _ in range(self.random.choice((1, 1, 1, 2)) if self.lossy else 1):
            if self.collecting and self.random.random() >= self.lossy:
                self.to_collector.append((topic, body))

    def broker_comes(self) -> None:
        """It was restarted: both ends have to connect again, and do so in any order."""
        self.loses_link()
        if self.random.random() < 0.5:
            self.connects()
        if self.collecting:
            self.to_collector.clear()
            self.collector_comes()

    def says(self, topic: str, body: bytes) -> None:
        """The collector publishes, retained."""
        self.retained[topic] = body
        self.past.setdefault(topic, []).append(body)
        # An ack may be lost on a connection that lasts; who the collector is is said only once.
        if self.link and (topic != TOPICS.topic("ack") or self.random.random() >= self.lossy):
            self.to_gate.append((topic, body))

    def tell_retained(self) -> None:
        messages = list(self.retained.items())
        self.random.shuffle(messages)
        self.to_gate.extend(messages)

    def network_turns(self) -> None:
        if self.lossy and self.random.random() < 0.2:
            self.shuffle_acks()
        up = self.random.randint(0, len(self.to_collector)) if self.lossy else len(self.to_collector)
        batch, self.to_collector[:up] = self.to_collector[:up], []
        self.collector_takes(batch)
        down = self.random.randint(0, len(self.to_gate)) if self.lossy else len(self.to_gate)
        batch, self.to_gate[:down] = self.to_gate[:down], []
        for topic, body in batch:
            if self.link:
                self.uplink._queue.put(MessageArrived(topic, body))

    def shuffle_acks(self) -> None:
        """Reorder everything but two words of one collector's status: the newer one is never overtaken."""
        ack = TOPICS.topic("ack")
        said = iter([message for message in self.to_gate if message[0] != ack])
        self.random.shuffle(self.to_gate)
        self.to_gate = [message if message[0] == ack else next(said) for message in self.to_gate]

    # --- the collector ---

    def collector_takes(self, batch: list[tuple[str, bytes]]) -> None:
        answered, witnesses = set(), dict[str, wire.Ack]()
        for topic, body in batch:
            if "/event/" in topic:
                witness = self.books.entry(body)
                answered.add(_DECODE(body).journal)
                if witness is not None:
                    witnesses[witness.journal] = witness
            elif topic == TOPICS.topic("status"):
                status = wire.decode(body, wire.Status)
                if status.online and status.journal and self.books.status(status):
                    answered.add(status.journal)
        for journal in sorted(answered):
            self.says(TOPICS.topic("ack"), wire.encode(witnesses.get(journal) or self.books.ack(journal)))

    def collector_comes(self) -> None:
        self.collecting = True
        status = wire.CollectorStatus(online=True, collector=self.books.id)
        self.says(wire.collector_status_topic("lyon"), wire.encode(status))
        for journal in self.books.journals:
            self.says(TOPICS.topic("ack"), wire.encode(self.books.ack(journal)))

    def collector_goes(self) -> None:
        self.collecting = False
        self.to_collector.clear()

    # --- everything that happens ---

    def happens(self) -> None:  # noqa: C901 - one line an event, read as a table
        random = self.random
        faults = {
            "writes": 30,
            "time": 25,
            "link": 8,
            "gate": 4,
            "collector": 4,
            "copy": 3,
            "image": 3,
            "restored collector": 1.5,
            "emptied collector": 0.5,
            "restored card": 1.5,
            "new card": 0.5,
            "forgetful broker": 1,
            "old broker": 1.5,
            "weather": 3,
        }
        match random.choices(list(faults), list(faults.values()))[0]:
            case "writes":
                self.writes()
            case "time":
                self.ms += random.choice((100, 1_000, 5_100, 61_000))
            case "link":
                self.loses_link() if self.link else self.connects()
            case "gate":
                self.gate_starts()  # what it was told and did not write is gone with it
            case "collector":
                self.collector_goes() if self.collecting else self.collector_comes()
            case "copy":
                self.copies.append(copy.deepcopy(self.books))
            case "image":
                self.images.append(copy.deepcopy(self.card))
            case "restored collector" if self.copies:
                self.collector_goes()
                self.books = copy.deepcopy(random.choice(self.copies))
                self.collector_comes()
            case "emptied collector":
                self.collector_goes()
                self.books = Books(self.name("c"))
                self.collector_comes()
            case "restored card" if self.images:
                self.note_head()
                self.card = copy.deepcopy(random.choice(self.images))
                self.card_faults += 1
                self.gate_starts()
            case "new card":
                self.note_head()
                self.card = Card(self.name("j"))
                self.card_faults += 1
                self.gate_starts()
            case "forgetful broker":
                self.retained.clear()
                self.broker_comes()
            case "old broker":
                self.retained |= {topic: random.choice(bodies) for topic, bodies in self.past.items()}
                self.broker_comes()
            case "weather":
                self.lossy = random.choice((0.0, 0.1, 0.5))

    def turns(self) -> Iterator[None]:
        for turn in self.random.sample((self.gate_turns, self.network_turns, self.recorder_turns), 3):
            if not self.lossy or self.random.random() < 0.8:
                turn()
                yield

    def run(self, steps: int) -> None:
        for _ in range(steps):
            self.happens()
            for _ in self.turns():
                self.holds()

    def holds(self) -> None:
        """What holds at every moment: the mark lies in the journal, and nobody invents."""
        delivery = self.uplink._delivery
        assert delivery.mark < delivery.next
        if not self.told and self.uplink._queue.empty() and not self.uplink._is_forking:
            assert self.card.mark == max(delivery.mark, self.card.anchor[0]), "the journal keeps another mark"
        assert self.books.counted <= self.written
        assert self.forks <= self.card_faults * 3, "a fork without a card that was put back"

    def comes_to_rest(self) -> None:
        """The faults end, and ten minutes pass. Whoever is there stays: nobody needs to come anew."""
        self.lossy = 0.0
        self.note_head()
        if not self.collecting:
            self.collector_comes()
        if not self.link:
            self.gate_turns()
            self.connects()
        for _ in range(600):
            self.ms += 1_000
            for _ in range(2):
                self.gate_turns()
                self.network_turns()
                self.recorder_turns()
            if self.ms % 5_000 == 0 and self.rested and not self.to_gate and not self.to_collector:
                break

    @property
    def rested(self) -> bool:
        return (
            self.uplink._journal.id == self.card.id
            and self.card.mark == self.card.head
            and self.books.ack(self.card.id).seq == self.card.head
        )


def compare(world: World) -> None:
    card, books = world.card, world.books
    book = books.book(card.id)
    assert world.rested, (card.id, card.floor, card.mark, card.head, books.ack(card.id), sorted(book.lost)[:5])
    assert set(card.uids()) <= books.counted, "an entry that the gate still has was never counted"
    missing = [n for n in range(1, card.head + 1) if n not in book.entries and n not in book.lost]
    assert not missing, f"lost and not named: {missing}"
    for name, other in books.journals.items():
        if name != card.id:
            copied = {o[1] for b in books.journals.values() for *_, o in b.entries.values() if o and o[0] == name}
            silent = [
                n for n in range(1, other.known_head + 1) if n not in other.entries | dict.fromkeys(copied | other.lost)
            ]
            assert not silent, f"lost in {name} and not named: {silent}"
            invented = [n for n in other.lost if n > world.heads.get(name, 0)]
            assert not invented, f"lost in {name} and never there: {invented}"
    assert books.counted <= world.written, "invented"


@pytest.mark.parametrize("part", range(4))
def test_after_all_faults_every_entry_has_arrived_once_or_is_named_as_lost(tmp_path: Path, part: int) -> None:
    for seed in range(part, RUNS, 4):
        world = World(tmp_path, seed)
        try:
            world.run(STEPS)
            world.comes_to_rest()
            compare(world)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error


@pytest.mark.parametrize("part", range(2))
def test_while_no_card_is_put_back_the_journal_never_forks_and_nothing_is_lost_but_by_an_old_collector(
    tmp_path: Path, part: int
) -> None:
    for seed in range(part, RUNS // 2, 2):
        world = World(tmp_path, 10_000 + seed)
        world.images = []
        before = world.happens

        def happens(world: World = world, before: Any = before) -> None:
            state = copy.copy(world.card), world.card_faults
            before()
            if world.card_faults != state[1]:
                world.card, world.card_faults = state
                world.gate_starts()

        world.happens = happens  # type: ignore[method-assign]
        world.run(STEPS)
        world.comes_to_rest()
        compare(world)
        assert world.forks == 0, f"seed {seed}"
        assert len(world.books.journals) == 1
