"""A display that is unplugged and hangs as a test wants it."""

from __future__ import annotations

import threading
from typing import Any

from msgspec import Struct

from fabgate.drivers.panels import Notice
from fabgate.errors import HardwareError


class Device:
    """What one panel is connected to."""

    def __init__(self) -> None:
        self.seen: list[Notice] = []
        self.opened = 0
        self.is_plugged = True
        #: While it is clear, the device hangs.
        self.answers = threading.Event()
        self.answers.set()

    @property
    def text(self) -> str:
        return " / ".join(self.seen[-1].lines) if self.seen else ""


class Options(Struct, frozen=True):
    device: Any = None


class Display:
    """A display that shows clocks."""

    Options = Options
    repeats = True

    def __init__(self, options: Options) -> None:
        self._device: Device = options.device

    def open(self) -> None:
        self._device.opened += 1
        if not self._device.is_plugged:
            raise HardwareError("no display")

    def show(self, notice: Notice) -> None:
        assert self._device.answers.wait(30)
        if not self._device.is_plugged:
            raise HardwareError("no display")
        self._device.seen.append(notice)

    def close(self) -> None:
        """Keep what was seen."""
