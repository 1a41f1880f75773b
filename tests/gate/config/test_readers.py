"""Several readers in gate.yaml: how many, which devices and pins, and which one holds the card."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

import pytest

from fabgate.cli.check import reader_that_holds
from fabgate.gate.config import gate_yaml

RC522 = "{driver: mfrc522, device: %d, reset_pin: %d%s}"
TWO_RC522 = f"{RC522 % (0, 25, '%s')}, {RC522 % (1, 24, '%s')}"
SERIAL = "{driver: serial, format: rdm6300%s}"
PCSC = "{driver: pcsc, name: %s}"
TYPES = "{driver: keyboard, event_path: /dev/input/by-id/usb-%s-event-kbd, format: number10}"


def test_a_gate_may_have_up_to_three_readers(load):
    found = load(reader=f"reader: [{TWO_RC522 % ('', ', holds: true')}, {SERIAL % ''}]")
    assert [found.reader_name(place) for place in range(3)] == [
        "reader 1 (mfrc522)",
        "reader 2 (mfrc522)",
        "reader 3 (serial)",
    ]
    assert found.holder([gate_yaml.driver_class("reader", one.driver) for one in found.reader]) == 1
    assert reader_that_holds(found) == "in hold mode reader 2 (mfrc522) holds the card"
    assert "no reader can hold a card" in reader_that_holds(load(reader=f"reader: [{SERIAL % ''}, {TYPES % 'a'}]"))
    (one,) = load(reader="reader: [{driver: mfrc522}]").reader
    assert not one.holds


@pytest.mark.parametrize(
    ("readers", "mode", "expected"),
    [
        (
            f"{TYPES % 'a'}, {{driver: osdp, format: uid, key_file: no.key}}",
            "tap",
            "reader[1].key_file: found no file no.key",
        ),
        ("", "tap", "reader: found none, wanted 1 to 3"),
        (", ".join(TYPES % name for name in "abcd"), "tap", "reader: found 4 of them, wanted 1 to 3"),
        (f"{TYPES % 'a'}, {TYPES % 'a'}", "tap", "reader[1]: found the same as reader[0], wanted another reader"),
        (f"{RC522 % (0, 25, '')}, {RC522 % (1, 25, '')}", "tap", "reader[1].reset_pin: found GPIO 25, wanted another"),
        (
            f"{RC522 % (0, 25, '')}, {RC522 % (0, 24, '')}",
            "tap",
            "reader[1].device: found bus 0 and device 0, wanted another one; reader[0] uses it already",
        ),
        (
            f"{SERIAL % ''}, {SERIAL % ', port: /dev/ttyAMA0'}",
            "tap",
            "reader[1].port: found port /dev/ttyAMA0, wanted another one; reader[0] uses it already",
        ),
        (
            f"{PCSC % 'AC'}, {PCSC % 'ACS'}",
            "tap",
            "reader[1].name: found ACS, wanted the name of another reader; reader[0]",
        ),
        (
            TWO_RC522 % ("", ""),
            "hold",
            "machine.mode: found hold with the readers reader[0] and reader[1], wanted 'holds",
        ),
        (TWO_RC522 % ((", holds: true",) * 2), "hold", "reader[1].holds: found true again, wanted it once; reader[0]"),
        (
            f"{SERIAL % ', holds: true'}, {RC522 % (0, 25, '')}",
            "tap",
            "reader[0].holds: found true with the reader 'serial'",
        ),
        (f"{SERIAL % ''}, {RC522 % (0, 25, ', holds: 1')}", "hold", "reader[1].holds: found '1', wanted true or false"),
        (f"{SERIAL % ''}, {TYPES % 'a'}", "hold", "machine.mode: found hold with the reader 'serial' and 'keyboard'"),
    ],
)
def test_readers_that_cannot_be_together_are_a_mistake(monkeypatch, mistakes, readers, mode, expected):
    monkeypatch.setattr("fabgate.gate.config.hardware.find_spec", lambda _module: object())
    (found,) = mistakes(reader=f"reader: [{readers}]", machine=f"machine: {{mode: {mode}}}")
    assert expected in found


def test_no_reader_shares_a_bus_with_a_panel_or_a_pin_with_anything(monkeypatch, mistakes):
    bus = EntryPoint("bus", "tests.gate.config.test_drivers:BusReader", "fabgate.readers")
    ours = {group: [*entry_points(group=group), bus] for group in gate_yaml.KINDS.values()}
    monkeypatch.setattr(gate_yaml, "entry_points", lambda group: ours[group])
    monkeypatch.setattr("fabgate.gate.config.hardware.find_spec", lambda _module: object())
    found = mistakes(
        reader=f"reader: [{{driver: mfrc522}}, {{driver: bus, i2c_bus: 3}}, {SERIAL % ''}]",
        panel="panel: [{driver: oled, i2c_bus: 3}, {driver: neopixel, spi_bus: 0}]",
        inputs="inputs: {stop_pin: 15, flag_pin: 10}",
    )
    assert sorted(line.partition(" ")[2].partition(",")[0] for line in found) == [
        "inputs.flag_pin: found GPIO 10",
        "inputs.stop_pin: found GPIO 15",
        "panel[0].i2c_bus: found I2C bus 3",
        "panel[1].spi_bus: found SPI bus 0",
    ]
