"""Counts the energy of a machine with an S0 meter: a contact that closes for each pulse.

The pulse output of electricity meters (IEC 62053-31, formerly DIN 43864) is a passive, isolated contact of two wires. It
closes for 30 ms or longer, and opens for 30 ms or longer; the meter's face says how many pulses are one kilowatt-hour. The
contact is wired to ground with the pin's pull-up, and its closings are counted from the kernel's edges, not by polling. Only
what is shorter than 5 ms is noise: longer filters, as buttons have, would swallow pulses.
"""

from __future__ import annotations

import contextlib
from typing import Annotated, Any, ClassVar, Final, Literal

import msgspec

from fabgate.drivers import open_emulated
from fabgate.drivers.meters import Measurement, Thresholds
from fabgate.errors import HardwareError

#: A pulse and a pause are 30 ms or longer (IEC 62053-31, 4.2.3).
NOISE_S: Final = 0.005


class S0Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Options of ``meter: {driver: s0}``. `pulse_pin` is a BCM number, `pulses_per_kwh` what the meter's face says.

    `pins: emulated` is for demos.
    """

    pulse_pin: Annotated[int, msgspec.Meta(ge=2, le=27)]
    pulses_per_kwh: Annotated[int, msgspec.Meta(ge=1, le=100_000)]
    pins: Literal["real", "emulated"] = "real"


class S0Meter:
    """Keeps the contract of ``fabgate.drivers.meters``."""

    Options = S0Options
    needs: ClassVar = {"gpiozero": "fabgate[pi]"}
    unit = ""
    counts = True
    thresholds: Thresholds | None = None

    def __init__(self, options: S0Options) -> None:
        self._options = options
        self._device: Any = None
        self._pulses = 0

    def open(self) -> None:
        """Claim the pin, and count from 0. Raises HardwareError."""
        self.close()
        pin = self._options.pulse_pin
        if self._options.pins == "emulated":
            open_emulated("pins", None)
        try:
            from gpiozero import DigitalInputDevice  # noqa: PLC0415 - slow to import on a Pi

            self._pulses = 0
            self._device = DigitalInputDevice(pin, pull_up=True, bounce_time=NOISE_S)
            self._device.when_activated = self._count
        except Exception as error:
            # Each of gpiozero's pin libraries has its own errors; here all mean that the pin cannot be claimed.
            self.close()
            raise HardwareError(
                f"s0: GPIO {pin} cannot be claimed as an input ({type(error).__name__}: {error})"
            ) from error

    def read(self) -> Measurement:
        """Return the energy counted since ``open``. Raises HardwareError."""
        try:
            self._device.value  # noqa: B018 - a pin that is gone raises
        except Exception as error:
            raise HardwareError(f"s0: the pulses cannot be read ({type(error).__name__}: {error})") from error
        return Measurement(energy_wh=self._pulses * 1000 // self._options.pulses_per_kwh)

    def close(self) -> None:
        """Release the pin. Never raises."""
        device, self._device = self._device, None
        if device is not None:
            with contextlib.suppress(Exception):
                device.close()

    def _count(self) -> None:
        self._pulses += 1  # only the thread of the pin library calls this
