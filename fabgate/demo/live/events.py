"""The latest events of the demo, each on one line: key presses, and new entries of the gates."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from fabgate import wire
from fabgate.demo.furnishing.people import NAMES
from fabgate.demo.processes.gate import SimulatedGate
from fabgate.errors import JournalError
from fabgate.gate.journal.reader import JournalReader

KEPT: Final = 100


@dataclass(frozen=True, slots=True)
class Event:
    """One line: local time of day, the gate, and what happened; `number` counts from 1."""

    number: int
    at: str
    gate: str
    text: str


class Events:
    """The newest lines. `add` is thread-safe; call `look` from one thread only."""

    def __init__(self, gates: Iterable[SimulatedGate]) -> None:
        self._lines: deque[Event] = deque(maxlen=KEPT)
        self._read: dict[str, int] = {}
        self._lock = threading.Lock()
        self._count = 0
        self._gates = tuple(gates)

    def begin(self) -> None:
        """Show only what the gates record from now on."""
        for gate in self._gates:
            reader = JournalReader(gate.state_dir / "journal.db")
            self._read[gate.name] = reader.bounds()[1]
            reader.close()

    def add(self, gate: str, text: str) -> None:
        """Add a line now."""
        with self._lock:
            self._count += 1
            self._lines.append(Event(self._count, f"{datetime.now().astimezone():%H:%M:%S}", gate, text))

    def look(self, gate: SimulatedGate, head: int) -> None:
        """Add what the gate has recorded since the last call; `head` is the last number of its journal."""
        if head <= self._read[gate.name]:
            return
        # A journal that cannot be read is read at the next poll.
        with contextlib.suppress(JournalError):
            reader = JournalReader(gate.state_dir / "journal.db")
            try:
                for entry in reader.after(self._read[gate.name], most=KEPT):
                    self.add(gate.name, describe(entry.body))
                    self._read[gate.name] = entry.seq
            finally:
                reader.close()

    def since(self, number: int = 0) -> tuple[Event, ...]:
        """Return the kept lines after this one, the oldest first."""
        with self._lock:
            return tuple(event for event in self._lines if event.number > number)


def describe(body: bytes) -> str:
    """Return a journal entry in a few words."""
    entry = wire.decode_entry(body)
    data = wire.decode_data(entry)
    match data:
        case wire.SessionStarted():
            how = "takes over, the power stays on" if data.energised_from_ms is not None else "begins a session"
            return f"{NAMES.get(data.member, data.member)} {how}"
        case wire.SessionEnded():
            doubt = f", perhaps {data.uncertainty_ms / 1000:.1f} s more" if data.uncertainty_ms else ""
            who = NAMES.get(data.member, data.member)
            return f"session of {who} ends ({data.reason}): {data.energised_ms / 1000:.1f} s of power{doubt}"
        case wire.AccessRefused():
            who = NAMES.get(data.member or "", "an unknown badge" if data.member is None else data.member)
            return f"{who} is refused: {', '.join(data.reasons)}"
        case wire.MachineBlocked():
            return f"out of service: {data.cause}" + (f", {data.detail}" if data.detail else "")
        case wire.MachineCleared():
            return f"no longer out of service: {data.cause}"
        case wire.CommandExecuted():
            return f"{data.actor or 'the collector'} orders {data.verb}: {data.outcome}"
        case wire.RosterReplaced():
            return f"a new roster with {data.members} members"
        case _:
            return wire.short_type(entry.type).replace(".", " ")
