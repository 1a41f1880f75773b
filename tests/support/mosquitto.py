"""A real Mosquitto on a free port of 127.0.0.1, for one test."""

from __future__ import annotations

import contextlib
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from fabgate.demo.processes.ports import free_port
from tests.support.patience import HANGS_S, wait

MOSQUITTO = shutil.which("mosquitto") or "/usr/sbin/mosquitto"


@dataclass
class Mosquitto:
    """A broker that can be stopped, killed and started again on its port.

    `lines` are added to its configuration; a `password_file` (made by mosquitto_passwd) disables anonymous access, an
    `acl_file` limits the accounts, `tls` is (certificate, key) or (certificate, key, authority for client certificates).
    With `papers` (see certificates.py) `port` speaks TLS, and tests listen without it on `plain_port`.
    """

    directory: Path
    port: int = field(default_factory=free_port)
    lines: tuple[str, ...] = ()
    password_file: Path | None = None
    acl_file: Path | None = None
    tls: tuple[Path, ...] | None = None
    papers: Path | None = None
    plain_port: int = 0
    process: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        if self.papers:
            self.tls = (self.papers / "broker.pem", self.papers / "broker.key")
        self.plain_port = self.plain_port or (free_port() if self.papers else self.port)

    @property
    def ca(self) -> Path | None:
        """Return the authority that its clients have to trust; None without TLS."""
        return self.papers / "ca.pem" if self.papers else None

    @property
    def log(self) -> Path:
        return self.directory / "mosquitto.log"

    def config(self) -> str:
        lines = [
            "user root",
            f"listener {self.port} 127.0.0.1",
            f"allow_anonymous {'false' if self.password_file else 'true'}",
            "set_tcp_nodelay true",
            f"log_dest file {self.log}",
            "log_type error",
            "log_type warning",
            "log_type notice",
        ]
        if self.password_file:
            lines.append(f"password_file {self.password_file}")
        if self.acl_file:
            lines.append(f"acl_file {self.acl_file}")
        if self.tls:
            lines += [f"certfile {self.tls[0]}", f"keyfile {self.tls[1]}"]
            if len(self.tls) > 2:
                lines += [f"cafile {self.tls[2]}", "require_certificate true"]
        if self.plain_port != self.port:
            lines.append(f"listener {self.plain_port} 127.0.0.1")
        return "\n".join([*lines, *self.lines]) + "\n"

    def start(self) -> Mosquitto:
        """Start it; return once it accepts connections on each port of its configuration."""
        self.directory.mkdir(parents=True, exist_ok=True)
        config = self.directory / "mosquitto.conf"
        text = self.config()
        config.write_text(text)
        for path in (self.password_file, self.acl_file):
            if path:
                path.chmod(0o600)  # Mosquitto warns about readable ones
        self.process = subprocess.Popen(
            [MOSQUITTO, "-c", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        for port in map(int, re.findall(r"^listener ([1-9]\d*)", text, re.MULTILINE)):
            wait(partial(self._has_ended_or_answers, port), f"Mosquitto on port {port}")
        if self._has_ended():
            raise RuntimeError(f"Mosquitto did not start: {self.log.read_text() if self.log.exists() else 'no log'}")
        return self

    def _has_ended_or_answers(self, port: int) -> bool:
        return self._has_ended() or _answers(port)

    def _has_ended(self) -> bool:
        return self.process is None or self.process.poll() is not None

    def kill(self) -> None:
        """Kill it, as a power cut would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def stop(self) -> None:
        """Stop it."""
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(HANGS_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None

    @contextlib.contextmanager
    def client(self, **options: Any) -> Iterator[paho.Client]:
        """Give a connected MQTT 5 client whose loop runs; `options` go to paho.Client."""
        client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5, **options)
        client.connect("127.0.0.1", self.plain_port)
        client.loop_start()
        try:
            yield client
        finally:
            client.disconnect()
            client.loop_stop()


@contextlib.contextmanager
def mosquitto(directory: Path, **options: Any) -> Iterator[Mosquitto]:
    """Run a broker; `options` are the fields of Mosquitto."""
    broker = Mosquitto(directory, **options)
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=HANGS_S):
        return True
    return False
