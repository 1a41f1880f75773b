"""The pulse output of an electricity meter, as a contact between a mock pin of gpiozero and ground."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

#: The shortest pulse and the shortest pause (IEC 62053-31).
SHORTEST_S: Final = 0.03


class PulseOutput:
    """A contact at the pin `gpio`. It is open: the pin's pull-up holds the line high."""

    def __init__(self, gpio: int, sleep: Callable[[float], None] = time.sleep) -> None:
        from gpiozero import Device  # noqa: PLC0415 - as everywhere: it is slow to import

        self._pin: Any = Device.pin_factory.pin(gpio)
        self._sleep = sleep

    def pulse(self, times: int = 1, *, length_s: float = SHORTEST_S, pause_s: float = SHORTEST_S) -> None:
        """Close the contact for a moment, once or more."""
        for _ in range(times):
            self._pin.drive_low()
            self._sleep(length_s)
            self._pin.drive_high()
            self._sleep(pause_s)
