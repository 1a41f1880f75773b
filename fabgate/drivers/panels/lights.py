"""Lights: an RGB LED, or three LEDs in red, amber and green, dimmed with PWM through gpiozero."""

from __future__ import annotations

import contextlib
from typing import Annotated, Any, ClassVar, Final, Literal

import msgspec

from fabgate.drivers.panels import Notice
from fabgate.drivers.panels.blinker import Blinker, Colour
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
        self._blinker: Blinker | None = None

    def open(self) -> None:
        """Claim the pins, dark. Raises HardwareError."""
        options = self._options
        pins = [options.red_pin, options.green_pin, options.third_pin]

        def make() -> Any:
            from gpiozero import RGBLED  # noqa: PLC0415 - 50 ms on a PC, a second on a Pi

            return RGBLED(*pins, active_high=options.common == "cathode")

        self._led = led = claim(make, "lights", pins)
        self._shown = ""

        def put(colour: Colour) -> None:
            led.value = colour

        self._blinker = Blinker(put)

    def show(self, notice: Notice) -> None:
        """Show the light. A colour that this version does not know is white. Raises what the pins raise."""
        assert self._blinker is not None
        self._blinker.check()
        if notice.light == self._shown:
            return  # a blinking light keeps its rhythm
        name, _, blink = notice.light.partition(" ")
        colours = COLOURS[self._options.lights]
        level = self._options.brightness / 100
        red, green, third = colours.get(name, colours["white"])
        self._blinker.show((red * level, green * level, third * level), blinks=bool(blink))
        self._shown = notice.light

    def close(self) -> None:
        """Switch off and release the pins. Never raises."""
        blinker, self._blinker = self._blinker, None
        if blinker is not None:
            blinker.close()
        led, self._led = self._led, None
        if led is None:
            return
        for act in (led.off, led.close):
            with contextlib.suppress(Exception):
                act()
