"""The wall of badges is nowhere in a true workshop; and how it puts what the demo sees into words."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest
from django.urls import NoReverseMatch, get_resolver, reverse
from django.utils import translation

from fabgate.collector.faces.pages import rights
from fabgate.collector.faces.pages.wall import descriptions, urls
from fabgate.collector.faces.pages.wall.demo_client import Gone, ask
from fabgate.collector.ground.models import Member
from fabgate.collector.members.people.display_names import DisplayName

SEEN: dict[str, Any] = {
    "gate": "laser-1",
    "title": "Laser 1",
    "mode": "tap",
    "state": "free",
    "causes": [],
    "who": None,
    "on_since": None,
    "light": "off",
    "lines": [],
    "picture": None,
    "lying": None,
    "has_mains": True,
    "runs": True,
    "is_plugged": True,
    "is_linked": True,
    "clock_ahead_s": 0,
    "clock_synced": True,
    "refusal": None,
    "sessions": 0,
    "energised_ms": 0,
    "waiting": 0,
    "wrong": [],
}


PEOPLE = {"m-4": DisplayName("m-4", "Mo Haddad", "Mo", Member(id="m-4", name="Mo Haddad"))}


def machine(**changes: object) -> descriptions.OnWall:
    return descriptions.machine(SEEN | changes, PEOPLE)


# --- nowhere but in a demo ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/wall", "/wall/now", "/wall/do", "/enter/anything"])
@pytest.mark.parametrize("method", ["get", "post"])
def test_a_true_workshop_has_no_such_page_even_for_its_manager(browse, path, method):
    assert getattr(browse("manager"), method)(path).status_code == 404


def test_a_true_workshop_has_no_route_no_right_and_no_tab_of_it(browse):
    assert urls.urlpatterns == []
    assert urls.RIGHTS == {}
    assert not [name for name in rights.table() if name.startswith("wall")]
    assert not [name for name in get_resolver().reverse_dict if str(name).startswith("wall")]
    with pytest.raises(NoReverseMatch):
        reverse("wall")
    shown = browse("manager").get("/me").content.decode()
    assert "/wall" not in shown
    assert "SIMULATED" not in shown


def test_a_simulated_one_has_it_and_only_who_is_signed_in_may_use_it(tmp_path):
    program = (
        "import django; django.setup()\n"
        "from fabgate.collector.faces.pages import rights\n"
        "rows = {name: row for name, row in rights.table().items() if name.startswith('wall')}\n"
        "print(sorted(rows), [name for name, row in rows.items() if row.is_open or row.is_keyed])\n"
        "print(rights.may('auditor', 'wall-do', 'POST'), rights.may('auditor', 'wall'), rights.may('', 'wall'))\n"
    )
    simulated = {
        "FABGATE_SITE": "lyon",
        "FABGATE_DATA": str(tmp_path),
        "FABGATE_SIMULATED": "1",
        "DJANGO_SETTINGS_MODULE": "fabgate.collector.settings",
    }
    done = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, **simulated}, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == [
        "['wall', 'wall-do', 'wall-enter', 'wall-now'] ['wall-enter']",
        "False True False",
    ]


def test_where_nobody_plays_the_gates_the_page_is_told_so():
    with pytest.raises(Gone):
        ask({"do": "look"})


# --- words ------------------------------------------------------------------------------------------------------------


def test_each_kind_of_badge_and_machine_has_its_words():
    for kind in descriptions.KINDS:
        card = descriptions.card({"id": "x", "kind": kind, "name": "Ada", "bytes": 4})
        assert card.what
        assert card.size == "4 bytes"
        assert card.initials == ("" if kind in descriptions.NAMELESS else "Ad")
    for mode in descriptions.MODES:
        assert machine(mode=mode).how.endswith(".")


def test_people_are_called_as_the_collector_has_them_and_who_is_not_there_by_their_number():
    assert (machine(who="m-4").who, machine(who="m-9").who, machine().who) == ("Mo", "m-9", "")


@pytest.mark.parametrize("kind", ["unknown", "lost", "minor"])
def test_a_badge_that_somebody_has_by_now_is_theirs(kind):
    card = descriptions.card({"id": "x", "kind": kind, "name": "", "bytes": 4}, PEOPLE["m-4"])
    assert (card.name, card.kind) == ("Mo", "minor" if kind == "minor" else "member")


def test_a_gate_without_mains_or_process_or_roster_is_told_apart():
    assert (machine(state="no-power").state, machine(state="no-power").word) == ("silent", "No mains power")
    assert (machine(state="not-running").state, machine(state="not-running").word) == ("silent", "Gate not running")
    assert (machine(state="not-ready").state, machine(state="not-ready").word) == ("starting", "Gate starting")
    assert (machine(state="in-use").state, machine(state="in-use").word) == ("in-use", "")


def test_a_display_has_four_lines_and_its_light_is_said_too():
    shown = machine(lines=["Hello Ada", "Laser 1 is yours"], light="green blink")
    assert shown.lines == ("Hello Ada", "Laser 1 is yours", "", "")
    assert (shown.lit, shown.colour, shown.blinks) == ("green light, blinking", "green", True)
    assert machine(light="violet").lit == "violet"  # of a later version: shown as it is called
    lcd = {"kind": "lcd", "width": 119, "height": 35, "strokes": "M0 0h5", "is_lit": True}
    drawn = machine(picture=lcd).picture
    assert shown.picture is None
    assert drawn is not None
    assert (drawn.view_box, drawn.cells) == ("-3 -3 125 41", "M0 4h119M0 13h119M0 22h119M0 31h119")
    assert descriptions.Picture(**lcd | {"kind": "oled"}).cells == ""


def test_a_refusal_names_whoever_is_known_and_every_reason():
    assert machine(refusal={"who": "m-4", "reasons": ["expired", "in-use"]}).refusal == (
        "Mo was refused: membership expired, machine in use"
    )
    assert machine(refusal={"who": None, "reasons": ["unknown-badge"]}).refusal == "Refused: unknown badge"
    assert machine().refusal == ""


@pytest.mark.parametrize(
    ("found", "state", "text"),
    [
        ({}, "ok", "No session has ended yet; the collector has every entry"),
        (
            {"sessions": 1, "energised_ms": 61_000},
            "ok",
            "1 session, 0:01:01: journal, collector and the power seen from outside agree",
        ),
        ({"sessions": 2, "waiting": 1}, "warn", "1 entry waits here for the collector"),
        ({"waiting": 3}, "warn", "3 entries wait here for the collector"),
        ({"waiting": 3, "wrong": ["a", "b"]}, "bad", "The records disagree: a; b"),
    ],
)
def test_the_books_are_told_in_one_line(found, state, text):
    shown = machine(**found)
    assert (shown.audit, shown.audit_text) == (state, text)


@pytest.mark.parametrize(
    ("ahead_s", "synced", "text", "right"),
    [
        (0, True, "right", True),
        (3600, True, "1:00:00 fast", False),
        (-90, True, "0:01:30 slow", False),
        (-90, False, "not set yet", False),
        (0, False, "not set yet", False),
    ],
)
def test_a_clock_is_right_or_how_far_it_is_off(ahead_s, synced, text, right):
    shown = machine(clock_ahead_s=ahead_s, clock_synced=synced)
    assert (shown.clock, shown.is_clock_right) == (text, right)


def test_the_wall_speaks_french():
    with translation.override("fr"):
        assert machine(clock_ahead_s=60).clock == "avance de 0:01:00"
        assert machine(refusal={"who": "m-4", "reasons": ["expired"]}).refusal.startswith(
            "Mo\N{NO-BREAK SPACE}: accès refusé ("
        )
        assert machine(sessions=2).audit_text.startswith("2 sessions, 0:00:00\N{NO-BREAK SPACE}:")
