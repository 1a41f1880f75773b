"""A real Mosquitto with config/broker.conf, whose accounts are made as fabgate-broker.service makes them."""

from __future__ import annotations

import json
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from fabgate.demo.processes.ports import free_port
from tests.deploy.places import CONFIG
from tests.support.mosquitto import Mosquitto
from tests.support.patience import HANGS_S, wait

KEPT_S = 3_600


@dataclass
class OwnBroker(Mosquitto):
    """`env` are the settings of the collector whose accounts it has."""

    collector_port: int = field(default_factory=free_port)
    env: Any = None

    @property
    def socket(self) -> Path:
        return self.directory / "control" / "socket"

    @property
    def accounts(self) -> Path:
        return self.directory / "accounts.json"

    def config(self) -> str:
        text = (CONFIG / "broker.conf").read_text()
        assert self.papers is not None
        for shipped, here in (
            ("listener 8883", f"listener {self.port} 127.0.0.1"),
            ("listener 8885 127.0.0.1", f"listener {self.collector_port} 127.0.0.1"),
            ("/var/lib/fabgate-broker/", f"{self.directory}/"),
            ("/run/credentials/fabgate-broker.service/", f"{self.directory}/"),
            ("/run/fabgate-broker/", f"{self.directory}/"),
            ("log_dest stderr", f"log_dest file {self.log}"),
        ):
            assert shipped in text
            text = text.replace(shipped, here)
        return f"user root\n{text}"

    def start(self) -> OwnBroker:
        """Start it with new accounts, as systemd/broker-accounts does."""
        from fabgate.collector.recording.broker.accounts import wanted

        assert self.papers is not None
        self.socket.parent.mkdir(parents=True, exist_ok=True)
        both = [(self.papers / name).read_text() for name in ("broker.pem", "broker.key")]
        (self.directory / "broker.pem").write_text("".join(both))
        wanted.control_password(self.socket).write_text(secrets.token_hex(24))
        self.accounts.write_text(json.dumps(wanted.document(self.env)))
        self.accounts.chmod(0o600)
        super().start()
        wait(self._answers, "the socket of the broker")  # Mosquitto opens it last
        return self

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as sock:
            return sock.connect_ex(str(self.socket)) == 0


@contextmanager
def running(directory: Path, papers: Path, env: Any) -> Iterator[OwnBroker]:
    """Run one with the accounts of a collector; `env` of the broker are that collector's settings with it."""
    broker = OwnBroker(directory, papers=papers)
    password = directory / "collector.password"
    directory.mkdir(parents=True, exist_ok=True)
    password.write_text(secrets.token_hex(24))
    broker.env = replace(
        env,
        mqtt_host="127.0.0.1",
        mqtt_port=broker.collector_port,
        mqtt_gate_port=broker.port,
        mqtt_ca=papers / "ca.pem",
        mqtt_username=f"{env.site}/collector",
        mqtt_password_file=password,
        broker_control=broker.socket,
    )
    try:
        yield broker
    finally:
        broker.stop()


class Client:
    """A gate's connection, or that of the collector, which keeps what it receives."""

    def __init__(
        self, broker: OwnBroker, account: str, password: str, *, client_id: str = "", kept: bool = False
    ) -> None:
        assert broker.ca is not None
        self.received: SimpleQueue[tuple[str, bytes]] = SimpleQueue()
        self._answers: SimpleQueue[Any] = SimpleQueue()
        #: Why connections ended.
        self.lost: list[str] = []
        self.limits: Any = None
        self.session_present = False
        self.paho = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id or account,
            protocol=paho.MQTTv5,
            reconnect_on_failure=False,
        )
        self.paho.tls_set(str(broker.ca))
        self.paho.username_pw_set(account, password)
        self.paho.on_connect = self._on_connect
        self.paho.on_publish = lambda _c, _u, _m, reason, _p: self._answers.put(reason)
        self.paho.on_subscribe = lambda _c, _u, _m, reasons, _p: self._answers.put(reasons[0])
        self.paho.on_unsubscribe = lambda _c, _u, _m, reasons, _p: self._answers.put(reasons[0])
        self.paho.on_message = lambda _c, _u, message: self.received.put((message.topic, message.payload))
        self.paho.on_disconnect = lambda _c, _u, _f, reason, _p: self.lost.append(str(reason))
        keeps = Properties(PacketTypes.CONNECT)
        keeps.SessionExpiryInterval = KEPT_S if kept else 0
        port = broker.collector_port if account.endswith("/collector") else broker.port
        self.paho.connect("127.0.0.1", port, clean_start=not kept, properties=keeps)
        self.paho.loop_start()
        self.greeting = str(self._answers.get(timeout=HANGS_S))

    def _on_connect(self, _client: Any, _data: Any, flags: Any, reason: Any, properties: Any) -> None:
        self.limits, self.session_present = properties, flags.session_present
        self._answers.put(reason)

    def publish(self, topic: str, payload: bytes = b"{}", *, retain: bool = False) -> str:
        self.paho.publish(topic, payload, qos=1, retain=retain)
        reason = self._answers.get(timeout=HANGS_S)
        return str(reason) if reason.is_failure else "Success"

    def subscribe(self, topic: str) -> str:
        self.paho.subscribe(topic, qos=1)
        return str(self._answers.get(timeout=HANGS_S))

    def unsubscribe(self, topic: str) -> str:
        self.paho.unsubscribe(topic)
        return str(self._answers.get(timeout=HANGS_S))

    def close(self) -> None:
        self.paho.disconnect()
        self.paho.loop_stop()
