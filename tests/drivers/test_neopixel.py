"""NeoPixels, from a notice to the colour that each pixel decodes from its line."""

from __future__ import annotations

import errno
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabgate.drivers.emulated.displays.pixel_strip import PixelStrip
from fabgate.drivers.panels import Notice, Panel, blinker, neopixel
from fabgate.drivers.panels.neopixel import NeopixelOptions, NeopixelPanel
from fabgate.errors import HardwareError
from fabgate.testing.panels import PanelContract
from tests.support.patience import wait

DARK = bytes(3)


class Wired(NeopixelPanel):
    """The driver and its strip, which is one pixel longer than the driver knows."""

    def __init__(self, **options: Any) -> None:
        super().__init__(NeopixelOptions(**options))
        self.strip = PixelStrip(self._options.pixels + 1)

    def make_spi(self) -> PixelStrip:  # type: ignore[override]
        return self.strip


class TestNeopixel(PanelContract):
    def make(self) -> Panel:
        self.panel = Wired()
        return self.panel

    def unplug(self) -> None:
        self.panel.strip.errno = errno.ENOENT


@pytest.fixture
def make():
    made: list[Wired] = []

    def make_(**options: Any) -> Wired:
        made.append(Wired(**options))
        made[-1].open()
        return made[-1]

    yield make_
    for one in made:
        one.close()
        assert one.strip.misfits == 0


def test_all_pixels_show_the_light_in_the_order_of_their_colours_and_none_behind_them(make):
    panel = make(pixels=3, pixel_brightness=100)
    assert panel.strip.colours == [DARK] * 3 + [None]
    for light, grb in (
        ("red", b"\0\xff\0"),
        ("amber", b"\x4c\xff\0"),
        ("white", b"\xcc\xff\x99"),
        ("violet", b"\xcc\xff\x99"),
    ):
        panel.show(Notice(light))
        assert panel.strip.colours == [grb] * 3 + [None]
    other = make(order="rgb", pixel_brightness=10)
    other.show(Notice("red"))
    assert other.strip.colours[0] == b"\x19\0\0"
    other.close()
    assert (other.strip.colours[0], other.strip.is_open) == (DARK, False)


def test_a_blinking_light_goes_on_and_off_and_one_that_lost_power_is_written_again(make, monkeypatch):
    monkeypatch.setattr(blinker, "BLINK_S", 0.002)
    panel = make()
    panel.show(Notice("green blink"))
    lit = panel.strip.colours[0]
    assert lit != DARK
    for colour in (DARK, lit, DARK):
        wait(lambda colour=colour: panel.strip.colours[0] == colour, "the light to blink")
    panel.show(Notice("red"))
    red = panel.strip.colours[0]
    panel.strip.colours[0] = None  # power was away for a moment
    panel.show(Notice("red"))
    assert panel.strip.colours[0] is None
    monkeypatch.setattr(neopixel, "AGAIN_S", 0)
    panel.show(Notice("red"))
    assert panel.strip.colours[0] == red


def test_each_error_of_the_bus_says_what_to_do(make):
    panel = Wired(spi_bus=2)
    with pytest.raises(HardwareError, match=r"no /dev/spidev2.0. Switch it on: dtoverlay=spi2-1cs"):
        panel.open()
    panel = make()
    for number, words in ((errno.EACCES, "Add this user to the group spi"), (errno.EIO, "cannot be written")):
        panel.strip.errno = number
        with pytest.raises(HardwareError, match=words):
            panel.show(Notice("red"))
    panel.strip.errno = 0


def test_a_bus_that_fails_while_a_light_blinks_is_reported_by_the_next_notice(make, monkeypatch):
    monkeypatch.setattr(blinker, "BLINK_S", 0.001)
    panel = make()
    panel.show(Notice("green blink"))
    panel.strip.errno = errno.EIO
    wait(lambda: panel._blinker._error, "the failure")
    with pytest.raises(HardwareError, match="cannot be written"):
        panel.show(Notice("green blink"))
    panel.strip.errno = 0


@given(st.binary(max_size=200), st.sampled_from([800_000, 3_200_000, 10_000_000]))
def test_no_bytes_disturb_a_strip(data, speed_hz):
    strip = PixelStrip(4)
    strip.open(1, 0)
    strip.max_speed_hz = speed_hz
    strip.writebytes2(data)
    assert all(colour is None or len(colour) == 3 for colour in strip.colours)
