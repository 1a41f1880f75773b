"""Drivers of other packages in a gate.yaml."""

from __future__ import annotations

import re
import sys
from importlib.metadata import EntryPoint
from typing import Annotated, Any

import msgspec
import pytest
from msgspec import Struct

from fabgate.errors import UsageError
from fabgate.gate.config import gate_yaml
from fabgate.gate.config.gate_yaml import Driver

pytestmark = pytest.mark.usefixtures("folder")


class NfcOptions(Struct, frozen=True, kw_only=True):
    port: str = "/dev/ttyUSB0"
    rate: Annotated[int, msgspec.Meta(gt=0)] = 9600
    codes: list[int] = []
    slots: Annotated[int, msgspec.Meta(ge=1)] = 1
    odd: int | str | None = None


class NfcReader:
    """A stranger's reader that sees a card once and then no more."""

    Options = NfcOptions
    continuous = False


class Shapeless:
    """A class without Options."""


@pytest.fixture
def strangers(monkeypatch):
    """Install drivers of other packages."""
    points = {
        "nfc": f"{__name__}:NfcReader",
        "shapeless": f"{__name__}:Shapeless",
        "gone": "no_such_package:Reader",
        "moody": f"{__name__}:moody_attribute",
        "leaving": f"{__name__}:leaving_attribute",
        "unmade": f"{__name__}:Unmade",
    }
    monkeypatch.setattr(
        gate_yaml,
        "entry_points",
        lambda group: (
            [EntryPoint(name, value, group) for name, value in points.items()]
            + [EntryPoint("gpio", "fabgate.drivers.outputs.gpio:GpioOutput", group)]
        ),
    )


def __getattr__(name: str) -> Any:
    if name == "moody_attribute":
        raise RuntimeError("This module can only be run on a Raspberry Pi!\nReally.")
    if name == "leaving_attribute":
        raise SystemExit("no licence")
    raise AttributeError(name)


class Unmade(NfcReader):
    """A stranger's reader that ends the program where it should keep its options."""

    def __init__(self, options: NfcOptions) -> None:
        sys.exit("no port")


def test_a_driver_that_cannot_be_made_is_one_line_that_names_it(strangers):
    with pytest.raises(
        UsageError, match=r"the reader driver 'unmade' failed in its constructor \(SystemExit: no port\)"
    ):
        gate_yaml.make_driver("reader", Driver(driver="unmade", options=NfcOptions()))


def test_hold_mode_needs_a_reader_that_goes_on_seeing_the_card(strangers, mistakes, load):
    (found,) = mistakes(machine="machine: {mode: hold}", reader="reader: {driver: nfc}")
    assert ":7: machine.mode: found hold with the reader 'nfc', wanted a reader that sees a card" in found
    assert load(machine="machine: {mode: tap}", reader="reader: {driver: nfc}").reader[0].driver == "nfc"


def test_a_serial_reader_has_a_format_the_pins_of_its_port_and_never_hold_mode(mistakes, load):
    reader = "reader: {driver: serial, port: /dev/serial0, format: number10}"
    assert load(reader=reader).reader[0].options.gone_after_ms == 1_000
    found = mistakes(reader=reader, machine="machine: {mode: hold}", inputs="inputs: {stop_pin: 15}")
    assert "found hold with the reader 'serial'" in found[0]
    assert "inputs.stop_pin: found GPIO 15, wanted another one; it is used by the serial port of the reader" in found[1]
    found = mistakes(reader="reader: {driver: pn532}", machine="machine: {mode: hold}", inputs="inputs: {stop_pin: 14}")
    assert ["found GPIO 14" in one for one in found] == [True], "its port is that of the Pi unless told otherwise"
    (missing,) = mistakes(reader="reader: {driver: serial}")
    assert "reader.format: found nothing, wanted rdm6300, em-hex" in missing


def test_the_wires_of_a_wiegand_reader_are_two_free_pins(mistakes, load, monkeypatch):
    reader = "reader: {driver: wiegand, format: w26, d0_pin: 5, d1_pin: %s}"
    monkeypatch.setattr("fabgate.gate.config.hardware.find_spec", lambda _module: object())
    assert load(reader=reader % 6).reader[0].options.gap_ms == 25
    same, used = mistakes(reader=reader % 5, inputs="inputs: {stop_pin: 5}")
    assert "reader.d1_pin: found GPIO 5, wanted another one; it is used by reader.d0_pin already" in same
    assert "inputs.stop_pin: found GPIO 5" in used


def test_the_key_of_an_osdp_reader_is_its_own_and_secret(mistakes, load, tmp_path):
    reader = "reader: {driver: osdp, format: uid, key_file: osdp.key}"
    (missing,) = mistakes(reader=reader)
    assert "reader.key_file: found no file" in missing
    key = tmp_path / "osdp.key"
    key.touch(0o600)
    key.write_text("303132333435363738393a3b3c3d3e3f")
    (found,) = mistakes(reader=reader)
    assert "reader.key_file: " in found
    assert "found the key that every reader has at first, wanted one of your own" in found
    key.write_text("0F1E2D3C4B5A69788796A5B4C3D2E1F0")
    assert load(reader=reader).reader[0].options.key_file == key


def test_hold_mode_with_a_continuous_reader_is_right(load):
    assert load(machine="machine: {mode: hold}").machine.mode == "hold"


@pytest.mark.parametrize(
    ("driver", "expected"),
    [
        ("gone", r"cannot be loaded \(ModuleNotFoundError: .*pip install 'fabgate\[pi\]'"),
        ("moody", r"cannot be loaded \(RuntimeError: This module can only be run on a Raspberry Pi! Really.\)"),
        ("leaving", r"cannot be loaded \(SystemExit: no licence\)"),
        ("shapeless", "without Options, wanted a msgspec Struct; tell its author"),
    ],
)
def test_a_driver_that_cannot_be_loaded_is_a_mistake_in_its_line(strangers, mistakes, driver, expected):
    (found,) = mistakes(reader=f"reader: {{driver: {driver}}}")
    assert re.match(f"gate.yaml:4: reader.driver: (found )?the reader driver '{driver}'.*{expected}", found)


def test_options_of_a_stranger_are_checked_like_ours(strangers, mistakes, load):
    found = mistakes(reader="reader: {driver: nfc, port: 5, rate: 0, codes: [1, x], slots: 0, odd: {}}")
    assert [line.partition(" ")[2] for line in found] == [
        """reader.port: found '5', wanted text; YAML does not read it as text: write "5" in quotes""",
        "reader.rate: found '0', wanted a whole number above 0",
        "reader.codes[1]: found 'x', wanted a whole number",
        "reader.slots: found '0', wanted a whole number, 1 or more",
        "reader.odd: found keys and values, wanted another value",
    ]
    assert load(reader="reader: {driver: nfc, codes: [1, 2]}").reader[0].options.codes == [1, 2]


def test_a_driver_is_made_with_its_own_options():
    made = gate_yaml.make_driver(
        "output", Driver(driver="memory", options=gate_yaml.driver_class("output", "memory").Options())
    )
    assert type(made).__name__ == "MemoryOutput"


# --- panels -----------------------------------------------------------------------------------------------------------


class NeedyPanel:
    """A panel whose package is not installed."""

    Options = NfcOptions
    needs = {"json": "nothing", "no_such_package.at_all": "fabgate[needy]"}  # noqa: RUF012


def test_panels_are_one_section_or_a_list(load):
    assert [one.driver for one in load(panel="panel: {driver: lights}").panel] == ["lights"]
    found = load(panel="panel: [{driver: lights, brightness: 40}, {driver: buzzer}]").panel
    assert [one.driver for one in found] == ["lights", "buzzer"]
    assert found[0].options.brightness == 40
    assert load(panel="panel:").panel == load(panel="panel: []").panel == []


def test_each_mistake_in_a_list_of_panels_names_its_place(mistakes):
    found = mistakes(panel="panel: [{driver: lights, red_pin: 17, brightness: 0}, {driver: buzzer, buzzer_pin: 19}, 5]")
    assert [line.partition(" ")[2] for line in found] == [
        "panel[0].brightness: found '0', wanted a whole number from 1 to 100",
        "panel[2]: found '5', wanted keys and values",
        "panel[0].red_pin: found GPIO 17, wanted another one; it is used by output.pin already",
        "panel[1].buzzer_pin: found GPIO 19, wanted another one; it is used by panel[0].green_pin already",
    ]


def test_a_driver_without_its_package_says_what_to_install(monkeypatch, mistakes):
    points = [EntryPoint("needy", f"{__name__}:NeedyPanel", "fabgate.panels")]
    real = gate_yaml.entry_points
    monkeypatch.setattr(gate_yaml, "entry_points", lambda group: points if "panels" in group else real(group=group))
    (found,) = mistakes(panel="panel: {driver: needy}")
    assert (
        "panel.driver: the panel driver 'needy' needs the package no_such_package.at_all, which is not installed:"
        in found
    )
    assert found.endswith("pip install 'fabgate[needy]'")
    monkeypatch.setattr(NeedyPanel, "needs", {"no_such_package": "apt install python3-needy"})
    (found,) = mistakes(panel="panel: {driver: needy}")
    assert found.endswith("the package no_such_package, which is not installed: apt install python3-needy")


class BusReader(NfcReader):
    """A stranger's reader on I2C."""

    class Options(Struct, frozen=True):
        i2c_bus: int = 1


def test_pixels_never_share_a_bus_with_the_reader_or_other_pixels(monkeypatch, mistakes, load):
    (found,) = mistakes(panel="panel: {driver: neopixel}")
    assert found.endswith("the package spidev, which is not installed: pip install 'fabgate[pi]'")
    monkeypatch.setattr("fabgate.gate.config.hardware.find_spec", lambda _module: object())
    rc522 = "reader: {driver: mfrc522}"
    assert load(reader=rc522, panel="panel: {driver: neopixel}").panel[0].options.spi_bus == 1
    (found,) = mistakes(reader=rc522, panel="panel: {driver: neopixel, spi_bus: 0}")
    assert (
        "panel.spi_bus: found SPI bus 0, wanted another one than that of the reader: pixels have no chip select"
        in found
    )
    (found,) = mistakes(reader=rc522, panel="panel: [{driver: neopixel}, {driver: neopixel}]")
    assert "panel[1].spi_bus: found SPI bus 1, wanted another one than that of panel[0]: pixels" in found
    (found,) = mistakes(reader=rc522, panel="panel: [{driver: neopixel}, {driver: lights}]")
    assert "panel[1].green_pin: found GPIO 19, wanted another one; it is used by SPI bus 1 of panel[0] already" in found


def test_a_display_never_shares_a_bus_with_the_reader_or_an_address_with_another_display(monkeypatch, mistakes, load):
    points = [EntryPoint("bus", f"{__name__}:BusReader", "fabgate.readers")]
    real = gate_yaml.entry_points
    monkeypatch.setattr(gate_yaml, "entry_points", lambda group: points if "readers" in group else real(group=group))
    (found,) = mistakes(reader="reader: {driver: bus}", panel="panel: {driver: oled}")
    assert "panel.i2c_bus: found I2C bus 1, wanted another one than the reader's: a display that hangs" in found
    (found,) = mistakes(reader="reader: {driver: bus}", meter="meter: {driver: ads1115}")
    assert "meter.i2c_bus: found I2C bus 1, wanted another one than the reader's: a meter that hangs" in found
    assert load(reader="reader: {driver: bus, i2c_bus: 3}", panel="panel: {driver: oled}").panel[0].options.i2c_bus == 1
    two = "panel: [{driver: oled, address: 0x3c}, {driver: oled, address: 0x3%s}]"
    (found,) = mistakes(reader="reader: {driver: bus, i2c_bus: 3}", panel=two % "c")
    assert found.endswith(
        "panel[1].address: found 0x3c on I2C bus 1, wanted another one; panel[0] has the same already"
    )
    (found,) = mistakes(reader="reader: {driver: bus, i2c_bus: 3}", panel="panel: [{driver: oled}, {driver: oled}]")
    assert "panel[1].address: found no address on I2C bus 1, wanted another one; panel[0] has" in found
    assert len(load(reader="reader: {driver: bus, i2c_bus: 3}", panel=two % "d").panel) == 2
    (found,) = mistakes(
        reader="reader: {driver: bus, i2c_bus: 3}", inputs="inputs: {stop_pin: 3}", panel="panel: {driver: oled}"
    )
    assert "inputs.stop_pin: found GPIO 3, wanted another one; it is used by I2C bus 1 of panel already" in found


THRESHOLDS = "running_above_a: 2, stopped_below_a: 1"


@pytest.mark.parametrize(
    ("lines", "wanted"),
    [
        (
            {"meter": f"meter: {{driver: ads1115, {THRESHOLDS}}}", "inputs": "inputs: {running_pin: 24}"},
            "meter.running_above_a: found it beside inputs.running_pin, wanted one of them",
        ),
        (
            {"meter": f"meter: [{{driver: ads1115, {THRESHOLDS}}}, {{driver: ads1115, address: 0x49, {THRESHOLDS}}}]"},
            "meter[1].running_above_a: found it beside meter[0].running_above_a, wanted one of them",
        ),
        (
            {"meter": "meter: [{driver: ads1115}, {driver: ads1115}]"},
            "wanted another one; meter[0] has the same already",
        ),
        (
            {
                "meter": "meter: [{driver: s0, pulse_pin: 5, pulses_per_kwh: 1000}, {driver: s0, pulse_pin: 6, pulses_per_kwh: 9}]"
            },
            "meter[1].driver: found a second meter that counts energy, wanted one; meter[0] counts it already",
        ),
        ({"meter": "meter: {driver: s0, pulse_pin: 17, pulses_per_kwh: 1000}"}, "found GPIO 17, wanted another one"),
        (
            {"meter": "meter: {driver: plug}"},
            "meter.driver: found plug with the output 'gpio', wanted an output that measures",
        ),
        (
            {"meter": "meter: {driver: ads1115, running_above_a: 1}"},
            "found running_above_a without stopped_below_a, wanted both",
        ),
        (
            {"meter": "meter: {driver: ads1115, chip: emulated, i2c_socket: s}"},
            "meter: found emulated hardware, wanted real",
        ),
    ],
)
def test_meters_that_contradict_each_other_or_share_a_place_are_refused(mistakes, lines, wanted):
    (found,) = mistakes(**lines)
    assert wanted in found


def test_a_meter_with_thresholds_is_a_run_sense_and_one_without_is_none(load, mistakes):
    idle = "machine: {idle_off_s: 900}"
    assert load(machine=idle, meter=f"meter: {{driver: ads1115, {THRESHOLDS}}}").senses_work
    assert not load(meter="meter: {driver: ads1115}").senses_work
    (found,) = mistakes(machine=idle, meter="meter: {driver: ads1115}")
    assert "give a meter its thresholds" in found
