"""A contactor with its mirror contact, on the mock pins that the real driver of the gate's output uses."""

from __future__ import annotations

from typing import Any

from gpiozero import Device
from gpiozero.pins.mock import MockFactory, MockPWMPin

from fabgate.drivers.outputs.gpio import GpioOptions, GpioOutput

COIL, MIRROR, SECOND_COIL, SECOND_MIRROR = 17, 27, 21, 20


class _Pin(MockPWMPin):  # type: ignore[misc]  # gpiozero is not typed
    """A pin that moves what is wired to it."""

    def _change_state(self, value: float) -> bool:
        changed = bool(super()._change_state(value))
        if changed and self._function == "output":
            self.factory.contactor.move()
        return changed


class Contactor(GpioOutput):
    """The real driver, and what its lines are wired to.

    A mirror contact is closed, and pulls its line low, while its contactor is open.
    """

    def __init__(self, *, two: bool = False) -> None:
        found = {"second_pin": SECOND_COIL, "second_readback_pin": SECOND_MIRROR} if two else {}
        super().__init__(GpioOptions(pin=COIL, readback_pin=MIRROR, **found))
        self._pairs = [(COIL, MIRROR), (SECOND_COIL, SECOND_MIRROR)][: 2 if two else 1]
        #: Whether the coil gets current when its line is high; an emergency stop interrupts it.
        self.has_supply = True
        self.welded = False
        #: The lines that are connected to ground, whatever the contact does.
        self.shorted: set[int] = set()
        self.history: list[tuple[int, bool]] = []
        self.before: Any = None

    def open(self) -> None:
        """Claim mock pins, and put the wires on them."""
        if not isinstance(Device.pin_factory, MockFactory) or not hasattr(Device.pin_factory, "contactor"):
            self.before, Device.pin_factory = Device.pin_factory, MockFactory(pin_class=_Pin)
        Device.pin_factory.contactor = self
        super().open()
        self.move()

    def close(self) -> None:
        """Release the pins."""
        super().close()
        if self.before is not None:
            Device.pin_factory, self.before = self.before, None

    def set(self, *, on: bool) -> None:
        """Drive the line, and remember its changes."""
        super().set(on=on)
        if on != bool(self.history and self.history[-1][1]):
            self.history.append((0, on))

    @property
    def on(self) -> bool:
        """Whether the machine has power."""
        return self.welded or all(self._is_closed(coil) for coil, _ in self._pairs)

    def _is_closed(self, coil: int) -> bool:
        pin = Device.pin_factory.pin(coil)
        return self.has_supply and pin.function == "output" and bool(pin.state)

    def move(self) -> None:
        """Let the mirror contacts follow."""
        for coil, mirror in self._pairs:
            line = Device.pin_factory.pin(mirror)
            if line.function == "input":
                is_low = mirror in self.shorted or not (self.welded or self._is_closed(coil))
                line.drive_low() if is_low else line.drive_high()
