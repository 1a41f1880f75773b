"""Does each build of hardware/ agree with pins.yaml, with itself, and with what was drawn from it?"""

from __future__ import annotations

import csv
import math
import re
from collections import Counter
from copy import deepcopy
from importlib.metadata import entry_points
from itertools import combinations, pairwise
from xml.etree import ElementTree as ET

import pytest
import yaml

from tests.deploy.places import HARDWARE
from tools.hardware import builds, enclosure, labels, lists, made, plan, room
from tools.hardware.board import layout

#: Where the wire of each key must arrive, whatever the build.
ARRIVES = {
    "output.pin": "OUT",
    "output.readback_pin": "READBACK",
    "inputs.stop_pin": "STOP",
    "inputs.estop_pin": "ESTOP",
    "inputs.running_pin": "RUNNING",
    "inputs.flag_pin": "FLAG",
    "reader.reset_pin": "A2.RST",
    "reader.spi.cs": "A2.SDA",
    "reader.spi.miso": "A2.MISO",
    "reader.spi.mosi": "A2.MOSI",
    "reader.spi.sck": "A2.SCK",
    "panel.red_pin": "H1.R",
    "panel.green_pin": "H1.G",
    "panel.third_pin": "H1.B",
    "panel.i2c.sda": "A4.SDA",
    "panel.i2c.scl": "A4.SCL",
}
#: Supplies of the header that a wire may carry, by the name of the terminal at its other end.
SUPPLIES = {"3V3": {"3V3", "3.3V", "VCC"}, "5V": {"5V"}, "GND": {"GND", "C", "2"}}
TABLE = builds.pins()
ROWS = {row["key"]: row for row in (*TABLE["pins"], *TABLE["panels"])}
SOCKETS = {"X5", "X6", "X7"}  # terminals for rails take two wires inside and one outside; any other pin takes one


@pytest.fixture(params=builds.NAMES)
def build(request):
    return builds.read(request.param)


def test_every_pin_of_the_budget_has_one_wire_which_ends_where_it_should(build):
    wires = {wire.start.pin: wire.end for wire in build.wires() if wire.start.device == "A1"}
    assert all(wire.end.device != "A1" for wire in build.wires())
    for key in build.uses:
        end = wires.pop(str(ROWS[key]["header"]))
        if key == "panel.buzzer_pin":
            assert end.label == "BUZZER" or end.device == "B1"
        else:
            assert ARRIVES[key] in (str(end), end.label), key
    for pin, end in wires.items():  # what is left are supplies
        assert (end.label or end.pin) in SUPPLIES[builds.header()[pin]], end


def test_a_wire_has_the_same_ends_in_each_build_and_so_its_label_stays():
    found: dict[str, set[tuple[str, ...]]] = {}
    for wire in (wire for name in builds.NAMES for wire in builds.read(name).wires()):
        found.setdefault(wire.name, set()).add((str(wire.start), wire.colour, str(wire.end)))
    assert {name: ends for name, ends in found.items() if len(ends) > 1} == {}


def test_a_cable_between_the_boxes_names_two_people(build):
    between = [row for row in csv.DictReader(lists.wires(build).splitlines()) if " electrician" in row["who"]]
    assert {row["wire"].partition(".")[0] for row in between} == ({"W10", "W11"} & build.cables.keys())


@pytest.mark.parametrize("name", ["bench", "standard", "plug"])
def test_the_gate_yaml_of_each_build_names_the_pins_that_it_wires(name):
    page = (HARDWARE / "README.md").read_text("utf-8")
    (text,) = re.findall(rf"^{name}[^\n]*:\n```yaml\n(.*?)```", page, re.MULTILINE | re.DOTALL | re.IGNORECASE)
    found = yaml.safe_load(text)
    written = {f"output.{key}": pin for key, pin in found["output"].items() if key.endswith("pin")}
    written |= {f"inputs.{key}": pin for key, pin in found.get("inputs", {}).items()}
    uses = builds.keys(name)
    assert written == {key: ROWS[key]["gpio"] for key in uses if key.startswith(("output.", "inputs."))}
    assert found["output"]["driver"] == builds.read(name).driver
    panels = {panel["driver"] for panel in found["panel"]}
    assert panels == {"lights"} | ({"oled", "buzzer"} if "panel.buzzer_pin" in uses else set())


def test_no_terminal_has_more_wires_than_it_takes(build):
    ends = Counter(str(end) for wire in build.wires() for end in (wire.start, wire.end))
    assert not {end: count for end, count in ends.items() if count > (3 if end.partition(".")[0] in SOCKETS else 1)}


def test_no_supply_gives_more_than_it_has(build):
    gives = {"3V3": 250, "5V": 1900}  # of the Pi's own 2.5 A, 0.6 A are for the Pi
    for device in build.devices.values():
        gives |= device.raw.get("gives_ma", {})
    for supply, load in builds.loads_ma(build).items():
        assert load <= gives[supply], supply


@pytest.mark.parametrize(
    ("wire", "says"),
    [
        (["A1.1", "RD", "X1.99"], r"W2: found X1\.99, wanted one of the pins 1, 2"),
        (["A1.1", "RD", "X9.1"], r"W2: found X9\.1, wanted a pin of A1, A2"),
        (["A1.1", "XX", "X1.1"], r"W2: found the colour XX, wanted one of BK, BN"),
    ],
)
def test_a_wire_that_ends_nowhere_or_has_no_colour_is_an_error(monkeypatch, wire, says):
    raw = deepcopy(builds.load("builds/bench.yaml"))
    raw["cables"]["W2"]["wires"][0] = wire
    real = builds.load
    monkeypatch.setattr(builds, "load", lambda path: raw if path.endswith("bench.yaml") else real(path))
    with pytest.raises(ValueError, match=says):
        builds.read.__wrapped__("bench")


def test_the_driver_of_each_build_exists(build):
    assert build.driver in {point.name for point in entry_points(group="fabgate.outputs")}


def test_the_channels_of_the_board_are_those_that_the_build_wires(build):
    labels = {wire.end.label for wire in build.wires() if wire.end.device == "X1"}
    nets = {net for part in builds.board(build.uses).values() for net in part["pins"].values()}
    assert not build.devices.keys() & {"X1"} or labels <= nets | {"3V3", "5V", "GND"}


def test_the_lists_are_those_of_the_sources(build):
    for name, text in lists.all_of(build).items():
        assert (HARDWARE / build.name / name).read_text("utf-8") == text, f"{build.name}/{name} is old: make hardware"


def test_the_bill_of_the_options_is_that_of_the_sources_and_whatever_sends_5_v_brings_its_level_shifter():
    assert (HARDWARE / "options.csv").read_text("utf-8") == lists.options(), "options.csv is old: make hardware"
    options = builds.load("builds/options.yaml")
    assert all((HARDWARE.parent / row["page"].partition("#")[0]).exists() for row in options.values())
    assert {"lcd", "wiegand"} == {name for name, row in options.items() if "shifter" in row["parts"]}
    assert {"r1k", "r2k"} < options["rdm6300"]["parts"].keys()
    assert "ahct125" in options["neopixel"]["parts"]


def test_the_plan_of_the_box_is_that_of_its_numbers():
    assert (HARDWARE / "enclosure" / "plan.svg").read_text("utf-8") == plan.picture(), "plan.svg is old: make hardware"


def test_the_box_has_room_for_all_parts_with_either_pi_and_what_to_buy_says_how_much(monkeypatch):
    assert room.clashes() == []
    parts = builds.parts()
    assert all(f"{parts[part]['mm'][2]} mm deep" in parts[part]["choose"] for part in ("button_stop", "button_flag"))
    assert " by ".join(f"{size:.0f}" for size in enclosure.outer()) in parts["enclosure_gate"]["what"]
    changed = deepcopy(parts)
    changed["button_stop"]["mm"] = [32, 46, 66]
    monkeypatch.setattr(builds, "parts", lambda: changed)
    with pytest.raises(ValueError, match="found S1 76 mm deep with its wires, wanted 75 mm at most"):
        room.require()
    changed["button_stop"]["mm"] = [32, 52, 60]  # into the wires of the gate board below it
    assert any("found S1 70 mm deep" in words for words in room.clashes())


def test_the_posts_are_those_of_the_mechanical_drawings_of_the_pi_and_none_stands_in_another():
    distances = {(49.0, 58.0), (23.0, 58.0)}
    assert {distance for _, _, distance, *_ in enclosure.PI.values()} == distances
    for (x, y), (_, high), *_ in enclosure.PI.values():
        (places,) = (at for name, (at, *_) in enclosure.posts().items() if enclosure.PI.get(name, [None])[0] == (x, y))
        assert max(v for _, v in places) == y + high / 2 - 3.5  # from the end with the SD card
    every = [place for places, *_ in enclosure.posts().values() for place in places]
    assert all(math.dist(one, two) > enclosure.BOARD_POST for one, two in combinations(every, 2))


@pytest.mark.parametrize("group", made.SOURCES)
def test_what_is_drawn_is_up_to_date(group):
    assert group not in made.stale(), f"the sources of {group} have changed since it was drawn: make hardware"


def test_the_drawing_names_both_ends_of_each_wire(build):
    for sheet in build.sheets():
        path = HARDWARE / build.name / f"{build.name}-{sheet}.svg"
        assert not re.search(r"<title>(\w+):w&#45;&#45;\1:w</title>[^#]*#[^#]*#fff", path.read_text("utf-8")), (
            "a white link"
        )
        svg = ET.parse(path)
        words = {"".join(text.itertext()).strip() for text in svg.iter("{http://www.w3.org/2000/svg}text")}
        for wire in (wire for cable in build.cables.values() if cable.sheet == sheet for wire in cable.wires):
            start, end = (":".join(filter(None, (end.device, end.pin, end.label))) for end in (wire.start, wire.end))
            link = {wire.start.device, f"{wire.name}: {wire.start.pin} to {wire.end.pin}, {wire.look}"}
            assert {wire.cable, start, end} <= words or link <= words, wire


def test_the_labels_name_both_ends_of_each_wire_and_what_is_on_the_box(build):
    found = labels.ends(build)
    assert len(found) == 2 * len(list(build.wires()))
    assert ("W1.1", "A1.24", "A2.SDA") in found
    assert ("W1.1", "A2.SDA", "A1.24") in found
    english, french = labels.stickers(build)["enclosure"]
    assert english.startswith("This box records use. It is not an emergency stop")
    assert english.endswith("main switch off and locked.")
    assert french.startswith("Ce boîtier enregistre l\u2019utilisation. Ce n\u2019est ni un arrêt d\u2019urgence")
    assert french.endswith("interrupteur général coupé et cadenassé.")
    boxes = {"enclosure", "power box", "machine"} if "X6" in build.devices else {"enclosure"}
    assert labels.stickers(build).keys() == boxes
    assert (("A3", "gate board") in labels.devices(build)) == ("X1" in build.devices)


def test_the_page_for_builders_says_what_each_build_costs_and_links_to_its_files(build):
    page = (HARDWARE / "README.md").read_text("utf-8")
    (row,) = (line for line in page.splitlines() if line.startswith(f"| **{build.name}** |"))
    assert " and ".join(f"{cost} €" for cost in lists.costs(build).values()) in row
    assert {f"{build.name}/{name}" for name in lists.all_of(build)} <= set(re.findall(r"\((\S+)\)", row))
    assert all(f"({build.name}/{build.name}-{sheet}.svg)" in page for sheet in build.sheets())


# --- the gate board ---------------------------------------------------------------------------------------------------


def test_what_kicad_sees_connected_is_what_the_board_and_the_pins_say():
    rows = csv.DictReader((HARDWARE / "schematic" / "nets.csv").read_text("utf-8").splitlines())
    seen = {end: set(row["joins"].split()) for row in rows for end in row["joins"].split()}
    standard, terminals = builds.read("standard"), builds.load("builds/board.yaml")["terminals"]
    nets = {net: set(ends) for net, ends in layout.nets(standard).items()}
    for wire in standard.cables["W2"].wires:  # from the Pi to X1
        nets[terminals["X1"]["pins"][int(wire.end.pin)]].add(str(wire.start))
    assert {end: ends for ends in nets.values() for end in ends} == {
        end: ends for end, ends in seen.items() if len(ends) > 1
    }
    # What is left are free channels of the driver, and the relay's second pole.
    parts = builds.load("builds/board.yaml")["parts"]
    free = {f"{name}.{pin}" for name, part in parts.items() for pin in part.get("free", ())}
    assert free == {end for end, ends in seen.items() if len(ends) == 1}
    assert {"K1.9", "K1.11", "K1.13"} <= free
    # From the pin of the Pi to what it drives, and to what drives it.
    for key, far in {"output.pin": "R1.1", "output.readback_pin": "U11.4", "inputs.estop_pin": "U14.4"}.items():
        assert far in seen[f"A1.{ROWS[key]['header']}"], key


@pytest.mark.parametrize("volts", [20.4, 24, 28.8])
def test_the_inputs_of_the_board_are_right_at_each_voltage_that_a_supply_may_give(volts):
    loop_ma = (volts - 1.3) / 3.3 / 1.05  # the LED of a PC817, a resistor of 5 %
    sinks_ma = 3.46 / 4.46 + 3.46 / 33  # 3.3 V and 5 %, 4.7 kΩ less 5 %, the Pi's own pull-up at its least
    assert loop_ma > 5  # what wets a contact
    assert loop_ma * 2.0 / 2 / 2 > sinks_ma  # 200 %, halved by age and heat, halved again for saturation
    assert (volts - 1.1) ** 2 / 3300 / 0.95 < 0.5 / 2  # W: half of what the resistor stands


@pytest.mark.parametrize("name", ["bench", "standard"])
def test_every_part_has_holes_of_its_own_on_the_board_and_hides_no_other(name):
    build, size = builds.read(name), builds.load("builds/layout.yaml")["size"]
    holes = layout.pins(build)
    assert len(set(holes.values())) == len(holes)
    assert all(1 <= x <= size["columns"] and 1 <= y <= size["rows"] for x, y in holes.values())
    for (one, (left, top, right, bottom)), (other, (u, v, w, z)) in combinations(layout.bodies(build).items(), 2):
        assert left >= w or u >= right or top >= z or v >= bottom, (one, other)


@pytest.mark.parametrize("name", ["bench", "standard"])
def test_no_wire_on_the_board_runs_over_the_pad_of_another_pin(name):
    build = builds.read(name)
    pads = set(layout.pins(build).values())
    for joint, way in layout.ways(build):
        for start, end in pairwise(way):
            assert layout.clearance(start, end, pads - {way[0], way[-1]}) >= layout.APART[-1], joint


@pytest.mark.parametrize("name", ["bench", "standard"])
def test_the_wires_on_the_board_join_all_pins_of_each_net_and_no_two_nets(name):
    build = builds.read(name)
    groups = {pin: {pin} for pin in layout.pins(build)}
    for _, start, end in layout.joints(build):
        both = groups[start] | groups[end]
        groups |= dict.fromkeys(both, both)
    assert {frozenset(group) for group in groups.values() if len(group) > 1} == {
        frozenset(ends) for ends in layout.nets(build).values()
    }
