"""A day in the workshop, played on real gates in under a minute, and then the books are checked.

Ends with exit code 0 only if journal, collector and usage report agree to the millisecond, and an outside observer of
the pins agrees with them.
"""

from __future__ import annotations

import json
import signal
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from fabgate.demo import books
from fabgate.demo.taps import tap
from fabgate.demo.workshop import DemoError, SimulatedGate, Workshop, wait_for

PEOPLE: Final[dict[str, str]] = {
    "ada": "04:A1:B2:C3",
    "bob": "1E:5C:90:77",
    "mo": "5D:2B:11:E0",
    "stranger": "C0:FF:EE:01",
    "phone": "08:12:34:56",
}
ROSTER: Final[list[Any]] = [
    {"id": "m-1", "name": "Ada", "badges": [PEOPLE["ada"]]},
    {"id": "m-2", "name": "Bob", "badges": [PEOPLE["bob"]], "lang": "fr"},
    {"id": "m-3", "name": "Mo", "badges": [PEOPLE["mo"]], "valid_until": "2020-01-01"},
]


def run(data: Path | None) -> int:
    """Play the day in `data` or a temporary folder; return the exit code."""
    if data is not None:
        data.mkdir(parents=True, exist_ok=True)
        if any(data.iterdir()):
            raise DemoError(f"{data} is not empty; give a new folder")
        return _play(data.resolve())
    with tempfile.TemporaryDirectory(prefix="fabgate-demo-") as folder:
        return _play(Path(folder))


def _play(folder: Path) -> int:
    began = datetime.now(UTC)
    (folder / "people.json").write_text(json.dumps(PEOPLE), encoding="utf-8")
    _say("", "broker, collector and one gate start: real processes, emulated chip and pins")
    workshop = Workshop(folder)
    try:
        laser = workshop.add_gate("laser-1", {"name": "Laser 1", "limit_s": 600, "handover": True}, ROSTER)
        workshop.ingest.start()
        laser.start()
        _Day(laser).play()
        wait_for("every entry to be confirmed by the collector", laser.delivered)
        wrong = _check(workshop, began)
        for process in (laser.process, workshop.ingest):
            code = process.end()
            if code:
                wrong.append(f"a process ended with exit code {code}:\n{process.words()}")
    finally:
        workshop.close()
    for line in wrong:
        print(f"DISAGREES  {line}")
    if not wrong:
        print(
            "\nJournal, collector and report agree to the millisecond, and the observer of the pins agrees with them."
        )
    return 1 if wrong else 0


class _Day:
    """What people do at one gate."""

    def __init__(self, gate: SimulatedGate) -> None:
        self._gate = gate

    def play(self) -> None:
        gate = self._gate
        self._tap("ada", "Ada taps on", lambda: gate.observer.on)
        time.sleep(1.2)
        self._tap("ada", "Ada taps off", lambda: not gate.observer.on)
        self._tap("stranger", "a badge nobody knows", lambda: "Unknown badge" in gate.shown())
        self._tap("mo", "Mo, whose membership ended", lambda: "Membership over" in gate.shown())
        self._tap("phone", "a phone with a random id", lambda: "Badge not read" in gate.shown(), raw=True)
        self._tap("ada", "Ada taps on", lambda: gate.observer.on)
        time.sleep(1.0)
        self._tap("bob", "Bob takes over, power stays on", lambda: gate.status().get("member") == "m-2")
        time.sleep(1.1)
        self._tap("bob", "Bob taps off", lambda: not gate.observer.on)
        self._without_network()
        self._killed()

    def _without_network(self) -> None:
        gate = self._gate
        gate.cable.pull()
        wait_for("the gate to notice", lambda: not gate.status()["mqtt"]["connected"])
        _say(gate.name, "the network is cut")
        self._tap("ada", "Ada taps on, without network", lambda: gate.observer.on)
        time.sleep(1.0)
        self._tap("ada", "Ada taps off", lambda: not gate.observer.on)
        waiting = gate.status()["journal"]["unacknowledged"]
        gate.cable.plug()
        wait_for("the entries to arrive", gate.delivered)
        _say(gate.name, f"the network is back: {waiting} waiting entries reached the collector")

    def _killed(self) -> None:
        gate = self._gate
        self._tap("bob", "Bob taps on", lambda: gate.observer.on)
        time.sleep(1.5)
        gate.process.end(signal.SIGKILL)
        wait_for("the line to fall", lambda: not gate.observer.on)
        _say(gate.name, "kill -9 of the gate: power is off")
        gate.start()
        _say(gate.name, "it starts again: nothing is switched on, Bob's session is closed with its uncertainty")
        if gate.observer.on:
            raise DemoError("power came on by starting")

    def _tap(self, who: str, what: str, seen: Callable[[], bool], *, raw: bool = False) -> None:
        if raw:
            from fabgate.demo.taps import lay  # noqa: PLC0415 - one card only

            lay(self._gate.socket, PEOPLE[who], for_ms=1200)
        else:
            tap(str(self._gate.socket), PEOPLE[who], for_ms=150)
        wait_for(f"the gate to answer: {what}", seen)
        _say(self._gate.name, what, self._gate.shown())


def _check(workshop: Workshop, began: datetime) -> list[str]:
    wrong: list[str] = []
    ended = datetime.now(UTC) + timedelta(seconds=1)
    period = ("--from", began.isoformat(), "--to", ended.isoformat())
    booked_ms = 0
    sessions = workshop.sessions()
    for gate in workshop.gates:
        book = books.read(gate.entries())
        booked_ms += sum(session.energised_ms for session in book.sessions.values())
        wrong += book.wrong
        wrong += books.against_observer(book, gate.observer.stretches())
        wrong += books.against_collector(book, sessions)
    report = json.loads(workshop.usage(*period, "--json"))
    if report["total"]["energised_ms"] != booked_ms:
        wrong.append(f"the report counts {report['total']['energised_ms']} ms, the journals {booked_ms} ms")
    print()
    print(workshop.usage(*period))
    return wrong


def _say(gate: str, what: str, shown: str = "") -> None:
    print(f"{datetime.now().astimezone():%H:%M:%S}  {gate:<8} {what:<52} {shown}".rstrip(), flush=True)
