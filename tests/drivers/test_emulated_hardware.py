"""What does a driver do in a process that has no emulated hardware?"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from fabgate import drivers
from fabgate.drivers.meters.ads1115 import Ads1115Meter
from fabgate.drivers.meters.s0 import S0Meter
from fabgate.drivers.outputs.gpio import GpioOutput
from fabgate.drivers.panels.lcd import LcdPanel
from fabgate.drivers.panels.oled import OledPanel
from fabgate.drivers.readers.mfrc522 import Mfrc522Reader
from fabgate.drivers.readers.simulated import SimulatedReader
from fabgate.errors import HardwareError

EMULATED: dict[type[Any], dict[str, Any]] = {
    Ads1115Meter: {"chip": "emulated", "i2c_socket": "meter"},
    S0Meter: {"pins": "emulated", "pulse_pin": 5, "pulses_per_kwh": 1000},
    GpioOutput: {"pins": "emulated", "pin": 17, "pin_log": Path("pins")},
    LcdPanel: {"chip": "emulated", "i2c_socket": "display"},
    OledPanel: {"chip": "emulated", "i2c_socket": "display"},
    Mfrc522Reader: {"chip": "emulated", "control_socket": "chip"},
    SimulatedReader: {"control_socket": "cards"},
}


@pytest.mark.parametrize("driver", EMULATED, ids=lambda driver: driver.__name__)
def test_a_driver_says_what_to_do_and_opens_nothing(driver, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(drivers, "EMULATORS", {})
    opened = driver(driver.Options(**EMULATED[driver]))
    with pytest.raises(
        HardwareError, match=r"^found emulated hardware \(.*, wanted 'fabgate run'.*Start the gate with it"
    ):
        opened.open()
    opened.close()
    assert not list(tmp_path.iterdir())


def test_a_missing_pin_library_is_a_hardware_error(monkeypatch):
    monkeypatch.setitem(sys.modules, "gpiozero", None)
    monkeypatch.delitem(sys.modules, "fabgate.drivers.emulated.pins", raising=False)
    monkeypatch.delattr("fabgate.drivers.emulated.pins", raising=False)
    with pytest.raises(HardwareError, match="emulated pins cannot be opened"):
        GpioOutput(GpioOutput.Options(pins="emulated", pin=17)).open()
