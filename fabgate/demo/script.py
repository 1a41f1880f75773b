"""A day in the workshop, played on three real gates in under a minute; then the records are compared.

The exit code is 0 only if journals, collector, usage report and the observer of the pins agree to the millisecond.
"""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import zip_longest
from pathlib import Path

from fabgate.demo import books
from fabgate.demo.furnishing.people import CARDS
from fabgate.demo.live.picture import panel
from fabgate.demo.processes.gate import SimulatedGate
from fabgate.demo.processes.workshop import Workshop
from fabgate.demo.start import ended_by_signals, folder_of, open_workshop, print_in_any_encoding
from fabgate.demo.taps import BETWEEN_TAPS_S, hold, lay, place, remove
from fabgate.demo.waiting import DemoError, wait_for


def run(data: Path | None, *, lang: str | None = None) -> int:
    """Play the day in `data` or a temporary folder; return the exit code."""
    print_in_any_encoding()
    with ended_by_signals(), folder_of(data) as folder:
        return _play(folder, lang)


def _play(folder: Path, lang: str | None) -> int:
    began = datetime.now(UTC)
    _print_step("", "broker, collector and three gates start: only chips and pins are simulated")
    workshop = open_workshop(folder, lang=lang)
    try:
        laser, saw, printer = workshop.gates
        _Laser(laser, workshop).play()
        _saw(saw)
        _printer(printer)
        for gate in workshop.gates:
            wait_for(f"every entry of {gate.name} to be confirmed by the collector", gate.settled)
        wrong = _check(workshop, began)
        for process in workshop.processes:
            code = process.end()
            if code:
                wrong.append(f"a process ended with exit code {code}:\n{process.last_lines()}")
    finally:
        workshop.close()
    for line in wrong:
        print(f"DISAGREES  {line}")
    if not wrong:
        print("Journals, collector and report agree to the millisecond,")
        print("and the observed power agrees with them within its tolerance.")
    return 1 if wrong else 0


class _Laser:
    """Power goes off first, then the end is recorded: two entries, start and end."""

    def __init__(self, gate: SimulatedGate, workshop: Workshop) -> None:
        self._gate = gate
        self._workshop = workshop

    def play(self) -> None:
        gate = self._gate
        _tap(gate, "ada", "Ada taps on (a card of 7 bytes)", lambda: gate.observer.on)
        time.sleep(BETWEEN_TAPS_S)
        _tap(gate, "ada", "Ada taps off", lambda: _is_off(gate))
        _tap(gate, "stranger", "an unknown badge", lambda: refused(gate, "unknown-badge"))
        _tap(gate, "mo", "Mo, whose membership ended", lambda: refused(gate, "expired"))
        lay(gate.socket, CARDS["phone"], for_ms=1200)
        wait_for("the phone to be noticed", lambda: gate.shown().startswith("[amber"))
        _print_step(gate.name, "a phone with a random id", gate.shown())
        _tap(gate, "ada", "Ada taps on", lambda: gate.observer.on)
        time.sleep(BETWEEN_TAPS_S)
        _tap(gate, "bob", "Bob takes over, the power stays on", lambda: gate.status().get("member") == "m-2")
        time.sleep(BETWEEN_TAPS_S)
        _tap(gate, "bob", "Bob taps off", lambda: _is_off(gate))
        self._without_network()
        self._killed()
        self._locked()

    def _without_network(self) -> None:
        gate = self._gate
        gate.cable.pull()
        wait_for("the gate to notice", lambda: not gate.status()["mqtt"]["connected"])
        _print_step(gate.name, "the network is cut")
        _tap(gate, "ada", "Ada taps on, without network", lambda: gate.observer.on)
        time.sleep(BETWEEN_TAPS_S)
        _tap(gate, "ada", "Ada taps off", lambda: _is_off(gate))
        # The power goes off first and the end is recorded then: two entries, start and end.
        wait_for("start and end to be on record", lambda: gate.waiting() >= 2)
        waiting = gate.waiting()
        gate.cable.plug()
        wait_for("the entries to arrive", gate.delivered)
        _print_step(gate.name, f"the network is back: {waiting} waiting entries reached the collector")

    def _killed(self) -> None:
        gate = self._gate
        _tap(gate, "bob", "Bob taps on", lambda: gate.observer.on)
        time.sleep(1.5)
        gate.process.end(signal.SIGKILL)
        wait_for("the line to fall", lambda: not gate.observer.on)
        _print_step(gate.name, "kill -9 of the gate: the power is off")
        gate.start()
        if gate.observer.on:
            raise DemoError("the power came on when the gate started, wanted it off")
        _print_step(gate.name, "it starts again with the power off, and closes Bob's session", gate.shown())

    def _locked(self) -> None:
        gate = self._gate
        self._workshop.collector(
            "lock", gate.name, "--when", "now", "--reason", "Broken belt", "--actor", "the manager"
        )
        wait_for("the lock", lambda: "lock-now" in gate.status().get("causes", []))
        _print_step(gate.name, "a manager locks the machine: broken belt", gate.shown())
        _tap(gate, "ada", "Ada tries", lambda: refused(gate, "blocked-lock-now"))
        self._workshop.collector("unlock", gate.name, "--actor", "the manager")
        wait_for("the lock to fall", lambda: not gate.status().get("causes"))
        _print_step(gate.name, "the manager unlocks it")


def _saw(gate: SimulatedGate) -> None:
    place(gate.socket, CARDS["ada"])
    wait_for("power", lambda: gate.observer.on)
    _print_step(gate.name, "Ada puts her card into the holder", gate.shown())
    time.sleep(1)
    remove(gate.socket)
    wait_for("the grace time to pass", lambda: _is_off(gate))
    _print_step(gate.name, "Ada takes it out: a second of grace, then off", gate.shown())
    _tap(gate, "bob", "Bob, who had no training here", lambda: refused(gate, "training-missing"))


def _printer(gate: SimulatedGate) -> None:
    _tap(gate, "cleo", "Cleo taps: five seconds (a card of 10 bytes)", lambda: gate.observer.on)
    wait_for("the warning", lambda: "blink" in gate.shown())
    _print_step(gate.name, "it warns", gate.shown())
    wait_for("the limit", lambda: _is_off(gate))
    _print_step(gate.name, "no tap extends it: off at the limit", gate.shown())


def _is_off(gate: SimulatedGate) -> bool:
    """Return whether a session has ended and the display shows it, which follows the power."""
    return not gate.observer.on and gate.shown().startswith("[off")


def refused(gate: SimulatedGate, reason: str) -> bool:
    """Return whether the last refusal in the journal has this reason."""
    for body in reversed(gate.entries()):
        entry = json.loads(body)
        if entry["type"] == "fabgate.access.refused.v1":
            return reason in entry["data"]["reasons"]
    return False


def _tap(gate: SimulatedGate, who: str, what: str, seen: Callable[[], bool]) -> None:
    hold(gate.socket, CARDS[who], f"the gate to answer: {what}", seen)
    _print_step(gate.name, what, gate.shown())


def against_observer(book: books.Books, gate: SimulatedGate) -> list[str]:
    """Compare the journal of a gate with what was observed at its machine."""
    seen = gate.observer
    return books.against_observer(book, seen.stretches(), tolerance_ms=seen.tolerance_ms, outlives_ms=seen.outlives_ms)


def _check(workshop: Workshop, began: datetime) -> list[str]:
    wrong: list[str] = []
    ended = datetime.now(UTC) + timedelta(seconds=1)
    period = ("--from", began.isoformat(timespec="seconds"), "--to", ended.isoformat(timespec="seconds"))
    booked_ms = 0
    booked: set[str] = set()
    sessions = workshop.sessions()
    for gate in workshop.gates:
        book = books.read(gate.entries())
        booked_ms += sum(session.energised_ms for session in book.sessions.values())
        booked |= book.sessions.keys()
        wrong += book.wrong
        wrong += against_observer(book, gate)
        wrong += books.against_collector(book, [row for row in sessions if row["session"] in book.sessions])
    wrong += [f"session {row['session']} is in no journal" for row in sessions if row["session"] not in booked]
    report = json.loads(workshop.usage(*period, "--json"))
    if report["total"]["energised_ms"] != booked_ms:
        wrong.append(f"the report counts {report['total']['energised_ms']} ms, the journals {booked_ms} ms")
    print()
    print(workshop.usage(*period))
    print(f"{len(booked)} sessions, {booked_ms / 1000:.3f} s of power in the journals")
    return wrong


def _print_step(gate: str, what: str, shown: str = "") -> None:
    """Print one step, and below it the gate's panel: its light, and two lines of its display on each line."""
    print(f"{datetime.now().astimezone():%H:%M:%S}  {gate:<11} {what}", flush=True)
    if shown:
        light, lines = panel(shown)
        pairs = [" / ".join(lines[at : at + 2]) for at in range(0, len(lines), 2)]
        for name, pair in zip_longest([light], pairs, fillvalue=""):
            print(f"{'':10}{name:<11} {pair}".rstrip(), flush=True)
