"""An output without a line, which keeps its history: for tests, and for machines that are only audited."""

from __future__ import annotations

import time

import msgspec

from fabgate.errors import HardwareError


class MemoryOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Options of ``output: {driver: memory}``: none."""


class MemoryOutput:
    """The Output contract without a line. `history` holds (boot nanoseconds, on) for each change.

    ``broken`` emulates a line that another program holds, ``welded`` a contactor that stays closed.
    """

    Options = MemoryOptions

    def __init__(self, options: MemoryOptions | None = None) -> None:
        self.options = options or MemoryOptions()
        self.history: list[tuple[int, bool]] = []
        self.broken = False
        self.welded = False
        self.is_open = False
        self._on = False

    @property
    def on(self) -> bool:
        """Whether the output is switched on."""
        return self._on

    def open(self) -> None:
        """Claim it, off. Raises HardwareError when broken."""
        if self.broken:
            raise HardwareError("the memory output is set to fail")
        self.is_open = True
        self._drive(on=False)

    def set(self, *, on: bool) -> None:
        """Drive it. Off never raises; on raises HardwareError when broken or closed."""
        if on and (self.broken or not self.is_open):
            self._drive(on=False)
            raise HardwareError("the memory output is not open, or it is set to fail")
        self._drive(on=on)

    def read_back(self) -> bool | None:
        """Return the state of the load side: on while driven or welded."""
        return self._on or self.welded

    def close(self) -> None:
        """Switch off and release it."""
        self._drive(on=False)
        self.is_open = False

    def _drive(self, *, on: bool) -> None:
        if on != self._on:
            self._on = on
            self.history.append((time.clock_gettime_ns(time.CLOCK_BOOTTIME), on))
