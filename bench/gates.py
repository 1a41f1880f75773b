"""The gates that are measured: the real daemon, in this process or its own, with its files on the real disk."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Self, TypeVar

import msgspec

from bench.people import BADGE_KEY, GATE, GATE_KEY, SITE
from fabgate.cli.run import load
from fabgate.drivers.outputs.gpio import GpioOptions, GpioOutput
from fabgate.drivers.readers import Reader
from fabgate.gate.config.hardware import SIMULATED_OUTPUT
from fabgate.gate.daemon import Daemon
from fabgate.gate.roster.directory import Directory
from fabgate.gate.roster.http_source import Receipt
from fabgate.rules import vocabulary

ROOT = Path(__file__).parents[1]
PIN = 17
#: A gate is measured as pip installs it, with compiled modules, also where PYTHONDONTWRITEBYTECODE is set.
INSTALLED = {name: text for name, text in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
WAIT_S = 30.0
_T = TypeVar("_T")


class BenchError(RuntimeError):
    """A measurement broke: what it waited for did not happen."""


def wait_for(what: str, found: Callable[[], _T], *, timeout_s: float = WAIT_S, look_s: float = 0.01) -> _T:
    """Wait until `found` gives something true; return that."""
    until = time.monotonic() + timeout_s
    while not (value := found()):
        if time.monotonic() > until:
            raise BenchError(f"waited {timeout_s:.0f} s for {what}")
        time.sleep(look_s)
    return value


def write_config(folder: Path, control_socket: str, *, roster_db: Path | None = None, **changes: Any) -> Path:
    """Write a gate.yaml with an emulated chip, mock pins and a collector's roster; `roster_db` is stored already.

    Without ``roster`` among the changes the address of the collector leads nowhere.
    """
    state = folder / "state"
    state.mkdir(exist_ok=True)
    for name, line in (
        ("gate.key", f"k1:{base64.b64encode(GATE_KEY).decode()}"),
        ("badge.key", f"k1:{base64.b64encode(BADGE_KEY).decode()}"),
        ("token", "bench"),
    ):
        (folder / name).write_text(line + "\n", encoding="ascii")
    if roster_db is not None:
        shutil.copy(roster_db, state / "roster.db")
        with contextlib.closing(Directory(roster_db)) as directory:
            receipt = Receipt(version=directory.version, hash="", etag=f'"{directory.version}"')
        (state / "roster.json").write_bytes(msgspec.json.encode(receipt))
    found = {
        "site": SITE,
        "gate": GATE,
        "state_dir": str(state),
        "demo": True,
        "machine": {"name": "Laser 1", "finish": "cut"},
        "reader": {"driver": "mfrc522", "chip": "emulated", "control_socket": control_socket},
        "output": {"driver": "gpio", "pin": PIN, "pins": "emulated"},
        "roster": {"url": "http://127.0.0.1:9", "token_file": str(folder / "token"), "fetch_every_s": 3600},
        "gate_key_file": str(folder / "gate.key"),
        "badge_key_file": str(folder / "badge.key"),
        "clock": {"source": "assume-synced"},
        **changes,
    }
    path = folder / "gate.yaml"
    path.write_text(json.dumps(found, indent=1), encoding="utf-8")  # JSON is YAML
    return path


class TimedOutput:
    """The gpiozero output on mock pins; ``changes`` gets (on, perf_counter nanoseconds) after each change."""

    def __init__(self) -> None:
        self._real = GpioOutput(GpioOptions(pin=PIN, pins="emulated"))
        self._on = False
        self.changes: SimpleQueue[tuple[bool, int]] = SimpleQueue()

    def open(self) -> None:
        """Claim the line, off."""
        self._real.open()

    def set(self, *, on: bool) -> None:
        """Drive the line, and record when that was done."""
        self._real.set(on=on)
        at_ns = time.perf_counter_ns()
        if on != self._on:
            self._on = on
            self.changes.put((on, at_ns))

    def read_back(self) -> bool | None:
        """Return None: nothing is wired."""
        return self._real.read_back()

    def close(self) -> None:
        """Switch off and release the line."""
        self._real.close()


class LocalGate:
    """A gate whose daemon runs in this process, its loop in a thread of its own."""

    def __init__(self, config: Path, *, reader: Reader | None = None) -> None:
        self.output = TimedOutput()
        self.daemon: Daemon
        self._config = load(config)
        self._readers = [] if reader is None else [reader]
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="gate")

    def _run(self) -> None:
        # Made in the thread that runs it, which opens the roster.
        self.daemon = Daemon(self._config, output=self.output, readers=self._readers, notify=self._notified)
        self.daemon.run()

    def _notified(self, *lines: str) -> None:
        if "READY=1" in lines:
            self._ready.set()

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._ready.wait(WAIT_S):
            raise BenchError("the gate did not become ready")
        return self

    def __exit__(self, *_: object) -> None:
        self.daemon.stop()
        self._thread.join(WAIT_S)

    def changed(self, *, on: bool) -> int:
        """Wait until the output changes to `on`; return when it had (perf_counter nanoseconds)."""
        found, at_ns = self.output.changes.get(timeout=WAIT_S)
        if found is not on:
            raise BenchError(f"the output went {'on' if found else 'off'} unexpectedly")
        return at_ns

    def tap(self, badge: str) -> float:
        """Post a badge; return the microseconds until the output was on."""
        began_ns = time.perf_counter_ns()
        self.daemon.post(vocabulary.Presented(badge))
        return (self.changed(on=True) - began_ns) / 1000

    def stop(self) -> float:
        """Post the stop button; return the microseconds until the output was off."""
        began_ns = time.perf_counter_ns()
        self.daemon.post(vocabulary.StopPressed())
        return (self.changed(on=False) - began_ns) / 1000


class Notified:
    """The notify socket of systemd: it receives READY from a process."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(path)
        self._socket.settimeout(WAIT_S)

    def ready(self) -> None:
        """Wait for READY=1."""
        while "READY=1" not in self._socket.recv(4096).decode().splitlines():
            pass

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()
        Path(self.path).unlink()


class GateProcess:
    """A gate in a process of its own: ``fabgate run``, or with `child` the same daemon driven through stdin.

    `module` runs it in place of ``fabgate run``; it takes the configuration as its only argument.

    Each change of its pin, if it switches with one, comes to ``changes`` as (on, CLOCK_BOOTTIME nanoseconds), through a pipe.
    """

    def __init__(self, config: Path, notify_socket: str, *, child: bool = False, module: str = "") -> None:
        folder = config.parent
        self.state_dir = folder / "state"
        self._log = folder / "log"
        pins = folder / "pins"
        if not pins.exists():
            os.mkfifo(pins)
        with_pins = json.loads(config.read_text(encoding="utf-8"))
        if with_pins["output"]["driver"] == "gpio":
            with_pins["output"]["pin_log"] = str(pins)
        config.write_text(json.dumps(with_pins, indent=1), encoding="utf-8")
        self.changes: SimpleQueue[tuple[bool, int]] = SimpleQueue()
        threading.Thread(target=self._watch, args=(pins,), daemon=True).start()
        self._notified = Notified(notify_socket)
        command = ["-m", "bench.child", str(config)] if child else ["-m", "fabgate", "run", "--config", str(config)]
        if module:
            command = ["-m", module, str(config)]
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, *command],
                cwd=ROOT,
                stdin=subprocess.PIPE if child else subprocess.DEVNULL,
                stdout=subprocess.PIPE if child else log,
                stderr=log,
                text=True,
                env={**INSTALLED, "NOTIFY_SOCKET": notify_socket, SIMULATED_OUTPUT: "1"},
            )
        self.pid = self.process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def _watch(self, pins: Path) -> None:
        with pins.open(encoding="ascii") as pipe:
            for line in pipe:
                at_ns, pin, level = line.split()
                if pin == str(PIN):
                    self.changes.put((level == "1", int(at_ns)))

    def ready(self) -> None:
        """Wait until it takes badges."""
        try:
            self._notified.ready()
        except TimeoutError:
            raise BenchError(f"the gate did not become ready: {self.log_tail()}") from None

    def changed(self, *, on: bool) -> int:
        """Wait until the pin changes to `on`; return when it had (CLOCK_BOOTTIME nanoseconds)."""
        found, at_ns = self.changes.get(timeout=WAIT_S)
        if found is not on:
            raise BenchError(f"the pin went {'on' if found else 'off'} unexpectedly: {self.log_tail()}")
        return at_ns

    def send(self, line: str) -> None:
        """Send a child a command."""
        assert self.process.stdin
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def answer(self) -> Any:
        """Return a child's next line, decoded."""
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            raise BenchError(f"the gate ended: {self.log_tail()}")
        return json.loads(line)

    def status(self) -> dict[str, Any]:
        """Return its status file, or an empty dict if there is none yet."""
        try:
            found: dict[str, Any] = json.loads((self.state_dir / "status.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found

    def log_tail(self) -> str:
        """Return the last lines that it wrote."""
        return "\n".join(self._log.read_text(encoding="utf-8", errors="replace").splitlines()[-15:])

    def end(self, number: int = signal.SIGTERM) -> None:
        """End it, in order."""
        if self.process.poll() is None:
            self.process.send_signal(number)
            try:
                self.process.wait(WAIT_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        self._notified.close()


@contextlib.contextmanager
def collector(body: Path) -> Iterator[str]:
    """Serve the roster in the file `body` sealed, from a process of its own; give the address."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.roster_server", str(body)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.kill()
        process.communicate()


def boottime_ns() -> int:
    """Return CLOCK_BOOTTIME, the clock of the pins."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)
