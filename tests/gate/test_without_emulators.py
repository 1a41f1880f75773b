"""A gate whose gate.yaml names emulated hardware, in a process that has none: it says so, and its machine stays off."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.cli.running import CONFIG, status_of, write_gate
from tests.support.patience import HANGS_S, wait

PROGRAM = """\
from fabgate.cli import main, run
from fabgate.gate.config import gate_yaml
run.load = gate_yaml.load
raise SystemExit(main())
"""
PINS = "{driver: gpio, pin: 17, pins: emulated, pin_log: PINS}"


@pytest.fixture
def start(tmp_path) -> Iterator[object]:
    """Start a gate as ``fabgate run`` would without the line that fills the table; its pins would write to the file `pins`."""
    processes = []

    def started(text: str) -> subprocess.Popen[str]:
        path = write_gate(tmp_path / "gate", text.replace("PINS", str(tmp_path / "pins")))
        command = [sys.executable, "-c", PROGRAM, "run", "--config", str(path)]
        processes.append(subprocess.Popen(command, stderr=subprocess.PIPE, text=True))
        return processes[-1]

    yield started
    for process in processes:
        process.kill()
        process.communicate(timeout=HANGS_S)


@pytest.mark.parametrize(
    ("found", "given", "kind"),
    [("{driver: memory}", PINS, "pins"), ("{source: assume-synced}", "{source: emulated}", "clock")],
)
def test_an_output_or_a_clock_that_cannot_be_opened_ends_the_start(start, tmp_path, found, given, kind):
    process = start(CONFIG.replace(found, given))
    _, said = process.communicate(timeout=HANGS_S)
    assert process.returncode == 3
    assert f"found emulated hardware ({kind}) in a process without emulators, wanted 'fabgate run'" in said
    assert "Traceback" not in said
    assert not (tmp_path / "pins").exists()


def test_a_reader_that_cannot_be_opened_lets_nobody_switch_the_machine_on(start, tmp_path):
    start(CONFIG)
    wait(lambda: status_of(tmp_path / "gate").get("problems"), "what is wrong with the reader")
    status = status_of(tmp_path / "gate")
    assert status["causes"] == ["reader"]
    (problem,) = status["problems"]
    assert problem.startswith("reader: found emulated hardware (cards) in a process without emulators")
    assert not (tmp_path / "gate" / "control").exists()
