"""A broker that confirms everything and delivers nothing: ingest notices, says so, and begins again."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.conf import settings
from django.db import OperationalError

from fabgate import wire
from fabgate.collector.faces.api import health
from fabgate.collector.ground.models import Entry, Gate, Heartbeat, Machine
from fabgate.collector.processes.ingest import Ingest
from fabgate.collector.recording.broker.deliveries import NOTHING_MS, QUIET_MS
from fabgate.mqtt.client import MAX_PACKET_BYTES
from fabgate.mqtt.silence import EVERY_MS
from tests.collector.gates import Journal
from tests.support.mosquitto import Mosquitto
from tests.support.patience import wait

pytestmark = [pytest.mark.broker, pytest.mark.usefixtures("database")]

INFLIGHT = 20
EVENTS = "fabgate/v1/lyon/laser-1/event/session/ended"


@dataclass
class Running:
    """An ingest whose turns the test takes, and whose clock it sets."""

    ingest: Ingest
    ms: int = 0

    def until(self, condition: Callable[[], object], what: str, *, passing_ms: int = 0) -> None:
        """Take turns until it happens; before each one so much time passes."""

        def turned() -> object:
            self.ms += passing_ms
            self.ingest._turn()
            return condition()

        wait(turned, what)

    @property
    def is_asking(self) -> bool:
        """Whether the broker was asked and has not answered yet."""
        return self.ingest._deliveries._silence.deadline() is not None

    @property
    def trouble(self) -> str:
        beat = Heartbeat.objects.filter(name=Heartbeat.INGEST).first()
        return beat.trouble if beat else ""


@contextmanager
def running(broker: Mosquitto, database: Path) -> Iterator[Running]:
    env = replace(settings.ENVIRONMENT, mqtt_port=broker.port, mqtt_ca=broker.ca)
    found = Running(Ingest(env))
    found.ingest._now_ms = lambda: found.ms
    found.ingest._check_file = lambda: None  # the test's database is another one than that of the environment
    found.ingest._link.start()
    try:
        found.until(lambda: found.ingest._serving and found.ingest._link.arrived, "our own status")
        yield found
    finally:
        found.ingest._link.stop(orderly=False)


def jam(broker: Mosquitto) -> None:
    """Publish, with one gate's account, what the collector's client does not take."""
    with broker.client() as gate:
        for _ in range(INFLIGHT + 5):
            gate.publish(EVENTS, bytes(MAX_PACKET_BYTES), qos=1).wait_for_publish()


def publish(broker: Mosquitto, journal: Journal) -> None:
    with broker.client() as gate:
        for message in journal.messages():
            gate.publish(message.topic, message.body, qos=1).wait_for_publish()


def test_an_ingest_to_which_nothing_is_delivered_connects_again_and_every_check_is_red(plain_broker, database):
    journal = Journal("saw")
    journal.write("gate.started", version="1")
    with running(plain_broker, database) as one:
        Heartbeat.beat(Heartbeat.WORKER, datetime.now(UTC))
        one.until(lambda: one.trouble == "", "a heartbeat without a problem", passing_ms=10)
        jam(plain_broker)
        publish(plain_broker, journal)
        dead = one.ingest._link
        one.until(lambda: one.ingest._link is not dead, "a new connection", passing_ms=10_000)
        one.until(lambda: one.ingest._link.connected, "the connection")

        def is_stored() -> bool:
            publish(plain_broker, journal)  # as the gate does again until it is acknowledged
            return Entry.objects.exists()

        one.until(is_stored, "the entry")
        one.until(lambda: "the broker confirms and delivers nothing" in one.trouble, "the problem")
        found = health.look(datetime.now(UTC))
        assert not found.is_well
        assert "set max_packet_size 69632" in found.parts[Heartbeat.INGEST]


def test_there_is_a_new_connection_every_five_minutes_at_most(plain_broker, database):
    with running(plain_broker, database) as one:
        at = []
        for _ in range(3):
            jam(plain_broker)
            dead = one.ingest._link
            one.until(lambda dead=dead: one.ingest._link is not dead, "a new connection", passing_ms=10_000)
            at.append(one.ms)
            one.until(lambda: one.ingest._link.connected and one.ingest._link.arrived, "the connection")
        assert all(later - earlier >= EVERY_MS - 10_000 for earlier, later in itertools.pairwise(at)), at


def test_a_quiet_workshop_is_no_problem(broker, database):
    with running(broker, database) as one:
        one.until(lambda: one.trouble == "", "a heartbeat without a problem", passing_ms=10)
        link = one.ingest._link
        for _ in range(5):
            # A status that arrives late begins the quiet time again, so the time passes until the broker is asked.
            one.until(lambda: one.is_asking, "the question to the broker", passing_ms=QUIET_MS)
            one.until(lambda: not one.is_asking, "the answer of the broker")
        assert one.ingest._link is link
        assert one.trouble == ""


def test_a_gate_that_is_online_and_of_which_nothing_arrives_is_a_problem(broker, database):
    """As with an access list that lets the collector subscribe, and keeps back what is published."""
    Gate.objects.create(name="saw", machine=Machine.objects.create(name="saw"), online=True)
    with running(broker, database) as one:
        one.until(lambda: one.trouble == "", "a heartbeat without a problem", passing_ms=10)
        one.ms += NOTHING_MS
        one.until(lambda: "nothing arrives from any gate" in one.trouble, "the problem")
        publish_status(broker)
        one.until(lambda: one.trouble == "", "the end of the problem")


def publish_status(broker: Mosquitto) -> None:
    with broker.client() as gate:
        gate.publish("fabgate/v1/lyon/saw/status", wire.encode(wire.Status(online=True)), qos=1).wait_for_publish()


def test_gates_are_told_that_nothing_can_be_stored_and_that_it_can_again(broker, database, monkeypatch):
    journal = Journal("saw")
    journal.write("gate.started", version="1")
    said: list[wire.CollectorStatus] = []
    with running(broker, database) as one, broker.client() as gate:
        gate.on_message = lambda _c, _u, message: said.append(wire.decode(message.payload, wire.CollectorStatus))
        gate.subscribe("fabgate/v1/lyon/collector/status", qos=1)
        wait(lambda: said, "the collector's status")
        store, failures = one.ingest._store.store, iter(["disk full", "disk full"])

        def full(*arguments):
            for why in failures:
                raise OperationalError(why)
            return store(*arguments)

        monkeypatch.setattr(one.ingest._store, "store", full)
        monkeypatch.setattr("fabgate.collector.processes.ingest.RETRY_S", 0.0)
        publish(broker, journal)
        one.until(Entry.objects.exists, "the entry")
        wait(lambda: len(said) >= 3, "both changes")
        assert [status.trouble for status in said] == [
            "",
            "its database cannot be written; see /healthz and its log",
            "",
        ]


def test_a_gate_that_is_shut_out_is_named_in_the_collectors_status(broker, database):
    said: list[wire.CollectorStatus] = []
    with running(broker, database) as one, broker.client() as gate:
        gate.on_message = lambda _c, _u, message: said.append(wire.decode(message.payload, wire.CollectorStatus))
        gate.subscribe("fabgate/v1/lyon/collector/status", qos=1)
        one.ingest._inbox._refused.add("lyon/mad")
        one.until(lambda: said and said[-1].refused == ["mad"], "the name")
