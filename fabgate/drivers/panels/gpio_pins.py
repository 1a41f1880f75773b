"""What panels on GPIO pins share: one way to claim their pins."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import msgspec

from fabgate.errors import HardwareError

#: A pin of a panel. GPIO 2 and 3 are the I2C bus.
PanelPin = Annotated[int, msgspec.Meta(ge=2, le=27)]


def claim(make: Callable[[], Any], what: str, pins: list[int]) -> Any:
    """Return what `make` returns, a device of gpiozero on these pins. Raises HardwareError."""
    try:
        return make()
    except Exception as error:
        # Each of gpiozero's pin libraries has its own errors; here all mean that a pin cannot be claimed.
        raise HardwareError(
            f"{what}: GPIO {', '.join(map(str, pins))} cannot be claimed ({type(error).__name__}: {error})."
            " Check the pins, that no other program holds them, and that this user is in the group gpio"
        ) from error
