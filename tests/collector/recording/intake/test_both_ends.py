"""The delivery model with the real collector: the real uplink at one end, the real store and its database at the other.

``tests/gate/uplink/test_delivery_model.py`` has the world and what happens in it, with a collector in sixty lines. Here the
same world is run with the rows, the gaps and the acknowledgements that a collector really has.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest

from fabgate import wire
from fabgate.collector.ground.models import Entry, Hole
from fabgate.collector.ground.models import Journal as Row
from fabgate.collector.recording.broker.message import Received
from fabgate.collector.recording.intake.store import Store
from tests.collector.gates import NOON
from tests.gate.uplink.delivery_model import TOPICS, Book, read
from tests.gate.uplink.delivery_world import CARDS, FAULTS, World, survives

RUNS = 60 if os.environ.get("FABGATE_SOAK") else 12
STEPS = 120


def _backup() -> sqlite3.Connection:
    from django.db import connection

    connection.ensure_connection()
    copied = sqlite3.connect(":memory:")
    connection.connection.backup(copied)
    return copied


class Database:
    """A collector's database: in use, or a copy of it. It has what the model's `Books` have."""

    in_use: Database | None = None

    def __init__(self, kept: sqlite3.Connection) -> None:
        self._kept = kept
        self.use()
        self.id = self.store.collector
        self.counted: set[str] = set()

    def use(self) -> None:
        """Let this be the database of the process; the one before it is copied first."""
        from django.db import connection

        if Database.in_use is not self:
            if Database.in_use is not None:
                Database.in_use._kept = _backup()
            connection.ensure_connection()
            self._kept.backup(connection.connection)
            Database.in_use, self.store = self, Store("lyon")

    def __deepcopy__(self, _: dict[int, Any]) -> Database:
        self.use()
        return Database(_backup())

    def take(self, batch: list[tuple[str, bytes]], ms: int) -> list[Any]:
        """Store a batch; return what is to be published."""
        self.use()
        received = []
        for topic, body in batch:
            found = read(body) if "/event/" in topic else None
            number = (found.journal, str(found.seq)) if found else (None, None)
            received.append(Received(topic, body, *number))
        publications = self.store.store(received, NOON + timedelta(milliseconds=ms))
        self.counted = set(Entry.objects.values_list("uid", flat=True))
        return publications

    def ack(self, journal: str) -> wire.Ack:
        self.use()
        row = Row.objects.filter(name=journal).first()
        seq, digest = row.ack if row else (0, "")
        return wire.Ack(collector=self.id, journal=journal, seq=seq, hash=digest)

    def book(self, journal: str) -> Book:
        return self.journals.get(journal, Book())

    @property
    def journals(self) -> dict[str, Book]:
        self.use()
        found = {}
        for row in Row.objects.all():
            book = found[row.name] = Book(known_head=min(row.head, row.last_own))
            for entry in Entry.objects.filter(journal=row):
                body = read(bytes(entry.body))
                book.entries[entry.seq] = (bytes(entry.hash), b"", entry.uid, body.copyof)
            for first, last in Hole.objects.filter(journal=row, state=Hole.LOST).values_list("first", "last"):
                book.lost.update(range(first, last + 1))
        return found


class RealWorld(World):
    """The world of the model, with a real collector in it."""

    def __init__(self, folder: Path, seed: int, faults: dict[str, float], empty: sqlite3.Connection) -> None:
        self._empty, self._batches = empty, Random(seed)
        super().__init__(folder, seed, faults)

    def new_books(self) -> Any:
        return Database(self._empty)

    def collector_takes(self, batch: list[tuple[str, bytes]]) -> None:
        while batch:
            size = self._batches.choice((1, 5, len(batch)))
            part, batch = batch[:size], batch[size:]
            for publication in self.books.take(part, self.ms):
                self.says(publication.topic, publication.body)
            self.had.setdefault(self.books.id, set()).update(self.books.counted)

    def collector_comes(self) -> None:
        self.collecting = True
        self.books.use()
        status = wire.CollectorStatus(online=True, collector=self.books.id)
        self.says(wire.collector_status_topic("lyon"), wire.encode(status))
        for publication in self.books.store.greetings():
            if publication.topic == TOPICS.topic("ack"):
                self.says(publication.topic, publication.body)


@pytest.fixture
def empty(database: Path) -> Iterator[sqlite3.Connection]:
    """An empty database of a collector."""
    Database.in_use = None
    with closing(_backup()) as found:
        yield found
    Database.in_use = None


@pytest.mark.sqlite
@pytest.mark.parametrize("part", range(4))
def test_the_real_collector_loses_nothing_either(tmp_path: Path, empty: sqlite3.Connection, part: int) -> None:
    for seed in range(part, RUNS, 4):
        for faults in (FAULTS, CARDS):
            survives(RealWorld(tmp_path, 30_000 + seed, faults, empty), seed, STEPS)
