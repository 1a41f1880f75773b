"""A broker that confirms what a gate publishes and delivers nothing to it, as Mosquitto does once it has dropped enough."""

from __future__ import annotations

import itertools
import socket
from collections.abc import Callable

import pytest

from fabgate import wire
from fabgate.gate.uplink.events import DeliveryProblem, LinkChanged, MarkMoved
from fabgate.mqtt.client import MAX_PACKET_BYTES
from fabgate.mqtt.silence import EVERY_MS
from tests.gate.shell import wait
from tests.gate.uplink.harness import BASE, COLLECTOR, Harness, Listener, listening, needs_broker
from tests.support.mosquitto import Mosquitto

pytestmark = [pytest.mark.broker, needs_broker]

#: Of Mosquitto's default configuration: how many messages may await a client's confirmation.
INFLIGHT = 20


@pytest.fixture
def broker(plain_broker: Mosquitto) -> Mosquitto:
    return plain_broker


def jam(listener: Listener) -> None:
    """Publish to the gate what its client does not take, as often as the broker remembers."""
    for _ in range(INFLIGHT + 5):
        listener.say(f"{BASE}/ack", bytes(MAX_PACKET_BYTES))


def problem(harness: Harness) -> str:
    found = harness.of(DeliveryProblem)
    return found[-1].detail if found else ""


def reconnections(harness: Harness) -> int:
    return sum("delivers nothing" in link.problem for link in harness.of(LinkChanged))


def pass_time(harness: Harness, condition: Callable[[], object], what: str) -> None:
    """Let time pass until it happens."""

    def passed() -> object:
        harness.advance(1_000)
        return condition()

    wait(passed, what)


def test_a_gate_to_which_nothing_is_delivered_connects_again_and_delivers(
    broker: Mosquitto, listener: Listener, make: Callable[..., Harness]
) -> None:
    harness = make(broker.port, entries=3)
    listener.announce()
    harness.start()
    wait(lambda: listener.seqs() == [1, 2, 3], "the entries")
    wait(lambda: listener.statuses() and listener.statuses()[-1].collector == COLLECTOR, "the collector")
    jam(listener)
    listener.ack(harness.journal.id, 3, harness.hash(3), retain=True)
    pass_time(harness, lambda: reconnections(harness), "a new connection")
    wait(lambda: MarkMoved(3) in harness.posted, "the acknowledgement")
    wait(lambda: "set max_packet_size 69632" in problem(harness), "the problem")
    harness.grow(2)
    listener.ack(harness.journal.id, 5, harness.hash(5), retain=True)
    wait(lambda: MarkMoved(5) in harness.posted, "later entries")
    assert reconnections(harness) == 1
    pass_time(harness, lambda: problem(harness) == "", "the end of the problem")


def test_while_the_broker_goes_on_like_that_there_is_a_new_connection_every_five_minutes_at_most(
    broker: Mosquitto, listener: Listener, make: Callable[..., Harness]
) -> None:
    harness = make(broker.port, entries=3)
    listener.announce()
    harness.start()
    wait(lambda: listener.statuses() and listener.statuses()[-1].collector == COLLECTOR, "the collector")
    at: list[int] = []
    for count in (1, 2, 3):
        jam(listener)
        pass_time(harness, lambda count=count: reconnections(harness) == count, "a new connection")
        at.append(harness.ms)
        wait(lambda: harness.of(LinkChanged)[-1].connected, "the connection")
        wait(lambda: harness.uplink._watch._may_ask, "the collector's status")
    # The second in which it was decided may be over when the test sees it.
    assert all(later - earlier > EVERY_MS - 5_000 for earlier, later in itertools.pairwise(at)), at


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (
            wire.CollectorStatus(online=True, collector=COLLECTOR, trouble="its disk is full"),
            "stores nothing now: its disk",
        ),
        (wire.CollectorStatus(online=True, collector=COLLECTOR, refused=["laser-1"]), "refuses this gate"),
        (wire.CollectorStatus(online=False, collector=COLLECTOR), "the collector is offline"),
        (wire.CollectorStatus(online=True, collector=COLLECTOR), "acknowledges nothing"),
        (None, "no collector has said"),
    ],
)
def test_a_collector_that_does_not_acknowledge_ends_no_connection(
    broker: Mosquitto, make: Callable[..., Harness], status: wire.CollectorStatus | None, said: str
) -> None:
    with listening(broker.port) as listener:
        if status is not None:
            listener.announce()
        harness = make(broker.port, entries=3).start()
        if status is not None:
            wait(lambda: listener.statuses() and listener.statuses()[-1].collector == COLLECTOR, "the collector")
            listener.say("fabgate/v1/lyon/collector/status", wire.encode(status), retain=True)
        pass_time(harness, lambda: said in problem(harness), "the problem")
        for _ in range(60):
            harness.advance(60_000)
            wait(lambda: harness.uplink._watch.deadline() is None, "the answer of the broker")
        assert harness.of(LinkChanged) == [LinkChanged(connected=True)]
        if status is not None and status.online:
            listener.ack(harness.journal.id, 3, harness.hash(3))
            wait(lambda: problem(harness) == "", "the end of the problem")


def test_a_subscription_that_the_broker_refuses_is_a_problem(make: Callable[..., Harness]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        harness = make(server.getsockname()[1]).start(up=False)
        sock, _ = server.accept()
        with sock:
            sock.recv(10_000)  # CONNECT
            sock.sendall(b"\x20\x03\x00\x00\x00")  # CONNACK
            assert sock.recv(1) == b"\x82"  # SUBSCRIBE, with the message id 1
            sock.sendall(b"\x90\x07\x00\x01\x00" + b"\x87\x01\x01\x01")  # SUBACK: the first one is not authorized
            wait(lambda: "refuses a subscription (Not authorized)" in problem(harness), "the problem")
