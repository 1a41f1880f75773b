"""What is a gate of the demo? The real daemon: only chip, pins, clock and power are played, and its cable is pulled."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import threading
import time
import uuid
from pathlib import Path
from typing import Any, Final

import msgspec

from fabgate.demo import books
from fabgate.demo.network import Cable
from fabgate.demo.observer import Observer
from fabgate.demo.process import DemoError, Process, wait_for
from fabgate.drivers.emulated.clock import EMULATED_FILE, Played
from fabgate.gate.clock import boot_id, boottime_ms
from fabgate.gate.journal.reader import JournalReader

SITE: Final = "demo"
PIN: Final = 17
#: A Pi without a clock chip keeps the time on disk so often, and after a power cut goes on from there.
TIME_KEPT_EVERY_S: Final = 600
#: And the network tells it the time so long after it is back.
TOLD_AFTER_S: Final = 8.0


class SimulatedGate:
    """The real daemon on an emulated chip and watched pins, behind a cable that can be pulled.

    `source` is the gate.yaml's part that says where its roster comes from.
    """

    def __init__(
        self, folder: Path, name: str, cable: Cable, machine: dict[str, Any], source: dict[str, Any], lang: str = "en"
    ) -> None:
        self.name = name
        #: What people call the machine.
        self.title = str(machine.get("name") or name)
        self.state_dir = folder / name
        self.socket = folder / f"{name}.sock"
        self.panel = folder / f"{name}.panel"
        self.config = folder / f"{name}.yaml"
        self.cable = cable
        self.observer = Observer(folder / f"{name}.pins", PIN)
        #: Whether it has mains.
        self.is_powered = True
        self.clock = Played(boot=boot_id())
        #: Of each boot, when it began on this computer's own boot clock (milliseconds).
        self.boots = {self.clock.boot: 0}
        #: Up to this number the journal's entries are from the past: nobody watched its pins then.
        self.past = 0
        self._kept_s = 0.0
        self._told_the_time: threading.Timer | None = None
        found = {
            "site": SITE,
            "gate": name,
            "state_dir": str(self.state_dir),
            "demo": True,
            "lang": lang,
            "machine": machine,
            "reader": {"driver": "mfrc522", "chip": "emulated", "control_socket": str(self.socket)},
            "output": {"driver": "gpio", "pin": PIN, "pins": "emulated", "pin_log": str(folder / f"{name}.pins")},
            "panel": {"driver": "log", "file": str(self.panel)},
            "mqtt": {"host": "127.0.0.1", "port": self.cable.port},
            "clock": {"source": "emulated"},
            "uplink": {"resend_s": 2, "resend_max_s": 10},
            "journal": {"checkpoint_s": 1},
            **source,
        }
        # JSON is YAML: what is written here is a gate.yaml like any other.
        self.config.write_text(json.dumps(found, indent=1), encoding="utf-8")
        self.process = Process(["run", "--config", str(self.config)], folder / f"{name}.log")

    # --- what can happen to it ----------------------------------------------------------------------------------------

    def launch(self) -> None:
        """Start it, and wait for nothing."""
        (self.state_dir / "status.json").unlink(missing_ok=True)
        self._set_clock()
        self.process.start()

    def start(self) -> None:
        """Start it and wait until it takes badges."""
        self.launch()
        self.await_ready()

    def await_ready(self) -> None:
        """Wait until it takes badges."""
        wait_for(f"{self.name} to be ready", lambda: self._takes_badges() or not self.process.running)
        if not self.process.running:
            raise DemoError(f"{self.name} did not start:\n{self.process.words()}")

    def cut_power(self) -> None:
        """Let the mains fail: the daemon dies as it stands, and the line falls."""
        self.process.end(signal.SIGKILL)
        self.is_powered = False
        if self._told_the_time is not None:
            self._told_the_time.cancel()
        self.panel.write_text("", encoding="utf-8")  # a display without power shows nothing
        self._kept_s = self.reads() // TIME_KEPT_EVERY_S * TIME_KEPT_EVERY_S

    def restore_power(self) -> None:
        """Let the mains come back: another boot, from the time that was kept on disk, until the network tells it."""
        self.is_powered = True
        # Time stood still there while it was dark, and went on here.
        ahead_s = self._kept_s - time.time()
        self.clock = Played(boot=str(uuid.uuid4()), on_at_ms=boottime_ms(), ahead_s=ahead_s, synced=False)
        self.boots[self.clock.boot] = self.clock.on_at_ms
        self._tell_the_time_later()
        self.start()

    def jump_clock(self, by_s: float) -> None:
        """Set its wall clock forward, or back, while it runs; it goes on to believe that it is right."""
        self.clock = msgspec.structs.replace(self.clock, ahead_s=self.clock.ahead_s + by_s)
        self._set_clock()

    def set_clock_right(self) -> None:
        """Let its wall clock be told the time."""
        self.clock = msgspec.structs.replace(self.clock, ahead_s=0.0, synced=True)
        self._set_clock()

    def reads(self) -> float:
        """Return what its wall clock reads, in seconds since 1970."""
        return time.time() + self.clock.ahead_s

    def close(self) -> None:
        """Let go of what is played around it; its process has been ended."""
        if self._told_the_time is not None:
            self._told_the_time.cancel()
        self.cable.close()

    def _set_clock(self) -> None:
        self.state_dir.mkdir(parents=True, exist_ok=True)
        self.clock.write(self.state_dir / EMULATED_FILE)

    def _tell_the_time_later(self) -> None:
        def tell() -> None:
            if self.cable.is_pulled:
                self._tell_the_time_later()
            elif self.is_powered:
                self.set_clock_right()

        self._told_the_time = threading.Timer(TOLD_AFTER_S, tell)
        self._told_the_time.daemon = True
        self._told_the_time.start()

    # --- what can be seen of it ---------------------------------------------------------------------------------------

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

    def entries(self, after: int = 0) -> list[bytes]:
        """Return the entries of its journal after this number, as stored, without those of the past."""
        reader = JournalReader(self.state_dir / "journal.db")
        try:
            return [entry.body for entry in reader.after(max(after, self.past), most=1_000_000)]
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
        reader = JournalReader(self.state_dir / "journal.db")
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
