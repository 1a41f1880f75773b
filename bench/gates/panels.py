"""Every panel at once, on emulated pins and buses: lights, buzzer, OLED and LCD, with their real drivers and libraries."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from queue import SimpleQueue
from typing import Any, Final

from gpiozero import Device
from gpiozero.pins.mock import MockFactory, MockPWMPin

from fabgate.drivers.emulated.displays.i2c import EmulatedBus
from fabgate.drivers.emulated.displays.lcd_chip import LcdChip
from fabgate.drivers.emulated.displays.oled_chip import OledChip
from fabgate.drivers.panels import Notice
from fabgate.drivers.panels.lcd import LcdPanel
from fabgate.drivers.panels.lights import LightsPanel
from fabgate.drivers.panels.oled import OledPanel

#: The section of gate.yaml.
ALL: Final = [{"driver": "lights"}, {"driver": "buzzer"}, {"driver": "oled"}, {"driver": "lcd"}]


class Panels(EmulatedBus):
    """A bus on which both displays are, and which hangs when told to; ``hung`` says that a panel waits for it.

    ``lights`` gets what the lights show: (colour, perf_counter nanoseconds).
    """

    def __init__(self) -> None:
        super().__init__()
        self.chips = {0x3C: OledChip("sh1106"), 0x27: LcdChip(20, 4)}
        self.answers = threading.Event()
        self.answers.set()
        self.hung = threading.Event()
        self.lights: SimpleQueue[tuple[str, int]] = SimpleQueue()

    def transfer(self, address: int, data: bytes) -> None:
        """Hang, or take the bytes."""
        if not self.answers.is_set():
            self.hung.set()
            self.answers.wait()
        super().transfer(address, data)

    def until(self, light: str) -> int:
        """Wait until the lights show this; return when they did."""
        while True:
            found, at_ns = self.lights.get(timeout=10)
            if found == light:
                return at_ns


@contextlib.contextmanager
def attached() -> Iterator[Panels]:
    """Give the drivers of this process emulated pins and buses."""
    panels = Panels()
    show: Any = LightsPanel.show

    def shown(panel: LightsPanel, notice: Notice) -> None:
        show(panel, notice)
        panels.lights.put((notice.light, time.perf_counter_ns()))

    def opened(number: int) -> Panels:  # noqa: ARG001 - both displays are on one bus
        return panels

    before = Device.pin_factory, OledPanel.open_bus, LcdPanel.open_bus
    Device.pin_factory = MockFactory(pin_class=MockPWMPin)
    OledPanel.open_bus = LcdPanel.open_bus = staticmethod(opened)
    LightsPanel.show = shown  # type: ignore[method-assign, assignment]
    try:
        yield panels
    finally:
        panels.answers.set()
        LightsPanel.show = show  # type: ignore[method-assign]
        Device.pin_factory, OledPanel.open_bus, LcdPanel.open_bus = before  # type: ignore[assignment]
