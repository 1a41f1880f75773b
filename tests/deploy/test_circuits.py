"""What do the circuits of hardware/ do: what stays live, what does a bridge between neighbours do, what a missing supply?

Each answer comes from the netlist, by a search of its own: wires, nets of the gate board, and contacts that are closed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from copy import deepcopy
from dataclasses import replace
from itertools import combinations, pairwise

import pytest
from gpiozero import Device
from gpiozero.pins.mock import MockFactory
from hypothesis import given, settings
from hypothesis import strategies as st

from fabgate.drivers.outputs.gpio import GpioOptions, GpioOutput
from tests.deploy.places import HARDWARE
from tools.hardware import builds, circuit, labels, live
from tools.hardware.board import layout

POWERED = [name for name in builds.NAMES if "X6" in builds.read(name).devices]
WIRED = [name for name in builds.NAMES if "X2" in builds.read(name).devices]
#: Main poles as IEC 60947-1 (Annex L) numbers them: what enters at 1, 3, 5 and 7 leaves at 2, 4, 6 and 8.
MAIN = ((1, 2), (3, 4), (5, 6), (7, 8))
S0 = {("S0.11", "S0.12"), ("S0.21", "S0.22")}
MIRROR = {("KM1.21", "KM1.22")}
BUTTONS = {("S1.1", "S1.2"), ("S2.1", "S2.2"), ("S3.1", "S3.2")}
K1 = {("K1.4", "K1.8")}
F2 = {("F2.1", "F2.2")}
Contacts = Iterable[tuple[str, str]]


def poles(*devices: str) -> Contacts:
    return {(f"{device}.{one}", f"{device}.{two}") for device in devices for one, two in MAIN}


def reached(build: builds.Build, start: Iterable[str], closed: Contacts = ()) -> set[str]:
    """Return each pin that is connected with a pin of `start` while these contacts are closed."""
    beside = defaultdict(set)
    pairs = [(str(wire.start), str(wire.end)) for wire in build.wires()]
    if "X2" in build.devices:
        pairs += [pair for ends in layout.nets(build).values() for pair in pairwise(ends)]
    for one, two in (*pairs, *closed):
        beside[one].add(two)
        beside[two].add(one)
    found, left = set(start), list(start)
    while left:
        for pin in beside[left.pop()] - found:
            found.add(pin)
            left.append(pin)
    return found


def fed(build: builds.Build) -> list[str]:
    return [f"X6.{pin}" for pin in build.devices["X6"].pins if pin != "PE"]


def of(device: str, pins: Iterable[str]) -> set[str]:
    return {pin for pin in pins if pin.startswith(f"{device}.")}


# --- mains ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", POWERED)
@pytest.mark.parametrize("switch", ["Q0", "Q1", "KM1"])
def test_no_conductor_of_the_machine_goes_past_the_main_switch_the_breaker_or_the_contactor(name, switch):
    build = builds.read(name)
    closed = poles("Q0", "Q1", "KM1")
    live = {f"M1.{pin}" for pin in build.devices["M1"].pins if pin != "PE"}
    assert reached(build, fed(build), closed) >= live
    others = poles(*({"Q0", "Q1", "KM1"} - {switch}))
    assert not of("M1", reached(build, fed(build), others)) | of("X7", reached(build, fed(build), others))


@pytest.mark.parametrize("name", POWERED)
def test_each_conductor_of_the_supply_arrives_at_the_machine_alone_and_in_its_order(name):
    build = builds.read(name)
    closed = poles("Q0", "Q1", "KM1", "F1")
    ends = [of("M1", reached(build, [pin], closed)) for pin in fed(build)]
    assert ends == [{f"M1.{pin}"} for pin in build.devices["M1"].pins if pin != "PE"]


@pytest.mark.parametrize("name", POWERED)
def test_the_breaker_of_the_24_v_supply_opens_each_of_its_conductors(name):
    """In a TT system N is a live conductor that every protective device must cut (NF C 15-100)."""
    build = builds.read(name)
    everything_else = poles("Q0", "Q1", "KM1")
    inputs = {f"G1.{pin}" for pin in build.devices["G1"].pins if pin not in ("plus", "minus", "PE")}
    assert len(inputs) == 2
    assert reached(build, fed(build), poles("F1")) >= inputs
    assert not of("G1", reached(build, fed(build), everything_else))


def without_switch(build: builds.Build) -> set[str]:
    return reached(build, fed(build), poles("Q1", "KM1", "F1"))


@pytest.mark.parametrize("name", POWERED)
def test_drawing_list_and_label_name_all_that_stays_live_with_the_main_switch_off(name):
    build = builds.read(name)
    live = without_switch(build)
    cables = [cable for cable in build.cables.values() if any(str(wire.start) in live for wire in cable.wires)]
    assert [cable.name for cable in cables] == [c.name for c in build.cables.values() if c.sheet == builds.LIVE]
    assert all(f"live with Q0 off: {cable.text.partition(': ')[2]}" == cable.text for cable in cables)
    shown = {(str(w.start), str(w.end)) for w in build.wires() if str(w.start) in live}
    assert {str(pin) for pair in shown for pin in pair} == live & build.live
    for lang, words in zip(("en", "fr"), labels.stickers(build)["power box"], strict=True):
        named, _, wires = labels.stays_live(build, lang).rpartition({"en": ", wires ", "fr": ", fils "}[lang])
        assert named in words
        assert set(wires.split(", ")) == {cable.name for cable in cables}
        spelled = set(named.split(", "))
        for device in build.devices.values():
            pins = {f"{device.name}.{pin}" for pin in device.pins if pin != "PE"}
            assert pins & live == (pins if device.name in spelled else pins & spelled), device.name
        assert "…" not in words
    assert "Q0.1" in live
    assert not {"Q0.2", "Q1.1", "X7.L", "X7.U", "M1.L", "M1.U"} & live


OTHERS = ("PE", "plus", "minus", "A1", "A2", "21", "22")  # of these devices: not of mains
MAINS = ("X6", "X7", "Q0", "Q1", "KM1", "F1", "G1", "M1")


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_whatever_wires_there_are_the_label_names_each_end_that_is_reached_past_the_main_switch(data):
    build = builds.read(data.draw(st.sampled_from(POWERED)))
    pins = [f"{name}.{pin}" for name in MAINS for pin in build.devices[name].pins if pin not in OTHERS]
    gone = data.draw(st.sets(st.sampled_from([wire.name for wire in build.wires()]), max_size=6))
    drawn = data.draw(st.lists(st.tuples(st.sampled_from(pins), st.sampled_from(pins)), max_size=4))
    wires = [wire for wire in build.wires() if wire.name not in gone]
    for number, pair in enumerate(drawn, start=1):
        start, stop = (builds.End(*pin.split(".")) for pin in pair)
        wires.append(builds.Wire("W99", number, "BN", start, stop))
    cable = builds.Cable("W99", "", None, "electrician", "mains", False, False, tuple(wires))
    changed = replace(build, cables={"W99": cable}, live=live.ends(wires))
    found = without_switch(changed)
    wired = {str(end) for wire in wires for end in (wire.start, wire.end)}
    assert changed.live & wired == found & wired
    spelled = set(live.devices(changed))
    for pin in found & wired:
        assert {pin, pin.partition(".")[0]} & spelled, pin


@pytest.mark.parametrize("name", POWERED)
def test_the_page_about_safety_lists_what_stays_live_in_each_build(name):
    for lang, page in (("en", "safety.md"), ("fr", "safety.fr.md")):
        assert f"| {name} | {labels.stays_live(builds.read(name), lang)} |" in (HARDWARE / page).read_text("utf-8")


def test_a_cable_with_one_wire_that_stays_live_is_an_error(monkeypatch):
    real, file = builds.load, "builds/three-phases.yaml"
    raw = deepcopy(real(file))
    raw["cables"]["W63"]["wires"][3] = ["X6.N", "LB", "X7.N"]  # as it was drawn once
    monkeypatch.setattr(builds, "load", lambda path: raw if path == file else real(path))
    with pytest.raises(
        ValueError, match="W63: found wires that stay live with the main switch off and others that do not"
    ):
        builds.read.__wrapped__("three-phases")


@pytest.mark.parametrize("name", POWERED)
def test_each_cross_section_is_chosen_by_the_breaker_in_front_of_the_wire(name):
    """Not by one behind it, which does not protect it: IEC 60364-4-43, 433.2 and 434.2."""
    build = builds.read(name)
    before = reached(build, fed(build), poles("Q0"))
    behind_q1 = reached(build, fed(build), poles("Q0", "Q1", "KM1")) - before
    behind_f1 = reached(build, fed(build), poles("F1")) - before
    for cable in (
        cable for cable in build.cables.values() if cable.part == "wire_mains" or cable.name in ("W37", "W67", "W71")
    ):
        ends = {str(wire.start) for wire in cable.wires if wire.colour != "GNYE"}
        if ends and ends <= before:
            assert "cross-section by the fuse in front of X6" in cable.text
        elif ends and ends <= behind_q1:
            assert "cross-section by Q1" in cable.text
        elif ends:
            assert ends <= behind_f1
            assert "behind F1" in cable.text
    assert behind_q1
    assert behind_f1
    # Earth up to the bar and to metal that mains could touch before Q1 is as large as the supply's own.
    assert all("by the fuse in front of X6" in build.cables[name].text for name in ("W36", "W38"))


@pytest.mark.parametrize("name", POWERED)
def test_the_circuit_diagram_draws_each_wire_through_which_a_machine_or_the_coil_gets_its_power(name):
    build = builds.read(name)
    columns = circuit.ways(build)
    drawn = {step for _, way in columns for _, step in way if step.startswith("W")}
    rails = reached(build, ["X5.1"]) | reached(build, ["X5.4"])
    apart = {w.name for w in build.wires() if w.colour != "GNYE" and not {str(w.start), str(w.end)} <= rails}
    electric = {wire.name for cable in build.cables.values() if cable.by == "electrician" for wire in cable.wires}
    assert (apart & (electric | {"W10.3", "W10.5", "W10.6"})) <= drawn
    text = circuit.picture(build)
    for _, way in columns:
        for (above, _), (pin, step) in pairwise(way):
            if step.startswith("W"):
                (wire,) = (wire for wire in build.wires() if wire.name == step)
                assert {str(wire.start), str(wire.end)} == {above, pin}
                assert f">{step}</text>" in text
            else:  # what closes joins no two pins by itself
                assert pin not in reached(build, [above])
    # On every way to the machine: main switch, breaker, contactor. On that to the coil: emergency stop and K1.
    kinds = {what: [step for _, step in way if not step.startswith("W")][1:] for what, way in columns}
    assert all(kinds[f"machine, {pin}"] == ["switch", "breaker", "contactor"] for pin in map(_last, fed(build)))
    assert kinds["coil"] == ["opening", "K1", "coil"]
    assert kinds["mirror contact"] == ["opening", "A3 input"]


def _last(pin: str) -> str:
    return pin.partition(".")[2]


# --- 24 V -------------------------------------------------------------------------------------------------------------


def touching(count: int) -> set[frozenset[int]]:
    """Return which cores of a round cable touch: up to four all do, of seven one is in the middle of the others.

    Makers put core 1 or the last one in the middle: either may touch all.
    """
    cores = range(1, count + 1)
    if count <= 4:
        return {frozenset(pair) for pair in combinations(cores, 2)}
    found = set()
    for middle in (1, count):
        ring = [core for core in cores if core != middle]
        found |= {frozenset(pair) for pair in (*pairwise(ring), (ring[-1], ring[0]))}
        found |= {frozenset((middle, core)) for core in ring}
    return found


def terminal_neighbours(build: builds.Build) -> set[tuple[str, str]]:
    """Return each two neighbours of a strip, both ways round."""
    strips = [build.devices[strip] for strip in ("X2", "X5") if strip in build.devices]
    found = {(f"{strip.name}.{one}", f"{strip.name}.{two}") for strip in strips for one, two in pairwise(strip.pins)}
    return found | {(two, one) for one, two in found}


def core_neighbours(build: builds.Build) -> set[tuple[str, str]]:
    """Return where each two cores that touch begin, both ways round, of all cables with numbered cores."""
    found = set()
    for cable in (cable for cable in build.cables.values() if cable.is_numbered):
        begins = {wire.number: str(wire.start) for wire in cable.wires}
        pairs = touching(int(cable.text.partition(" \u00d7 ")[0].rpartition(" ")[2]))
        found |= {(begins[one], begins[two]) for one, two in map(tuple, pairs) if {one, two} <= begins.keys()}
    return found | {(two, one) for one, two in found}


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


@pytest.mark.parametrize("name", POWERED)
def test_each_single_bridge_in_each_state_leaves_the_emergency_stop_its_power(name):
    build = builds.read(name)
    own = {"X5.2", "X5.9"}  # the two cores of W12: both ends of the emergency stop's own contact
    bridges = {pair for pair in terminal_neighbours(build) | core_neighbours(build) if set(pair) != own}
    assert len(bridges) > 60

    def is_fed(*closed: Contacts) -> bool:
        contacts = set().union(F2, BUTTONS, *closed)
        plus = reached(build, ["G1.plus"], contacts)
        return "KM1.A1" in plus and "G1.minus" not in plus  # a short circuit blows F2

    assert is_fed(S0, K1)
    past_k1 = set()
    for bridge in bridges:
        for mirror in (MIRROR, set()):
            assert not is_fed(K1, mirror, {bridge}), bridge
            assert not is_fed(mirror, {bridge}), bridge
            if is_fed(S0, mirror, {bridge}):
                past_k1.add(frozenset(bridge))
    # Without a badge only K1's own two wires do it, and the read-back reports that.
    assert past_k1 == {frozenset(pair) for pair in (("X2.5", "X2.6"), ("X5.7", "X5.8"))}


@pytest.fixture
def factory():
    before, Device.pin_factory = Device.pin_factory, MockFactory()
    yield Device.pin_factory
    Device.pin_factory.reset()
    Device.pin_factory = before


@pytest.mark.parametrize("name", POWERED)
def test_an_emergency_stop_opens_the_coil_and_reads_as_no_weld(name, factory):
    build = builds.read(name)
    rows = {row["key"]: row["gpio"] for row in builds.pins()["pins"]}
    output = GpioOutput(GpioOptions(pin=rows["output.pin"], readback_pin=rows["output.readback_pin"]))
    output.open()
    line = factory.pin(rows["output.readback_pin"])

    def read_back(closed: Contacts) -> bool:
        # The coupler's LED has current: it pulls the line low.
        if "R11.1" in reached(build, ["G1.plus"], closed):
            line.drive_low()
        else:
            line.drive_high()
        return output.read_back()

    assert "KM1.A1" in reached(build, ["G1.plus"], F2 | S0 | K1)
    pressed = F2 | BUTTONS | K1  # the moment after the stop: K1 may still be closed, KM1 has dropped out
    assert "KM1.A1" not in reached(build, ["G1.plus"], pressed | MIRROR)
    assert read_back(pressed | MIRROR) is False
    assert read_back(F2 | BUTTONS | MIRROR) is False
    assert read_back(pressed) is True  # it did not drop out: that is a weld
    output.close()


@pytest.mark.parametrize("name", WIRED)
def test_nothing_hangs_on_a_channel_of_the_driver_that_has_less_than_the_voltage_of_its_diodes(name):
    """Each channel has a diode to COM: from a lower supply, current would flow through it into a 24 V rail without power."""
    build = builds.read(name)
    parts = builds.board_of(build)
    nets = parts["U1"]["pins"]
    com = reached(build, ["U1.9"])
    pins = [f"{part}.{pin}" for part, row in parts.items() for pin in row["pins"]]
    pins += [f"{device.name}.{pin}" for device in build.devices.values() for pin in device.pins]
    # A relay's contacts are another circuit than its coil.
    contacts = {pin for pin in pins if pin.startswith("K") and pin.partition(".")[2] in ("4", "6", "8")}
    for channel in (channel for channel in range(10, 17) if channel in nets):
        here = reached(build, [f"U1.{channel}"])
        loads = {pin.partition(".")[0] for pin in here} - {"U1", "X1", "X2", "X3"}
        assert loads, channel
        for load in loads:
            supply = {pin for pin in pins if pin.startswith(f"{load}.")} - here - contacts
            assert supply <= com, f"{load} on channel {channel}: {sorted(supply - com)} is not +24 V"
    assert "K1.1" in com
