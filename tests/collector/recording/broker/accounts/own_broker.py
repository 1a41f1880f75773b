"""A real Mosquitto with config/broker.conf, whose accounts are made as fabgate-broker.service makes them."""

from __future__ import annotations

import json
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from fabgate.demo.processes.ports import free_port
from tests.deploy.places import CONFIG
from tests.support.mosquitto import Mosquitto
from tests.support.mqtt_connection import Client
from tests.support.patience import wait


@dataclass
class OwnBroker(Mosquitto):
    """`env` are the settings of the collector whose accounts it has."""

    collector_port: int = field(default_factory=free_port)
    env: Any = None

    @property
    def socket(self) -> Path:
        return self.directory / "control" / "socket"

    def connection(self, account: str, password: str, **options: Any) -> Client:
        """Connect over TLS as a gate, or as the collector, which has a port of its own."""
        port = self.collector_port if account.endswith("/collector") else self.port
        return Client(port, account, password, ca=self.ca, **options)

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
