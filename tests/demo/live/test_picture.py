"""The live demo's screens, as text without any colour: nothing jumps, wraps or hides."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.cells import cell_len
from rich.console import Console

from fabgate.demo.furnishing.people import CARDS, CARRIERS
from fabgate.demo.live.events import Event
from fabgate.demo.live.picture import CARD_KEYS, KEYS, STATES, MachinePicture, View, in_words, panel, picture
from fabgate.demo.live.terminal import HINTS
from fabgate.demo.start import TITLES

LASER = MachinePicture("Laser 1", "laser-1", "tap", head=3)
SAW = MachinePicture("Table saw", "saw-1", "hold", head=3)
PRINTER = MachinePicture("3D printer", "printer-1", "timed", head=3)
EVENTS = tuple(Event(number, f"09:00:{number:02}", "laser-1", f"event {number}") for number in range(1, 40))
VIEW = View(
    (LASER, SAW, PRINTER), 0, "Laser 1: a card starts", 0, "http://127.0.0.1:29999/enter/abcdefghijklmnop", EVENTS
)
FULL = ("Session terminée  +1", "Formation Fraiseuse+", "manquante : voyez…..", "front desk (ref. 10)")
BUSY = replace(
    LASER,
    state="active",
    who="Ada",
    lying="Stranger",
    causes=("lock-idle",),
    on_s=36_000.4,
    linked=False,
    head=12_345,
    waiting=12_345,
    light="green blink",
    display=FULL,
)


def screen(view: View, width: int = 80, height: int = 24) -> list[str]:
    console = Console(width=width, height=height, file=io.StringIO(), record=True, no_color=True)
    console.print(picture(view, width, height))
    return console.export_text(styles=False).removesuffix("\n").split("\n")


def showing(*machines: MachinePicture, **changes: object) -> View:
    return replace(VIEW, machines=machines, **changes)


def line_of(lines: list[str], words: str) -> int:
    (found,) = (number for number, line in enumerate(lines) if words in line)
    return found


@pytest.mark.parametrize("state", [*STATES, ""])
@pytest.mark.parametrize("machine", [LASER, BUSY, replace(BUSY, running=False)])
def test_every_value_stays_in_its_column_and_every_machine_on_its_lines(state: str, machine: MachinePicture) -> None:
    lines = screen(showing(replace(machine, state=state), SAW, replace(BUSY, name="3D printer")))
    calm = screen(VIEW)
    assert len(lines) == 24
    assert max(cell_len(line) for line in lines) <= 80
    for words in ("Laser 1", "Table saw", "3D printer"):
        at = line_of(lines, f" {words}  ")
        assert at == line_of(calm, f" {words}  ")
        assert lines[at].index(words) == calm[at].index(words)
    assert lines[1] == calm[1]  # the headings
    beside_the_saw = line_of(lines, " Table saw  ")
    assert lines[beside_the_saw] == calm[beside_the_saw]


def test_all_four_full_lines_of_each_display_can_be_read() -> None:
    lines = screen(showing(BUSY, BUSY, BUSY))
    for words in FULL:
        assert sum(words in line for line in lines) == 3


def test_the_chosen_machine_has_a_marker_that_needs_no_colour() -> None:
    for chosen, name in enumerate(("Laser 1", "Table saw", "3D printer")):
        lines = screen(replace(VIEW, chosen=chosen))
        assert [line for line in lines if "▸" in line] == [lines[line_of(lines, f" {name}  ")]]


def test_each_card_key_names_its_carrier_and_each_hint_fits_its_line_below_the_longest_title() -> None:
    for key, card in CARD_KEYS.items():
        assert f"{key} {CARRIERS.get(card, card)}" in KEYS[0]
        assert card in CARDS
    longest = max((title for titles in TITLES.values() for title in titles), key=len)
    for hint in HINTS.values():
        lines = screen(replace(VIEW, hint=f"{longest}: {hint}"))
        assert lines[line_of(lines, f"{longest}: ")].strip() == f"{longest}: {hint}"


@pytest.mark.parametrize("height", [6, 10, 17, 18, 19, 20, 24, 40])
def test_the_keys_stand_at_the_bottom_of_every_window(height: int) -> None:
    lines = screen(VIEW, height=height)
    assert len(lines) == height
    assert [line.strip() for line in lines[-2:]] == list(KEYS)
    assert not any("Layout" in line for line in lines)


def test_the_newest_events_stand_above_the_keys_and_a_tall_window_shows_more() -> None:
    small, tall = ([line for line in screen(VIEW, height=height) if " event " in line] for height in (24, 40))
    assert [line.split()[-1] for line in small] == ["37", "38", "39"]
    assert [line.split()[-1] for line in tall] == [str(number) for number in range(21, 40)]


def test_an_event_too_long_is_cut_and_takes_one_line() -> None:
    lines = screen(replace(VIEW, events=(Event(1, "09:00:01", "saw-1", "far " * 50), EVENTS[1])))
    assert lines[line_of(lines, "far")].rstrip().endswith("…")
    assert line_of(lines, "event 2") == line_of(lines, "far") + 1


def test_no_event_yet_is_an_empty_place() -> None:
    assert not any("Layout" in line for line in screen(replace(VIEW, events=())))


def test_a_small_window_gets_a_hint_and_keeps_marker_and_columns() -> None:
    lines = screen(VIEW, width=60, height=15)
    assert max(cell_len(line) for line in lines) <= 60
    assert lines[12].strip() == "this window has 60 x 15; 80 x 24 shows everything"
    assert lines[3].startswith(" ▸ 1 Laser 1      ○ free")
    assert "shows everything" not in "".join(screen(VIEW))


def test_a_wide_window_leaves_the_columns_where_they_are() -> None:
    wide = screen(VIEW, width=120)
    assert wide[3].rstrip() == screen(VIEW)[3].rstrip()


def test_a_state_is_shown_in_words() -> None:
    def drawn(machine: MachinePicture) -> str:
        return " ".join("\n".join(screen(showing(machine, SAW, PRINTER))[3:7]).split())

    assert "○ free off ● linked" in drawn(LASER)
    assert "▲ locked off" in drawn(replace(LASER, causes=("lock-now",)))
    assert "● in use ON 10:00:00" in drawn(BUSY)
    assert "▲ locked manquante : voyez….. 12345 waiting" in drawn(BUSY)
    assert "✗ cut" in drawn(BUSY)
    gone = drawn(replace(BUSY, running=False))
    assert "✗ not running" in gone
    assert "Session terminée" not in gone
    assert "card Stranger" in drawn(replace(LASER, lying="Stranger"))
    held = drawn(replace(LASER, state="active", lying="Ada", on_s=71.9))
    assert "● in use ON 1:11" in held
    assert "card Ada" in held


def test_a_cause_of_a_later_version_is_shown_as_it_is_called() -> None:
    assert "▲ flooded" in "".join(screen(showing(replace(LASER, causes=("flooded",)), SAW, PRINTER)))


def test_one_session_is_no_sessions() -> None:
    assert screen(replace(VIEW, sessions=1))[0].rstrip().endswith(" 1 session")
    assert screen(replace(VIEW, sessions=2))[0].rstrip().endswith(" 2 sessions")


def test_the_link_to_the_page_is_whole_beside_many_sessions() -> None:
    assert "http://127.0.0.1:29999/enter/abcdefghijklmnop " in screen(replace(VIEW, sessions=12_345))[0]


def test_a_machine_in_one_line_for_a_terminal_that_only_prints() -> None:
    assert in_words(LASER) == "laser-1    ○ free, power off"
    busy = in_words(replace(LASER, state="active", who="Ada", on_s=1.0, display=("Hello Ada", "Laser 1 is yours")))
    assert busy == "laser-1    ● in use Ada, power ON, display: Hello Ada / Laser 1 is yours"


@pytest.mark.parametrize(
    ("line", "light", "display"),
    [
        ("", "off", ()),
        ("[off] ", "off", ()),
        ("[green blink+tick] Stops in 0:10 / To continue:", "green blink", ("Stops in 0:10", "To continue:")),
        ("[amber] Out of service / [sic] / no", "amber", ("Out of service", "[sic]", "no")),
    ],
)
def test_the_panels_file_is_read_as_light_and_lines(line: str, light: str, display: tuple[str, ...]) -> None:
    assert panel(line) == (light, display)
