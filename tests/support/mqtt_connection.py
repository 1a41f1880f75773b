"""A connection to a real broker, for tests: it waits for each answer, and keeps what it receives."""

from __future__ import annotations

from pathlib import Path
from queue import SimpleQueue
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from tests.support.patience import HANGS_S

#: How long the broker keeps a session for a client that wants it kept, in seconds.
KEPT_S = 3_600


class Client:
    """One connection. `greeting` is what the broker said to it, `lost` why connections ended.

    `source` is the address of this computer that it uses, "" for any. `version` is MQTT 5, or 3.1.1 (paho.MQTTv311), with
    which a broker cannot say that it refuses a publication.
    """

    def __init__(
        self,
        port: int,
        account: str,
        password: str = "secret",
        *,
        client_id: str = "",
        kept: bool = False,
        ca: Path | None = None,
        host: str = "127.0.0.1",
        source: str = "",
        version: int = paho.MQTTv5,
    ) -> None:
        self.received: SimpleQueue[tuple[str, bytes]] = SimpleQueue()
        self._answers: SimpleQueue[Any] = SimpleQueue()
        self.lost: list[str] = []
        self.limits: Any = None
        self.session_present = False
        self.paho = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id or account,
            protocol=version,
            reconnect_on_failure=False,
        )
        if ca:
            self.paho.tls_set(str(ca))
        self.paho.username_pw_set(account, password)
        self.paho.on_connect = self._on_connect
        self.paho.on_publish = lambda _c, _u, _m, reason, _p: self._answers.put(reason)
        self.paho.on_subscribe = lambda _c, _u, _m, reasons, _p: self._answers.put(reasons[0])
        self.paho.on_unsubscribe = lambda _c, _u, _m, reasons, _p: self._answers.put(reasons[0])
        self.paho.on_message = lambda _c, _u, message: self.received.put((message.topic, message.payload))
        self.paho.on_disconnect = lambda _c, _u, _f, reason, _p: self.lost.append(str(reason))
        if version == paho.MQTTv5:
            keeps = Properties(PacketTypes.CONNECT)
            keeps.SessionExpiryInterval = KEPT_S if kept else 0
            self.paho.connect(host, port, bind_address=source, clean_start=not kept, properties=keeps)
        else:
            self.paho.connect(host, port, bind_address=source)
        self.paho.loop_start()
        self.greeting = str(self._answers.get(timeout=HANGS_S))

    def _on_connect(self, _client: Any, _data: Any, flags: Any, reason: Any, properties: Any) -> None:
        self.limits, self.session_present = properties, flags.session_present
        self._answers.put(reason)

    def publish(
        self, topic: str, payload: bytes = b"{}", *, retain: bool = False, properties: Properties | None = None
    ) -> str:
        """Return "Success", or why the broker refused it."""
        self.paho.publish(topic, payload, qos=1, retain=retain, properties=properties)
        reason = self._answers.get(timeout=HANGS_S)
        return str(reason) if reason.is_failure else "Success"

    def subscribe(self, topic: str) -> str:
        """Return what the broker granted, or why it refused it."""
        self.paho.subscribe(topic, qos=1)
        return str(self._answers.get(timeout=HANGS_S))

    def unsubscribe(self, topic: str) -> str:
        """Return what the broker said."""
        self.paho.unsubscribe(topic)
        return str(self._answers.get(timeout=HANGS_S))

    def close(self) -> None:
        """Disconnect."""
        self.paho.disconnect()
        self.paho.loop_stop()
