"""Keeps the gate connected to its broker: the network thread, which owns the paho client.

It connects, drives the client (fabgate/mqtt) and gives up a broker that does not answer, because paho has no time limit
for CONNACK. Its callbacks only queue events.
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable
from typing import Any, Final

import paho.mqtt.client as paho

from fabgate import wire
from fabgate.errors import FabgateError
from fabgate.gate.config.authorities import Authorities, tls_context
from fabgate.gate.config.gate_yaml import Mqtt
from fabgate.gate.uplink.disconnects import Disconnects
from fabgate.gate.uplink.events import (
    Connected,
    LinkChanged,
    MessageArrived,
    OwnCertificate,
    Puback,
    SubscriptionRefused,
)
from fabgate.gate.uplink.retry_pauses import RetryPauses
from fabgate.mqtt import certificates
from fabgate.mqtt.client import connect, described, new_client, secret_client_id
from fabgate.mqtt.driver import Driver
from fabgate.seal import Keys

CONNACK_S: Final = 10.0


def client_id(account: str, keys: Keys | None) -> str:
    """Return the MQTT client id of a gate.

    It is made with the gate's own key, where it has one. So only a copy of this gate has the same id, and that is how the
    copy is found.
    """
    if keys is None:
        return account.replace("/", "-")
    key = next(iter(keys.by_id.values()))
    return secret_client_id(key, account)


class Network:
    """One gate's connection. `queue` takes the events for the uplink thread; `pause` waits before the next attempt."""

    def __init__(
        self,
        mqtt: Mqtt,
        topics: wire.GateTopics,
        keys: Keys | None,
        queue: Callable[[object], None],
        *,
        authorities: Authorities,
        boot_ms: Callable[[], int],
        pause: Callable[[threading.Event, float], object],
    ) -> None:
        self._mqtt = mqtt
        self._authorities = authorities
        self._topics = topics
        self._keys = keys
        self._queue = queue
        self._boot_ms = boot_ms
        self._pause = pause
        self._stop = threading.Event()
        #: Why to end the connection and make another one; "" to keep it.
        self._give_up = ""
        #: Drives the newest connection.
        self._driver: Driver | None = None
        #: Whether the broker publishes the last will when this ends; a gate that gives up its name leaves nothing behind.
        self._has_will = True
        #: Why the broker ended the newest connection, and whether it never accepted the gate.
        self._refusal = ""
        self._was_refused = False
        #: When the broker accepted the gate on the newest connection.
        self._accepted_ms: int | None = None

    def run(self) -> None:
        """Keep a connection until asked to stop."""
        pauses, disconnects = RetryPauses(), Disconnects(self._topics.account)
        while not self._stop.is_set():
            self._refusal, self._was_refused, self._accepted_ms, self._give_up = "", False, None, ""
            error_text = ""
            try:
                self._run_connection()
            except (OSError, FabgateError, ValueError) as error:
                # A certificate that does not fit is a refusal too, by this side.
                self._was_refused |= isinstance(error, ssl.SSLCertVerificationError)
                error_text = described(error)
            lasted_ms = None if self._accepted_ms is None else self._boot_ms() - self._accepted_ms
            problem = disconnects.problem(self._refusal or error_text, lasted_ms=lasted_ms)
            self._queue(LinkChanged(connected=False, problem=problem))
            self._pause(self._stop, pauses.after(refused=self._was_refused))

    def stop(self) -> None:
        """Ask the thread to end."""
        self._stop.set()
        if self._driver is not None:
            self._driver.wake()

    def reconnect(self, why: str) -> None:
        """End the connection that there is now, and make another one."""
        self._give_up = why
        if self._driver is not None:
            self._driver.wake()

    def drop_will(self) -> None:
        """End the connection without the last will from now on."""
        self._has_will = False

    def _run_connection(self) -> None:
        """Connect, and run until the connection breaks."""
        trusted = self._authorities.fingerprints
        client = self.new_client()
        is_up = threading.Event()
        client.on_connect = lambda c, _u, _f, reason, _p: self._on_connect(c, reason, is_up)
        driver = self._driver = Driver(client)
        try:
            connect(client, self._mqtt.host, self._mqtt.port)  # the journal is the queue: the broker keeps nothing
            give_up_ms = self._boot_ms() + round(CONNACK_S * 1000)

            def goes_on() -> bool:
                if not is_up.is_set() and self._boot_ms() > give_up_ms:
                    self._refusal = f"the broker did not answer within {CONNACK_S:.0f} s"
                    return False
                if self._give_up:
                    self._refusal = self._give_up
                    return False
                if not self._authorities.still_trusts(trusted):
                    self._refusal = "the authority of the workshop has changed"
                    return False
                return not self._stop.is_set()

            driver.run(goes_on)
            if self._stop.is_set():
                # After a normal disconnection the broker would drop the last will, and the gate would look online for ever.
                driver.say_goodbye("Disconnect with will message" if self._has_will else "Normal disconnection")
        finally:
            driver.close()

    def new_client(self) -> paho.Client:
        """Return a client with the gate's account, certificate and last will, not connected yet."""
        client = new_client(client_id(self._topics.account, self._keys), self._tls())
        if self._mqtt.username is not None:
            password = None
            if self._mqtt.password_file is not None:
                password = self._mqtt.password_file.read_text(encoding="utf-8").strip()
            client.username_pw_set(self._mqtt.username, password)
        offline = wire.encode(wire.Status(online=False))
        client.will_set(self._topics.topic("status"), offline, qos=1, retain=True)
        client.max_inflight_messages_set(wire.PUBACK_WINDOW * 2)  # entries, plus status and state
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        client.on_publish = self._on_publish
        client.on_subscribe = self._on_subscribe
        return client

    def _tls(self) -> ssl.SSLContext | None:
        tls = self._mqtt.tls
        if tls is None:
            return None
        context = tls_context(tls, self._authorities.file(tls.ca))
        if tls.cert is not None:
            self._queue(OwnCertificate(certificates.ends(tls.cert)))
        return context

    def _on_connect(self, client: paho.Client, reason: Any, is_up: threading.Event) -> None:
        if reason.is_failure:
            self._refusal, self._was_refused = f"the broker refused the connection: {reason}", True
            return
        is_up.set()
        self._accepted_ms = self._boot_ms()
        self._queue(Connected(client))

    def _on_disconnect(self, _client: Any, _userdata: Any, flags: Any, reason: Any, _properties: Any) -> None:
        if flags.is_disconnect_packet_from_server:
            self._refusal = f"the broker ended the connection: {reason}"

    def _on_message(self, _client: Any, _userdata: Any, message: paho.MQTTMessage) -> None:
        properties = dict(getattr(message.properties, "UserProperty", None) or ())
        seal = properties.get(wire.PROP_SEAL)
        self._queue(MessageArrived(message.topic, bytes(message.payload), seal, message.qos))

    def _on_publish(self, _client: Any, _userdata: Any, mid: int, reason: Any, _properties: Any) -> None:
        self._queue(Puback(mid, str(reason) if reason.is_failure else ""))

    def _on_subscribe(self, _client: Any, _userdata: Any, _mid: int, reasons: Any, _properties: Any) -> None:
        for reason in reasons:
            if reason.is_failure:
                self._queue(SubscriptionRefused(str(reason)))
