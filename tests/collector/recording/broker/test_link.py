"""The link watches paho, because paho does not watch itself."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from django.conf import settings

from fabgate import wire
from fabgate.collector.recording.broker import inbox as waiting
from fabgate.collector.recording.broker import link as mqtt
from fabgate.collector.recording.broker import once
from fabgate.collector.recording.broker.inbox import Connected, Inbox, Lost
from fabgate.collector.recording.broker.message import Received
from fabgate.errors import FabgateError, UsageError
from tests.support.mosquitto import mosquitto
from tests.support.patience import HANGS_S, wait


def link(port: int, ca: Path | None = None) -> mqtt.Link:
    env = replace(settings.ENVIRONMENT, mqtt_host="127.0.0.1", mqtt_port=port, mqtt_ca=ca)
    return mqtt.Link(env, collector="c", inbox=Inbox())


@contextmanager
def accepted(server: socket.socket, papers: Path | None) -> Iterator[socket.socket]:
    """Give the first connection to a server, behind TLS where there are papers."""
    sock, _ = server.accept()
    if papers:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(papers / "broker.pem", papers / "broker.key")
        sock = context.wrap_socket(sock, server_side=True)
    with sock:
        yield sock


CONNACK = b"\x20\x03\x00\x00\x00"
#: Two messages with the topic "t", QoS 0.
TWO_MESSAGES = b"\x30\x04\x00\x01t\x00" * 2


def test_a_broker_that_takes_the_connection_and_says_nothing_is_given_up(monkeypatch):
    monkeypatch.setattr(mqtt, "CONNECT_TIMEOUT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        stuck = link(silent.getsockname()[1])
        stuck.start()
        accepted, _ = silent.accept()
        wait(lambda: stuck.is_stuck)
        stuck.stop(orderly=False)
        accepted.close()


def test_an_exception_that_kills_the_thread_is_noticed(caplog):
    with socket.create_server(("127.0.0.1", 0)) as server:
        dying = link(server.getsockname()[1])
        dying._client.on_connect = lambda *_: 1 / 0
        dying.connected = True
        dying.start()
        with accepted(server, None) as broker:
            broker.sendall(CONNACK)
            lost = dying._inbox.get(timeout_s=HANGS_S)
            assert isinstance(lost, Lost)
            assert "ZeroDivisionError" in lost.why
            dying._thread.join(HANGS_S)
            assert dying.is_stuck
            assert not dying.connected
            broker.recv(1000)  # CONNECT
            assert broker.recv(1000) == b"", "the socket is closed"
    assert "ZeroDivisionError" in caplog.text


def test_a_replaced_link_never_connects_and_accepts_nothing():
    with socket.create_server(("127.0.0.1", 0)) as server:
        old = link(server.getsockname()[1])
        old.start()
        with accepted(server, None) as broker:
            assert broker.recv(1000)[0] == 0x10  # CONNECT
            old.stop(orderly=False)
            assert broker.recv(1000)[0] == 0xE0, "DISCONNECT, so that its last will is dropped"
            assert broker.recv(1000) == b""
        assert not old._thread.is_alive()
    assert old._inbox.count == 0, "what it posts would be taken for a word of the new link"


@pytest.mark.broker
def test_only_one_thread_writes_to_the_socket(broker, monkeypatch):
    writers = set()
    write = mqtt.paho.Client._sock_send
    monkeypatch.setattr(
        mqtt.paho.Client,
        "_sock_send",
        lambda client, data: (client is one._client and writers.add(threading.get_ident())) or write(client, data),
    )
    one = link(broker.port, broker.ca)
    one.start()
    assert one._inbox.get(timeout_s=HANGS_S) == Connected()
    one.say_online(online=True).wait_for_publish(HANGS_S)
    one.subscribe(["fabgate/#"])
    one.publish("fabgate/v1/lyon/laser-1/ack", b"{}")
    assert one._inbox.get(timeout_s=HANGS_S).topic.startswith("fabgate/v1/lyon/")
    one.stop(orderly=True)
    assert writers == {one._thread.ident}


#: Properties of a message (MQTT 5, 3.3.2.3), and how their value is packed; a user property is two texts.
TEXTS = {"content type": 0x03, "response topic": 0x08, "user property": 0x26}
#: What one reader takes and another one refuses.
STRANGE = [
    "\ufeff",
    "\ufeffjournal",
    "\ufffd",
    "\u200b",
    "\x01",
    "\x7f",
    "\x9f",
    "\ufffe",
    "\U0001f4a5",
    "",
    "x" * 9_000,
]


def packed(text: str) -> bytes:
    return len(text.encode()).to_bytes(2, "big") + text.encode()


def varied(number: int) -> bytes:
    """Return a number as MQTT packs lengths (1.5.5)."""
    found = bytearray()
    while True:
        number, low = divmod(number, 128)
        found.append(low | (128 if number else 0))
        if not number:
            return bytes(found)


#: CONNECT of MQTT 5, with an empty client id and no properties.
CONNECT = b"\x10\x0d" + packed("MQTT") + b"\x05\x02\x00\x3c\x00" + packed("")


def publish_raw(port: int, topic: str, properties: bytes, body: bytes) -> None:
    """Publish with QoS 1, and wait until the broker has confirmed it or ended the connection."""
    rest = packed(topic) + b"\x00\x01" + varied(len(properties)) + properties + body
    with socket.create_connection(("127.0.0.1", port), timeout=HANGS_S) as gate:
        gate.sendall(CONNECT)
        assert gate.recv(100)[0] == 0x20
        gate.sendall(b"\x32" + varied(len(rest)) + rest)
        with contextlib.suppress(ConnectionResetError):
            gate.recv(100)


@pytest.mark.parametrize("broker", ["plain"], indirect=True)
def test_no_property_of_a_message_keeps_the_messages_behind_it_back(broker):
    """paho ends the connection for what it refuses, and the broker then delivers the same message again, for ever.

    One message of one gate, with U+FEFF in a user property, silenced the whole workshop, also after a restart.
    """
    one = link(broker.port)
    one.start()
    assert one._inbox.get(timeout_s=HANGS_S) == Connected()
    one.subscribe(["fabgate/v1/lyon/+/state"])
    blocks = [
        bytes((number,)) + packed(text) + (packed("value") if name == "user property" else b"")
        for name, number in TEXTS.items()
        for text in STRANGE
    ]
    blocks += [b"\x26" + packed("seq") + packed(text) for text in STRANGE]
    blocks += [first + second for first in blocks[-3:] for second in blocks[:3]]
    blocks += [
        b"\x09" + packed("\ufeff"),
        b"\x01\x01",
        b"\x01\x02",
        b"\x02\x00\x00\x0e\x10",
        b"\x0b\x01",
        b"\x7f\x00",
        b"\x26\x00",
    ]
    with broker.client() as ready:  # in the order of packets: the subscription is known by then
        ready.publish("fabgate/v1/lyon/first/state", b"", qos=1).wait_for_publish(HANGS_S)
    for number, block in enumerate(blocks):
        publish_raw(broker.port, "fabgate/v1/lyon/mad/state", block, b"%d" % number)
    with broker.client() as gate:
        gate.publish("fabgate/v1/lyon/saw/state", b"last", qos=1).wait_for_publish(HANGS_S)
    arrived = []
    while not arrived or arrived[-1].body != b"last":
        found = one._inbox.get(timeout_s=HANGS_S)
        assert isinstance(found, Received), found
        arrived.append(found)
    assert len(arrived) > len(STRANGE), "the broker refuses some of them, not most"
    one.stop(orderly=True)


def test_knowing_the_collectors_id_does_not_allow_taking_over_its_session(broker):
    one = link(broker.port, broker.ca)
    one.start()
    assert one._inbox.get(timeout_s=HANGS_S) == Connected()
    for name in ("c", "fabgate-c", "fabgate-collector-c"):  # of the collector "c"; the last was its name once
        with broker.client(client_id=name) as other:
            wait(other.is_connected, "the other client")
    one.subscribe(["fabgate/#"])
    one.publish("fabgate/v1/lyon/laser-1/ack", b"{}")
    found = one._inbox.get(timeout_s=HANGS_S)
    assert isinstance(found, Received), found
    one.stop(orderly=True)


def test_its_client_id_is_stable_and_made_with_its_secret(monkeypatch):
    name = mqtt._client_id("c")
    assert mqtt._client_id("c") == name
    assert mqtt._client_id("d") != name
    monkeypatch.setattr(settings, "SECRET_KEY", "another")
    assert mqtt._client_id("c") != name


def test_a_subscription_that_the_broker_refuses_is_noticed_until_the_next_connection():
    with socket.create_server(("127.0.0.1", 0)) as server:
        one = link(server.getsockname()[1])
        one.start()
        with accepted(server, None) as broker:
            broker.recv(1000)
            broker.sendall(CONNACK)
            assert one._inbox.get(timeout_s=HANGS_S) == Connected()
            one.subscribe(["fabgate/#"])
            assert broker.recv(1000)[0] == 0x82
            broker.sendall(b"\x90\x04\x00\x01\x00\x87")  # SUBACK: not authorized
            wait(lambda: one.refused_subscription == "Not authorized")
        with accepted(server, None) as broker:
            broker.recv(1000)
            broker.sendall(CONNACK)
            wait(lambda: one.connected and one.refused_subscription == "")
            one.stop(orderly=False)


def test_a_gate_that_is_shut_out_is_not_heard_and_the_others_are(broker):
    one = link(broker.port, broker.ca)
    one.start()
    assert one._inbox.get(timeout_s=HANGS_S) == Connected()
    everybody = wire.collector_subscriptions("lyon")
    one.subscribe(everybody)
    one.subscribe(wire.gate_subscriptions("lyon", "saw-1"), retained=False)
    one.unsubscribe(everybody)
    one.unsubscribe(wire.gate_subscriptions("lyon", "never-was"))
    for gate in ("mad", "saw-1"):  # in the order of their packets: the broker knows the subscriptions by then
        one.publish(f"fabgate/v1/lyon/{gate}/state", b"{}")
    assert one._inbox.get(timeout_s=HANGS_S).topic == "fabgate/v1/lyon/saw-1/state"
    one.subscribe(everybody)
    assert one._inbox.get(timeout_s=HANGS_S).topic.endswith("/state"), "what it said last comes when it is let in again"
    one.stop(orderly=True)


def test_messages_that_the_database_does_not_keep_up_with_are_left_to_the_gates(monkeypatch):
    monkeypatch.setattr(waiting, "MAX_WAITING", 1)
    inbox = Inbox()
    full = mqtt.Link(settings.ENVIRONMENT, collector="c", inbox=inbox)
    for _ in range(3):
        full._on_message(full._client, None, mqtt.paho.MQTTMessage(topic=b"t"))
    assert inbox.count == 1


def test_what_arrives_while_a_batch_is_stored_waits_for_its_end():
    inbox = Inbox()
    one = mqtt.Link(settings.ENVIRONMENT, collector="c", inbox=inbox)
    arrives = threading.Thread(target=one._on_message, args=(one._client, None, mqtt.paho.MQTTMessage(topic=b"t")))
    with one.held_back():
        arrives.start()
        arrives.join(0.2)
        assert arrives.is_alive()
        assert inbox.count == 0
    arrives.join(HANGS_S)
    assert inbox.count == 1


def test_a_hanging_disk_does_not_hold_reading_back_forever(monkeypatch):
    monkeypatch.setattr(mqtt, "TURN_S", 0.01)
    inbox = Inbox()
    one = mqtt.Link(settings.ENVIRONMENT, collector="c", inbox=inbox)
    with one.held_back():
        one._on_message(one._client, None, mqtt.paho.MQTTMessage(topic=b"t"))
    assert inbox.count == 1


@pytest.mark.parametrize("is_secret", [False, True], ids=["plain", "tls"])
def test_unread_messages_are_noticed(papers, is_secret):
    entered, goes_on = threading.Semaphore(0), threading.Semaphore(0)

    def hold(*_args) -> None:
        entered.release()
        assert goes_on.acquire(timeout=HANGS_S)

    with socket.create_server(("127.0.0.1", 0)) as server:
        one = link(server.getsockname()[1], papers / "ca.pem" if is_secret else None)
        one._client.on_message = hold
        assert not one.has_more, "nobody is there to read it"
        one.start()
        with accepted(server, papers if is_secret else None) as broker:
            broker.sendall(CONNACK)
            wait(lambda: one.connected and not one.has_more)
            broker.sendall(TWO_MESSAGES)  # one record of TLS: whoever reads the first has decrypted the second
            assert entered.acquire(timeout=HANGS_S)
            assert one.has_more, "the second message"
            goes_on.release()
            assert entered.acquire(timeout=HANGS_S)
            goes_on.release()
            wait(lambda: not one.has_more)
        wait(lambda: not one.connected)
        one.stop(orderly=False)
    assert not one.has_more


def test_a_command_without_a_broker_says_so():
    with pytest.raises(FabgateError, match="cannot be reached"):
        once.publish_once(replace(settings.ENVIRONMENT, mqtt_port=1), [once.Outgoing("t", b"")])


def test_a_broker_that_takes_the_connection_and_says_nothing_is_waited_for_no_longer_than_told():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        env = replace(settings.ENVIRONMENT, mqtt_port=silent.getsockname()[1])
        with pytest.raises(FabgateError, match=r"did not accept a message within 0\.2 s"):
            once.publish_once(env, [once.Outgoing("t", b"")], timeout_s=0.2)


def test_a_message_refused_by_the_brokers_access_list_is_not_reported_as_sent(tmp_path):
    rules = tmp_path / "acl"
    rules.write_text("topic readwrite fabgate/v1/lyon/laser-1/roster\n")
    nudge = once.Outgoing("fabgate/v1/lyon/laser-1/roster", b"{}", retain=True)
    order = once.Outgoing("fabgate/v1/lyon/laser-1/command", b"{}")
    with mosquitto(tmp_path / "broker", acl_file=rules) as broker:
        env = replace(settings.ENVIRONMENT, mqtt_host="127.0.0.1", mqtt_port=broker.port)
        once.publish_once(env, [nudge])  # the broker takes it although no client has subscribed
        with pytest.raises(FabgateError, match=r"refused fabgate/v1/lyon/laser-1/command \(Not authorized\)"):
            once.publish_once(env, [nudge, order])


def test_a_link_notices_that_its_acknowledgements_are_refused(tmp_path, caplog):
    rules = tmp_path / "acl"
    rules.write_text("topic readwrite fabgate/v1/lyon/collector/status\n")
    with mosquitto(tmp_path / "broker", acl_file=rules) as broker:
        one = link(broker.port)
        one.start()
        assert one._inbox.get(timeout_s=HANGS_S) == Connected()
        one.say_online(online=True).wait_for_publish(HANGS_S)
        assert not one.is_refused
        one._client.publish("fabgate/v1/lyon/laser-1/ack", b"{}", qos=1).wait_for_publish(HANGS_S)
        assert one.is_refused
        one.stop(orderly=True)
    assert "the broker refuses what is published (Not authorized)" in caplog.text


def test_an_unreadable_password_names_its_variable(tmp_path):
    env = replace(settings.ENVIRONMENT, mqtt_username="u", mqtt_password_file=tmp_path / "none")
    with pytest.raises(UsageError, match="FABGATE_MQTT_PASSWORD_FILE"):
        mqtt.Link(env, collector="c", inbox=Inbox())


def secured(home, port: int = 1, key: str = "collector.key", cert: str = "collector.pem"):
    return replace(
        settings.ENVIRONMENT,
        mqtt_host="127.0.0.1",
        mqtt_port=port,
        mqtt_ca=home / "ca.pem",
        mqtt_cert=home / cert,
        mqtt_key=home / key,
    )


def test_the_collector_shows_its_certificate_to_a_broker_that_asks(papers):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(papers / "broker.pem", papers / "broker.key")
    context.load_verify_locations(papers / "ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    with socket.create_server(("127.0.0.1", 0)) as broker:
        env = secured(papers, broker.getsockname()[1])
        shown = mqtt.Link(env, collector="c", inbox=Inbox())
        shown.start()
        accepted, _ = broker.accept()
        with context.wrap_socket(accepted, server_side=True) as stream:
            assert stream.getpeercert()["subject"] == ((("commonName", "collector"),),)
            assert stream.recv(1) == b"\x10"  # CONNECT
            shown.stop(orderly=False)


@pytest.mark.parametrize(
    "wrong", [{"key": "broker.key"}, {"key": "locked.key"}, {"key": "ca.pem"}, {"cert": "collector.key"}]
)
def test_a_certificate_without_its_usable_key_is_reported_at_once(papers, wrong):
    with pytest.raises(UsageError, match=r"FABGATE_MQTT_CERT and FABGATE_MQTT_KEY: found .*without a passphrase"):
        mqtt.Link(secured(papers, **wrong), collector="c", inbox=Inbox())


def test_an_invalid_authority_is_reported_at_once(papers):
    env = replace(secured(papers), mqtt_ca=papers / "ca.key")
    with pytest.raises(UsageError, match=r"FABGATE_MQTT_CA: .* is not a certificate authority"):
        mqtt.Link(env, collector="c", inbox=Inbox())


@pytest.mark.parametrize(
    ("leaf", "is_kept", "age_s", "is_told"),
    [
        ("status", False, mqtt.QUEUE_S + 1, True),
        ("status", True, mqtt.QUEUE_S + 1, False),
        ("status", False, mqtt.QUEUE_S - 5, False),
        ("state", False, mqtt.QUEUE_S + 1, False),
    ],
)
def test_only_a_status_that_did_not_wait_in_the_broker_has_a_time(leaf, is_kept, age_s, is_told):
    inbox = Inbox()
    one = mqtt.Link(settings.ENVIRONMENT, collector="c", inbox=inbox)
    one._connected_at = time.monotonic() - age_s
    message = mqtt.paho.MQTTMessage(topic=f"fabgate/v1/lyon/laser-1/{leaf}".encode())
    message.retain = is_kept
    one._on_message(one._client, None, message)
    assert (inbox.get().at is not None) == is_told
