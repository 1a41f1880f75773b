"""How the uplink reports and survives a broker that is away, refuses it, or does not answer."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest

from fabgate.gate.config.gate_yaml import Mqtt
from fabgate.gate.config.keys import gate_keys
from fabgate.gate.uplink.events import (
    CommandArrived,
    LinkChanged,
    MarkMoved,
    RosterNudged,
)
from fabgate.gate.uplink.network import client_id
from fabgate.seal import Keys
from tests.gate.shell import Bench, wait
from tests.gate.uplink.harness import (
    BASE,
    Harness,
    Listener,
    listening,
    needs_broker,
    password,
)
from tests.support.mosquitto import Mosquitto
from tests.support.patience import HANGS_S

pytestmark = [pytest.mark.broker, needs_broker]


def test_a_broker_that_comes_late_and_is_restarted_is_found_each_time(
    tmp_path: Path, make: Callable[..., Harness]
) -> None:
    broker = Mosquitto(tmp_path / "broker")
    harness = make(broker.port, entries=3).start(up=False)
    wait(lambda: harness.of(LinkChanged), "the problem")
    assert "ConnectionRefusedError" in harness.of(LinkChanged)[0].problem
    broker.start()
    try:
        wait(lambda: LinkChanged(connected=True) in harness.posted, "the connection")
        broker.kill()
        wait(lambda: not harness.of(LinkChanged)[-1].connected, "the loss")
        harness.grow(2)
        broker.start()
        with listening(broker.port) as listener:
            wait(lambda: harness.of(LinkChanged)[-1].connected, "the connection")
            harness.advance(10_001)  # what came before the ear was there comes again
            wait(lambda: listener.seqs()[-5:] == [1, 2, 3, 4, 5], "everything from the mark")
    finally:
        broker.stop()


def test_however_long_the_broker_is_away_it_is_tried_again_within_two_seconds_and_not_in_step(
    tmp_path: Path, make: Callable[..., Harness]
) -> None:
    broker = Mosquitto(tmp_path / "broker")
    harness = make(broker.port).start(up=False)
    wait(lambda: len(harness.pauses) >= 30, "thirty attempts")
    broker.start()
    try:
        wait(lambda: LinkChanged(connected=True) in harness.posted, "the connection")
        assert all(1 <= pause <= 2 for pause in harness.pauses)
        assert len(set(harness.pauses)) > 20, "a hundred gates would come at the same moment"
    finally:
        broker.stop()


def test_a_broker_that_refuses_the_password_is_asked_ever_more_rarely_until_it_lets_the_gate_in(
    guarded: Mosquitto, tmp_path: Path, make: Callable[..., Harness]
) -> None:
    secret = password(tmp_path, "wrong")
    harness = make(guarded.port, username="lyon/laser-1", password_file=secret).start(up=False)
    wait(lambda: len(harness.pauses) >= 6, "six refusals")
    for pause, most in zip(harness.pauses, (4, 8, 16, 30, 30, 30), strict=False):
        assert most / 2 <= pause <= most
    password(tmp_path, "secret of lyon/laser-1")
    wait(lambda: LinkChanged(connected=True) in harness.posted, "the connection")
    refused = len(harness.pauses)
    guarded.kill()
    wait(lambda: len(harness.pauses) > refused, "the loss")
    assert harness.pauses[refused] <= 2


def test_the_kernel_asks_a_silent_line_whether_it_is_dead_and_hangs_up_within_ten_seconds(
    broker: Mosquitto, make: Callable[..., Harness]
) -> None:
    harness = make(broker.port).start()
    assert harness.uplink._client is not None
    line = harness.uplink._client.socket()
    assert isinstance(line, socket.socket)
    assert line.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    idle_s, between_s, unanswered_ms = (
        line.getsockopt(socket.IPPROTO_TCP, option)
        for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_USER_TIMEOUT)
    )
    assert idle_s + between_s < 10
    assert 0 < unanswered_ms <= 10_000


def test_a_broker_that_accepts_and_never_answers_is_told_and_tried_again(make: Callable[..., Harness]) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        harness = make(silent.getsockname()[1]).start(up=False)
        first, _ = silent.accept()
        with first:

            def later() -> list[LinkChanged]:
                harness.ms += 10_001
                return harness.of(LinkChanged)

            wait(later, "the problem")
            assert harness.of(LinkChanged)[0] == LinkChanged(
                connected=False, problem="the broker did not answer within 10 s"
            )
            second, _ = silent.accept()
            second.close()


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x20\x03\x00\x00", b"\xff" * 64, b""])
def test_something_that_is_no_broker_is_told_and_tried_again(make: Callable[..., Harness], answer: bytes) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        harness = make(server.getsockname()[1]).start(up=False)
        for _ in range(2):
            sock, _ = server.accept()
            with sock:
                sock.recv(10_000)
                sock.sendall(answer)
        wait(lambda: harness.of(LinkChanged), "the problem")
        assert not any(link.connected for link in harness.of(LinkChanged))
        assert all(thread.is_alive() for thread in harness.threads)


def test_a_second_gate_of_the_same_name_is_told(broker: Mosquitto, make: Callable[..., Harness]) -> None:
    """Mosquitto 2.0.21 (Debian 13) says that the session was taken over; 2.0.11 (Debian 12) closes without a word."""
    harness = make(broker.port).start()
    copied = client_id("lyon/laser-1", gate_keys(harness.config))
    clone = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id=copied, protocol=paho.MQTTv5)

    def is_told() -> bool:
        links = harness.of(LinkChanged)
        if links[-1].connected:  # the gate threw the clone out, which comes back as a gate would
            clone.connect("127.0.0.1", broker.plain_port)
            clone.loop(1.0)
        return any("look for a second gate that is named lyon/laser-1" in link.problem for link in links)

    try:
        wait(is_told, "the problem")
    finally:
        clone.disconnect()
        clone.loop(0.2)


def test_nobody_who_only_knows_the_name_of_a_gate_throws_it_out(
    broker: Mosquitto, listener: Listener, make: Callable[..., Harness]
) -> None:
    harness = make(broker.port).start()
    stranger = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id="lyon-laser-1", protocol=paho.MQTTv5)
    connected: list[Any] = []
    stranger.on_connect = lambda *_: connected.append(1)
    stranger.connect("127.0.0.1", broker.plain_port)
    while not connected:
        stranger.loop(1.0)
    harness.grow(1)
    listener.take(harness, 1, "the next entry")
    assert [link.connected for link in harness.of(LinkChanged)] == [True]
    stranger.disconnect()
    stranger.loop(0.2)


def test_a_copy_of_a_gate_has_its_client_id_and_no_other_gate_has() -> None:
    key, other = Keys({"k1": bytes(32)}), Keys({"k1": bytes(31) + b"1"})
    ids = [client_id("lyon/laser-1", key), client_id("lyon/laser-2", key), client_id("lyon/laser-1", other)]
    assert client_id("lyon/laser-1", Keys({"k1": bytes(32), "k2": bytes(range(32))})) == ids[0]
    assert len(set(ids)) == 3
    assert not any("laser" in found for found in ids)


def test_what_the_broker_refuses_to_publish_is_told_in_the_log(
    tmp_path: Path, make: Callable[..., Harness], caplog: pytest.LogCaptureFixture
) -> None:
    acl = tmp_path / "acl"
    acl.write_text(f"topic read #\ntopic write {BASE}/status\n")
    broker = Mosquitto(tmp_path / "broker", acl_file=acl).start()
    try:
        harness = make(broker.port, entries=1).start()
        wait(lambda: "the broker refused a message: Not authorized; check its access list" in caplog.text, "a line")
        assert len(harness.of(LinkChanged)) == 1
    finally:
        broker.stop()


def test_a_wrong_password_is_visible_in_status_json(guarded: Mosquitto, tmp_path: Path) -> None:
    secret = password(tmp_path, "wrong")
    mqtt = Mqtt(host="127.0.0.1", port=guarded.port, username="lyon/laser-1", password_file=secret)
    bench = Bench(tmp_path / "gate", mqtt=mqtt)
    try:
        bench.start()
        found = bench.wait_for_status(lambda status: "refused" in status["mqtt"]["problem"])
        assert found["mqtt"]["connected"] is False
        assert found["mqtt"]["problem"] == "the broker refused the connection: Not authorized"
        bench.use("ada")
        password(tmp_path, "secret of lyon/laser-1")
        bench.wait_for_status(lambda status: status["mqtt"]["connected"])
        assert bench.output.on
    finally:
        bench.close()


def test_a_password_file_that_is_missing_is_told(
    broker: Mosquitto, tmp_path: Path, make: Callable[..., Harness]
) -> None:
    harness = make(broker.port, username="lyon/laser-1", password_file=tmp_path / "none").start(up=False)
    wait(lambda: harness.of(LinkChanged), "the problem")
    assert "No such file" in harness.of(LinkChanged)[0].problem


def test_a_gate_can_neither_speak_as_its_neighbour_nor_write_its_own_acks(
    guarded: Mosquitto, tmp_path: Path, make: Callable[..., Harness]
) -> None:
    secret = password(tmp_path, "secret of lyon/laser-1")
    with listening(guarded.port, username="collector", password="secret of collector") as listener:
        harness = make(guarded.port, entries=2, username="lyon/laser-1", password_file=secret).start()
        wait(lambda: len(listener.events()) == 2 and listener.statuses(), "what is its own")
        client = harness.uplink._client
        assert client is not None
        for topic in (
            "fabgate/v1/lyon/saw/event/session/ended",
            "fabgate/v1/lyon/saw/status",
            f"{BASE}/ack",
            f"{BASE}/command",
            f"{BASE}/roster",
            "fabgate/v1/lyon/collector/status",
        ):
            client.publish(topic, b"forged", qos=1).wait_for_publish(HANGS_S)
        listener.announce()
        listener.ack(harness.journal.id, 2, harness.hash(2))
        wait(lambda: MarkMoved(2) in harness.posted, "the true ack")
        assert not [message for message in listener.received if message.payload == b"forged"]
        assert harness.of(RosterNudged) == harness.of(CommandArrived) == []
