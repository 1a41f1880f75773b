"""Lights and the buzzer, on gpiozero's mock pins: which pins carry what, and for how long."""

from __future__ import annotations

import itertools

import msgspec
import pytest
from gpiozero import Device, DigitalOutputDevice
from gpiozero.pins.mock import MockFactory, MockPWMPin

from fabgate.drivers.emulated import pins as emulated_pins
from fabgate.drivers.panels import Notice, Panel, blinker
from fabgate.drivers.panels.buzzer import LONGEST_S, BuzzerOptions, BuzzerPanel
from fabgate.drivers.panels.lights import COLOURS, LightsOptions, LightsPanel
from fabgate.errors import HardwareError
from fabgate.gate.panel import messages
from fabgate.testing.panels import PanelContract
from tests.support.patience import wait

RED, GREEN, THIRD, BUZZER = 13, 19, 26, 12
LIGHTS = {light for light, _ in messages._LIGHT_AND_SOUND.values()}
SOUNDS = {sound for _, sound in messages._LIGHT_AND_SOUND.values()}


@pytest.fixture(autouse=True)
def pins():
    """Replace the pins of this computer."""
    before, Device.pin_factory = Device.pin_factory, MockFactory(pin_class=MockPWMPin)
    yield Device.pin_factory
    Device.pin_factory.reset()
    Device.pin_factory = before


def levels() -> list[float]:
    return [float(Device.pin_factory.pin(pin).state) for pin in (RED, GREEN, THIRD)]


class HastyBuzzer(BuzzerPanel):
    """A buzzer whose time passes at once: it keeps what sounded, and for how long."""

    def __init__(self, options: BuzzerOptions) -> None:
        super().__init__(options)
        self.heard: list[tuple[float, float, float]] = []

    def pause(self, seconds: float) -> None:
        pin = Device.pin_factory.pin(BUZZER)
        self.heard.append((float(pin.state), pin.frequency or 0, seconds))


class TestLights(PanelContract):
    def make(self) -> Panel:
        return LightsPanel(LightsOptions())

    def unplug(self) -> None:
        self.other = DigitalOutputDevice(RED)  # another program holds the pin


class TestBuzzer(PanelContract):
    def make(self) -> Panel:
        return HastyBuzzer(BuzzerOptions())

    def unplug(self) -> None:
        self.other = DigitalOutputDevice(BUZZER)


@pytest.mark.parametrize("kind", COLOURS)
def test_each_light_of_the_messages_has_its_own_colour(kind):
    lights = LightsPanel(LightsOptions(lights=kind))
    lights.open()
    seen = {}
    for light in sorted(LIGHTS):
        if "blink" not in light:
            lights.show(Notice(light))
            seen[light] = tuple(levels())
    assert len(set(seen.values())) == len(seen)
    assert seen["off"] == (0, 0, 0)
    assert seen["red"] == (1, 0, 0)
    assert seen["amber"] == ((1, 0.3, 0) if kind == "rgb" else (0, 0, 1))
    lights.close()


def test_a_blinking_light_goes_on_and_off_and_the_next_one_stands_still(monkeypatch):
    monkeypatch.setattr(blinker, "BLINK_S", 0.005)
    lights = LightsPanel(LightsOptions(brightness=50))
    lights.open()
    lights.show(Notice("green blink"))
    assert levels() == [0, 0.5, 0]
    green = Device.pin_factory.pin(GREEN)
    wait(lambda: [state.state for state in green.states].count(0.5) > 2, "the light to blink")
    lights.show(Notice("red"))
    assert levels() == [0.5, 0, 0]
    changes = len(green.states)
    lights.show(Notice("amber blink"))
    wait(lambda: len(green.states) > changes + 2, "the next light to blink")
    lights.close()


def test_a_pin_that_fails_while_a_light_blinks_is_reported_by_the_next_notice(monkeypatch):
    monkeypatch.setattr(blinker, "BLINK_S", 0.001)
    lights = LightsPanel(LightsOptions())
    lights.open()
    lights.show(Notice("green blink"))
    lights._led.close()
    wait(lambda: lights._blinker._error, "the failure")
    with pytest.raises(type(lights._blinker._error)):
        lights.show(Notice("red"))
    lights.close()


def test_the_lights_of_an_emulated_gate_can_be_observed_and_a_dimmed_one_counts_as_on(tmp_path, monkeypatch):
    monkeypatch.setattr(Device, "pin_factory", None)
    factory = emulated_pins.install(tmp_path / "pins")
    lights = LightsPanel(LightsOptions(brightness=40))
    lights.open()
    lights.show(Notice("amber"))
    lights.close()
    changes = [line.split()[1:] for line in (tmp_path / "pins").read_text().splitlines()]
    assert changes[:2] == [[str(RED), "1"], [str(GREEN), "1"]]
    assert {pin for pin, level in changes if level == "0"} == {str(RED), str(GREEN)}
    factory.reset()


def test_an_anode_in_common_inverts_the_lines():
    lights = LightsPanel(LightsOptions(common="anode"))
    lights.open()
    assert levels() == [1, 1, 1]
    lights.show(Notice("red"))
    assert levels() == [0, 1, 1]
    lights.close()


def test_lights_that_cannot_be_claimed_release_the_pins_that_they_had():
    other = DigitalOutputDevice(THIRD)
    lights = LightsPanel(LightsOptions())
    with pytest.raises(HardwareError, match="lights: GPIO 13, 19, 26 cannot be claimed"):
        lights.open()
    other.close()
    lights.open()
    lights.close()


def sounds(heard: list[tuple[float, float, float]]) -> list[tuple[float, float]]:
    """Return the pitch and the length of each sound."""
    return [(pitch, seconds) for level, pitch, seconds in heard if level]


def test_each_pattern_sounds_different_and_ends_in_silence_within_a_second():
    for kind in ("active", "passive"):
        found = set()
        for sound in SOUNDS:
            buzzer = HastyBuzzer(BuzzerOptions(buzzer=kind))
            buzzer.open()
            buzzer.show(Notice("red", sound))
            assert not Device.pin_factory.pin(BUZZER).state
            assert sum(seconds for *_, seconds in buzzer.heard) <= LONGEST_S
            found.add(tuple(sounds(buzzer.heard)))
            buzzer.close()
        assert len(found) == len(SOUNDS)


def test_a_refusal_is_lower_than_a_welcome_on_a_passive_buzzer():
    buzzer = HastyBuzzer(BuzzerOptions(buzzer="passive"))
    buzzer.open()
    buzzer.show(Notice("red", "low low"))
    assert sounds(buzzer.heard) == [(440, 0.3), (440, 0.3)]
    buzzer.show(Notice("green", "short"))
    assert sounds(buzzer.heard)[2:] == [(2_000, 0.1)]
    buzzer.show(Notice("green", " ".join(itertools.repeat("short", 99))))
    assert sum(seconds for *_, seconds in buzzer.heard[6:]) <= LONGEST_S
    buzzer.close()


def test_a_buzzer_that_is_interrupted_is_silent():
    class Interrupted(BuzzerPanel):
        def pause(self, seconds: float) -> None:
            raise RuntimeError("the gate ends")

    buzzer = Interrupted(BuzzerOptions())
    buzzer.open()
    with pytest.raises(RuntimeError):
        buzzer.show(Notice("red", "low"))
    assert not Device.pin_factory.pin(BUZZER).state
    buzzer.close()


def test_options_are_in_their_ranges():
    for options, kind in (
        ({"brightness": 0}, LightsOptions),
        ({"red_pin": 28}, LightsOptions),
        ({"pitch_hz": 5}, BuzzerOptions),
    ):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(options, kind)
