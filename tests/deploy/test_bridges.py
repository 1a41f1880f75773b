"""What does a bridge do, between neighbours or by a link that was forgotten: does it power the machine, does it hide something?

Each bridge that powers the machine past the emergency stop must be excluded by name in hardware/wiring.md; each link of the test
at the desk must be found by a measurement of hardware/README.md, and the worst by a row of the commissioning sheet.
"""

from __future__ import annotations

import re

import pytest

from tests.deploy.netlist import (
    BUTTONS,
    F2,
    K1,
    K1_OFF,
    MIRROR,
    POWERED,
    S0,
    Contacts,
    block_neighbours,
    core_neighbours,
    reached,
    terminal_neighbours,
)
from tests.deploy.places import HARDWARE
from tools.hardware import builds
from tools.hardware.board import layout

#: The contact of the emergency stop that reports to the gate, and that in KM1's coil.
REPORTS, OPENS = {("S0.21", "S0.22")}, {("S0.11", "S0.12")}
LINKS = (("X2.13", "X2.14"), ("X2.15", "X2.16"))
Bridge = frozenset[str]


def is_fed(build: builds.Build, *closed: Contacts, plus: str = "G1.plus", minus: str = "G1.minus") -> bool:
    found = reached(build, [plus], set().union(BUTTONS, *closed))
    return "KM1.A1" in found and minus not in found  # a short circuit blows the fuse


def lights(build: builds.Build, led: str, *closed: Contacts) -> bool:
    found = reached(build, ["G1.plus"], set().union(F2, BUTTONS, *closed))
    return led in found and "G1.minus" not in found


@pytest.mark.parametrize("name", POWERED)
def test_no_bridge_between_neighbours_feeds_the_coil_past_the_emergency_stop(name):
    build = builds.read(name)
    coil = reached(build, ["KM1.A1"])
    after_stop = reached(build, ["KM1.A1"], K1)
    # +24 V with the emergency stop pressed: a button, or the mirror contact of an open contactor, passes it on.
    unstopped = reached(build, ["G1.plus"], F2 | MIRROR | BUTTONS)
    assert {"X5.1", "X2.1", "X2.8"} <= unstopped
    assert not unstopped & after_stop
    terminals, cores = terminal_neighbours(build), core_neighbours(build)
    assert len(terminals) >= 2 * (17 + 8)
    assert len(cores) > 30  # of W10, W11 and W12
    assert [(one, two) for one, two in terminals | cores if one in coil and two in unstopped] == []
    # Nor what has passed the emergency stop, but for the two cores of its own cable.
    loop = {str(wire.start) for wire in build.cables["W12"].wires}
    assert [(one, two) for one, two in terminals if one in after_stop and two in unstopped] == []
    assert {one for one, two in cores if one in after_stop and two in unstopped} <= loop
    # On the board: no pad of +24 V within 2.54 mm of one of the coil's plus side.
    places = layout.pins(build)
    for one in after_stop & places.keys():
        for two in unstopped & places.keys():
            (x, y), (u, v) = places[one], places[two]
            assert max(abs(x - u), abs(y - v)) > 1, (one, two)


def past_the_emergency_stop(build: builds.Build, bridge: tuple[str, str]) -> bool:
    """Say whether KM1 can be closed although the emergency stop is pressed; its second block may have failed to open."""
    return any(
        is_fed(build, F2, relay, mirror, reports, {bridge})
        for relay in (K1, K1_OFF)
        for mirror in (MIRROR, set())
        for reports in (REPORTS, set())
    )


def without_a_badge(build: builds.Build, bridge: tuple[str, str]) -> bool:
    return any(is_fed(build, F2, K1_OFF, mirror, S0, {bridge}) for mirror in (MIRROR, set()))


def excluded() -> set[Bridge]:
    """Return the bridges that the page excludes, by their pins."""
    page = (HARDWARE / "wiring.md").read_text("utf-8")
    _, _, table = page.partition("| bridge | what it does |")
    rows = re.findall(r"^\| (?!-)(.*?) \|", table.partition("\n\n")[0], re.MULTILINE)
    pairs = {frozenset(pair) for row in rows for pair in re.findall(r"\b([A-Z]+\d\.\w+) to ([A-Z]+\d\.\w+)", row)}
    (coil,) = (row for row in rows if "or to KM1.22" in row)
    return pairs | ({frozenset(("KM1.A1", "KM1.22"))} if coil else set())


@pytest.mark.parametrize("name", POWERED)
def test_each_bridge_that_powers_the_machine_past_the_emergency_stop_is_excluded_by_name(name):
    build = builds.read(name)
    bridges = terminal_neighbours(build) | core_neighbours(build) | block_neighbours(build)
    assert len(bridges) > 90
    assert is_fed(build, F2, S0, K1)
    assert not is_fed(build, F2, REPORTS, K1)
    found = {frozenset(bridge) for bridge in bridges if past_the_emergency_stop(build, bridge)}
    assert found == excluded()
    assert {frozenset(pair) for pair in (("S0.12", "S0.21"), ("KM1.A1", "KM1.21"))} < found


@pytest.mark.parametrize("name", POWERED)
def test_each_bridge_that_powers_the_machine_without_a_badge_is_reported_by_the_read_back(name):
    build = builds.read(name)
    bridges = terminal_neighbours(build) | core_neighbours(build) | block_neighbours(build)
    found = {frozenset(bridge): bridge for bridge in bridges if without_a_badge(build, bridge)}
    # K1's own two wires, and what is excluded by name.
    own = {frozenset(pair) for pair in (("X2.5", "X2.6"), ("X5.7", "X5.8"))}
    assert found.keys() - excluded() == own
    for bridge in found.values():  # KM1 is closed, so its mirror contact is open, and the coupler has no current
        assert not lights(build, "R11.1", S0, K1_OFF, {bridge}) or "KM1.22" in bridge


@pytest.mark.parametrize("name", POWERED)
def test_nothing_but_a_bridge_inside_a_block_of_contacts_hides_it_from_the_gate(name):
    build = builds.read(name)
    blocks = block_neighbours(build)
    estop = {frozenset(bridge) for bridge in blocks if lights(build, "R14.1", K1, MIRROR, {bridge})}
    weld = {frozenset(bridge) for bridge in blocks if lights(build, "R11.1", S0, K1_OFF, {bridge})}
    assert estop == {frozenset(("S0.21", "S0.22")), frozenset(("S0.11", "S0.22"))}
    assert weld == {frozenset(("KM1.21", "KM1.22"))}


# --- links of the test at the desk ------------------------------------------------------------------------------------


def desk_links() -> dict[str, tuple[str, str]]:
    """Return what joins two terminals of the gate board at the desk: wires of the bench that are links, and two more."""
    wires = {wire.name: (str(wire.start), str(wire.end)) for wire in builds.read("bench").cables["W54"].wires}
    return wires | {f"{one} to {two}": (one, two) for one, two in LINKS}


def harm(build: builds.Build, link: tuple[str, str]) -> str:
    """Return what a link does that was left at the machine."""
    found = []
    if past_the_emergency_stop(build, link):
        found.append("KM1")
    if lights(build, "R14.1", K1, MIRROR, {link}):
        found.append("emergency stop")
    if lights(build, "R11.1", S0, K1_OFF, {link}):  # KM1 is closed with K1 off: a weld
        found.append("weld")
    if "R15.1" in reached(build, ["G1.plus"], F2 | {link}):  # S3 is open: the machine works
        found.append("works")
    return ", ".join(found)


@pytest.mark.parametrize("name", POWERED)
def test_each_link_of_the_desk_does_harm_and_is_found_by_a_measurement_before_the_cables_are_connected(name):
    build = builds.read(name)
    step = (HARDWARE / "README.md").read_text("utf-8").partition("\n9. ")[2].partition("\n**From")[0]
    rows = re.findall(r"^ +\| (X2\.\d+) \| (X2\.\d+) \| (.*) \|$", step, re.MULTILINE)
    assert [harm(build, link) for link in desk_links().values()] == ["KM1", "weld", "emergency stop", "works"]
    # Nothing is connected with the 24 V side of the board yet but the buttons of the gate box; K1 has no power.
    own = {wire.name for key in ("W10", "W11") for wire in build.cables[key].wires}
    board = {
        key: cable for key, cable in build.cables.items() if cable.by != "electrician" and key not in ("W10", "W11")
    }
    assert own
    box = type(build)(**{**vars(build), "cables": board})

    def beeps(one: str, two: str, *links: tuple[str, str]) -> bool:
        return two in reached(box, [one], BUTTONS | K1_OFF | set(links))

    assert not any(beeps(one, two) for one, two, _ in rows)
    for (one, two, says), link in zip(rows, desk_links().values(), strict=True):
        assert beeps(one, two, link)
        for word in harm(build, link).split(" "):
            assert word in says or {"weld": "welded contactor", "works": "machine work"}.get(word, "?") in says


# --- the commissioning sheet ------------------------------------------------------------------------------------------


#: Wrong wiring that leaves KM1 closed with the emergency stop pressed.
DEFEATED = {
    "the link of the desk": ("X2.3", "X2.5"),
    "the link for machines without an emergency stop": ("X5.2", "X5.9"),
    "the cores of its cable": ("S0.11", "S0.12"),
    "blocks that are turned": ("S0.12", "S0.21"),
    "the coil beside the mirror contact": ("KM1.A1", "KM1.21"),
}


def row(number: int, page: str = "commissioning.md") -> str:
    part = (HARDWARE / page).read_text("utf-8").partition("\n## C. ")[2].partition("\n## D. ")[0]
    (found,) = re.findall(rf"^\| {number} \| .*$", part, re.MULTILINE)
    return found


@pytest.mark.parametrize("name", POWERED)
@pytest.mark.parametrize("wrong", DEFEATED)
def test_the_row_about_the_emergency_stop_finds_what_defeats_it(name, wrong):
    """24 V from the desk's supply on X5.1 and X5.4, F2 out, X2.5 bridged to X2.6."""
    assert "X2.5 bridged to X2.6" in row(5)
    assert "F2 is out" in (HARDWARE / "commissioning.md").read_text("utf-8")
    build, bridge = builds.read(name), {("X2.5", "X2.6")}

    def closes(*closed: Contacts) -> bool:
        return any(is_fed(build, K1_OFF, *closed, plus="X5.1", minus="X5.4") for closed in ((*closed, MIRROR), closed))

    # KM1 closes with the bridge, opens by S0 alone, closes again, and opens when the bridge is removed.
    assert [closes(S0, bridge), closes(bridge), closes(S0)] == [True, False, False]
    assert [closes(S0, bridge, {DEFEATED[wrong]}), closes(bridge, {DEFEATED[wrong]})] == [True, True]


def test_the_sheet_measures_dead_before_mains_is_on_and_turns_the_motor_before_the_machine_runs():
    for page, dead, report, motor, runs in (
        ("commissioning.md", "24 V from G2", "electrician's report", "the motor turns", "machine runs"),
        (
            "commissioning.fr.md",
            "24 V par G2",
            "rapport de l\u2019électricien",
            "le moteur tourne",
            "machine en marche",
        ),
    ):
        rows = {number: row(number, page) for number in range(1, 22)}
        mains = next(number for number, text in rows.items() if "IEC 60364-4-41, 411.5.3" in text)
        assert [number for number, text in rows.items() if dead in text] == [*range(4, mains)]
        assert next(number for number, text in rows.items() if report in text) < 4
        assert next(n for n, text in rows.items() if motor in text) < next(n for n, t in rows.items() if runs in t)
