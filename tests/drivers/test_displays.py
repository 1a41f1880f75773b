"""Displays, from a notice to the dots that their chips show; and that the pictures in docs/panels are those."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fabgate.display import COLUMNS
from fabgate.drivers.emulated.displays.frame import Frame
from fabgate.drivers.emulated.displays.i2c import Board, EmulatedBus
from fabgate.drivers.emulated.displays.lcd_chip import LcdChip
from fabgate.drivers.emulated.displays.oled_chip import OledChip
from fabgate.drivers.panels import Notice, Panel, oled
from fabgate.drivers.panels.font import drawn, small
from fabgate.drivers.panels.lcd import OWN, PAGE_S, SET_UP_EVERY_S, LcdOptions, LcdPanel, pages_of
from fabgate.drivers.panels.oled import WIDTH, OledOptions, OledPanel, rows_of
from fabgate.errors import HardwareError
from fabgate.testing.panels import PanelContract
from tests.drivers import panel_pictures
from tests.support.patience import wait

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

    def shows(self, *lines: str) -> bool:
        return self.chip.rows == rows_of(lines)


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


class Lcd:
    """A character display, its bus, and the driver that a test opens. Its chip needs no time: nothing waits for it."""

    def __init__(self, size: str = "20x4", **options: Any) -> None:
        columns, rows = map(int, size.split("x"))
        self.bus, self.chip = EmulatedBus(), LcdChip(columns, rows)
        self.bus.chips[0x27] = self.chip
        bus = self.bus

        class Wired(LcdPanel):
            now_s = 100.0

            def open_bus(self, number: int) -> EmulatedBus:
                return bus

            def monotonic(self) -> float:
                return self.now_s

        self.panel = Wired(LcdOptions(size=size, **options))

    @property
    def lines(self) -> list[str]:
        """What a person reads, the letters that the driver drew as such."""
        letters = {small(char): char for char in (*OWN, "°")}
        return [
            "".join(letters[self.chip.glyph(code)] if code < 8 or code > 127 else chr(code) for code in line)
            for line in self.chip.codes
        ]

    def shows(self, *lines: str) -> bool:
        return pages_of(lines, self.chip.columns, self.chip.rows) == [self.chip.codes]

    def show(self, *lines: str) -> list[str]:
        self.panel.show(Notice("green", "", lines))
        return self.lines


@pytest.fixture(autouse=True)
def hasty(monkeypatch):
    """RPLCD waits for its chip; an emulated one needs no time."""
    for pause in ("usleep", "msleep"):
        monkeypatch.setattr(f"RPLCD.common.{pause}", lambda _: None)


class LcdContract(PanelContract):
    size: str

    @pytest.fixture(autouse=True)
    def wired(self):
        self.wiring = Lcd(self.size)

    def make(self) -> Panel:
        return self.wiring.panel

    def shown(self) -> str:
        return " ".join(self.wiring.lines)

    def unplug(self) -> None:
        self.wiring.bus.chips.clear()


class Test20x4(LcdContract):
    size = "20x4"


class Test16x2(LcdContract):
    size = "16x2"


del LcdContract

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
    with pytest.raises(HardwareError, match=r"no right to open I2C bus \d+. Add this user to the group i2c"):
        it.panel.open()
    it = Oled()
    it.panel.open()
    it.bus.chips.clear()
    with pytest.raises(HardwareError, match="nothing answers at 0x3c"):
        it.panel.show(Notice("off", "", LINES))
    it.panel.close()


@pytest.mark.parametrize("kind", ["oled", "lcd"])
def test_an_emulated_display_is_in_another_process_and_one_that_was_unplugged_comes_back(kind, tmp_path):
    it = Oled() if kind == "oled" else Lcd()
    chips, path = it.bus, Path(os.path.relpath(tmp_path / "display.sock"))
    panel_class, options_class = (OledPanel, OledOptions) if kind == "oled" else (LcdPanel, LcdOptions)
    panel = panel_class(options_class(chip="emulated", i2c_socket=str(path)))
    with pytest.raises(HardwareError, match="nothing answers at 0x"):
        panel.open()
    for lines in (LINES, ("Bonjour Ada",)):
        board = Board(path, chips)
        panel.open()
        panel.show(Notice("green", "", lines))
        wait(lambda lines=lines: it.shows(*lines), "the display")
        board.close()
        with pytest.raises(HardwareError, match="nothing answers at 0x"):
            panel.show(Notice("off", "", ("Bonjour Zoé",)))
        panel.close()
    with pytest.raises(ValueError, match="without i2c_socket"):
        options_class(chip="emulated")


@given(st.text(max_size=COLUMNS))
def test_any_text_is_drawn_and_twenty_characters_fit(text):
    width, rows = drawn(text)
    assert len(rows) == 16
    assert all(row < 1 << max(width, 1) for row in rows)
    assert all(row < 1 << WIDTH for row in rows_of((text,) * 4))


@pytest.mark.parametrize("text", ["W" * COLUMNS, "0123456789" * 2, "É" * COLUMNS, "€" * COLUMNS])
def test_the_widest_lines_fit(text):
    assert drawn(text)[0] < WIDTH


def test_a_frame_is_drawn_as_the_lines_of_a_path():
    assert Frame(6, (0b110100, 0, 0b000001), is_lit=True).strokes() == "M0 0h2M3 0h1M5 2h1"


def test_each_character_looks_like_no_other():
    characters = [chr(n) for n in range(33, 127)] + list("€£°…«»àâçèéêëîïôùûüÿÀÂÇÈÉÊËÎÏÔÙÛÜ")
    seen: dict[Any, str] = {}
    for one in characters:
        assert seen.setdefault(drawn(one), one) == one


@pytest.mark.parametrize("letter", "ëïüöäÿ")
def test_the_two_dots_of_a_bold_letter_stay_two(letter):
    _, rows = drawn(letter, is_bold=True)
    dots = next(row for row in rows if row)
    assert len(re.findall("1+", f"{dots:b}")) == 2


# --- characters -------------------------------------------------------------------------------------------------------


def test_an_lcd_shows_four_lines_with_the_accents_that_it_has_drawn():
    it = Lcd()
    it.panel.open()
    assert not it.chip.is_lit
    assert it.show("Accès refusé      +2", "à Île, où ça, prêt", "12:34     0,20 €/min", "Zoë \\ ~ Łódź Cœur") == [
        "Accès refusé      +2",
        "à Ile, où ça, prêt  ",
        "12:34     0,20 €/min",
        "Zoe / - Lodz Coeur  ",
    ]
    assert it.chip.is_lit
    assert it.show("Courroie n° 2", "Ne pas utiliser")[1] == "Courroie n° 2       "
    assert it.show("Prolongé", "Encore 60 min")[1:3] == ["Prolongé            ", "Encore 60 min       "]
    assert it.show() == [" " * 20] * 4
    assert not it.chip.is_lit  # a free machine is dark
    it.panel.close()
    assert it.bus.is_closed


def test_an_lcd_writes_only_the_characters_that_changed():
    it = Lcd()
    it.panel.open()
    it.show("Hello Ada", "Laser 1 is yours", "0:58 of 60 min", "To stop: tap again")
    before = it.bus.writes
    assert it.show("Hello Ada", "Laser 1 is yours", "0:59 of 60 min", "To stop: tap again")[2][:4] == "0:59"
    assert it.bus.writes - before <= 20


@pytest.mark.parametrize("nibbles", [0, 1])
def test_an_lcd_that_lost_power_or_half_a_byte_is_brought_into_step(nibbles):
    it = Lcd()
    it.panel.open()
    wanted = it.show("Accès refusé", "Formation Laser 1", "manquante : voyez", "un encadrant")
    if nibbles:
        it.bus.write_byte(0x27, 0x04)  # a spike on EN: half an instruction
        it.bus.write_byte(0x27, 0x00)
    else:
        it.chip.lose_power()
        assert it.lines == [" " * 20] * 4
    it.panel.now_s += SET_UP_EVERY_S
    assert it.show("Accès refusé", "Formation Laser 1", "manquante : voyez", "un encadrant") == wanted


def test_two_lines_show_pages_in_turn_and_a_clock_does_not_begin_again():
    it = Lcd("16x2")
    assert it.panel.repeat_s == PAGE_S
    it.panel.open()
    seen = []
    for second in range(8):
        it.panel.now_s = 100.0 + second
        seen.append(
            " | ".join(
                line.rstrip()
                for line in it.show("Hello Ada", "Laser 1 is yours", f"0:0{second} of 60 min", "To stop: tap again")
            )
        )
    assert seen == [
        *["Hello Ada | Laser 1 is yours"] * 3,
        "0:03 of 60 min | To stop: tap",
        "0:04 of 60 min | To stop: tap",
        "again | ",
        "again | ",
        "again | ",
    ]


@given(st.lists(st.binary(max_size=8), max_size=20), st.sampled_from([*MODELS, "lcd"]))
def test_no_bytes_disturb_a_chip(transfers, model):
    chip = LcdChip(20, 4) if model == "lcd" else OledChip(model)
    for data in transfers:
        chip.write(data)
    assert len(chip.codes if model == "lcd" else chip.rows) == (4 if model == "lcd" else 64)


@given(st.lists(st.text(max_size=COLUMNS), max_size=4), st.sampled_from([(20, 4), (16, 2)]))
def test_any_lines_become_pages_of_the_right_size(lines, size):
    columns, rows = size
    for page in pages_of(lines, columns, rows):
        assert len(page) == rows
        assert {len(line) for line in page} == {columns}


def test_each_message_is_one_page_on_four_lines_and_loses_no_letter_on_two():
    for lang in panel_pictures.SPOKEN:
        for name, notice in panel_pictures.notices(lang).items():
            assert len(pages_of(notice.lines, 20, 4)) == 1, name
            pages = pages_of(notice.lines, 16, 2)
            assert len(pages) <= 4, name
            shown = [
                b"".join(b"".join(page) for page in found).replace(b" ", b"")
                for found in (pages, pages_of(notice.lines, 20, 4))
            ]
            assert shown[0] == shown[1], name


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
