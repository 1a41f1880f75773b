"""Lights: an RGB LED, or three LEDs in red, amber and green, dimmed with PWM through gpiozero."""

from __future__ import annotations

import contextlib
import threading
from typing import Annotated, Any, ClassVar, Final, Literal

import msgspec

from fabgate.drivers.panels import Notice
from fabgate.drivers.panels.gpio_pins import PanelPin, claim

#: For each kind of lights the share of its LEDs in a colour, in the order red, green, third.
COLOURS: Final = {
    "rgb": {
        "off": (0.0, 0.0, 0.0),
        "green": (0.0, 1.0, 0.0),
        # The green of an RGB LED is brighter than its red, so that a third of it makes amber and not lime.
        "amber": (1.0, 0.3, 0.0),
        "red": (1.0, 0.0, 0.0),
        "white": (1.0, 0.8, 0.6),
    },
    "three": {
        "off": (0.0, 0.0, 0.0),
        "green": (0.0, 1.0, 0.0),
        "amber": (0.0, 0.0, 1.0),
        "red": (1.0, 0.0, 0.0),
        # No state has all three: somebody is looking for this gate.
        "white": (1.0, 1.0, 1.0),
    },
}
BLINK_S: Final = 0.5
Colour = tuple[float, float, float]
OFF: Final[Colour] = (0.0, 0.0, 0.0)


class LightsOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Options of ``panel: {driver: lights}``; pins are BCM numbers, pulled down at reset: the lights are dark until then.

    `lights`: an RGB LED, or three LEDs. `third_pin` is blue of the one, and amber of the other. `common` is the leg that
    all share: a cathode at ground, or an anode at 3.3 V. `brightness` is in percent.
    """

    lights: Literal["rgb", "three"] = "rgb"
    red_pin: PanelPin = 13
    green_pin: PanelPin = 19
    third_pin: PanelPin = 26
    common: Literal["cathode", "anode"] = "cathode"
    brightness: Annotated[int, msgspec.Meta(ge=1, le=100)] = 100


class LightsPanel:
    """The Panel contract with light alone."""

    Options = LightsOptions
    needs: ClassVar = {"gpiozero": "fabgate[pi]"}

    def __init__(self, options: LightsOptions) -> None:
        self._options = options
        self._led: Any = None
        self._shown = ""
        #: The colour that blinks, None for a steady one. gpiozero's own blinking starts a thread for each change, which
        #: took up to 180 ms on a busy computer; this one thread only toggles what ``show`` has lit.
        self._blinking: Colour | None = None
        self._changed = threading.Condition()
        self._blinker: threading.Thread | None = None
        self._error: Exception | None = None

    def open(self) -> None:
        """Claim the pins, dark. Raises HardwareError."""
        options = self._options
        pins = [options.red_pin, options.green_pin, options.third_pin]

        def make() -> Any:
            from gpiozero import RGBLED  # noqa: PLC0415 - 50 ms on a PC, a second on a Pi

            return RGBLED(*pins, active_high=options.common == "cathode")

        self._led = claim(make, "lights", pins)
        self._shown, self._blinking, self._error = "", None, None
        self._blinker = threading.Thread(target=self._blink, args=(self._led,), name="lights", daemon=True)
        self._blinker.start()

    def show(self, notice: Notice) -> None:
        """Show the light. A colour that this version does not know is white. Raises what the pins raise."""
        if self._error is not None:
            raise self._error
        if notice.light == self._shown:
            return  # a blinking light keeps its rhythm
        name, _, blink = notice.light.partition(" ")
        colours = COLOURS[self._options.lights]
        level = self._options.brightness / 100
        red, green, third = colours.get(name, colours["white"])
        colour = (red * level, green * level, third * level)
        with self._changed:
            self._led.value = colour
            self._blinking = colour if blink else None
            self._changed.notify()
        self._shown = notice.light

    def close(self) -> None:
        """Switch off and release the pins. Never raises."""
        with self._changed:
            led, self._led, self._blinking = self._led, None, None
            self._changed.notify()
        if self._blinker is not None:
            self._blinker.join(1)
            self._blinker = None
        if led is None:
            return
        for act in (led.off, led.close):
            with contextlib.suppress(Exception):
                act()

    def _blink(self, led: Any) -> None:
        """Toggle the light that blinks, until another one is open or none."""
        is_lit = True
        with self._changed:
            while self._led is led:
                if self._changed.wait(None if self._blinking is None else BLINK_S) or self._blinking is None:
                    is_lit = True  # another light is shown since now
                    continue
                is_lit = not is_lit
                try:
                    led.value = self._blinking if is_lit else OFF
                except Exception as error:  # noqa: BLE001 - gpiozero's pin libraries have errors of their own
                    self._error = error
                    return
