"""What is running? The processes of a demo: broker, collector and gates, each as it would be installed."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from fabgate.demo import books, broker
from fabgate.demo.network import Cable
from fabgate.demo.observer import Observer
from fabgate.demo.ports import free_port
from fabgate.errors import FabgateError
from fabgate.gate.journal import Reader

SITE: Final = "demo"
WAIT_S: Final = 20.0
LOOK_S: Final = 0.02
PIN: Final = 17
#: A reader must have seen its field empty before a card in it counts as a tap.
EMPTY_FIELD_S: Final = 0.4


class DemoError(FabgateError, RuntimeError):
    """The demo did not go as it should."""


def wait_for(what: str, found: Callable[[], bool], *, timeout_s: float = WAIT_S) -> None:
    """Wait until `found`; raise DemoError saying what was waited for."""
    until = time.monotonic() + timeout_s
    while not found():
        if time.monotonic() > until:
            raise DemoError(f"waited {timeout_s:.0f} s for {what}, and it did not come")
        time.sleep(LOOK_S)


class Process:
    """One of our commands in a process of its own; what it says goes to `log`."""

    def __init__(self, arguments: list[str], log: Path, environment: dict[str, str] | None = None) -> None:
        self._command = [sys.executable, "-m", "fabgate", *arguments]
        self._log = log
        self._environment = {**os.environ, **(environment or {})}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log, env=self._environment)

    @property
    def running(self) -> bool:
        """Whether it runs now."""
        return self._process is not None and self._process.poll() is None

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait for the end; return the exit code."""
        if self._process is None:
            return 0
        self._process.send_signal(number)
        try:
            return self._process.wait(timeout=WAIT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise DemoError(
                f"{self._command[3]} did not end within {WAIT_S:.0f} s; its words are in {self._log}"
            ) from None

    def words(self) -> str:
        """Return the last lines that it wrote."""
        return "\n".join(self._log.read_text(encoding="utf-8", errors="replace").splitlines()[-15:])


class SimulatedGate:
    """The real daemon on an emulated chip and watched pins, behind a cable that can be pulled.

    `source` is the gate.yaml's part that says where its roster comes from.
    """

    def __init__(
        self, folder: Path, name: str, broker_port: int, machine: dict[str, Any], source: dict[str, Any]
    ) -> None:
        self.name = name
        self.state_dir = folder / name
        self.socket = folder / f"{name}.sock"
        self.panel = folder / f"{name}.panel"
        self.config = folder / f"{name}.yaml"
        self.cable = Cable(broker_port)
        self.observer = Observer(folder / f"{name}.pins", PIN)
        found = {
            "site": SITE,
            "gate": name,
            "state_dir": str(self.state_dir),
            "demo": True,
            "machine": machine,
            "reader": {"driver": "mfrc522", "chip": "emulated", "control_socket": str(self.socket)},
            "output": {"driver": "gpio", "pin": PIN, "pins": "emulated", "pin_log": str(folder / f"{name}.pins")},
            "panel": {"driver": "log", "file": str(self.panel)},
            "mqtt": {"host": "127.0.0.1", "port": self.cable.port},
            "clock": {"source": "assume-synced"},
            "uplink": {"resend_s": 2, "resend_max_s": 10},
            "journal": {"checkpoint_s": 1},
            **source,
        }
        # JSON is YAML: what is written here is a gate.yaml like any other.
        self.config.write_text(json.dumps(found, indent=1), encoding="utf-8")
        self.process = Process(["run", "--config", str(self.config)], folder / f"{name}.log")

    def start(self) -> None:
        """Start it and wait until it takes badges."""
        (self.state_dir / "status.json").unlink(missing_ok=True)
        self.process.start()
        wait_for(f"{self.name} to be ready", lambda: self._takes_badges() or not self.process.running)
        if not self.process.running:
            raise DemoError(f"{self.name} did not start:\n{self.process.words()}")

        time.sleep(EMPTY_FIELD_S)

    def _takes_badges(self) -> bool:
        """Whether it has a roster, and its reader answers."""
        if self.status().get("roster") is None:
            return False
        with contextlib.closing(socket.socket(socket.AF_UNIX)) as probe:
            return probe.connect_ex(str(self.socket)) == 0

    def status(self) -> dict[str, Any]:
        """Return its status file, or nothing yet."""
        try:
            found: dict[str, Any] = json.loads((self.state_dir / "status.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found

    def entries(self) -> list[bytes]:
        """Return its journal, as stored."""
        reader = Reader(self.state_dir / "journal.db")
        try:
            return [entry.body for entry in reader.after(0, most=1_000_000)]
        finally:
            reader.close()

    def shown(self) -> str:
        """Return what its display said last."""
        try:
            return self.panel.read_text(encoding="utf-8").splitlines()[-1]
        except (OSError, IndexError):
            return ""

    def waiting(self) -> int:
        """Return how many entries of the journal the collector has not confirmed."""
        reader = Reader(self.state_dir / "journal.db")
        try:
            _, head, mark = reader.bounds()
        finally:
            reader.close()
        return head - mark

    def delivered(self) -> bool:
        """Whether the collector has confirmed every entry of the journal."""
        return self.waiting() == 0

    def settled(self) -> bool:
        """Whether every session of the journal has ended, and all of it is confirmed."""
        sessions = books.read(self.entries()).sessions.values()
        return all(session.ended_ms is not None for session in sessions) and self.delivered()


class Workshop:
    """Broker, collector and gates in one folder. With `port`, another broker serves them than the embedded one."""

    def __init__(self, folder: Path, *, port: int | None = None) -> None:
        self.folder = folder
        self.broker = None
        if port is None:
            self.broker, port = broker.start(folder)
        self.port = port
        self.web_port = free_port()
        self.environment = {
            "FABGATE_SITE": SITE,
            "FABGATE_DATA": str(folder / "collector"),
            "FABGATE_MQTT_PORT": str(self.port),
            "FABGATE_WEB_PORT": str(self.web_port),
        }
        self.ingest = Process(["collector", "ingest"], folder / "collector.log", self.environment)
        self.web = Process(["collector", "web"], folder / "web.log", self.environment)
        self.gates: list[SimulatedGate] = []

    def add_gate(self, name: str, machine: dict[str, Any], roster: list[Any]) -> SimulatedGate:
        """Prepare a gate with a roster file of its own; ``start`` starts it."""
        file = self.folder / f"{name}.roster.json"
        file.write_text(json.dumps({"members": roster}, indent=1), encoding="utf-8")
        return self._gate(name, machine, {"roster": {"file": str(file)}})

    def let_in(self, name: str, machine: str, title: str, **rules: object) -> SimulatedGate:
        """Register a gate at the collector, which serves its roster; ``start`` starts it."""
        made = json.loads(self.collector("gate-add", name, "--machine", machine, "--json"))
        pairs = [f"{key}={value if isinstance(value, str) else json.dumps(value)}" for key, value in rules.items()]
        self.collector("machine-set", machine, *pairs, "--title", title)
        source = {
            "roster": {
                "url": f"http://127.0.0.1:{self.web_port}",
                "token_file": made["token_file"],
                "fetch_every_s": 5,
            },
            "gate_key_file": made["gate_key_file"],
            "badge_key_file": made["badge_key_file"],
        }
        return self._gate(name, {"name": title}, source)

    def _gate(self, name: str, machine: dict[str, Any], source: dict[str, Any]) -> SimulatedGate:
        gate = SimulatedGate(self.folder, name, self.port, machine, source)
        self.gates.append(gate)
        return gate

    def collector(self, *arguments: str) -> str:
        """Run a verb of ``fabgate collector``; return what it prints."""
        done = subprocess.run(
            [sys.executable, "-m", "fabgate", "collector", *arguments],
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise DemoError(f"'fabgate collector {' '.join(arguments)}' failed: {done.stderr.strip()}")
        return done.stdout

    def start_collector(self) -> None:
        """Start its two processes and wait until both serve."""
        self.ingest.start()
        self.web.start()
        wait_for("the collector's web server", self._web_answers)

    def _web_answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.web_port}/healthz", timeout=1) as answer:
                return bool(answer.status == HTTPStatus.OK)
        except OSError:
            if not self.web.running:
                raise DemoError(f"the collector's web server did not start:\n{self.web.words()}") from None
            return False

    def sessions(self) -> list[dict[str, Any]]:
        """Return the collector's sessions."""
        path = self.folder / "collector" / "collector.db"
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
            rows = db.execute(
                "SELECT id, member, energised_ms, uncertainty_ms, reason FROM collector_usagesession"
            ).fetchall()
        return [
            dict(zip(("session", "member", "energised_ms", "uncertainty_ms", "reason"), row, strict=True))
            for row in rows
        ]

    def usage(self, *arguments: str) -> str:
        """Return what ``fabgate collector usage`` prints."""
        return self.collector("usage", *arguments)

    def end(self) -> None:
        """End in order: gates first, off and on record, then the collector once it has their last words."""
        for gate in self.gates:
            if gate.process.running:
                gate.process.end()
        for process in (self.ingest, self.web):
            if process.running:
                process.end()

    def close(self) -> None:
        """End everything at once, whatever state it is in."""
        for process in [*(gate.process for gate in self.gates), self.ingest, self.web]:
            if process.running:
                process.end(signal.SIGKILL)
        for gate in self.gates:
            gate.cable.close()
        if self.broker is not None:
            self.broker.stop()
