"""``fabgate demo``: a table of the workshop in the terminal, keys to tap cards and break things, and a page.

From another terminal, ``fabgate tap GATE NAME --data FOLDER`` taps a card, too.
"""

from __future__ import annotations

import contextlib
import os
import select
import sys
import termios
import threading
import time
import webbrowser
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.live import Live

from fabgate.demo.furnishing.people import OWNERS
from fabgate.demo.live.events import Events
from fabgate.demo.live.hands import Hands
from fabgate.demo.live.picture import CARD_KEYS, KEYS, MachinePicture, View, in_words, panel, picture
from fabgate.demo.live.seen import Seen
from fabgate.demo.live.wall import Wall
from fabgate.demo.processes.gate import SimulatedGate
from fabgate.demo.processes.workshop import Workshop
from fabgate.demo.start import ended_by_signals, folder_of, open_workshop, print_in_any_encoding
from fabgate.errors import UsageError

REFRESH_S: Final = 0.15
#: How long a tap powers the printer, in seconds: long enough to see the warning and to extend.
TIMED_S: Final = 30
#: What a card does at the selected machine, by its mode.
HINTS: Final = {
    "tap": "a card starts, the same ends; another trained member takes over",
    "hold": "the card stays in it: its key puts it in, the same takes it out",
    "timed": f"a card starts {TIMED_S} s; tap again at the warning to extend",
}
_ARROWS: Final = {b"\x1b[A": "up", b"\x1bOA": "up", b"\x1b[B": "down", b"\x1bOB": "down"}


def run(data: Path | None, *, lang: str | None = None, browser: bool = True) -> int:
    """Show the workshop until q; return the exit code. Raises UsageError without a terminal."""
    if not sys.stdin.isatty() or not sys.stdout.isatty():
        raise UsageError(
            "found no terminal on standard input and output, wanted one for the live demo; without one, run: fabgate demo --script"
        )
    print_in_any_encoding()
    with ended_by_signals(), folder_of(data) as folder:
        print("starting broker, collector and three gates …", flush=True)
        screens: list[_Screen] = []

        def web_is_up(workshop: Workshop) -> None:
            screens.append(_Screen(workshop, browser=browser))
            screens[0].open_page()

        workshop = open_workshop(folder, timed_s=TIMED_S, lang=lang, has_past=True, web_is_up=web_is_up)
        try:
            # Every way to end has the same order: first the gates, which switch off and record that, then the
            # collector.
            with contextlib.suppress(KeyboardInterrupt), contextlib.closing(screens[0]) as screen:
                screen.run()
            print("ending sessions and stopping the gates …", flush=True)
            workshop.end()
        finally:
            workshop.close()
        count = len(workshop.sessions())
        print(f"{count} session{'' if count == 1 else 's'} reached the collector")
        if data is not None:
            print(f"everything is kept in {folder}")
    return 0


class _Screen:
    """The table, the keys, and the wall in the browser."""

    def __init__(self, workshop: Workshop, *, browser: bool) -> None:
        self._workshop = workshop
        self._browser = browser and has_display()
        self._chosen = 0
        self._events = Events(workshop.gates)
        self._hands = Hands(workshop, self._events)
        self._wall = Wall(workshop, self._hands, Seen(workshop, self._hands))

    def open_page(self) -> None:
        """Make a link to the wall, print it, and open it in the browser if there is a display."""
        print(f"the workshop in your browser, by a link that works once: {self._wall.link()}", flush=True)
        self._open_browser()

    def _open_browser(self) -> None:
        if self._browser:
            # in a thread, because some browsers return only when they are closed
            threading.Thread(target=webbrowser.open, args=(self._wall.address,), daemon=True).start()

    def run(self) -> None:
        """Show the table and handle keys until q."""
        self._events.begin()
        self._events.add("demo", f"everything is in {self._workshop.folder}")
        console = Console(legacy_windows=False)
        with _single_keys():
            if console.is_dumb_terminal or console.options.ascii_only:
                self._in_lines()
                return
            with Live(console=console, auto_refresh=False, screen=True) as live:
                while True:
                    live.update(picture(self._view(), *console.size), refresh=True)
                    if not self._keys():
                        return

    def close(self) -> None:
        """Stop accepting actions."""
        self._wall.close()
        self._hands.close()

    def _in_lines(self) -> None:
        """Print each change on a line of its own, for terminals that cannot position text."""
        print("\n".join((*KEYS, "")), flush=True)
        shown: dict[str, str] = {}
        hint, told = "", 0
        while True:
            view = self._view()
            if view.hint != hint:
                hint = view.hint
                print(hint, flush=True)
            for event in self._events.since(told):
                print(f"{event.at}  {event.gate:<10} {event.text}", flush=True)
                told = event.number
            for machine in view.machines:
                words = in_words(machine)
                if shown.get(machine.gate) != words:
                    print(f"          {words}", flush=True)
                shown[machine.gate] = words
            if not self._keys():
                return

    # --- keys ---------------------------------------------------------------------------------------------------------

    def _keys(self) -> bool:
        """Handle the keys that are pressed until the next refresh; return whether to continue."""
        if not select.select([sys.stdin], [], [], REFRESH_S)[0]:
            return True
        return all(self._key(key) for key in _read_keys())

    def _key(self, key: str) -> bool:
        gate = self._workshop.gates[self._chosen]
        if key in ("q", "\x03", "\x04"):
            return False
        if key in ("1", "2", "3"):
            self._chosen = int(key) - 1
        elif key in ("up", "down"):
            self._chosen = (self._chosen + (1 if key == "down" else -1)) % len(self._workshop.gates)
        elif key in CARD_KEYS:
            self._hands.card(gate, CARD_KEYS[key])
        elif key == "n":
            (self._hands.plug if gate.cable.is_pulled else self._hands.pull)(gate)
        elif key == "k":
            self._hands.kill_and_start(gate)
        elif key == "l":
            self._hands.lock(gate)
        elif key == "o":
            self._wall.link()
            self._open_browser()
        return True

    # --- the view -------------------------------------------------------------------------------------------

    def _view(self) -> View:
        called = self._workshop.names()
        machines = tuple(self._machine(gate, *called) for gate in self._workshop.gates)
        chosen = machines[self._chosen]
        return View(
            machines,
            self._chosen,
            f"{chosen.name}: {HINTS[chosen.mode]}",
            len(self._workshop.sessions()),
            self._wall.address,
            self._events.since(),
        )

    def _machine(self, gate: SimulatedGate, titles: Mapping[str, str], names: Mapping[str, str]) -> MachinePicture:
        status: dict[str, Any] = gate.status()
        journal = status.get("journal", {})
        running = gate.process.running
        self._events.look(gate, journal.get("head", 0))
        since_ns = gate.observer.since_ns
        light, lines = panel(gate.shown())
        member, lying = str(status.get("member") or ""), self._hands.lying(gate)
        return MachinePicture(
            name=titles.get(gate.name) or status.get("machine") or gate.title,
            gate=gate.name,
            mode=self._workshop.modes[gate.name],
            state=status.get("state", ""),
            running=running,
            causes=tuple(status.get("causes", ())),
            who=names.get(member, member),
            lying=names.get(OWNERS.get(lying, ""), lying),
            on_s=None if since_ns is None else (time.clock_gettime_ns(time.CLOCK_BOOTTIME) - since_ns) / 1e9,
            linked=status.get("mqtt", {}).get("connected", False),
            head=journal.get("head", 0),
            waiting=journal.get("unacknowledged", 0),
            light=light,
            display=lines,
        )


def has_display() -> bool:
    """Return whether a browser can open a window; on Linux there may be no display."""
    return sys.platform == "darwin" or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))


def _read_keys() -> list[str]:
    # not through sys.stdin, which reads ahead: select does not see keys in its buffer
    pressed = os.read(sys.stdin.fileno(), 64)
    if not pressed:
        return ["q"]  # the terminal is gone
    if pressed.startswith(b"\x1b"):
        # An arrow or another key that sends several bytes.
        return [_ARROWS[pressed]] if pressed in _ARROWS else []
    return list(pressed.decode(errors="replace").lower())


@contextlib.contextmanager
def _single_keys() -> Iterator[None]:
    """Read keys without Enter, echo and signals (which the gates would get, too); restore the terminal afterwards."""
    before = termios.tcgetattr(sys.stdin)
    single = termios.tcgetattr(sys.stdin)
    single[3] &= ~(termios.ECHO | termios.ICANON | termios.ISIG)
    termios.tcsetattr(sys.stdin, termios.TCSADRAIN, single)
    try:
        yield
    finally:
        with contextlib.suppress(termios.error):  # the terminal was closed
            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
