"""What the uplink publishes on a real Mosquitto, and when it publishes it again."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from fabgate import seal, wire
from fabgate.demo.processes.ports import free_port
from fabgate.gate.journal.writer import Draft
from fabgate.gate.uplink.events import (
    LinkChanged,
    MarkMoved,
)
from tests.gate.shell import wait
from tests.gate.uplink.harness import (
    BASE,
    Harness,
    Listener,
    listening,
    needs_broker,
)
from tests.support.mosquitto import Mosquitto
from tests.support.patience import HANGS_S

pytestmark = [pytest.mark.broker, needs_broker]


def test_entries_arrive_in_order_with_the_very_bytes_that_were_stored(
    broker: Mosquitto, listener: Listener, make: Callable[..., Harness]
) -> None:
    harness = make(broker.port, entries=120).start()
    listener.take(harness, 120, "all entries")
    harness.grow(5)
    wait(lambda: len(listener.events()) == 125, "the new ones")
    assert [message.payload for message in listener.events()] == harness.bodies()
    first = listener.events()[0]
    assert first.topic == f"{BASE}/event/access/refused"
    assert first.qos == 1
    assert not first.retain
    assert first.properties.ContentType == "application/cloudevents+json"
    assert first.properties.UserProperty == [("journal", harness.journal.id), ("seq", "1")]
    assert listener.seqs() == list(range(1, 126))


def test_large_entries_arrive_whole_and_in_order_through_a_slow_line(
    broker: Mosquitto, listener: Listener, make: Callable[..., Harness]
) -> None:
    with slow_line(broker.port) as port:
        harness = make(port)
        clock = wire.Clock(boot="b", boottime_ms=1)
        reasons = ["x" * 25_000]
        for n in range(60):
            data = wire.AccessRefused(clock=clock, badge=str(n), reasons=reasons)
            harness.journal.append([Draft(f"u{n}", "access.refused", data, None)])
        harness.uplink.entries_stored(harness.journal.head)
        harness.start()
        listener.take(harness, 60, "all entries")
        assert listener.seqs() == list(range(1, 61))
        assert len(harness.of(LinkChanged)) == 1, "the stream was torn, and the broker hung up"


@contextlib.contextmanager
def slow_line(to: int) -> Iterator[int]:
    """Forward a port with small buffers and pauses, so that the sender's side fills up."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        threads: list[threading.Thread] = []

        def forward(source: socket.socket, target: socket.socket) -> None:
            with contextlib.suppress(OSError):
                while data := source.recv(3_000):
                    target.sendall(data)
                    time.sleep(0.0005)
            for sock in (source, target):
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    near, _ = listener.accept()
                    far = socket.create_connection(("127.0.0.1", to))
                    pair = [threading.Thread(target=forward, args=ends) for ends in ((near, far), (far, near))]
                    sockets.extend((near, far))
                    threads.extend(pair)
                    for thread in pair:
                        thread.start()

        sockets: list[socket.socket] = []
        server = threading.Thread(target=serve)
        server.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        server.join()
        for sock in sockets:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join()
        for sock in sockets:
            sock.close()


def test_without_an_ack_everything_is_published_again_from_the_mark_with_a_status(
    broker: Mosquitto, listener: Listener, make: Callable[..., Harness]
) -> None:
    harness = make(broker.port, entries=3).start()
    wait(lambda: listener.seqs() == [1, 2, 3], "the entries")
    statuses = len(listener.statuses())
    harness.advance(10_001)
    wait(lambda: listener.seqs() == [1, 2, 3] * 2, "the entries again")
    assert len(listener.statuses()) > statuses
    harness.advance(10_001)
    listener.announce()
    assert len(listener.seqs()) == 6, "the pause has doubled"
    harness.advance(20_001)
    wait(lambda: len(listener.seqs()) == 9, "the entries once more")


def test_the_broker_alone_confirms_nothing(broker: Mosquitto, listener: Listener, make: Callable[..., Harness]) -> None:
    harness = make(broker.port, entries=3).start()
    wait(lambda: len(listener.events()) == 3, "the entries")
    wait(lambda: harness.uplink._delivery.room() == 0 and not harness.uplink._mids, "the broker's word")
    assert harness.of(MarkMoved) == []


def test_status_and_state_come_on_connect_with_each_change_and_with_the_heartbeat(
    broker: Mosquitto, listener: Listener, make: Callable[..., Harness]
) -> None:
    harness = make(broker.port, entries=2).start()
    wait(lambda: listener.statuses() and listener.on(f"{BASE}/state"), "the greetings")
    first = listener.statuses()[0]
    assert first == wire.Status(
        online=True,
        version="1",
        boot="boot-1",
        journal=harness.journal.id,
        floor=1,
        head=2,
        mark=0,
        hash=seal.to_text(seal.ZERO_HASH),
    )
    listener.received.clear()
    harness.uplink.publish(wire.State(state="active", session="s-1"))
    wait(lambda: listener.on(f"{BASE}/state"), "the new state")
    harness.advance(60_001)
    wait(lambda: listener.statuses() and len(listener.on(f"{BASE}/state")) == 2, "the heartbeat")
    with listening(broker.plain_port) as late:
        wait(lambda: late.statuses() and late.on(f"{BASE}/state"), "what is retained")
        assert late.on(f"{BASE}/status")[0].retain


def test_a_change_of_the_floor_is_told_at_once(
    broker: Mosquitto, listener: Listener, make: Callable[..., Harness]
) -> None:
    harness = make(broker.port, entries=9).start()
    wait(lambda: len(listener.events()) == 9, "the entries")
    harness.journal.acknowledge(9)
    harness.journal.trim(before_ms=0, most=4)
    harness.uplink.entries_stored(9)
    wait(lambda: listener.statuses()[-1].floor == 6, "the new floor")
    listener.announce()
    harness.journal.trim(before_ms=0, most=1)
    listener.ack(harness.journal.id, 9, harness.hash(9))
    wait(lambda: harness.uplink._delivery.floor == 9, "an ack after which the floor is known, and not told")
    harness.uplink.entries_stored(9)
    wait(lambda: listener.statuses()[-1].floor == 9, "that floor")


def test_an_orderly_stop_and_a_lost_gate_both_leave_it_offline(
    broker: Mosquitto, listener: Listener, make: Callable[..., Harness]
) -> None:
    harness = make(broker.port).start()
    wait(listener.statuses, "the greeting")
    harness.stop()
    wait(lambda: not listener.statuses()[-1].online, "the last word")
    other = make(broker.port).start()
    wait(lambda: listener.statuses()[-1].online, "the greeting")
    with contextlib.suppress(AttributeError):
        other.uplink._client._sock.shutdown(socket.SHUT_RDWR)  # type: ignore[union-attr]
    wait(lambda: not listener.statuses()[-1].online or len(other.of(LinkChanged)) >= 3, "the last will, or a new start")
    offline = [status for status in listener.statuses() if not status.online]
    assert len(offline) == 2


def test_a_name_that_is_given_up_leaves_nothing_retained(
    broker: Mosquitto, listener: Listener, make: Callable[..., Harness]
) -> None:
    harness = make(broker.port).start()
    wait(lambda: listener.statuses() and listener.on(f"{BASE}/state"), "the greetings")
    assert harness.uplink.clear_retained(timeout_s=HANGS_S)
    harness.stop()
    with listening(broker.plain_port) as late:
        late.announce()
        wait(lambda: late.received, "the mark of the end")
        assert not late.on(f"{BASE}/status")
        assert not late.on(f"{BASE}/state")


def test_nothing_can_be_cleared_without_a_connection(make: Callable[..., Harness]) -> None:
    assert not make(free_port()).uplink.clear_retained(timeout_s=1)


def test_nothing_is_cleared_by_a_connection_that_went_a_moment_ago(make: Callable[..., Harness]) -> None:
    uplink = make(free_port()).uplink
    uplink._client = (
        uplink._network.new_client()
    )  # it is not connected any more, and the uplink has not heard of that yet
    assert not uplink.clear_retained(timeout_s=1)


def test_a_reply_is_published(broker: Mosquitto, listener: Listener, make: Callable[..., Harness]) -> None:
    harness = make(broker.port)
    harness.uplink._handle(wire.Reply(id="c-0", outcome="done"))  # nobody is there to hear it
    harness.start()
    harness.uplink.reply(wire.Reply(id="c-1", outcome="refused", detail="late"))
    wait(lambda: listener.on(f"{BASE}/reply"), "the reply")
    assert [json.loads(m.payload) for m in listener.on(f"{BASE}/reply")] == [
        {"id": "c-1", "outcome": "refused", "detail": "late"}
    ]
