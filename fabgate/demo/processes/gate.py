"""A gate of the demo: the real daemon with a simulated chip, pins, clock, power and network cable."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import threading
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from fabgate.badge import Badge
from fabgate.badge.short_forms import SHORT_FORMS
from fabgate.demo import books
from fabgate.demo.observer import Observer, PowerObserver
from fabgate.demo.processes.child import Process, remove_after_the_demo
from fabgate.demo.processes.display import Display
from fabgate.demo.processes.network import Cable
from fabgate.demo.processes.plug import MachinePlug
from fabgate.demo.waiting import DemoError, wait_for
from fabgate.drivers.emulated.clock import EMULATED_FILE, ClockState
from fabgate.drivers.emulated.readers.serial_line import SerialLine, rdm6300
from fabgate.drivers.readers import START_UP_MS
from fabgate.errors import HardwareError
from fabgate.gate.clock import boot_id, boottime_ms
from fabgate.gate.config.hardware import SIMULATED_OUTPUT
from fabgate.gate.journal.reader import JournalReader

SITE: Final = "demo"
PIN: Final = 17
#: How often a Pi without a clock chip stores the time, from which its clock continues after a power cut.
CLOCK_SAVED_EVERY_S: Final = 600
#: How long after a power cut the network sets its clock.
CLOCK_SET_AFTER_S: Final = 8.0
#: How long a gate that has just started looks at its reader for 125 kHz badges before a fob is held there: the reader may need
#: 3 s to start, and repeat a badge after a second (``fabgate.rules.presence``).
NO_FOB_S: Final = START_UP_MS / 1000 + 1.5


class SimulatedGate:
    """The real daemon on an emulated chip and watched pins, behind a cable that can be pulled.

    `source` is the part of gate.yaml for its roster. `panels` are the drivers of its panels beside the log: lights, and one
    display, oled or lcd. `fobs` is what its reader for 125 kHz badges sends, or "" if it has only one for cards.
    `on_plug` is whether its machine is on an emulated plug instead of watched pins.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        cable: Cable,
        machine: dict[str, Any],
        source: dict[str, Any],
        lang: str = "en",
        panels: Sequence[str] = (),
        fobs: str = "",
        *,
        on_plug: bool = False,
    ) -> None:
        self.name = name
        #: The machine's name as people see it.
        self.title = str(machine.get("name") or name)
        self.state_dir = folder / name
        self.socket = folder / f"{name}.sock"
        self.panel = folder / f"{name}.panel"
        kind = next((panel for panel in panels if panel != "lights"), None)
        self.display = None if kind is None else Display(kind, folder / f"{name}.i2c")
        self._fobs = fobs
        self._has_seen_no_fob = False
        self._fob_line: SerialLine | None = None
        if fobs:
            device = folder / f"{name}.rdm"
            remove_after_the_demo(device)
            self._fob_line = SerialLine(device)
        self.config = folder / f"{name}.yaml"
        self.cable = cable
        self.plug = MachinePlug(folder / f"{name}.plug") if on_plug else None
        self.observer: PowerObserver = (
            Observer(folder / f"{name}.pins", PIN) if self.plug is None else self.plug.observer
        )
        #: Whether the gate has mains power.
        self.is_powered = True
        self.clock = ClockState(boot=boot_id())
        #: When each boot began on this computer's boot clock (milliseconds).
        self.boots = {self.clock.boot: 0}
        #: The number of the journal's last entry from the made-up history, for which no pins were observed.
        self.past = 0
        self._saved_clock_s = 0.0
        self._clock_timer: threading.Timer | None = None
        pins = {"driver": "gpio", "pin": PIN, "pins": "emulated", "pin_log": str(folder / f"{name}.pins")}
        cards = {"driver": "mfrc522", "chip": "emulated", "control_socket": str(self.socket)}
        found = {
            "site": SITE,
            "gate": name,
            "state_dir": str(self.state_dir),
            "demo": True,
            "lang": lang,
            "machine": machine,
            "reader": [cards, {"driver": "serial", "port": str(folder / f"{name}.rdm"), "format": fobs}]
            if fobs
            else cards,
            "output": pins if self.plug is None else self.plug.section,
            "panel": [
                {"driver": "log", "file": str(self.panel)},
                *([{"driver": "lights"}] if "lights" in panels else []),
                *([self.display.section] if self.display is not None else []),
            ],
            "mqtt": {"host": "127.0.0.1", "port": self.cable.port},
            "clock": {"source": "emulated"},
            "uplink": {"resend_s": 2, "resend_max_s": 10},
            "journal": {"checkpoint_s": 1},
            **source,
        }
        # JSON is also YAML, so this is an ordinary gate.yaml.
        self.config.write_text(json.dumps(found, indent=1), encoding="utf-8")
        # Its plug is real to the gate, and its reader is not.
        simulated = None if self.plug is None else {SIMULATED_OUTPUT: "1"}
        self.process = Process(["run", "--config", str(self.config)], folder / f"{name}.log", simulated)

    # --- what can happen to it ----------------------------------------------------------------------------------------

    def launch(self) -> None:
        """Start the gate without waiting for it."""
        (self.state_dir / "status.json").unlink(missing_ok=True)
        self._set_clock()
        self._has_seen_no_fob = False
        self.process.start()

    def start(self) -> None:
        """Start the gate and wait until it accepts badges."""
        self.launch()
        self.await_ready()

    def await_ready(self) -> None:
        """Wait until the gate accepts badges."""
        wait_for(f"{self.name} to be ready", lambda: self._takes_badges() or not self.process.running)
        if not self.process.running:
            raise DemoError(f"{self.name} did not start:\n{self.process.last_lines()}")

    def cut_power(self) -> None:
        """Simulate a power cut: the daemon is killed, and the line goes low."""
        self.process.end(signal.SIGKILL)
        self.is_powered = False
        if self._clock_timer is not None:
            self._clock_timer.cancel()
        self.panel.write_text("", encoding="utf-8")  # a display without power is dark
        if self.display is not None:
            self.display.lose_power()
        if self.plug is not None:
            self.plug.lose_power()
        self._saved_clock_s = self.wall_clock_s() // CLOCK_SAVED_EVERY_S * CLOCK_SAVED_EVERY_S

    def restore_power(self) -> None:
        """Simulate the return of power: a new boot, with the saved time until the network sets the clock."""
        self.is_powered = True
        # the gate's clock stood still during the power cut
        ahead_s = self._saved_clock_s - time.time()
        self.clock = ClockState(boot=str(uuid.uuid4()), on_at_ms=boottime_ms(), ahead_s=ahead_s, synced=False)
        self.boots[self.clock.boot] = self.clock.on_at_ms
        self._set_clock_later()
        self.start()

    def tap_fob(self, fob: Badge) -> None:
        """Hold a 125 kHz fob to the second reader, which sends it once. Raises HardwareError if the gate does not listen.

        After a start it waits a moment: a badge that a gate reads before it has seen its reader empty is no tap.
        """
        if self._fob_line is None:
            raise HardwareError(f"{self.name} has no reader for 125 kHz badges: tap a card")
        if not self._fob_line.is_read:
            raise HardwareError(f"{self.name} does not listen to its reader for 125 kHz badges: is it running?")
        if not self._has_seen_no_fob:
            time.sleep(NO_FOB_S)
            self._has_seen_no_fob = True
        if self._fobs == "rdm6300":
            self._fob_line.send(rdm6300(fob.raw))
        else:
            made = SHORT_FORMS[f"em:{self._fobs}"].of(fob)
            self._fob_line.send(f"{made}".partition(":")[2].encode() + b"\r\n")

    def jump_clock(self, by_s: float) -> None:
        """Set the gate's wall clock forward or back while it runs; the gate still reports it as synchronised."""
        self.clock = msgspec.structs.replace(self.clock, ahead_s=self.clock.ahead_s + by_s)
        self._set_clock()

    def set_clock_right(self) -> None:
        """Set the gate's wall clock to the right time."""
        self.clock = msgspec.structs.replace(self.clock, ahead_s=0.0, synced=True)
        self._set_clock()

    def wall_clock_s(self) -> float:
        """Return the gate's wall clock, in seconds since 1970."""
        return time.time() + self.clock.ahead_s

    def close(self) -> None:
        """Release the simulated hardware, after the gate's process has ended."""
        if self._clock_timer is not None:
            self._clock_timer.cancel()
        self.cable.close()
        if self._fob_line is not None:
            self._fob_line.unplug()
        if self.display is not None:
            self.display.close()
        if self.plug is not None:
            self.plug.close()

    def _set_clock(self) -> None:
        self.state_dir.mkdir(parents=True, exist_ok=True)
        self.clock.write(self.state_dir / EMULATED_FILE)

    def _set_clock_later(self) -> None:
        def set_clock() -> None:
            if self.cable.is_pulled:
                self._set_clock_later()
            elif self.is_powered:
                self.set_clock_right()

        self._clock_timer = threading.Timer(CLOCK_SET_AFTER_S, set_clock)
        self._clock_timer.daemon = True
        self._clock_timer.start()

    # --- what can be observed -----------------------------------------------------------------------------------------

    def _takes_badges(self) -> bool:
        """Return whether the gate has a roster and its reader answers."""
        if self.status().get("roster") is None:
            return False
        with contextlib.closing(socket.socket(socket.AF_UNIX)) as probe:
            return probe.connect_ex(str(self.socket)) == 0

    def status(self) -> dict[str, Any]:
        """Return the gate's status, empty until it has written one."""
        try:
            found: dict[str, Any] = json.loads((self.state_dir / "status.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found

    def entries(self, after: int = 0) -> list[bytes]:
        """Return the journal's entries after this number, as stored, without those of the made-up history."""
        reader = JournalReader(self.state_dir / "journal.db")
        try:
            return [entry.body for entry in reader.after(max(after, self.past), most=1_000_000)]
        finally:
            reader.close()

    def shown(self) -> str:
        """Return the last line of the gate's panel log."""
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
        """Return whether the collector has confirmed every entry of the journal."""
        return self.waiting() == 0

    def settled(self) -> bool:
        """Return whether every session of the journal has ended, and the collector has confirmed every entry."""
        sessions = books.read(self.entries()).sessions.values()
        return all(session.ended_ms is not None for session in sessions) and self.delivered()
