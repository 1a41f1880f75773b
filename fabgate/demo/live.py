"""What does the workshop do now? A table in the terminal, keys to tap cards and to break things.

``fabgate demo`` shows it. From another terminal, ``fabgate tap GATE NAME --data FOLDER`` lays a card down too.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import termios
import threading
import time
import tty
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from rich import box
from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from fabgate.demo.people import CARDS, MEMBERS
from fabgate.demo.script import folder_of, open_workshop
from fabgate.demo.taps import lay
from fabgate.demo.workshop import DemoError, SimulatedGate, Workshop
from fabgate.errors import FabgateError

REFRESH_S: Final = 0.15
CARD_KEYS: Final = {"a": "ada", "b": "bob", "c": "cleo", "m": "mo", "s": "stranger"}
NAMES: Final = {row[0]: row[1] for row in MEMBERS}
#: State as colour, icon and word: nobody needs to tell colours apart.
STATES: Final = {
    "idle": ("dim", "○", "free"),
    "starting": ("yellow", "◐", "starting"),
    "active": ("bold green", "●", "in use"),
    "finishing": ("green", "◑", "finishing"),
}


def run(data: Path | None) -> int:
    """Show the workshop until q; return the exit code."""
    if not sys.stdin.isatty() or not sys.stdout.isatty():
        raise DemoError("the live demo needs a terminal; without one, say: fabgate demo --script")
    with folder_of(data) as folder:
        print("broker, collector and three gates start …", flush=True)
        workshop = open_workshop(folder)
        try:
            _Screen(workshop).run()
            print("the gates end what runs, and stop …", flush=True)
            workshop.end()
        finally:
            workshop.close()
        print(f"{len(workshop.sessions())} sessions reached the collector")
        if data is not None:
            print(f"everything is kept in {folder}")
    return 0


class _Screen:
    """The table, and what the keys do. Everything slow happens in a thread of its own."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop
        self._chosen = 0
        self._said = "choose a machine with 1, 2, 3 and tap a card"
        self._since: dict[str, float] = {}
        self._pulled: set[str] = set()

    def run(self) -> None:
        with _single_keys(), Live(self._picture(), auto_refresh=False, screen=True) as live:
            while True:
                live.update(self._picture(), refresh=True)
                if select.select([sys.stdin], [], [], REFRESH_S)[0] and not self._key(_read_key()):
                    return

    def _key(self, key: str) -> bool:
        gate = self._workshop.gates[self._chosen]
        if key in ("q", "\x03", "\x04"):
            return False
        if key in "123" and key:
            self._chosen = int(key) - 1
        elif key in CARD_KEYS:
            self._do(
                f"{CARD_KEYS[key].title()} taps on {gate.name}",
                lambda: lay(gate.socket, CARDS[CARD_KEYS[key]], for_ms=200),
            )
        elif key == "n":
            self._network(gate)
        elif key == "k":
            self._do(f"kill -9 of {gate.name}, and a new start", lambda: self._kill(gate))
        elif key == "l":
            locked = any(cause.startswith("lock") for cause in gate.status().get("causes", ()))
            words = (
                ("unlock", gate.name) if locked else ("lock", gate.name, "--when", "idle", "--reason", "Broken belt")
            )
            self._do(
                f"a manager says {words[0]} {gate.name}", lambda: self._workshop.collector(*words, "--actor", "you")
            )
        return True

    def _network(self, gate: SimulatedGate) -> None:
        if gate.name in self._pulled:
            self._pulled.discard(gate.name)
            gate.cable.plug()
            self._said = f"the network of {gate.name} is back"
        else:
            self._pulled.add(gate.name)
            gate.cable.pull()
            self._said = f"the network of {gate.name} is cut; it goes on by itself"

    def _kill(self, gate: SimulatedGate) -> None:
        gate.process.end(signal.SIGKILL)
        gate.start()

    def _do(self, what: str, work: Callable[[], object]) -> None:
        self._said = what

        def carefully() -> None:
            try:
                work()
            except (FabgateError, OSError) as error:
                self._said = f"{what}: {error}"

        threading.Thread(target=carefully, daemon=True).start()

    # --- the picture --------------------------------------------------------------------------------------------------

    def _picture(self) -> Group:
        table = Table(
            title="fabgate demo: real gates, emulated chips and pins",
            title_justify="left",
            expand=True,
            box=box.SIMPLE_HEAD,
        )
        for name in ("", "machine", "state", "power", "who", "display", "network", "journal"):
            table.add_column(name, no_wrap=name != "display")
        for number, gate in enumerate(self._workshop.gates):
            table.add_row(*self._row(number, gate), style="on grey11" if number == self._chosen else "")
        keys = Text.assemble(
            ("  1 2 3", "bold"), " machine   ",
            ("a", "bold"), "da ", ("b", "bold"), "ob ", ("c", "bold"), "leo ", ("m", "bold"), "o ", ("s", "bold"), "tranger: tap   ",
            ("n", "bold"), "etwork   ", ("k", "bold"), "ill   ", ("l", "bold"), "ock   ", ("q", "bold"), "uit",
        )  # fmt: skip
        usage = Text(
            f"  {len(self._workshop.sessions())} sessions at the collector   folder: {self._workshop.folder}",
            style="dim",
        )
        return Group(table, keys, Text(f"  {self._said}", style="italic"), usage)

    def _row(self, number: int, gate: SimulatedGate) -> list[Text | str]:
        status = gate.status()
        style, icon, word = STATES.get(status.get("state", ""), ("red", "✗", "not running"))
        if not gate.process.running:
            style, icon, word = "red", "✗", "not running"
        elif status.get("causes"):
            style, icon, word = "bold yellow", "▲", ", ".join(status["causes"])
        on = gate.observer.on
        now = time.monotonic()
        since = self._since.setdefault(gate.name, now) if on else None
        if not on:
            self._since.pop(gate.name, None)
        _, _, shown = gate.shown().partition("] ")
        waiting = status.get("journal", {}).get("unacknowledged", 0)
        head = status.get("journal", {}).get("head", 0)
        member = str(status.get("member") or "")
        linked = status.get("mqtt", {}).get("connected", False)
        return [
            Text(f"{number + 1}", style="bold"),
            Text(status.get("machine", gate.name)),
            Text(f"{icon} {word}", style=style),
            Text(f"ON {now - since:4.0f} s", style="bold black on green")
            if since is not None
            else Text("off", style="dim"),
            Text(NAMES.get(member, member)),
            Text(shown),
            Text("● linked", style="green") if linked else Text("✗ cut", style="red"),
            Text(
                f"{head} entries" + (f", {waiting} waiting" if waiting else " ✓"), style="yellow" if waiting else "dim"
            ),
        ]


def _read_key() -> str:
    # Not through sys.stdin, which reads ahead: keys that wait in its buffer are invisible to select.
    return os.read(sys.stdin.fileno(), 1).decode(errors="replace").lower() or "q"


@contextlib.contextmanager
def _single_keys() -> Iterator[None]:
    """Read keys without Enter and without echo; give the terminal back as it was."""
    before = termios.tcgetattr(sys.stdin)
    tty.setcbreak(sys.stdin)
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
