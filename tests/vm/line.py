"""The output line as this computer sees it, outside the guest: each change with the time, and what happened around it.

The times are those at which this computer reads a change. The guest cannot colour them: its kernel writes each change at the
moment at which it makes it, and waits until QEMU has taken it.
"""

from __future__ import annotations

import socket
import threading
import time
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class What(StrEnum):
    """What happened."""

    ON = "on"
    OFF = "off"
    TAP = "tap"  # a badge is held to the reader from now on
    KILL = "kill"  # the signal, or the panic, comes now
    RESET = "reset"  # the guest's processor begins anew, as after a power cut: each pin is an input with a pull-down


_KILL: Final = ord("K")
#: How long a change may take until the test fails, in seconds. It is no limit of speed: an emulated processor is slow.
HANGS_S: Final = 180.0


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened. `at_s` is time.monotonic() of this computer; `by` is the program that moved the line."""

    what: What
    at_s: float
    by: str = ""


class Line:
    """The history of one output line of the guest. Another thread adds to it; every method may be called at any time."""

    def __init__(self, pin: int) -> None:
        self._pin = pin
        self._events: list[Event] = []
        self._on = False
        self._changed = threading.Condition()
        self._partial = bytearray()

    def read(self, connection: socket.socket) -> None:
        """Read what the guest writes, until QEMU ends."""
        while received := connection.recv(4096):
            at_s = time.monotonic()
            for byte in received:
                self._take(byte, at_s)

    def _take(self, byte: int, at_s: float) -> None:
        if not self._partial and byte == _KILL:
            self.add(Event(What.KILL, at_s))
        elif byte != ord("\n"):
            self._partial.append(byte)
        else:
            number, level, by = self._partial.decode("ascii", "replace").split(" ", 2)
            self._partial.clear()
            if int(number) == self._pin:
                self.add(Event(What.ON if level == "1" else What.OFF, at_s, by))

    def add(self, event: Event) -> None:
        with self._changed:
            if event.what is What.RESET:
                self._partial.clear()  # what the processor was about to write is lost
            self._events.append(event)
            self._on = event.what is What.ON or (self._on and event.what not in {What.OFF, What.RESET})
            self._changed.notify_all()

    @property
    def is_on(self) -> bool:
        with self._changed:
            return self._on

    def here(self) -> int:
        """Return a place in the history: now."""
        with self._changed:
            return len(self._events)

    def since(self, place: int) -> list[Event]:
        with self._changed:
            return self._events[place:]

    def comes(self, what: What, place: int, within_s: float = HANGS_S) -> bool:
        """Return whether something has happened since a place, or happens within some seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: any(event.what is what for event in self._events[place:]), within_s)


def rises_without_a_tap(events: list[Event]) -> list[Event]:
    """Return each time the line went on though no badge was held to the reader since it last changed, or since a reset."""
    found, tapped = [], False
    for event in events:
        if event.what is What.TAP:
            tapped = True
        elif event.what is What.ON:
            if not tapped:
                found.append(event)
            tapped = False
        elif event.what in {What.OFF, What.RESET}:
            tapped = False
    return found
