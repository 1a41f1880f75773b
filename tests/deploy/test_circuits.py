"""What do the circuits of hardware/ do: what stays live, what does an emergency stop do, what does the gate see?

Each answer comes from the netlist, by a search of its own: wires, nets of the gate board, and contacts that are closed.
"""

from __future__ import annotations

import re
from copy import deepcopy
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fabgate.drivers.outputs.gpio import GpioOptions, GpioOutput
from tests.deploy.netlist import BUTTONS, F2, K1, MIRROR, POWERED, S0, WIRED, Contacts, fed, of, poles, reached
from tests.deploy.places import HARDWARE
from tools.hardware import builds, circuit, labels, live

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
    assert kinds["protective earth"] == ["bar"]  # and nothing that opens


def _last(pin: str) -> str:
    return pin.partition(".")[2]


@pytest.mark.parametrize("name", POWERED)
def test_nothing_senses_main_switch_or_breaker_so_that_the_page_says_that_a_session_goes_on(name):
    build = builds.read(name)
    mains = reached(build, fed(build), poles("Q0", "Q1", "KM1", "F1"))
    assert {pin.partition(".")[0] for pin in mains} <= {"X6", "X7", "Q0", "Q1", "F1", "KM1", "M1", "G1"}
    # With Q0 off, 24 V are there, so that KM1 stays closed: what measures at X7 needs a session.
    supply = {f"G1.{pin}" for pin in build.devices["G1"].pins if pin not in ("plus", "minus", "PE")}
    assert supply <= without_switch(build)
    assert "KM1.A1" in reached(build, ["G1.plus"], F2 | S0 | K1)
    page = (HARDWARE / "safety.md").read_text("utf-8")
    assert "| Q0 or Q1, or a phase that does not feed F1 | nothing: no input senses it." in page
    # Three phases: two conductors at the most feed F1, and the others are not sensed at all.
    feeds = [pin for pin in fed(build) if reached(build, [pin], poles("F1")) & supply]
    assert len(feeds) == 2


@pytest.mark.parametrize("name", POWERED)
@pytest.mark.parametrize("bridge", [("X2.13", "X2.14"), ("X2.14", "X2.15"), ("S0.21", "S0.22")], ids=" to ".join)
def test_an_emergency_stop_that_the_gate_does_not_notice_gives_power_back_when_it_is_released(name, bridge):
    build = builds.read(name)

    def state(*closed: Contacts) -> tuple[bool, bool]:
        found = reached(build, ["G1.plus"], set().union(F2, BUTTONS, K1, {bridge}, *closed))
        return "KM1.A1" in found, "R14.1" in found

    assert [state(S0), state(), state(S0)] == [(True, True), (False, True), (True, True)]
    words = "cores\n1 and 2 of W11" if bridge[0] == "S0.21" else " to ".join(bridge)
    (part,) = re.findall(r"\*\*If the input fails.*?\n\n", (HARDWARE / "safety.md").read_text("utf-8"), re.DOTALL)
    assert words in part


# --- 24 V -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", POWERED)
def test_an_emergency_stop_opens_the_coil_and_reads_as_no_weld(name, mock_pins):
    build = builds.read(name)
    rows = {row["key"]: row["gpio"] for row in builds.pins()["pins"]}
    output = GpioOutput(GpioOptions(pin=rows["output.pin"], readback_pin=rows["output.readback_pin"]))
    output.open()
    line = mock_pins.pin(rows["output.readback_pin"])

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
