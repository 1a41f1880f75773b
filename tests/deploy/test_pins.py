"""Checks that pages, drivers and annotated configuration agree on the pins, and that all are safe."""

from __future__ import annotations

import re

import pytest
import yaml
from msgspec.structs import asdict

from fabgate.drivers.outputs.gpio import GpioOptions, GpioOutput
from fabgate.drivers.panels.buzzer import BuzzerOptions
from fabgate.drivers.panels.lights import LightsOptions
from fabgate.drivers.readers.mfrc522 import Mfrc522Options
from fabgate.gate.config import gate_yaml, hardware
from tests.deploy.places import CONFIG, HARDWARE, blocks

PANELS = HARDWARE.parent / "docs" / "panels" / "README.md"

TABLE = yaml.safe_load((HARDWARE / "pins.yaml").read_text())
PINS = {pin["key"]: pin for pin in TABLE["pins"]}
GPIO = {key: pin["gpio"] for key, pin in PINS.items()}
OTHERS = {row["key"]: row["gpio"] for row in TABLE["others"]}
UNSAFE = {gpio for group in TABLE["never_an_output"] for gpio in group["gpio"]}
ROWS = (*TABLE["pins"], *TABLE["panels"])


def test_the_table_has_the_right_place_of_each_gpio_on_the_40_pin_header(mock_pins):
    header = mock_pins.board_info.headers["J8"].pins
    for pin in (*ROWS, *TABLE["others"]):
        assert header[pin["header"]].name == f"GPIO{pin['gpio']}"
    for supply in TABLE["power"]:
        assert header[supply["header"]].name == supply["name"]


def test_no_place_of_the_header_is_used_twice():
    places = [entry["header"] for entry in (*TABLE["pins"], *TABLE["panels"], *TABLE["power"])]
    assert len(places) == len(set(places))


@pytest.mark.parametrize("build", TABLE["builds"])
def test_no_build_uses_a_pin_twice_or_takes_more_than_the_header_gives(build):
    words = TABLE["builds"][build]
    used = [row for row in ROWS if any(f"{row['key']}.".startswith(f"{word}.") for word in words)]
    assert not [word for word in words if not any(f"{row['key']}.".startswith(f"{word}.") for row in used)]
    taken = [gpio for row in (*used, *TABLE["others"]) for gpio in (row["gpio"], *row.get("also", []))]
    assert len(taken) == len(set(taken))
    current = [row.get("ma", 0) for row in used]
    assert max(current) <= TABLE["gives_ma"]["pin"]
    assert sum(current) <= TABLE["gives_ma"]["pins"]


def test_the_relay_is_on_a_pin_that_is_low_while_the_pi_starts():
    assert GPIO["output.pin"] not in UNSAFE
    assert frozenset(range(28)) - UNSAFE == hardware.SAFE_OUTPUT_PINS


def test_the_readers_defaults_match_the_table():
    defaults = Mfrc522Options()
    assert (defaults.bus, defaults.device, defaults.reset_pin) == (0, 0, GPIO["reader.reset_pin"])
    reader = {key: gpio for key, gpio in GPIO.items() if key.startswith("reader.spi")}
    # SPI0 with CE0: spidev0.0 on every Pi.
    assert reader == {"reader.spi.cs": 8, "reader.spi.miso": 9, "reader.spi.mosi": 10, "reader.spi.sck": 11}


def test_the_panels_defaults_match_the_table_and_its_pins_are_dark_and_silent_while_the_pi_starts():
    found = {pin["key"]: pin["gpio"] for pin in TABLE["panels"]}
    defaults = {**asdict(LightsOptions()), **asdict(BuzzerOptions())}
    assert found.items() >= {f"panel.{key}": value for key, value in defaults.items() if key.endswith("_pin")}.items()
    assert not UNSAFE & {gpio for key, gpio in found.items() if key.endswith("_pin")}
    assert (found["panel.i2c.sda"], found["panel.i2c.scl"]) == hardware.I2C_PINS[1]
    rows = re.findall(r"^\| `(panel\.[\w.]+)`.* \| (\d+) \| (\d+) \|", PANELS.read_text(), re.MULTILINE)
    assert [(key, int(gpio), int(place)) for key, gpio, place in rows] == [
        (pin["key"], pin["gpio"], pin["header"]) for pin in TABLE["panels"]
    ]


def test_the_table_has_exactly_the_inputs_of_the_gate():
    inputs = {f"inputs.{name}" for name in gate_yaml.Inputs.__struct_fields__}
    assert {key for key in GPIO if key.startswith("inputs.")} == inputs


def test_the_wired_read_back_reports_a_closed_contactor_and_takes_a_broken_wire_for_one(mock_pins):
    options = GpioOptions(
        pin=GPIO["output.pin"], readback_pin=GPIO["output.readback_pin"], readback_closed=TABLE["readback_closed"]
    )
    output, mirror = GpioOutput(options), mock_pins.pin(GPIO["output.readback_pin"])
    output.open()
    assert output.read_back() is True  # no wire between board and Pi: the Pi's own pull-up
    mirror.drive_low()  # contactor open: its mirror contact is closed, the opto-coupler pulls to ground
    assert output.read_back() is False
    mirror.drive_high()  # contactor closed, or the loop broken: the board's pull-up
    assert output.read_back() is True
    output.close()


# --- pages ------------------------------------------------------------------------------------------------------------


def test_the_table_of_the_wiring_page_matches_pins_yaml():
    rows = re.findall(r"^\| (.+?) \| (\d+) \| (\d+) \|", (HARDWARE / "wiring.md").read_text(), re.MULTILINE)
    assert {(int(gpio), int(header)) for _, gpio, header in rows} == {
        (pin["gpio"], pin["header"]) for pin in TABLE["pins"]
    }
    named = {key.strip("` (default)"): int(gpio) for key, gpio, _ in rows if key.startswith("`")}
    assert named == {key: gpio for key, gpio in GPIO.items() if "spi" not in key}


def test_the_example_of_the_wiring_page_is_a_valid_configuration_with_these_pins(tmp_path):
    (example,) = blocks(HARDWARE / "wiring.md", "yaml")
    (tmp_path / "members.yaml").touch()
    (tmp_path / "gate.yaml").write_text(
        "site: lyon\ngate: laser-1\nstate_dir: state\nroster: {file: members.yaml}\n" + example
    )
    assert_pins_match_the_table(gate_yaml.load(tmp_path / "gate.yaml"))


def parts_of(name: str) -> list[str]:
    return re.split(r"^## ", (HARDWARE / name).read_text("utf-8"), flags=re.MULTILINE)


def rows_of(part: str) -> list[str]:
    """Return the rows of the tables of a part, but for their heads."""
    return re.findall(r"^\|(?! (?:build|montage) | \| |[ -]*---).*\|$", part, re.MULTILINE)


#: Figures that a reader acts on: with their units, pins and devices, standards and their clauses.
FIGURES = (
    r"(?:IEC|ISO|EN|NF C) [\d-]+(?:, [\d.]+\d)*",
    r"\b\d+(?:\.\d+)?[ \u00a0\u202f](?:V|A|mA|s|mm²|kΩ|W|Ω)(?![\w\u2019])",
    r"\b(?:[A-Z]{1,2}\d{1,2})(?:\.\w+)?\b",
    r"(?<![\w.,-])\d+(?:[.,]\d+)?(?![\w-])",
    r"`[^`]+`",
    r"[\u2610]",
)


def figures(text: str) -> dict[str, list[str]]:
    """Return the figures of a text in an order that does not depend on its sentences; a comma of French as a point."""
    text = re.sub(r"(?<=\d),(?=\d)", ".", text)
    return {pattern: sorted(re.findall(pattern, text)) for pattern in FIGURES}


def prose(part: str) -> list[str]:
    """Return the paragraphs and list items of a part, without its tables."""
    text = re.sub(r"^\|.*\n", "", part, flags=re.MULTILINE)
    return [piece for piece in re.split(r"\n\n|\n(?=- )", text) if piece.strip()]


def clauses(text: str) -> int:
    return len(re.findall(r"[.:](?=\s|\*|$)|;(?=\s)", text))


@pytest.mark.parametrize("page", ["safety", "commissioning"])
def test_the_french_page_has_the_same_parts_rows_figures_warnings_and_commands(page):
    english, french = (parts_of(name) for name in (f"{page}.md", f"{page}.fr.md"))
    assert len(english) == len(french) > 4
    for one, other in zip(english, french, strict=True):
        rows, others = rows_of(one), rows_of(other)
        assert len(rows) == len(others), one[:40]
        for row, twin in zip(rows, others, strict=True):
            assert figures(row) == figures(twin), (row, twin)
            assert row.count("**") == twin.count("**"), (row, twin)  # what is bold is a warning
            assert [bool(cell.strip()) for cell in row.split("|")] == [bool(cell.strip()) for cell in twin.split("|")]
        for what in (r"^- ", r"^> "):
            assert len(re.findall(what, one, re.MULTILINE)) == len(re.findall(what, other, re.MULTILINE)), one[:40]
        assert one.count("**") == other.count("**"), one[:40]
        # Prose: sentences may be put otherwise, figures may not.
        assert figures(one) == figures(other), one[:40]
        # A sentence that is missing in one language is noticed by the full stops, colons and semicolons of its paragraph.
        assert [clauses(text) for text in prose(one)] == [clauses(text) for text in prose(other)], one[:40]
    assert "'" not in re.sub(r"`[^`]*`", "", (HARDWARE / f"{page}.fr.md").read_text("utf-8"))


def test_the_safety_page_begins_with_what_fabgate_is_not():
    first = (HARDWARE / "safety.md").read_text().splitlines()[0]
    assert "fabgate is not a safety function and not an emergency stop" in first


# --- the annotated configuration --------------------------------------------------------------------------------------


def test_the_annotated_gate_yaml_uses_these_pins():
    path = CONFIG / "gate.yaml"
    if not path.exists():
        pytest.skip("config/gate.yaml is not there yet")
    text = path.read_text()
    # In settings and in comments, each pin must be the one of the table.
    for section, name in {
        tuple(key.split(".")) for key in GPIO | OTHERS if key.count(".") == 1 and key != "reader.port"
    }:
        for found in re.findall(rf"\b{name}:\s*(\d+)", text):
            assert int(found) == (GPIO | OTHERS)[f"{section}.{name}"], f"{section}.{name}"
    assert re.search(rf"\bpin:\s*{GPIO['output.pin']}\b", text)
    for found in re.findall(r"^\s*readback_closed:\s*(\w+)", text, re.MULTILINE):  # a comment shows the default
        assert found == TABLE["readback_closed"]


def assert_pins_match_the_table(found: gate_yaml.Config) -> None:
    assert found.output.options.pin == GPIO["output.pin"]
    assert found.output.options.readback_pin == GPIO["output.readback_pin"]
    assert found.output.options.readback_closed == TABLE["readback_closed"]
    assert found.reader[0].options.reset_pin == GPIO["reader.reset_pin"]
    for name in found.inputs.__struct_fields__:
        assert getattr(found.inputs, name) == GPIO[f"inputs.{name}"]
