"""A gate in this process: the real daemon between a clock that is moved by hand, a disk that can hang, and a reader.

Everything here keeps state, as the thing that it stands for does. Nobody sleeps towards a deadline: the clock is moved,
and a test waits for what it wants to see, with a limit that only a hanging program reaches.
"""

from __future__ import annotations

import base64
import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from fabgate import badge, wire
from fabgate.drivers.outputs.memory import MemoryOutput
from fabgate.gate.config.gate_yaml import (
    ClockOptions,
    Config,
    Driver,
    JournalOptions,
    MachineSection,
    Mqtt,
    RosterSource,
)
from fabgate.gate.daemon import Daemon
from fabgate.gate.hardware.inputs_thread import InputLevels
from fabgate.gate.journal.reader import JournalReader
from fabgate.gate.journal.writer import Draft
from fabgate.gate.panel.panel_thread import PanelThread
from fabgate.gate.roster import source
from fabgate.rules import vocabulary
from fabgate.seal import Keys
from tests.gate.fakes import CARDS, NOON, Disk, FakeReader, Time
from tests.support.patience import HANGS_S, wait

source.POLL_S = 0.1  # type: ignore[misc]  # a file is read at the second look: no test waits a second for it
BADGE_KEY = b"a badge key of a test workshop.."
GATE_KEY = b"the key of laser-1, and of no other"
KEYS = Keys({"k1": GATE_KEY})
#: A broker that does not exist: entries wait for a collector.
NOWHERE = Mqtt(host="127.0.0.1", port=1)
LEVELS = {"max": "maintainer", "sue": "supervisor"}


def digest(who: str) -> str:
    return badge.digest(badge.parse(CARDS.get(who, who)), BADGE_KEY)


class ObservedDaemon(Daemon):
    """The daemon, which also remembers what its loop has finished with, so that a test can wait for it."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.handled: list[object] = []
        self.finished = 0

    def _handle(self, event: vocabulary.Event, now: vocabulary.Now) -> None:
        super()._handle(event, now)
        self.handled.append(event)

    def _publish(self, now: vocabulary.Now) -> None:
        super()._publish(now)
        self.finished = len(self.handled)

    def is_through(self, marker: object) -> bool:
        return any(event is marker for event in self.handled[: self.finished])


def key_file(path: Path, key: bytes = GATE_KEY, kid: str = "k1") -> Path:
    path.write_text(f"{kid}:{base64.b64encode(key).decode()}\n", encoding="ascii")
    return path


def write_roster(path: Path, *, people: tuple[str, ...] = tuple(CARDS), **machine: Any) -> None:
    """Write a roster file; it counts as changed however fast one follows another."""
    rows = [{"id": f"m-{who}", "badges": [CARDS.get(who, who)], "level": LEVELS.get(who, "user")} for who in people]
    found: dict[str, Any] = {"members": rows}
    if machine:
        found["machine"] = machine
    path.write_text(json.dumps(found), encoding="utf-8")


def gate_config(folder: Path, **changes: Any) -> Config:
    """Return a configuration whose roster is a file in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    roster = folder / "roster.json"
    if not roster.exists():
        write_roster(roster)
    fields: dict[str, Any] = {
        "site": "lyon",
        "gate": "laser-1",
        "state_dir": folder / "state",
        "demo": True,
        "machine": MachineSection(name="Laser", finish="cut"),
        "reader": [Driver(driver="simulated")],
        "output": Driver(driver="memory"),
        "roster": RosterSource(file=roster),
        "badge_key_file": key_file(folder / "badge.key", BADGE_KEY),
        "gate_key_file": key_file(folder / "gate.key"),
        "clock": ClockOptions(source="assume-synced"),
        "journal": JournalOptions(),
    }
    return Config(**{**fields, **changes})


class Bench:
    """One gate: its time, disk, output and reader, and the daemon that runs between them when told to."""

    def __init__(self, folder: Path, **changes: Any) -> None:
        self.folder = folder
        self.config = gate_config(folder, **changes)
        self.time = Time()
        self.disk = Disk()
        self.output = MemoryOutput()
        #: One for each section of the configuration.
        self.readers = [FakeReader() for _ in self.config.reader]
        self.reader = self.readers[0]
        #: What is wired to the gate's pins; without it those of this computer.
        self.inputs: InputLevels | None = None
        #: Its meters; without them those of the configuration.
        self.meters: list[Any] | None = None
        self.said: list[str] = []
        self.daemon: ObservedDaemon
        self.code: int | None = None
        self.error: BaseException | None = None
        self._thread: threading.Thread | None = None

    # --- life ---

    def start(self, *, ready: bool = True) -> Bench:
        """Start the daemon, and by default wait until it takes badges."""
        self.said = []
        self.code = self.error = None
        made = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(made,))
        self._thread.start()
        made.wait()
        if ready:
            self.wait_until_ready()
        return self

    def wait_until_ready(self) -> None:
        """Wait until the daemon takes badges, and knows them where its roster is a file."""
        wait(lambda: "READY=1" in self.said or self.over, "the start")
        assert not self.over, f"it ended: {self.code} {self.error!r}"
        self.settle()
        if self.config.roster.file is not None:
            wait(lambda: self.daemon._in_force.version, "the roster")
        self.settle()

    def _run(self, made: threading.Event) -> None:
        try:
            self.daemon = ObservedDaemon(
                self.config,
                clock=self.time.clock(),
                output=self.output,
                readers=self.readers,
                inputs=self.inputs,
                meters=self.meters,
                connect=self.disk.connect,
                notify=lambda *lines: self.said.extend(lines),
            )
        finally:
            made.set()
        try:
            self.code = self.daemon.run()
        except BaseException as error:  # noqa: BLE001 - the test looks at whatever it was
            self.error = error

    @property
    def over(self) -> bool:
        return self._thread is not None and not self._thread.is_alive()

    def join(self) -> None:
        """Wait until the daemon has ended."""
        if self._thread is not None:
            self._thread.join(HANGS_S)
            assert self.over, "the daemon did not end"

    def stop(self) -> int | None:
        """End it as SIGTERM does, and return its exit code."""
        if self._thread is not None and not self.over:
            self.daemon.stop("SIGTERM")
            self.join()
        return self.code

    def cut_power(self) -> None:
        """End the process without a word: what is on disk stays, and nothing else is written."""
        self.disk.broken = "the power is off"
        self.disk.go_on()
        self.stop()
        self.disk.broken = ""

    def close(self) -> None:
        self.disk.go_on()
        for reader in self.readers:
            reader.answers.set()
        self.stop()

    # --- what happens ---

    def post(self, event: object) -> None:
        """Put an event into the inbox and wait until it is dealt with."""
        self.daemon.post(event)
        self.settle()

    def settle(self) -> None:
        """Wait until everything that lies in the inbox now, and what follows at once from it, is dealt with."""
        for _ in range(2):
            marker = vocabulary.Tick()
            self.daemon.post(marker)
            wait(lambda marker=marker: self.daemon.is_through(marker) or self.over, "the loop's next turn")

    def written(self) -> None:
        """Wait until the journal's thread has done all that it was asked, and the loop has heard of it."""
        recorder = self.daemon._recorder
        for _ in range(2):
            wait(lambda: recorder._queue.empty() and recorder._current is None, "the journal's thread")
            self.settle()

    def advance(self, ms: int) -> None:
        """Let time pass and the loop look at it. A jump of this clock is no silence of the reader."""
        for reader, thread in zip(self.readers, self.daemon._reader_threads, strict=False):
            if reader.answers.is_set() and reader.plugged:
                thread.answered_ms = self.time.ms + ms
        self.time.ms += ms
        self.settle()

    def see_empty_field(self) -> None:
        """Let one second pass in which the reader sees that no card is there: the next one counts as tapped."""
        self.reader.looked()
        for _ in range(5):
            self.advance(200)
            self.reader.looked()

    def tap(self, who: str) -> None:
        """Show a badge, as the reader's thread would tell it, and take it away."""
        self.post(vocabulary.Presented(digest(who)))
        self.post(vocabulary.Removed(digest(who)))

    def use(self, who: str) -> None:
        """Start a session and wait for its power."""
        self.tap(who)
        wait(lambda: self.output.on, f"power for {who}")
        self.settle()

    # --- what can be seen ---

    @property
    def levels(self) -> list[bool]:
        """What the pin did so far."""
        return [on for _, on in self.output.history]

    @property
    def journal(self) -> Path:
        return self.config.state_dir / "journal.db"

    def entries(self) -> list[tuple[str, Any]]:
        """Return (type, data) of every entry."""
        with contextlib.closing(JournalReader(self.journal)) as reader:
            stored = reader.after(0, most=100_000)
            assert reader.first_break() is None
        return [(entry.type, wire.decode_data(wire.decode_entry(entry.body))) for entry in stored]

    def of(self, kind: str) -> list[Any]:
        """Return the data of all entries of a kind."""
        return [data for found, data in self.entries() if found == kind]

    def wait_for_entries(self, kind: str, count: int = 1) -> list[Any]:
        """Wait for entries of a kind to be on disk."""
        wait(lambda: len(self.of(kind)) >= count, f"entry {count} of {kind}")
        return self.of(kind)

    def status(self) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads((self.config.state_dir / "status.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        return found

    def wait_for_status(self, condition: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
        """Wait until status.json is as `condition` wants it."""
        found: list[dict[str, Any]] = []
        wait(lambda: (status := self.status()) and condition(status) and not found.append(status), "the status")
        return found[0]

    @property
    def causes(self) -> list[str]:
        return [str(cause) for cause in self.daemon._gate.causes]

    @property
    def state(self) -> str:
        return self.daemon._gate.state


def let_pass(notices: PanelThread) -> None:
    """Let the time of the notice that is shown be over now."""
    with notices._changed:
        notices._passes_s = time.monotonic()
        notices._changed.notify()


@contextlib.contextmanager
def running(folder: Path, **changes: Any) -> Iterator[Bench]:
    """Give a started gate and end it afterwards, whatever became of it."""
    bench = Bench(folder, **changes)
    try:
        yield bench.start()
    finally:
        bench.close()


def drafts(count: int, *, first: int = 1, uid: str = "u") -> list[Draft]:
    """Return facts for a journal of a test."""
    clock = wire.Clock(boot="boot-1", boottime_ms=first, synced=True)
    return [
        Draft(f"{uid}{n}", "access.refused", wire.AccessRefused(clock=clock, badge="b", reasons=[f"r{n}"]), NOON)
        for n in range(first, first + count)
    ]


def plain(message: msgspec.Struct) -> Any:
    return json.loads(wire.encode(message))
