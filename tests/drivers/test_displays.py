"""Displays, from a notice to the dots that their chips show; and that the pictures in docs/panels are those."""

from __future__ import annotations

import errno
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fabgate.display import COLUMNS
from fabgate.drivers.emulated.displays.i2c import EmulatedBus
from fabgate.drivers.emulated.displays.oled_chip import OledChip
from fabgate.drivers.panels import Notice, Panel, oled
from fabgate.drivers.panels.font import drawn
from fabgate.drivers.panels.oled import WIDTH, OledOptions, OledPanel, rows_of
from fabgate.errors import HardwareError
from fabgate.testing.panels import PanelContract
from tests.drivers import panel_pictures

MODELS = ("ssd1306", "sh1106", "ssd1309")


class Oled:
    """A display, its bus, and the driver that a test opens."""

    def __init__(self, model: str = "sh1106", **options: Any) -> None:
        self.bus, self.chip = EmulatedBus(), OledChip(model)
        self.bus.chips[0x3C] = self.chip
        bus = self.bus

        class Wired(OledPanel):
            def open_bus(self, number: int) -> EmulatedBus:
                if number != 1:
                    raise FileNotFoundError(errno.ENOENT, "No such file or directory", f"/dev/i2c-{number}")
                bus.is_closed = False
                return bus

        self.panel = Wired(OledOptions(model=model, **options))


class OledContract(PanelContract):
    model: str

    @pytest.fixture(autouse=True)
    def wired(self):
        self.wiring = Oled(self.model)

    def make(self) -> Panel:
        return self.wiring.panel

    def shown(self) -> str:
        """Return the text that makes these dots."""
        texts = ("Bonjour Zoé €" + "x" * 7,) * 4, ("second",)
        return next((lines[0] for lines in texts if rows_of(lines) == self.wiring.chip.rows), "?")

    def unplug(self) -> None:
        self.wiring.bus.chips.clear()


class TestSsd1306(OledContract):
    model = "ssd1306"


class TestSh1106(OledContract):
    model = "sh1106"


class TestSsd1309(OledContract):
    model = "ssd1309"


del OledContract  # pytest would run it

LINES = ("Session terminée", "12 min        2,40 €", "Nettoyez le poste")


@pytest.mark.parametrize("model", MODELS)
def test_a_display_that_lost_power_for_a_moment_is_set_up_again(model, monkeypatch):
    it = Oled(model)
    it.panel.open()
    it.panel.show(Notice("off", "", LINES))
    it.chip.lose_power()
    it.panel.show(Notice("off", "", LINES))
    assert not any(it.chip.rows)  # nobody can ask a display whether it has lost power
    monkeypatch.setattr(oled, "SET_UP_EVERY_S", 0)
    it.panel.show(Notice("off", "", LINES))
    assert it.chip.rows == rows_of(LINES)
    assert it.chip.contrast == 70 * 255 // 100
    it.panel.close()


@pytest.mark.parametrize("model", MODELS)
def test_a_clock_that_ticks_writes_only_its_own_dots(model):
    it = Oled(model)
    it.panel.open()
    before = it.bus.taken
    it.panel.show(Notice("green", "", ("Hello Ada", "Laser 1 is yours", "0:58 of 60 min", "To stop: tap again")))
    whole = it.bus.taken - before
    it.panel.show(Notice("green", "", ("Hello Ada", "Laser 1 is yours", "0:59 of 60 min", "To stop: tap again")))
    assert 0 < it.bus.taken - before - whole < whole / 3
    before = it.bus.taken
    it.panel.show(Notice("green", "", ("Hello Ada", "Laser 1 is yours", "0:59 of 60 min", "To stop: tap again")))
    assert it.bus.taken == before
    it.panel.close()


def test_upside_down_is_the_same_picture_turned():
    it = Oled(upside_down=True)
    it.panel.open()
    it.panel.show(Notice("off", "", LINES))
    assert [f"{row:0{WIDTH}b}"[::-1] for row in reversed(it.chip.rows)] == [
        f"{row:0{WIDTH}b}" for row in rows_of(LINES)
    ]
    it.panel.close()


def test_a_display_is_dark_and_its_bus_closed_after_the_end():
    it = Oled()
    it.panel.open()
    it.panel.show(Notice("off", "", LINES))
    it.panel.close()
    assert (it.chip.is_on, it.bus.is_closed) == (False, True)


def test_each_error_of_the_bus_says_what_to_do():
    with pytest.raises(
        HardwareError, match=r"sh1106: this computer has no I2C bus 3. Switch it on: dtparam=i2c_arm=on"
    ):
        Oled(i2c_bus=3).panel.open()
    with pytest.raises(
        HardwareError, match=r"nothing answers at 0x3d on I2C bus 1 \(Remote I/O error\). Check its four wires"
    ):
        Oled(address=0x3D).panel.open()
    it = Oled()
    it.panel.open_bus = lambda number: (_ for _ in ()).throw(PermissionError(errno.EACCES, "Permission denied"))
    with pytest.raises(HardwareError, match=r"may not be opened. Add this user to the group i2c"):
        it.panel.open()
    it = Oled()
    it.panel.open()
    it.bus.chips.clear()
    with pytest.raises(HardwareError, match="nothing answers at 0x3c"):
        it.panel.show(Notice("off", "", LINES))
    it.panel.close()


@given(st.text(max_size=COLUMNS))
def test_any_text_is_drawn_and_twenty_characters_fit(text):
    width, rows = drawn(text)
    assert len(rows) == 16
    assert all(row < 1 << max(width, 1) for row in rows)
    assert all(row < 1 << WIDTH for row in rows_of((text,) * 4))


@pytest.mark.parametrize("text", ["W" * COLUMNS, "0123456789" * 2, "É" * COLUMNS, "€" * COLUMNS])
def test_the_widest_lines_fit(text):
    assert drawn(text)[0] < WIDTH


def test_each_character_looks_like_no_other():
    characters = [chr(n) for n in range(33, 127)] + list("€£°…«»àâçèéêëîïôùûüÿÀÂÇÈÉÊËÎÏÔÙÛÜ")
    seen: dict[Any, str] = {}
    for one in characters:
        assert seen.setdefault(drawn(one), one) == one


# --- the pictures -----------------------------------------------------------------------------------------------------


def test_the_pictures_show_every_message():
    for lang in panel_pictures.SPOKEN:
        assert panel_pictures.missing(panel_pictures.notices(lang)) == set()


@pytest.mark.parametrize("display", panel_pictures.DISPLAYS)
@pytest.mark.parametrize("lang", panel_pictures.SPOKEN)
def test_the_pictures_in_the_docs_are_what_the_displays_show(display, lang):
    file = panel_pictures.FOLDER / f"{display}-{lang}.png"
    with Image.open(file) as found:
        stored, drawn_now = found.convert("RGB"), panel_pictures.sheet(display, lang).convert("RGB")
    assert stored.size == drawn_now.size
    assert stored.tobytes() == drawn_now.tobytes(), f"{file}: 'make panel-pictures' draws it again; look at it"
    assert file.name in (panel_pictures.FOLDER / "README.md").read_text(encoding="utf-8")
