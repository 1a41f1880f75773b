"""The collector's connection to the broker: one client (fabgate/mqtt) in a thread of its own.

Callbacks only put messages in a queue. A connection that is not established after a while is dropped with its thread.

paho sends PUBACK when the message is in our queue in memory. That is safe here: gates rely on the collector's
acknowledgement, not on PUBACK, and repeat entries until it comes.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import paho.mqtt.client as paho
from django.conf import settings
from paho.mqtt.subscribeoptions import SubscribeOptions

from fabgate import wire
from fabgate.collector.ground.base.environ import Environment
from fabgate.collector.recording.broker.client import client_of
from fabgate.collector.recording.broker.inbox import Connected, Inbox, Lost
from fabgate.collector.recording.broker.message import Received
from fabgate.mqtt.client import (
    acknowledge_quickly,
    certificate_ends,
    certificate_trouble,
    connect,
    described,
    secret_client_id,
)
from fabgate.mqtt.driver import Driver

log = logging.getLogger(__name__)

SESSION_EXPIRY_S: Final = 7 * 86_400
#: How long after a connect, in seconds, messages may still come from the broker's queue: it has up to 20,000, and a
#: slow SD card stores only some hundred a second.
QUEUE_S: Final = 60
#: Pauses between attempts to connect, in seconds: the first, and the longest; they double.
FIRST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 5.0
#: The longest time from an attempt to connect to a successful CONNACK, in seconds.
CONNECT_TIMEOUT_S: Final = 15.0
#: While a large batch is stored, the reading thread waits up to this long before each message. Otherwise two threads
#: would compete for the interpreter at every database statement, which costs a fifth of a backlog's time; messages wait
#: in the socket. Limited, because a hanging disk must not end the connection.
TURN_S: Final = 1.0
#: MQTT 5, 3.8.3.1: the broker sends its retained messages on subscribing.
_SEND_RETAINED: Final = 0
_KEEP_RETAINED: Final = 2
#: The most filters in one packet.
_FILTERS: Final = 100
#: How long a refusal is reported, in seconds. If gates send, the next refusal comes within a minute.
REFUSED_S: Final = 90.0


class Link:
    """One client and its thread. Everything that happens is posted to `inbox`.

    With `forget_session` the first connection begins without the messages that the broker has kept.
    """

    def __init__(self, env: Environment, *, collector: str, inbox: Inbox, forget_session: bool = False) -> None:
        self._inbox = inbox
        self._collector = collector
        self._site = env.site
        self.connected = False
        #: When the broker's certificate expires, according to the newest connection; None without TLS.
        self.certificate_ends: datetime | None = None
        #: Since when there is no connection (monotonic seconds).
        self.down_since = time.monotonic()
        self._connected_at = time.monotonic()
        self._forget_session = forget_session
        #: How many messages of QoS 1 have arrived over any connection.
        self.arrived = 0
        #: Why the broker refused a subscription on this connection; "" if it did not.
        self.refused_subscription = ""
        self._dropped = 0
        self._refused_at = -REFUSED_S
        self._turn = threading.Lock()
        self._address = env.mqtt_host, env.mqtt_port
        self._ends = threading.Event()
        self._pause_s = FIRST_PAUSE_S
        self._client = self._make(env)
        self._driver = Driver(self._client)
        self._thread = threading.Thread(target=self._run, name="mqtt", daemon=True)

    def start(self) -> None:
        """Start to connect, and keep trying."""
        self._thread.start()

    @property
    def is_stuck(self) -> bool:
        """Whether to replace this link: its thread has died, or the broker has not accepted it for too long."""
        late = not self.connected and time.monotonic() - self.down_since > CONNECT_TIMEOUT_S
        return late or not self._thread.is_alive()

    @property
    def is_refused(self) -> bool:
        """Return whether the broker recently refused one of our messages; then gates may not receive their acks."""
        return time.monotonic() - self._refused_at < REFUSED_S

    @property
    def has_more(self) -> bool:
        """Return whether data has arrived that was not read yet."""
        return self._driver.has_unread

    @contextlib.contextmanager
    def held_back(self) -> Iterator[None]:
        """Pause reading during the block, for a limited time: see TURN_S."""
        with self._turn:
            yield

    def subscribe(self, filters: Sequence[str], *, retained: bool = True) -> None:
        """Subscribe with QoS 1; retained messages are sent each time, unless `retained` is False."""
        options = SubscribeOptions(qos=1, retainHandling=_SEND_RETAINED if retained else _KEEP_RETAINED)
        for some in _some(filters):
            self._client.subscribe([(name, options) for name in some])

    def unsubscribe(self, filters: Sequence[str]) -> None:
        """Unsubscribe; filters without a subscription are ignored."""
        for some in _some(filters):
            self._client.unsubscribe(some)

    def publish(self, topic: str, body: bytes) -> None:
        """Publish retained with QoS 1.

        Without a connection nothing is queued: ingest publishes it again after connecting.
        """
        if self.connected:
            self._client.publish(topic, body, qos=1, retain=True)

    def say_online(self, *, online: bool, trouble: str = "", refused: Sequence[str] = ()) -> paho.MQTTMessageInfo:
        """Publish the retained status of this collector: see wire.CollectorStatus."""
        status = self._status(online=online, trouble=trouble, refused=refused)
        return self._client.publish(wire.collector_status_topic(self._site), status, qos=1, retain=True)

    def stop(self, *, orderly: bool) -> None:
        """Close. An orderly stop publishes 'offline' first, because the broker drops the will after DISCONNECT."""
        with contextlib.suppress(ValueError, RuntimeError):
            if orderly and self.connected:
                self.say_online(online=False).wait_for_publish(2)
        self._ends.set()
        self._driver.wake()
        if self._thread.is_alive():
            self._thread.join(2)

    def _make(self, env: Environment) -> paho.Client:
        client = client_of(env, _client_id(self._collector))
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        client.on_publish = self._on_publish
        client.on_subscribe = self._on_subscribe
        will = self._status(online=False)
        client.will_set(wire.collector_status_topic(env.site), will, qos=1, retain=True)
        return client

    def _status(self, *, online: bool, trouble: str = "", refused: Sequence[str] = ()) -> bytes:
        return wire.encode(
            wire.CollectorStatus(online=online, collector=self._collector, trouble=trouble, refused=list(refused))
        )

    def _run(self) -> None:
        try:
            while not self._ends.is_set():
                self._one_connection()
                self._ends.wait(self._pause_s)
                self._pause_s = min(self._pause_s * 2, LONGEST_PAUSE_S)
        except Exception as error:  # after any error, ingest makes a new link
            log.exception("the thread of the connection died")
            self._fell(f"{type(error).__name__}: {error}")
        finally:
            self._driver.close()

    def _one_connection(self) -> None:
        """Connect, read and write until the connection breaks or ``stop`` is called."""
        try:
            connect(
                self._client,
                *self._address,
                keep_session_s=SESSION_EXPIRY_S,
                forget_session=self._forget_session,
            )
        except (OSError, ValueError) as error:
            self._fell(described(error), certificate=certificate_trouble(error))
            return
        self._driver.run(lambda: not self._ends.is_set())
        if self._ends.is_set():
            self._driver.say_goodbye()

    def _fell(self, why: str, *, certificate: str = "") -> None:
        if self.connected:
            self.connected, self.down_since = False, time.monotonic()
        if not self._ends.is_set():  # after ``stop``, a new link may already use the same inbox
            self._inbox.post(Lost(why, certificate))

    # Callbacks run in paho's thread: they only post.

    def _on_connect(self, client: paho.Client, _data: Any, _flags: Any, code: Any, _properties: Any) -> None:
        if code.is_failure:
            self._fell(f"the broker refused: {code}")
            return
        self.certificate_ends = certificate_ends(client)
        self.connected, self._connected_at = True, time.monotonic()
        self._pause_s = FIRST_PAUSE_S
        self._forget_session, self.refused_subscription = False, ""
        self._inbox.post(Connected())

    def _on_disconnect(self, _client: paho.Client, _data: Any, _flags: Any, code: Any, _properties: Any) -> None:
        self._fell(str(code))

    def _on_publish(self, _client: paho.Client, _data: Any, _mid: int, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            if not self.is_refused:
                log.error("the broker refuses what is published (%s): check its access list", reason)
            self._refused_at = time.monotonic()

    def _on_subscribe(self, _client: paho.Client, _data: Any, _mid: int, reasons: Any, _properties: Any) -> None:
        for reason in reasons:
            if reason.is_failure:
                log.error("the broker refuses a subscription (%s): check its access list", reason)
                self.refused_subscription = str(reason)

    def _on_message(self, client: paho.Client, _data: Any, message: paho.MQTTMessage) -> None:
        acknowledge_quickly(client.socket())
        self.arrived += message.qos > 0
        if self._turn.acquire(timeout=TURN_S):
            self._turn.release()
        topic = message.topic  # paho decodes it at each access
        beside = dict(getattr(message.properties, "UserProperty", ()) if message.properties else ())
        received = Received(
            topic,
            bytes(message.payload),
            beside.get(wire.PROP_JOURNAL),
            beside.get(wire.PROP_SEQ),
            self._said_at(topic, is_kept=message.retain),
        )
        if not self._inbox.offer(received):
            self._dropped += 1
            if self._dropped % 1000 == 1:
                log.error(
                    "%d messages dropped, the last one on %s: more arrives than can be stored; the gates send it again",
                    self._dropped,
                    topic[:200],
                )

    def _said_at(self, topic: str, *, is_kept: bool) -> datetime | None:
        """Return when a gate sent a status: now, or None if the broker may have kept it for a while."""
        if is_kept or not topic.endswith("/status"):
            return None
        return datetime.now(UTC) if time.monotonic() - self._connected_at > QUEUE_S else None


def _client_id(collector: str) -> str:
    """Return the id of the collector's session at the broker. The collector's own id is not secret."""
    return secret_client_id(settings.SECRET_KEY.encode(), collector)


def _some(filters: Sequence[str]) -> Iterator[list[str]]:
    """Yield `filters` in portions that any broker accepts in one packet."""
    for first in range(0, len(filters), _FILTERS):
        yield list(filters[first : first + _FILTERS])
