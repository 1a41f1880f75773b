"""How often does a journal fork because of a collector that answers wrong hashes, or because of a restored image?"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabgate import seal, wire
from fabgate.gate.config.gate_yaml import Mqtt, UplinkOptions
from fabgate.gate.journal.reader import JournalReader
from fabgate.gate.journal.writer import Journal
from fabgate.gate.uplink.connection import Uplink
from fabgate.gate.uplink.events import (
    Connected,
    ForkFound,
    HistoryAgrees,
    HistoryDiffers,
    JournalGrew,
    JournalReplaced,
    MarkMoved,
    MessageArrived,
)
from fabgate.gate.uplink.forks import WAIT_FIRST_MS, WAIT_MOST_MS, Forks
from tests.gate.shell import drafts, gate_config, running

TOPICS = wire.GateTopics("lyon", "laser-1")
COLLECTOR = "c-1"
DAY_MS = 86_400_000
WRONG = b"\x01" * 32


class Collector:
    """What stands behind the broker: it hears what the gate publishes, and answers each status with an ack."""

    def __init__(self) -> None:
        self.entries = 0
        self.statuses: list[wire.Status] = []
        self.mid = 0

    def subscribe(self, _: Any) -> None:
        pass

    def publish(self, topic: str, body: bytes, **_: Any) -> Collector:
        if topic == TOPICS.topic("status"):
            self.statuses.append(wire.decode(body, wire.Status))
        self.entries += "/event/" in topic
        return self


class World:
    """A gate's uplink without threads, its journal, and a collector. Time is moved by hand."""

    def __init__(self, folder: Path) -> None:
        self.ms = 1_000_000
        self.journal = Journal(folder / "journal.db", TOPICS)
        self.journal.append(drafts(3))
        self.told: list[object] = []
        self.collector = Collector()
        config = gate_config(folder, mqtt=Mqtt(host="nowhere"), uplink=UplinkOptions(), collector_id=COLLECTOR)
        self.uplink = Uplink(config, JournalReader(self.journal.path), self.told.append, boot_ms=lambda: self.ms)
        self.uplink._turn(Connected(self.collector))  # type: ignore[arg-type]

    def says(self, digest: bytes, seq: int = 3, *, floor: int = 0) -> None:
        """Let the collector acknowledge an entry, with this hash."""
        ack = wire.Ack(collector=COLLECTOR, journal=self.journal.id, seq=seq, hash=seal.to_text(digest), floor=floor)
        self.uplink._turn(MessageArrived(TOPICS.topic("ack"), wire.encode(ack)))

    def agrees(self, *, floor: int = 0) -> None:
        with contextlib.closing(JournalReader(self.journal.path)) as reader:
            digest = reader.hash_at(self.journal.head)
        assert digest is not None
        self.says(digest, self.journal.head, floor=floor)

    def advance(self, ms: int) -> None:
        self.ms += ms
        self.uplink._turn(None)

    def forks(self) -> int:
        """Do what the daemon does at a fork; return how many there were."""
        count = 0
        while self.told:
            if isinstance(self.told.pop(0), ForkFound):
                count += 1
                self.journal.renew(f"j{self.ms}", drafts(1, first=self.ms, uid="f")[0])
                self.uplink._turn(JournalReplaced())
        return count

    def close(self) -> None:
        self.uplink._journal.close()
        self.journal.close()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    found = World(tmp_path)
    yield found
    found.close()


def test_a_collector_that_answers_wrong_hashes_for_a_day_causes_few_forks(world):
    at = []
    until = world.ms + DAY_MS
    while world.ms < until:
        world.says(WRONG)
        if world.forks():
            at.append(world.ms)
        world.advance(10_000)
    assert at[0] == 1_000_000, "the first one at once"
    waits = [later - earlier for earlier, later in pairwise(at)]
    assert waits[0] >= WAIT_FIRST_MS
    assert waits[:6] == sorted(waits[:6])
    assert max(waits) <= WAIT_MOST_MS + 20_000
    assert len(at) < 32


def test_while_a_fork_is_waited_for_no_entry_is_published_and_the_status_asks_again(world):
    world.says(WRONG)
    assert world.forks() == 1
    world.says(WRONG)
    entries, statuses = world.collector.entries, len(world.collector.statuses)
    world.journal.append(drafts(1, first=50))
    world.uplink._turn(JournalGrew(world.journal.head))
    world.advance(59_000)
    assert (world.forks(), world.collector.entries) == (0, entries)
    world.advance(1_000)
    assert len(world.collector.statuses) > statuses


def test_a_matching_ack_ends_the_wait_for_a_fork_and_what_waited_is_delivered(world):
    world.says(WRONG)
    assert world.forks() == 1
    entries = world.collector.entries
    world.journal.append(drafts(2, first=50))
    world.uplink._turn(JournalGrew(world.journal.head))
    world.says(WRONG)
    world.advance(30_000)
    world.agrees()
    world.advance(WAIT_MOST_MS)
    assert world.forks() == 0
    assert world.uplink._delivery.mark == world.journal.head
    world.journal.append(drafts(1, first=60))
    world.uplink._turn(JournalGrew(world.journal.head))
    assert world.collector.entries > entries


def test_after_a_matching_ack_a_restored_image_forks_at_once_again(world):
    world.says(WRONG)
    assert world.forks() == 1
    world.advance(WAIT_FIRST_MS)
    world.agrees()
    assert HistoryAgrees() in world.told
    world.says(WRONG)
    assert world.forks() == 1


def test_each_difference_is_told_once_with_what_follows(world):
    for _ in range(3):
        world.says(WRONG)
    world.forks()
    for _ in range(3):
        world.says(WRONG)
    told = [event.detail for event in world.told if isinstance(event, HistoryDiffers)]
    assert len(told) == 1
    assert "the collector has another entry 3" in told[0]
    assert "in 1 min (1 times so far)" in told[0]


def test_the_gates_status_says_it_until_the_collector_agrees(tmp_path):
    with running(tmp_path) as bench:
        bench.post(HistoryDiffers("the collector has another entry"))
        bench.wait_for_status(lambda found: "fork: the collector has another entry" in found["problems"])
        bench.post(HistoryAgrees())
        bench.wait_for_status(lambda found: not found["problems"])


@given(st.lists(st.tuples(st.sampled_from(["differs", "agrees", "partly"]), st.integers(0, 120_000)), max_size=400))
def test_however_a_collector_answers_there_are_few_forks_in_any_hour(answers):
    """Also where it confirms some entries of each new journal before it answers wrong."""
    forks, now, at, seq = Forks(), 0, [], 10
    for what, ms in answers:
        now += ms
        if what == "differs":
            forks.differs(seq, now)
        else:
            forks.agrees(seq if what == "agrees" else 1, now)
        if forks.due(now):
            at.append(now)
            seq += 1
            forks.begin(seq)
    for first in at:
        # A collector that agrees for a minute after each fork resets the pace: one or two a minute are the most.
        assert sum(first <= other < first + 60_000 for other in at) <= 2


def test_an_ack_of_another_cards_floor_moves_no_mark_and_is_answered_by_a_status(world):
    statuses = len(world.collector.statuses)
    world.agrees(floor=3)  # another card had no entries below 3 any more, and the collector never got them
    assert not any(isinstance(event, MarkMoved) for event in world.told)
    assert [(status.floor, status.mark) for status in world.collector.statuses[statuses:]] == [(1, 0)]
    world.agrees(floor=1)
    assert [event.seq for event in world.told if isinstance(event, MarkMoved)] == [3]
    assert len(world.collector.statuses) == statuses + 1
