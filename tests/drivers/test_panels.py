"""Panels: the contract on every bench, and text that fits a small display."""

from __future__ import annotations

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabgate.display import ELLIPSIS, clean, cut
from fabgate.drivers.panels import COLUMNS, Notice, Panel
from fabgate.drivers.panels.log import LogOptions, LogPanel
from fabgate.drivers.panels.text import transliterate
from fabgate.testing.panels import PanelContract


class TestLogToAFile(PanelContract):
    @pytest.fixture(autouse=True)
    def on_a_file(self, tmp_path):
        self.path = tmp_path / "dev" / "panel"
        self.path.parent.mkdir()

    def make(self) -> Panel:
        return LogPanel(LogOptions(file=self.path))

    def shown(self) -> str:
        return self.path.read_text(encoding="utf-8").splitlines()[-1]

    def unplug(self) -> None:
        self.path.parent.rmdir()


class TestLogToTheLog(PanelContract):
    @pytest.fixture(autouse=True)
    def on_the_log(self, caplog):
        caplog.set_level(logging.INFO, "fabgate.panel")
        self.caplog = caplog

    def make(self) -> Panel:
        return LogPanel(LogOptions())

    def shown(self) -> str:
        return self.caplog.messages[-1]


def test_a_notice_is_one_line_of_light_sound_and_text(tmp_path):
    panel = LogPanel(LogOptions(file=tmp_path / "panel"))
    panel.open()
    panel.show(Notice("red", "low low", ("Accès refusé", "Badge inconnu")))
    panel.show(Notice("off"))
    assert (tmp_path / "panel").read_text(encoding="utf-8") == "[red+low low] Accès refusé / Badge inconnu\n[off] \n"


def test_a_file_that_is_rotated_away_is_made_again(tmp_path):
    file = tmp_path / "panel"
    panel = LogPanel(LogOptions(file=file))
    panel.open()
    panel.show(Notice("green"))
    file.rename(tmp_path / "panel.1")
    panel.show(Notice("off"))
    assert file.read_text() == "[off] \n"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Ada", "Ada"),
        ("  Ada \n Lovelace\t", "Ada Lovelace"),
        ("Zoe\u0301", "Zoé"),  # two characters of Unicode, one of the display
        ("A\u200bd\u202ea\x07", "Ada"),
        ("a\u00a0b\u2028c", "a b c"),
        ("", ""),
    ],
)
def test_text_is_cleaned_of_what_no_display_shows(text, shown):
    assert clean(text) == shown


@pytest.mark.parametrize(
    ("text", "columns", "shown"),
    [
        ("Bartholomew", 11, "Bartholomew"),
        ("Bartholomew", 10, "Bartholom…"),
        ("Jean Bernard", 6, "Jean…"),
        ("Éléonore", 4, "Élé…"),
        ("Ada", 1, "…"),
        ("Ada", 0, ""),
        ("Ada", -3, ""),
        ("", 0, ""),
    ],
)
def test_text_that_is_too_long_ends_in_an_ellipsis_and_keeps_its_accents(text, columns, shown):
    assert cut(text, columns) == shown


@given(st.text(), st.integers(-5, 40))
def test_cut_text_always_fits(text, columns):
    found = cut(text, columns)
    assert len(found) <= max(columns, 0)
    assert found == clean(text) or found == "" or found.endswith(ELLIPSIS)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Session terminée", "Session terminee"),
        ("à l'accueil (réf. 7)", "a l'accueil (ref. 7)"),
        ("0,20 €", "0,20 EUR"),
        ("Cœur, Æsir, Straße", "Coeur, AEsir, Strass"),
        ("l’été « ici »", 'l\'ete " ici "'),  # noqa: RUF001
        ("Élé…", "Ele."),
        ("½", "1?2"),
        ("日本", "??"),
        ("Łódź", "Lodz"),
    ],
)
def test_a_display_without_accents_shows_the_letters_below_them(text, shown):
    assert transliterate(text) == shown


@given(st.text())
def test_transliterated_text_is_ascii_and_fits(text):
    found = transliterate(text)
    assert found.isascii()
    assert found.isprintable()
    assert len(found) <= COLUMNS
