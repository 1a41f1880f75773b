"""Mock pins for a gate without hardware, whose changes another process can observe.

gpiozero's own mock factory, with one addition: each change of an output is written, with its CLOCK_BOOTTIME, as a line
``<nanoseconds> <gpio> <0|1>`` to a pipe or file. So an observer knows when the machine had power without asking the
gate. When the process is killed, the pipe closes. That counts as a low line, because the kernel releases the pins of a
dead process.
"""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import Any

from gpiozero import Device
from gpiozero.pins.mock import MockFactory, MockPWMPin


class ObservedPin(MockPWMPin):  # type: ignore[misc]  # gpiozero is not typed
    """A mock pin that reports its changes while it is an output; a dimmed light counts as on."""

    def _change_state(self, value: float) -> bool:
        changed = bool(super()._change_state(value))
        del self.states[:-1]  # gpiozero's mock remembers every change, and an emulated gate may run for months
        if changed and self._function == "output":
            self.factory.report(self.info.name, on=value > 0)
        return changed


class ObservedFactory(MockFactory):  # type: ignore[misc]  # gpiozero is not typed
    """Mock pins; every change of an output goes to the file descriptor `fd`."""

    def __init__(self, fd: int) -> None:
        super().__init__(pin_class=ObservedPin)
        self._fd = fd

    def report(self, name: str, *, on: bool) -> None:
        """Write one change. A missing observer must not prevent a machine from being switched off."""
        line = f"{time.clock_gettime_ns(time.CLOCK_BOOTTIME)} {name.removeprefix('GPIO')} {int(on)}\n"
        with contextlib.suppress(OSError):
            os.write(self._fd, line.encode())


def install(pin_log: Path | None) -> Any:
    """Make gpiozero use mock pins in this process, reporting to the pipe or file `pin_log`; return the factory.

    Raises OSError when `pin_log` cannot be opened. A pipe is opened and written without blocking: without an observer this
    raises, and an observer that stops reading misses lines instead of blocking the gate.
    """
    if isinstance(Device.pin_factory, MockFactory):
        return Device.pin_factory
    if pin_log is None:
        Device.pin_factory = MockFactory(pin_class=MockPWMPin)
    else:
        is_pipe = Path(pin_log).is_fifo()
        flags = os.O_WRONLY | os.O_NONBLOCK if is_pipe else os.O_WRONLY | os.O_CREAT | os.O_APPEND
        Device.pin_factory = ObservedFactory(os.open(pin_log, flags, 0o600))
    return Device.pin_factory
