"""Which gate.yaml lets the drivers of a process open emulated hardware?"""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from fabgate.gate.config.hardware import SIMULATED_OUTPUT
from tests.cli.running import CONFIG, run_fabgate, write_gate
from tests.support.patience import HANGS_S

PROGRAM = """\
import sys
from pathlib import Path
from fabgate.cli.run import load
from fabgate.drivers import EMULATORS
from fabgate.errors import UsageError
try:
    load(Path(sys.argv[1]))
except UsageError as error:
    print(error)
print(*sorted(EMULATORS), sep=", ")
print(any(name.startswith("fabgate.drivers.emulated") for name in sys.modules))
"""
READER, OUTPUT = "{driver: simulated, control_socket: CONTROL}", "{driver: memory}"
REAL_READER, REAL_OUTPUT = "{driver: mfrc522}", "{driver: gpio, pin: 17}"


def loaded(folder, monkeypatch, text: str) -> list[str]:
    monkeypatch.delenv(SIMULATED_OUTPUT, raising=False)
    command = [sys.executable, "-c", PROGRAM, str(write_gate(folder, text))]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=HANGS_S).stdout.splitlines()


def test_a_demo_gets_all_emulated_hardware(tmp_path, monkeypatch):
    kinds = "I2C display, I2C meter, MFRC522, cards, clock, pins"
    assert loaded(tmp_path, monkeypatch, CONFIG) == [kinds, "True"]


def test_a_gate_with_real_hardware_imports_no_emulator(tmp_path, monkeypatch):
    text = CONFIG.replace(READER, REAL_READER).replace(OUTPUT, REAL_OUTPUT).replace("demo: true\n", "")
    assert loaded(tmp_path, monkeypatch, text) == ["", "False"]


@pytest.mark.parametrize(
    ("text", "refusal"),
    [
        (CONFIG.replace(OUTPUT, REAL_OUTPUT), "output: found the real output gpio next to emulated hardware (reader)"),
        (CONFIG.replace("demo: true\n", ""), "reader: found emulated hardware, wanted real"),
    ],
)
def test_a_refused_mixture_gets_none(tmp_path, monkeypatch, text, refusal):
    found, kinds, is_imported = loaded(tmp_path, monkeypatch, text)
    assert refusal in found
    assert (kinds, is_imported) == ("", "False")


def test_the_doctor_opens_the_emulated_reader_of_a_gate_that_is_stopped(tmp_path):
    path = write_gate(tmp_path, CONFIG.replace("driver: simulated", "driver: mfrc522, chip: emulated"))
    findings = json.loads(run_fabgate("doctor", "--config", path, "--json").stdout)["findings"]
    found = next(finding for finding in findings if finding["id"] == "reader")
    assert (found["outcome"], found["text"]) == ("ok", "the MFRC522 at spidev0.0: VersionReg 92h (NXP 2.0)")
