"""The link watches paho, because paho does not watch itself."""

from __future__ import annotations

import queue
import socket
import time
from dataclasses import replace

import pytest
from django.conf import settings

from fabgate.collector import mqtt
from fabgate.errors import FabgateError, UsageError


def link(port: int) -> mqtt.Link:
    env = replace(settings.ENVIRONMENT, mqtt_host="127.0.0.1", mqtt_port=port)
    return mqtt.Link(env, collector="c", inbox=queue.Queue())


def test_a_broker_that_takes_the_connection_and_says_nothing_is_given_up(monkeypatch):
    monkeypatch.setattr(mqtt, "CONNECT_TIMEOUT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        stuck = link(silent.getsockname()[1])
        stuck.start()
        accepted, _ = silent.accept()
        deadline = time.monotonic() + 10
        while not stuck.is_stuck:
            assert time.monotonic() < deadline
        stuck.stop(orderly=False)
        accepted.close()


def test_an_exception_that_kills_pahos_thread_is_noticed(monkeypatch):
    inbox: queue.Queue[mqtt.Posted] = queue.Queue()
    dying = mqtt.Link(settings.ENVIRONMENT, collector="c", inbox=inbox)
    dying.connected = True
    monkeypatch.setattr(dying._client, "loop_forever", lambda **_: 1 / 0)
    dying.start()
    lost = inbox.get(timeout=10)
    assert isinstance(lost, mqtt.Lost)
    assert "ZeroDivisionError" in lost.why
    dying._thread.join(10)
    assert dying.is_stuck
    assert not dying.connected


def test_every_socket_has_no_delay_set():
    with socket.socket() as sock:
        link(1)._client.on_socket_open(None, None, sock)
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_messages_that_the_database_does_not_keep_up_with_are_left_to_the_gates(monkeypatch):
    monkeypatch.setattr(mqtt, "MAX_WAITING", 1)
    inbox: queue.Queue[mqtt.Posted] = queue.Queue()
    full = mqtt.Link(settings.ENVIRONMENT, collector="c", inbox=inbox)
    for _ in range(3):
        full._on_message(full._client, None, mqtt.paho.MQTTMessage(topic=b"t"))
    assert inbox.qsize() == 1


def test_a_command_without_a_broker_says_so():
    with pytest.raises(FabgateError, match="cannot be reached"):
        mqtt.publish_once(replace(settings.ENVIRONMENT, mqtt_port=1), [mqtt.Outgoing("t", b"")])


def test_an_unreadable_password_names_its_variable(tmp_path):
    env = replace(settings.ENVIRONMENT, mqtt_username="u", mqtt_password_file=tmp_path / "none")
    with pytest.raises(UsageError, match="FABGATE_MQTT_PASSWORD_FILE"):
        mqtt.Link(env, collector="c", inbox=queue.Queue())
