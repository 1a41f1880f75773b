"""A gate with its broker, collector and card, to which chance does what can happen to them."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from fabgate import wire
from fabgate.gate.config.gate_yaml import Mqtt, UplinkOptions
from fabgate.gate.journal.recorder import JournalRenewed
from fabgate.gate.uplink.connection import Uplink
from fabgate.gate.uplink.events import Connected, ForkFound, LinkChanged, MarkMoved, MessageArrived, Puback
from tests.gate.shell import gate_config
from tests.gate.uplink.delivery_model import TOPICS, Books, Card, View, read

#: What may happen in a step, and how often.
FAULTS = {
    "writes": 30.0,
    "time": 25.0,
    "link": 8.0,
    "gate": 4.0,
    "collector": 4.0,
    "copy": 3.0,
    "image": 3.0,
    "restored collector": 1.5,
    "emptied collector": 0.5,
    "restored card": 1.5,
    "new card": 0.5,
    "forgetful broker": 1.0,
    "old broker": 1.5,
    "weather": 3.0,
}
#: A collector that knows little, and cards that come back: what one card had deleted, another one may still have.
CARDS = FAULTS | {"image": 6.0, "emptied collector": 3.0, "restored card": 6.0, "new card": 0.0}
#: How likely the broker stops to deliver to the gate in a step.
JAM = 0.02


class Client:
    """One connection as the uplink sees it."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._mid = 0

    def subscribe(self, topics: list[Any]) -> None:
        self._world.tell_retained({topic for topic, _ in topics})

    def publish(self, topic: str, body: bytes, *, qos: int, retain: bool = False, properties: Any = None) -> Any:
        assert qos == 1
        if "/event/" in topic:
            found = read(body)
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

    def __init__(self, folder: Path, seed: int, faults: dict[str, float] = FAULTS) -> None:
        self.faults = faults
        self.random, self.jams = Random(seed), Random(seed + 1_000_000)
        self.ms = 1_000_000
        self.names = iter(range(1, 1_000_000))
        self.config = gate_config(folder, mqtt=Mqtt(host="nowhere"), uplink=UplinkOptions(resend_s=10, resend_max_s=60))
        self.card = Card(self.name("j"))
        self.books = self.new_books()
        self.collecting = True
        self.link = False
        self.to_collector: list[tuple[str, bytes]] = []
        self.to_gate: list[tuple[str, bytes]] = []
        self.retained: dict[str, bytes] = {}
        self.past: dict[str, list[bytes]] = {}
        self.images: list[Card] = []
        self.copies: list[Books] = []
        #: By the id of each collector what it, or a copy of it, has ever counted.
        self.had: dict[str | None, set[str]] = {}
        self.written: set[str] = set()
        self.heads: dict[str, int] = {}
        self.told: list[object] = []
        self.forks = 0
        self.card_faults = 0
        self.lossy = 0.0
        #: Of this connection: whether it brought the collector's retained status, whether the broker delivers nothing any
        #: more, and whether the gate wants another one.
        self.has_status = self.jammed = self.gives_up = False
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
        self.uplink._network.reconnect = self.leaves  # type: ignore[method-assign]
        self.uplink.publish(wire.Status(online=True))

    def leaves(self, _why: str) -> None:
        assert self.jammed, "the gate left a broker that delivers"
        self.gives_up = True

    def connects(self) -> None:
        if not self.link:
            self.link = True
            self.has_status = self.jammed = self.gives_up = False
            self.to_gate.clear()
            self.uplink._queue.put(Connected(Client(self)))  # type: ignore[arg-type]

    def loses_link(self) -> None:
        if self.link:
            self.link = False
            self.uplink._queue.put(LinkChanged(connected=False))

    def write(self) -> None:
        uid = self.name("u")
        self.card.append(uid)
        self.written.add(uid)

    def writes(self) -> None:
        for _ in range(self.random.choice((1, 1, 2, 30))):
            self.write()
        self.uplink.entries_stored(self.card.head)

    def gate_turns(self) -> None:
        while not self.uplink._queue.empty():
            self.gate_turn(self.uplink._queue.get())
        self.gate_turn(None)

    def gate_turn(self, event: object) -> None:
        before = self.uplink._delivery
        mark = before.mark
        self.uplink._turn(event)
        if self.uplink._delivery is before:
            passed = range(max(mark + 1, self.card.floor), before.mark + 1)
            uids = {read(self.card.body(seq)).uid for seq in passed}
            unknown = uids - self.had.get(self.uplink._collector, set())
            assert not unknown, "the mark passed entries that the collector never had: the gate may delete them"

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

    def tell_retained(self, topics: set[str]) -> None:
        messages = [(topic, body) for topic, body in self.retained.items() if topic in topics]
        self.random.shuffle(messages)
        self.to_gate.extend(messages)

    def network_turns(self) -> None:
        if self.gives_up:
            self.loses_link()
            self.connects()
        if self.lossy and self.random.random() < 0.2:
            self.shuffle_acks()
        up = self.random.randint(0, len(self.to_collector)) if self.lossy else len(self.to_collector)
        batch, self.to_collector[:up] = self.to_collector[:up], []
        self.collector_takes(batch)
        down = self.random.randint(0, len(self.to_gate)) if self.lossy else len(self.to_gate)
        batch, self.to_gate[:down] = self.to_gate[:down], []
        for topic, body in batch:
            if self.link and not self.jammed:
                self.has_status |= topic == wire.collector_status_topic("lyon")
                self.uplink._queue.put(MessageArrived(topic, body))

    def shuffle_acks(self) -> None:
        """Reorder everything but two words of one collector's status: the newer one is never overtaken."""
        ack = TOPICS.topic("ack")
        said = iter([message for message in self.to_gate if message[0] != ack])
        self.random.shuffle(self.to_gate)
        self.to_gate = [message if message[0] == ack else next(said) for message in self.to_gate]

    # --- the collector ---

    def new_books(self) -> Any:
        return Books(self.name("c"))

    def collector_takes(self, batch: list[tuple[str, bytes]]) -> None:
        answered, witnesses = set(), dict[str, wire.Ack]()
        for topic, body in batch:
            if "/event/" in topic:
                witness = self.books.entry(body)
                answered.add(read(body).journal)
                if witness is not None:
                    witnesses[witness.journal] = witness
            elif topic == TOPICS.topic("status"):
                status = wire.decode(body, wire.Status)
                if status.online and status.journal and self.books.status(status):
                    answered.add(status.journal)
        self.had.setdefault(self.books.id, set()).update(self.books.counted)
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
        match random.choices(list(self.faults), list(self.faults.values()))[0]:
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
                self.books = self.new_books()
                self.collector_comes()
            case "restored card" if self.images:
                self.note_head()
                self.card = copy.deepcopy(random.choice(self.images))
                self.card_faults += 1
                self.gate_starts()
            case "new card":
                self.note_head()
                self.card = Card(self.name("j"))
                self.write()  # gate.started, which every gate writes first
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
            # A connection begins with the retained status, by which the broker can be asked.
            if self.jams.random() < JAM and self.link and self.has_status:
                self.jammed = True
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
        """The faults end, but for a jam, and ten minutes pass. Who is there stays, unless the gate finds a jam."""
        self.lossy = 0.0
        self.note_head()
        if not self.collecting:
            self.collector_comes()
        if not self.link:
            self.gate_turns()
            self.connects()
        self.gate_turns()
        self.network_turns()
        self.jammed |= self.has_status and self.jams.random() < 0.5
        if self.jammed:
            self.writes()  # a gate with nothing to deliver looks for no acknowledgement
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
    """Compare the gate's journal with the collector's books."""
    card, books = world.card, world.books
    book = books.book(card.id)
    assert world.rested, (card.id, card.floor, card.mark, card.head, books.ack(card.id), sorted(book.lost)[:5])
    assert set(card.uids()) <= books.counted, "an entry that the gate still has was never counted"
    missing = [n for n in range(1, card.head + 1) if n not in book.entries and n not in book.lost]
    assert not missing, f"lost and not named: {missing}"
    assert books.counted <= world.written, "invented"


def compare_older_journals(world: World) -> None:
    """Compare what the collector has of journals that the gate writes no more."""
    card, books = world.card, world.books
    for name, other in books.journals.items():
        if name != card.id:
            copied = {o[1] for b in books.journals.values() for *_, o in b.entries.values() if o and o[0] == name}
            silent = [
                n for n in range(1, other.known_head + 1) if n not in other.entries | dict.fromkeys(copied | other.lost)
            ]
            assert not silent, f"lost in {name} and not named: {silent}"
            invented = [n for n in other.lost if n > world.heads.get(name, 0)]
            assert not invented, f"lost in {name} and never there: {invented}"


def survives(world: World, seed: int, steps: int) -> None:
    """Let things happen, then let the faults end, and compare the books."""
    try:
        world.run(steps)
        world.comes_to_rest()
        compare(world)
        compare_older_journals(world)
    except AssertionError as error:
        raise AssertionError(f"seed {seed}: {error}") from error
