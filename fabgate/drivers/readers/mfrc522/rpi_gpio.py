"""A replacement for RPi.GPIO on gpiozero, for the reset pin of the `mfrc522` package.

The package imports ``RPi.GPIO``, which raises RuntimeError on a PC and does not work on a Pi 5. ``install`` puts a
module of that name into ``sys.modules`` with the few functions that the package calls. So there is one GPIO stack in
the process, gpiozero's mock pins work, and ``cleanup`` releases only the pins that were set up here.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from types import ModuleType
from typing import Any

import gpiozero

BOARD, BCM = 10, 11  # the numbers that RPi.GPIO gives its two numbering modes
OUT, IN, LOW, HIGH = 0, 1, 0, 1


class _Pins:
    """The state of the replacement: one numbering mode and the outputs that were set up, for the whole process."""

    def __init__(self) -> None:
        self.mode: int | None = None
        self.factory: Any = None
        self.claimed: dict[int, gpiozero.DigitalOutputDevice] = {}

    def getmode(self) -> int | None:
        """Return BOARD, BCM or None."""
        return self.mode

    def setmode(self, mode: int) -> None:
        """Choose how pins are numbered. Raises ValueError for a second, different choice, as RPi.GPIO does."""
        if mode not in (BOARD, BCM) or self.mode not in (None, mode):
            raise ValueError(f"found numbering mode {mode} after {self.mode}, wanted one of BOARD (10) and BCM (11)")
        self.mode = mode

    def setup(self, channel: int, direction: int) -> None:
        """Claim a pin as output, low. A pin that was set up here before is claimed again."""
        if direction != OUT:
            raise ValueError(f"found direction {direction} for pin {channel}, wanted OUT: only a reset pin is driven")
        self.cleanup(channel)
        self.claimed[channel] = gpiozero.DigitalOutputDevice(self._name(channel), pin_factory=self.factory)

    def output(self, channel: int, value: int) -> None:
        """Drive a pin that was set up. Raises RuntimeError for another, as RPi.GPIO does."""
        if channel not in self.claimed:
            raise RuntimeError(f"found pin {channel} not set up, wanted setup() before output()")
        self.claimed[channel].value = value

    def cleanup(self, channel: int | Iterable[int] | None = None) -> None:
        """Release this pin, these pins, or all that were set up here; no other pin in the process."""
        if channel is None:
            channels = list(self.claimed)
            self.mode = None
        else:
            channels = [channel] if isinstance(channel, int) else list(channel)
        for each in channels:
            if each in self.claimed:
                self.claimed.pop(each).close()

    def _name(self, channel: int) -> str:
        if self.mode is None:
            raise RuntimeError("found no numbering mode, wanted setmode(BCM) or setmode(BOARD) before setup()")
        return f"BOARD{channel}" if self.mode == BOARD else f"GPIO{channel}"


pins = _Pins()


def install(factory: Any = None) -> ModuleType:
    """Put the replacement into ``sys.modules`` as ``RPi`` and ``RPi.GPIO`` and return the latter.

    Pins set up from now on come from `factory`, a gpiozero pin factory, or from gpiozero's own for None. They have BCM
    numbers: without a mode the package would guess the reset pin.
    """
    pins.factory, pins.mode = factory, BCM
    sys.modules["RPi"], sys.modules["RPi.GPIO"] = _RPI, _GPIO
    return _GPIO


def _modules() -> tuple[ModuleType, ModuleType]:
    package, module = ModuleType("RPi"), ModuleType("RPi.GPIO", "A stand-in for RPi.GPIO on gpiozero.")
    functions = {name: getattr(pins, name) for name in ("getmode", "setmode", "setup", "output", "cleanup")}
    module.__dict__.update(BOARD=BOARD, BCM=BCM, OUT=OUT, IN=IN, LOW=LOW, HIGH=HIGH, **functions)
    package.__dict__.update(GPIO=module, __path__=[])
    return package, module


_RPI, _GPIO = _modules()
