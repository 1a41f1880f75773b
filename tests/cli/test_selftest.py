"""fabgate selftest, at an emulated gate, from a terminal."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys

import pypdf

from fabgate.drivers.emulated.control import ask
from tests.cli.running import CONFIG, RunningGate, refused, run_fabgate
from tests.support.patience import HANGS_S

MEMBERS = [{"id": "m-max", "badges": ["04A1B2C5"], "level": "maintainer"}]


def test_it_needs_a_terminal(config):
    refused(run_fabgate("selftest", "--config", config), 2, "run it in a terminal")


def test_a_person_tests_an_emulated_gate_and_signs_a_sheet(tmp_path):
    folder, sheet = tmp_path / "gate", tmp_path / "sheet.pdf"
    folder.mkdir()
    (folder / "members.json").write_text(json.dumps({"members": MEMBERS}))
    gate = RunningGate(folder, CONFIG.replace("members.csv", "members.json"))
    keys, terminal = pty.openpty()
    command = [sys.executable, "-m", "fabgate", "selftest", "--json", "--config", gate.config, "--sheet", sheet]
    try:
        with subprocess.Popen(
            command, stdin=terminal, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1
        ) as test:
            assert test.stderr is not None
            said = ""
            while letter := test.stderr.read(1):
                said += letter
                if said.endswith("once more] "):
                    os.write(keys, b"y\n")
                elif said.endswith(("Tap the badge of a maintainer.\n", "Tap the same badge again.\n")):
                    ask(str(gate.control), {"do": "tap", "uid": "04A1B2C5", "for_ms": 300})
            assert test.stdout is not None
            found = json.loads(test.stdout.read())
            assert test.wait(HANGS_S) == 0, said
    finally:
        gate.stop()
        os.close(keys)
        os.close(terminal)
    assert found["ok"]
    outcomes = {step["name"]: step["outcome"] for step in found["steps"]}
    assert outcomes["relay on"] == outcomes["end recorded"] == outcomes["relay off"] == "ok"
    assert outcomes["stop button"] == outcomes["emergency stop"] == "not installed"
    text = "".join(page.extract_text() for page in pypdf.PdfReader(sheet).pages)
    assert "Laser 1" in text
    assert "m-max, session" in text
    assert "Off means off" in text
