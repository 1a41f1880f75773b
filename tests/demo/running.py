"""A running workshop, its wall, and a browser in which the demo's link was opened."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fabgate.demo.live.events import Events
from fabgate.demo.live.hands import Hands
from fabgate.demo.live.seen import Seen
from fabgate.demo.live.wall import Wall
from fabgate.demo.processes.gate import SimulatedGate
from fabgate.demo.processes.workshop import Workshop
from fabgate.demo.start import open_workshop
from fabgate.demo.waiting import wait_for
from tests.demo.browser import Answer, Browser
from tests.support.patience import HANGS_S


@contextmanager
def running(folder: Path, *, timed_s: int, lang: str | None = None) -> Iterator[Demo]:
    """Bring up a workshop in `folder`, whose printer runs for `timed_s` seconds a tap, and end it afterwards."""
    workshop = open_workshop(folder, timed_s=timed_s, lang=lang)
    try:
        demo = Demo(workshop)
        yield demo
        demo.wall.close()
        demo.hands.close()
    finally:
        workshop.close()


class Demo:
    """A running workshop, its wall, and a browser in which the demo's link was opened."""

    def __init__(self, workshop: Workshop) -> None:
        self.workshop = workshop
        self.hands = Hands(workshop, Events(workshop.gates))
        self.wall = Wall(workshop, self.hands, Seen(workshop, self.hands))
        self.browser = Browser()
        entered = self.browser.get(self.wall.link())
        assert entered.url == f"{workshop.address}/wall", entered.text

    def mend(self) -> None:
        """Let every machine be free and whole."""
        for gate in self.workshop.gates:
            self.hands.restore_power(gate).result(30)
            self.hands.start(gate).result(30)
            if gate.observer.on:  # a session of the test before: a gate that starts ends it
                self.hands.kill_and_start(gate).result(30)
            self.hands.plug(gate).result(5)
            self.hands.take_out(gate).result(5)
            self.hands.set_clock_right(gate).result(5)
            wait_for("the gate to be linked", lambda gate=gate: gate.status().get("mqtt", {}).get("connected", False))

    def gate(self, name: str) -> SimulatedGate:
        return self.hands.gate(name)

    def do(self, verb: str, gate: str, *more: str, card: str = "") -> Answer:
        done = self.browser.post(f"{self.workshop.address}/wall/do", do=" ".join((verb, gate, *more)), card=card)
        assert done.status == 200, done.text
        return done

    def tap(self, gate: str, card: str) -> Answer:
        """Tap a card. The emulated field lays it down once the reader has seen that the last one is away."""
        return self.do("tap", gate, card=card)

    def text_of(self, gate: str) -> str:
        return self.browser.get(f"{self.workshop.address}/wall/now").part(f"at-{gate}")

    def dots_of(self, gate: str) -> str:
        """Return the lit dots of a machine's display, as the page draws them."""
        body = self.browser.get(f"{self.workshop.address}/wall/now").body
        card = body.partition(f'id="at-{gate}"')[2].partition("</article>")[0]
        return card.partition('class="dots" d="')[2].partition('"')[0]

    def until(self, gate: str, *words: str) -> str:
        text = ""

        def are_there() -> bool:
            nonlocal text
            text = self.text_of(gate)
            return all(word in text for word in words)

        with contextlib.suppress(RuntimeError):
            wait_for(f"the page to say {words}", are_there)
        assert all(word in text for word in words), text
        return text

    def ask(self, line: bytes) -> dict[str, Any]:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(HANGS_S)
            client.connect(str(self.workshop.wall_socket))
            client.sendall(line + b"\n")
            answer: dict[str, Any] = json.loads(client.makefile("rb").readline())
            return answer
