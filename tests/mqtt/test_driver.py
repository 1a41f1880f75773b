"""Does one thread drive a client, woken by the others whenever they have something to send?"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from fabgate.mqtt.client import connect, new_client
from fabgate.mqtt.driver import Driver
from tests.support.mosquitto import Mosquitto
from tests.support.patience import HANGS_S

pytestmark = pytest.mark.broker

#: A turn that no test waits for: where nothing wakes the loop, nothing is sent.
NEVER_S = 3_600.0


def tls(broker: Mosquitto) -> ssl.SSLContext | None:
    return ssl.create_default_context(cafile=str(broker.ca)) if broker.ca else None


@contextmanager
def driven(broker: Mosquitto, *, turn_s: float = NEVER_S, goes_on: Callable[[], bool] = lambda: True) -> Iterator:
    """Give a connected client and its driver, whose loop runs in a thread of its own."""
    client = new_client("driven", tls(broker))
    up, ends = threading.Event(), threading.Event()
    client.on_connect = lambda *_: up.set()
    driver = Driver(client)
    connect(client, "127.0.0.1", broker.port)

    def run() -> None:
        driver.run(lambda: goes_on() and not ends.is_set(), turn_s=turn_s)
        driver.say_goodbye()
        driver.close()

    thread = threading.Thread(target=run)
    thread.start()
    assert up.wait(HANGS_S)
    try:
        yield client, driver
    finally:
        ends.set()
        driver.wake()
        thread.join(HANGS_S)
        assert not thread.is_alive()
        assert client.socket() is None


def test_a_packet_of_another_thread_is_sent_at_once_while_the_loop_waits(broker):
    with driven(broker) as (client, driver):
        for _ in range(3):
            while not driver._is_waiting:
                pass
            told = client.publish("t", b"", qos=1)
            told.wait_for_publish(HANGS_S)
            assert told.is_published()


def test_no_packet_is_forgotten_however_many_threads_queue_them(broker):
    with driven(broker) as (client, _):

        def publish() -> None:
            # One after the other: each has to wake a loop that may be about to wait.
            for _ in range(300):
                client.publish("t", b"x" * 50, qos=1).wait_for_publish(HANGS_S)

        threads = [threading.Thread(target=publish) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(HANGS_S)
        assert not client._out_messages


def test_a_loop_with_nothing_to_do_does_nothing(broker):
    turns: list[int] = []
    with driven(broker, goes_on=lambda: bool(turns.append(1)) or True) as (client, driver):
        client.publish("t", b"", qos=1).wait_for_publish(HANGS_S)
        while not driver._is_waiting:
            pass
        before = len(turns)
        threading.Event().wait(0.2)
        assert len(turns) <= before + 2, "what was on its way then may cost a turn or two, and nothing more"


def test_a_connection_that_the_broker_ends_ends_the_loop(broker):
    client = new_client("driven", tls(broker))
    client.on_connect = lambda *_: broker.kill()
    driver = Driver(client)
    connect(client, "127.0.0.1", broker.port)
    driver.run(lambda: True, turn_s=NEVER_S)
    assert not driver.has_unread
    driver.close()
    driver.close()


def test_what_a_callback_raises_leaves_the_loop(broker):
    client = new_client("driven", tls(broker))
    client.on_connect = lambda *_: 1 / 0
    driver = Driver(client)
    connect(client, "127.0.0.1", broker.port)
    with pytest.raises(ZeroDivisionError):
        driver.run(lambda: True)
    driver.close()
    assert client.socket() is None
