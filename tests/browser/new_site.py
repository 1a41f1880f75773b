"""A site on its first day: broker, collector and one simulated gate as real processes, and no account yet."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from fabgate.demo.processes.child import Process
from fabgate.demo.processes.gate import SimulatedGate
from fabgate.demo.processes.workshop import Workshop
from fabgate.demo.taps import hold
from fabgate.demo.waiting import wait_for
from tests.browser.used_site import PATIENCE_S, answers

GATE, MACHINE, TITLE = "laser-1", "laser", "Laser 1"
#: The entries that a tap can cause.
ANSWERS = {f"fabgate.{kind}.v1" for kind in ("session.started", "session.ended", "access.refused")}


class NewSite:
    """A running site; `first_link` is the link that the collector printed when it started."""

    def __init__(self, folder: Path) -> None:
        self.workshop = Workshop(folder)
        try:
            self.gate = self.workshop.let_in(GATE, MACHINE, TITLE, mode="tap", limit_s=3600)
            _fetch_roster_hourly(self.gate)
            self.log = folder / "run.log"
            self._run = Process(["collector", "run"], self.log, self.workshop.environment)
            self._run.start()
            self.until("the first link", lambda: "/welcome/" in self.log.read_text(encoding="utf-8"))
            self.until("the pages", self._answers)
            self.gate.start()
        except BaseException:
            self.close()
            raise

    @property
    def first_link(self) -> str:
        found = re.search(r"http://\S+/welcome/\S+", self.log.read_text(encoding="utf-8"))
        assert found
        return found.group()

    @property
    def address(self) -> str:
        return self.workshop.address

    def tap(self, card: str) -> None:
        """Hold a card to the reader until the gate has written an entry about it."""
        before = len(self.gate.entries())
        hold(self.gate.socket, card, "an answer to a tap", lambda: self._answered(before))

    def until(self, what: str, found: Any) -> None:
        wait_for(what, found, timeout_s=PATIENCE_S)

    def wait_until_on(self) -> None:
        self.until("power", lambda: self.gate.observer.on)

    def wait_until_off(self) -> None:
        self.until("power off", lambda: not self.gate.observer.on)

    def wait_until_refused(self, *reasons: str) -> None:
        """Wait until the newest refusal in the gate's journal has these reasons."""
        self.until(f"a refusal for {reasons}", lambda: self._last("access.refused").get("reasons") == list(reasons))

    def close(self) -> None:
        run = getattr(self, "_run", None)
        try:
            if run is not None and run.running:
                run.end()
        finally:
            self.workshop.close()

    def _answered(self, before: int) -> bool:
        return any(json.loads(body)["type"] in ANSWERS for body in self.gate.entries()[before:])

    def _last(self, kind: str) -> dict[str, Any]:
        for body in reversed(self.gate.entries()):
            entry = json.loads(body)
            if entry["type"] == f"fabgate.{kind}.v1":
                found: dict[str, Any] = entry["data"]
                return found
        return {}

    def _answers(self) -> bool:
        assert self._run.running, self._run.last_lines()
        return answers(self.address)


def _fetch_roster_hourly(gate: SimulatedGate) -> None:
    """Let the gate fetch its roster once an hour, so that it can only get a newer one sooner by being nudged."""
    found = json.loads(gate.config.read_text(encoding="utf-8"))
    found["roster"]["fetch_every_s"] = 3600
    gate.config.write_text(json.dumps(found), encoding="utf-8")
