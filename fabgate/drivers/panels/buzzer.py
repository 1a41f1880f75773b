"""A buzzer: an active one that sounds while it has power, or a passive one (a piezo) with two pitches."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Final, Literal

import msgspec

from fabgate.drivers.panels import Notice
from fabgate.drivers.panels.gpio_pins import PanelPin, claim

#: The length of each sound in seconds. "low" is longer: an active buzzer has one pitch, and both must differ.
SOUNDS_S: Final = {"short": 0.1, "low": 0.3, "tick": 0.04}
GAP_S: Final = 0.1
#: A pattern is ``show``'s time, which is a second at most.
LONGEST_S: Final = 0.9


class BuzzerOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Options of ``panel: {driver: buzzer}``; `buzzer_pin` is a BCM number, through a transistor.

    `pitch_hz`, `low_pitch_hz`: for a passive buzzer, the tone of most sounds, and that of a refusal.
    """

    buzzer_pin: PanelPin = 12
    buzzer: Literal["active", "passive"] = "active"
    pitch_hz: Annotated[int, msgspec.Meta(ge=200, le=5_000)] = 2_000
    low_pitch_hz: Annotated[int, msgspec.Meta(ge=100, le=5_000)] = 440


class BuzzerPanel:
    """The Panel contract with sound alone."""

    Options = BuzzerOptions
    needs: ClassVar = {"gpiozero": "fabgate[pi]"}
    repeats = True  # ticks before power goes off
    pause = staticmethod(time.sleep)

    def __init__(self, options: BuzzerOptions) -> None:
        self._options = options
        self._line: Any = None

    def open(self) -> None:
        """Claim the pin, silent. Raises HardwareError."""
        pin = self._options.buzzer_pin

        def make() -> Any:
            from gpiozero import DigitalOutputDevice, PWMOutputDevice  # noqa: PLC0415 - 50 ms on a PC, a second on a Pi

            return DigitalOutputDevice(pin) if self._options.buzzer == "active" else PWMOutputDevice(pin)

        self._line = claim(make, "buzzer", [pin])

    def show(self, notice: Notice) -> None:
        """Play the pattern, and return when it has ended. A sound that this version does not know is short."""
        for word, sound_s in pattern(notice.sound):
            try:
                if self._options.buzzer == "passive":
                    self._line.frequency = self._options.low_pitch_hz if word == "low" else self._options.pitch_hz
                    self._line.value = 0.5
                else:
                    self._line.on()
                self.pause(sound_s)
            finally:
                self._line.off()  # whatever happens: a buzzer that stays on is worse than a silent one
            self.pause(GAP_S)

    def close(self) -> None:
        """Be silent and release the pin. Never raises."""
        if self._line is None:
            return
        for act in (self._line.off, self._line.close):
            with contextlib.suppress(Exception):
                act()
        self._line = None


def pattern(sound: str) -> Iterator[tuple[str, float]]:
    """Yield each sound of a pattern such as ``low low``, and its length in seconds, as far as there is time."""
    left_s = LONGEST_S
    for word in sound.split():
        sound_s = SOUNDS_S.get(word, SOUNDS_S["short"])
        left_s -= sound_s + GAP_S
        if left_s < 0:
            return
        yield word, sound_s
