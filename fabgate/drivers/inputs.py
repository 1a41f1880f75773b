"""Reads four GPIO inputs: stop button, emergency stop, flag button and run-sense.

All are wired normally closed to ground, with the pin's pull-up: a pressed button opens the circuit, and so does a
broken wire. So every failure is read as *pressed* (or, for the run-sense, as *running*, which never cuts a job).

Levels are polled: edge callbacks of libraries count the noise of a motor as presses. A level counts once it was the same
in several polls: two for an opening, five for a closing, so that a stop is quick and an all-clear is certain.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any, Final

from fabgate.errors import HardwareError

POLL_S: Final = 0.02
OPEN_POLLS: Final = 2
CLOSE_POLLS: Final = 5


class Debounced:
    """One input, debounced. It counts as pressed until its circuit was seen closed (not pressed)."""

    def __init__(self) -> None:
        self.pressed = True
        self._differing = 0

    def update(self, *, is_open: bool) -> bool:
        """Add the level of one poll; return whether the input changed."""
        if is_open == self.pressed:
            self._differing = 0
            return False
        self._differing += 1
        if self._differing < (OPEN_POLLS if is_open else CLOSE_POLLS):
            return False
        self.pressed, self._differing = is_open, 0
        return True


class GpioInputs:
    """The inputs by name; `pins` maps a name to its BCM number."""

    def __init__(self, pins: Mapping[str, int]) -> None:
        self._pins = dict(pins)
        self._devices: dict[str, Any] = {}

    def open(self) -> None:
        """Claim the pins. Raises HardwareError."""
        from gpiozero import DigitalInputDevice  # noqa: PLC0415 - slow to import on a Pi, and only needed with inputs

        for name, pin in self._pins.items():
            try:
                self._devices[name] = DigitalInputDevice(pin, pull_up=True)
            except Exception as error:
                # Each of gpiozero's pin libraries has its own errors; here all mean that the pin cannot be claimed.
                self.close()
                raise HardwareError(f"GPIO {pin} ({name}) cannot be claimed as an input ({error})") from error

    def read(self) -> dict[str, bool]:
        """Return for each input whether its circuit is open: pressed, running, or broken. Raises HardwareError."""
        try:
            return {name: not device.is_active for name, device in self._devices.items()}
        except Exception as error:
            # see ``open``
            raise HardwareError(f"the inputs cannot be read ({type(error).__name__}: {error})") from error

    def close(self) -> None:
        """Release the pins. Never raises."""
        for device in self._devices.values():
            with contextlib.suppress(Exception):
                device.close()
        self._devices.clear()
