"""Observes from outside the gate when the machine has power: reads the pipe to which the gate's pins report.

When the gate's process dies, the pipe is closed and the pins count as low. A plug is observed at its relay, which falls off by
the plug's own timer after the gate's death.
"""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from fabgate.drivers.emulated.outputs.plug import Plug


@dataclass(frozen=True, slots=True)
class Powered:
    """One span of power, in nanoseconds of CLOCK_BOOTTIME.

    `killed` is whether it ended because the gate's process ended.
    """

    on_ns: int
    off_ns: int
    killed: bool = False

    @property
    def ms(self) -> float:
        """Return its length in milliseconds."""
        return (self.off_ns - self.on_ns) / 1_000_000


class PowerObserver(Protocol):
    """What sees from outside the gate whether a machine has power."""

    #: By how much the power may differ from the books, and for how much longer it may be on after the gate has died.
    tolerance_ms: int
    outlives_ms: int

    @property
    def on(self) -> bool:
        """Whether the machine has power now."""

    @property
    def since_ns(self) -> int | None:
        """Return since when it has power, in nanoseconds of CLOCK_BOOTTIME; None if it has none."""

    def stretches(self) -> list[Powered]:
        """Return every span of power that has ended."""


class PlugObserver:
    """Observes the relay of an emulated plug, whose clock must be ``boottime_s``."""

    #: An order to the plug may take this long until it is confirmed.
    tolerance_ms = 300
    #: The plug's timer of 30 s, and an order that was under way.
    outlives_ms = 35_000

    def __init__(self, plug: Plug) -> None:
        self._plug = plug

    @property
    def on(self) -> bool:
        """Whether the plug is on now."""
        return self._plug.on

    @property
    def since_ns(self) -> int | None:
        """Return since when it has been on, in nanoseconds of CLOCK_BOOTTIME; None if it is off."""
        return round(self._plug.history[-1][0] * 1e9) if self._plug.on else None

    def stretches(self) -> list[Powered]:
        """Return every span of power that has ended."""
        _ = self._plug.on  # its timer has been looked at
        changes = self._plug.history.copy()
        return [
            Powered(round(on_s * 1e9), round(off_s * 1e9))
            for (on_s, _), (off_s, _) in zip(changes[::2], changes[1::2], strict=False)
        ]


def boottime_s() -> float:
    """Return CLOCK_BOOTTIME in seconds."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Observer:
    """Observes one pin through a pipe that it creates at `path`."""

    tolerance_ms = 20
    outlives_ms = 0

    def __init__(self, path: Path, pin: int) -> None:
        self._path = path
        self._pin = str(pin)
        self._lock = threading.Lock()
        self._since: int | None = None
        self._stretches: list[Powered] = []
        os.mkfifo(path, 0o600)
        threading.Thread(target=self._watch, name=f"observer-{path.name}", daemon=True).start()

    @property
    def on(self) -> bool:
        """Whether the line is high now."""
        return self.since_ns is not None

    @property
    def since_ns(self) -> int | None:
        """Return since when the line has been high, in nanoseconds of CLOCK_BOOTTIME; None if it is low."""
        with self._lock:
            return self._since

    def stretches(self) -> list[Powered]:
        """Return every span of power that has ended."""
        with self._lock:
            return list(self._stretches)

    def _watch(self) -> None:
        while True:
            try:
                # blocks until a gate opens the other end; the loop ends when that gate closes it
                pipe = self._path.open(encoding="ascii")
            except FileNotFoundError:
                return  # the folder of the workshop was deleted
            with pipe:
                for line in pipe:
                    at_ns, pin, level = line.split()
                    if pin == self._pin:
                        self._changed(int(at_ns), on=level == "1")
            self._changed(time.clock_gettime_ns(time.CLOCK_BOOTTIME), on=False, killed=True)

    def _changed(self, at_ns: int, *, on: bool, killed: bool = False) -> None:
        with self._lock:
            if on and self._since is None:
                self._since = at_ns
            elif not on and self._since is not None:
                self._stretches.append(Powered(self._since, at_ns, killed))
                self._since = None
