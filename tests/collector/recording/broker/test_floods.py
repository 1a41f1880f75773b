"""Who is not listened to, and for how long?"""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.conf import settings

from fabgate import wire
from fabgate.collector.ground.models import Gate
from fabgate.collector.processes import ingest
from fabgate.collector.recording.broker import floods
from fabgate.collector.recording.broker.floods import Floods
from fabgate.collector.recording.broker.message import Received
from tests.collector.gates import Journal


def test_a_gate_that_floods_is_shut_out_and_let_in_again():
    found = Floods()
    assert not found.look(set(), 0.0)
    assert found.look({"mad"}, 1.0)
    assert found.shut == {"mad"}
    assert not found.look(set(), 1.0 + floods.FIRST_S - 0.1)
    assert found.look(set(), 1.0 + floods.FIRST_S)
    assert found.shut == set()


def test_queued_messages_of_a_shut_out_gate_do_not_lengthen_its_pause():
    found = Floods()
    found.look({"mad"}, 0.0)
    assert not found.look({"mad"}, floods.FIRST_S - 1)
    assert found.look(set(), floods.FIRST_S)


def test_pauses_grow_up_to_a_limit_while_the_flood_goes_on():
    found, now_s, pauses = Floods(), 0.0, []
    for _ in range(8):
        found.look({"mad"}, now_s)
        began_s = now_s
        while found.shut:
            now_s += 1.0
            found.look(set(), now_s)
        pauses.append(now_s - began_s)
    assert pauses == [10, 20, 40, 80, 160, 300, 300, 300]


def test_a_gate_that_kept_quiet_starts_with_the_first_pause_again():
    found = Floods()
    found.look({"mad"}, 0.0)
    quiet_s = floods.FIRST_S + floods.FORGOTTEN_S
    found.look(set(), quiet_s)
    found.look({"mad"}, quiet_s)
    found.look(set(), quiet_s + floods.FIRST_S)
    assert found.shut == set()


class Broker:
    """A link whose broker knows what it is subscribed to."""

    connected = True
    arrived = 0
    refused_subscription = ""
    has_more = is_stuck = is_refused = False
    certificate_ends = None

    def __init__(self) -> None:
        self.filters: set[str] = set()

    def subscribe(self, filters, *, retained=True) -> None:
        self.filters |= set(filters)

    def unsubscribe(self, filters) -> None:
        self.filters -= set(filters)

    def publish(self, topic, body) -> None: ...

    def say_online(self, *, online, trouble="", refused=()) -> None: ...


@pytest.fixture
def serving(database, monkeypatch):
    """An ingest that serves three gates."""
    for name in ("laser-1", "mad", "saw-1"):
        Gate.objects.create(name=name)
    found = ingest.Ingest(settings.ENVIRONMENT)
    found._link = Broker()
    found._serve()
    return found


def flood(serving: ingest.Ingest, gate: str) -> None:
    while serving._inbox.offer(Received(f"fabgate/v1/lyon/{gate}/event/x/y", b"{}")):
        pass


def test_the_broker_queues_nothing_of_a_gate_that_floods_and_everything_of_the_others(serving, monkeypatch):
    everybody = set(wire.collector_subscriptions("lyon"))
    assert serving._link.filters == everybody
    flood(serving, "mad")
    serving._watch_floods()
    assert [gate.name for gate in Gate.objects.all() if gate.sends_too_much(datetime.now(UTC))] == ["mad"]
    others = {one for gate in ("laser-1", "saw-1") for one in wire.gate_subscriptions("lyon", gate)}
    assert serving._link.filters == others
    serving._inbox.take(10_000, 1_000_000_000)
    monkeypatch.setattr(ingest.time, "monotonic", lambda: float("inf"))
    serving._watch_floods()
    assert serving._link.filters == everybody


def test_during_a_flood_messages_are_read_until_the_gate_is_found(serving):
    topic = "fabgate/v1/lyon/mad/event/x/y"
    for _ in range(2 * wire.ACK_WINDOW + 1):
        serving._inbox.offer(Received(topic, b"{}", "j-1", "7"))
    reads = []

    class Reader(Broker):
        @property
        def has_more(self) -> bool:  # the other thread, which reads while this one waits
            reads.append(serving._inbox.count)
            for _ in range(500):
                serving._inbox.offer(Received(topic, b"{}", "j-1", "7"))
            return True

    serving._link = Reader()
    assert len(serving._take()) == ingest.FLOODED_BATCH
    assert 0 < len(reads) < 10
    assert serving._inbox.refused() == {"mad"}


def test_a_restarted_collector_subscribes_to_everybody(serving):
    serving._link.filters = set(wire.gate_subscriptions("lyon", "saw-1"))
    serving._serve()
    assert serving._link.filters == set(wire.collector_subscriptions("lyon"))


def test_after_a_disk_outage_nobody_is_shut_out_for_repeated_messages(serving, monkeypatch):
    monkeypatch.setattr(ingest, "STORED_WITHIN_S", -1.0)
    journal = Journal()
    journal.write("gate.started", version="1")
    serving._inbox.offer(journal.message(1))
    flood(serving, "laser-1")
    serving._turn()
    assert serving._link.filters == set(wire.collector_subscriptions("lyon"))
