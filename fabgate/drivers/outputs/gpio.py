"""Switches a machine's contactor with one GPIO line, active high, through gpiozero.

Active high only: the lgpio factory claims a line low and then writes, so an active-low relay would switch on briefly at
every start. The line is claimed at its safe level in the call that claims it. An optional read-back line shows the state of
the load side: a mirror contact, which is closed while the contactor is open. The Pi's own resistor pulls that line to the
level of a closed contactor, so that a broken wire never hides a welded one.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from fabgate.errors import HardwareError


class GpioOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Options of ``output: {driver: gpio}``; pins are BCM numbers.

    `pin`: 9 to 27 except 14 and 15. These are pulled down at reset (0 to 8 are pulled up, 14 and 15 are the serial port).
    `readback_pin`: the mirror contact; `readback_closed` is the level of its line while the contactor is closed: high where
    the contact pulls to ground (hardware/wiring.md), low where it pulls to 3.3 V.
    `pins: emulated` is for demos: mock pins, whose changes are written to `pin_log`.
    """

    pin: Annotated[int, msgspec.Meta(ge=0, le=27)]
    readback_pin: Annotated[int, msgspec.Meta(ge=0, le=27)] | None = None
    readback_closed: Literal["high", "low"] = "high"
    pins: Literal["real", "emulated"] = "real"
    pin_log: Path | None = None


class GpioOutput:
    """The Output contract on a GPIO line."""

    Options = GpioOptions

    def __init__(self, options: GpioOptions) -> None:
        self._options = options
        self._line: Any = None
        self._readback: Any = None
        self._stuck = False

    def open(self) -> None:
        """Claim the line, off. Raises HardwareError."""
        options = self._options
        try:
            if options.pins == "emulated":
                from fabgate.drivers.emulated import pins  # noqa: PLC0415 - a Pi never needs it

                pins.install(options.pin_log)
            from gpiozero import DigitalInputDevice, OutputDevice  # noqa: PLC0415 - 50 ms on a PC, a second on a Pi

            self._line = OutputDevice(options.pin, active_high=True, initial_value=False)
            if options.readback_pin is not None:
                pull_up = options.readback_closed == "high"
                self._readback = DigitalInputDevice(options.readback_pin, pull_up=pull_up)
        except Exception as error:
            # Each of gpiozero's pin libraries has its own errors; here all mean that the pin cannot be claimed.
            self.close()
            raise HardwareError(
                f"GPIO {options.pin} cannot be claimed as an output ({type(error).__name__}: {error})."
                " Check the pin, that no other program holds it, and that this user is in the group gpio"
            ) from error

    def set(self, *, on: bool) -> None:
        """Drive the line. Off never raises; on raises HardwareError and leaves the line off."""
        if not on:
            self._off()
            return
        try:
            self._line.on()
        except Exception as error:
            self._off()
            raise HardwareError(
                f"GPIO {self._options.pin} cannot be driven ({type(error).__name__}: {error})"
            ) from error

    def _off(self) -> None:
        if self._line is None:
            return
        try:
            self._line.off()
            self._stuck = bool(self._line.value)
        except Exception:  # noqa: BLE001 - gpiozero's pin libraries have errors of their own
            self._stuck = True

    def read_back(self) -> bool | None:
        """Return whether the contactor is closed, or None where no mirror contact is wired. Never raises.

        A mirror contact that cannot be read counts as closed: the machine may be on.
        """
        if self._stuck:
            return True  # the line did not go low
        if self._readback is None:
            return None
        try:
            return not self._readback.is_active  # active: the mirror contact pulls the line away from its resistor
        except Exception:  # noqa: BLE001 - gpiozero's pin libraries have errors of their own
            return True

    def close(self) -> None:
        """Switch off and release the pins. Never raises.

        gpiozero leaves a closed pin floating: the external pull-down of the wiring page keeps the contactor open.
        """
        self._off()
        for device in (self._line, self._readback):
            with contextlib.suppress(Exception):
                device.close()
        self._line = self._readback = None
