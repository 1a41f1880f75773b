"""Switches a machine's contactor with one GPIO line, or with two relays in series, active high, through gpiozero.

Active high only: the lgpio factory claims a line low and then writes, so an active-low relay would switch on briefly at
every start. The line is claimed at its safe level in the call that claims it. An optional read-back line shows the state of
the load side: a mirror contact, which is closed while the contactor is open. The Pi's own resistor pulls that line to the
level of a closed contactor, so that a broken wire never hides a welded one.

*Two relays in series* open together whenever the machine is switched off; one that has welded is then found before the other
one welds too. With a read-back behind both, they take turns in opening first: if the load is still on although the first one
got the order to open, and goes off once the second one opens, the first one has welded. The wait for that ends as soon as the load
is off, so that good relays open as fast as one. With a read-back for each (``second_readback_pin``) both open at once, and the
one whose contact stays closed has welded.
"""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from fabgate.drivers import open_emulated
from fabgate.errors import HardwareError

Pin = Annotated[int, msgspec.Meta(ge=0, le=27)]


class GpioOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Options of ``output: {driver: gpio}``; pins are BCM numbers.

    `pin`, `second_pin`: 9 to 27 except 14 and 15. These are pulled down at reset (0 to 8 are pulled up, 14 and 15 are the
    serial port). `second_pin` is the relay in series with the first. `readback_pin`: the mirror contact; `readback_closed`
    is the level of its line while the contactor is closed: high where the contact pulls to ground (hardware/wiring.md), low
    where it pulls to 3.3 V. `second_readback_pin`: with it, `readback_pin` is that of the first relay only,
    and this one that of the second. `opens_within_ms`: how long the load may stay on after one of two relays got the order to open.
    `pins: emulated` is for demos: mock pins, whose changes are written to `pin_log`.
    """

    pin: Pin
    second_pin: Pin | None = None
    readback_pin: Pin | None = None
    second_readback_pin: Pin | None = None
    readback_closed: Literal["high", "low"] = "high"
    opens_within_ms: Annotated[int, msgspec.Meta(ge=10, le=300)] = 200
    pins: Literal["real", "emulated"] = "real"
    pin_log: Path | None = None


class GpioOutput:
    """The Output contract on a GPIO line, or on two in series."""

    Options = GpioOptions

    def __init__(self, options: GpioOptions) -> None:
        self._options = options
        self._pins = [pin for pin in (options.pin, options.second_pin) if pin is not None]
        self._lines: list[Any] = []
        self._readbacks: list[Any] = []
        self._stuck = False
        #: Which of the lines opens first the next time.
        self._first = 0
        self._is_driven = False
        #: The relay that did not open the circuit by itself, until the other one has shown whether it can.
        self._suspect: int | None = None

    def open(self) -> None:
        """Claim the lines, off. Raises HardwareError."""
        options = self._options
        claimed = options.pin
        if options.pins == "emulated":
            open_emulated("pins", options.pin_log)
        try:
            from gpiozero import DigitalInputDevice, OutputDevice  # noqa: PLC0415 - 50 ms on a PC, a second on a Pi

            for claimed in self._pins:
                self._lines.append(OutputDevice(claimed, active_high=True, initial_value=False))
            for pin in (options.readback_pin, options.second_readback_pin):
                if pin is not None:
                    self._readbacks.append(DigitalInputDevice(pin, pull_up=options.readback_closed == "high"))
        except Exception as error:
            # Each of gpiozero's pin libraries has its own errors; here all mean that the pin cannot be claimed.
            self.close()
            raise HardwareError(
                f"GPIO {claimed} cannot be claimed as an output ({type(error).__name__}: {error})."
                " Check the pin, that no other program holds it, and that this user is in the group gpio"
            ) from error

    def set(self, *, on: bool) -> None:
        """Drive the lines. Off never raises; on raises HardwareError and leaves them off."""
        if not on:
            self._off()
            return
        try:
            for line in self._lines or [None]:  # without an open line this raises, as a lost one does
                line.on()
            self._is_driven, self._suspect = True, None
        except Exception as error:
            self._off()
            raise HardwareError(
                f"GPIO {self._options.pin} cannot be driven ({type(error).__name__}: {error})"
            ) from error

    def _off(self) -> None:
        """Open every relay, the one whose turn it is first."""
        if not self._lines:
            return
        was_driven, self._is_driven = self._is_driven, False
        first = self._first if len(self._lines) > 1 else 0
        self._stuck = False
        try:
            self._open(first)
            if was_driven and len(self._lines) > 1 and not self._stuck:
                self._suspect = None if self._went_off() else first
                self._first = 1 - first
        finally:
            for number in range(len(self._lines)):
                if number != first:
                    self._open(number)

    def _open(self, number: int) -> None:
        try:
            self._lines[number].off()
            self._stuck = bool(self._lines[number].value) or self._stuck
        except Exception:  # noqa: BLE001 - gpiozero's pin libraries have errors of their own
            self._stuck = True

    def _went_off(self) -> bool:
        """Wait until the load is off; return False if it still has power after the time that a good relay takes.

        Nothing is waited for where each relay has a contact of its own, or none can be read.
        """
        if len(self._readbacks) != 1:
            return True
        until_s = time.monotonic() + self._options.opens_within_ms / 1000
        with contextlib.suppress(Exception):
            while not self._readbacks[0].is_active:
                if time.monotonic() >= until_s:
                    return False
                time.sleep(0.001)
        return True

    def read_back(self) -> bool | None:
        """Return whether a contactor is closed, or None where no mirror contact is wired. Never raises.

        A mirror contact that cannot be read counts as closed: the machine may be on.
        """
        if self._stuck:
            return True  # a line did not go low
        if not self._readbacks:
            return None
        try:
            # Active: the mirror contact pulls the line away from its resistor, so the contactor is open.
            return not all(bool(readback.is_active) for readback in self._readbacks)
        except Exception:  # noqa: BLE001 - gpiozero's pin libraries have errors of their own
            return True

    def open_contacts(self) -> list[str]:
        """Return the pins of the mirror contacts that say that their contactor is open. Never raises."""
        pins = [pin for pin in (self._options.readback_pin, self._options.second_readback_pin) if pin is not None]
        found: list[str] = []
        for pin, readback in zip(pins, self._readbacks, strict=False):  # none is open before ``open``
            with contextlib.suppress(Exception):  # gpiozero's pin libraries have errors of their own
                if readback.is_active:
                    found.append(f"GPIO {pin}")
        return found

    def take_fault(self) -> str:
        """Return which of two relays has welded, once, or ""; the machine is off all the same. Never raises.

        While the load is on, nothing is known: the contactor behind the relays may have welded instead.
        """
        suspect = self._suspect
        if suspect is None or self._is_driven or self.read_back() is not False:
            return ""
        self._suspect = None
        return f"the relay on GPIO {self._pins[suspect]} did not open, and the other one had to: it has welded, or is bridged"

    def close(self) -> None:
        """Switch off and release the pins. Never raises.

        gpiozero leaves a closed pin floating: the external pull-down of the wiring page keeps the contactor open.
        """
        self._off()
        for device in (*self._lines, *self._readbacks):
            with contextlib.suppress(Exception):
                device.close()
        self._lines, self._readbacks = [], []
