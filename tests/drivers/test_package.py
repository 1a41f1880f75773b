"""A driver in a package of its own, as CONTRIBUTING says: it is built, installed, tried and used by a gate."""

from __future__ import annotations

import os
import re
import select
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import reduce
from operator import xor
from pathlib import Path

import pytest

from fabgate.demo.waiting import wait_for
from tests.support import packages
from tests.support.packages import run
from tests.support.patience import HANGS_S

ROOT = Path(__file__).parents[2]
PACKAGE = Path(__file__).with_name("package")
CARD = bytes.fromhex("04A1B2C3")
GATE = """\
site: lyon
gate: laser-1
state_dir: state
demo: true
machine: {{name: Laser 1, limit_s: 600}}
reader: {{driver: serial-line, port: {port}, speed_bps: 115200}}
output: {{driver: gpio, pin: 17, pins: emulated, pin_log: {pins}}}
roster: {{file: members.yaml}}
clock: {{source: assume-synced}}
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return packages.install(PACKAGE, "serial_line", tmp_path_factory.mktemp("package"))


@pytest.fixture
def device(tmp_path: Path) -> Iterator[tuple[int, str]]:
    """A serial line: the device's end of it, and the path of the gate's end."""
    master, line = os.openpty()
    yield master, os.ttyname(line)
    os.close(line)
    os.close(master)


@pytest.fixture
def config(tmp_path: Path, device: tuple[int, str]) -> Path:
    path = tmp_path / "gate.yaml"
    path.write_text(GATE.format(port=device[1], pins=tmp_path / "pins"), encoding="utf-8")
    members = f"members:\n  - {{id: m-1, name: Ada, badges: ['{CARD.hex()}']}}\n"
    (tmp_path / "members.yaml").write_text(members, encoding="utf-8")
    return path


def test_it_keeps_the_contract(installed, tmp_path):
    assert packages.keep_contract(PACKAGE, installed, tmp_path) == (15, 1)  # one card at a time


def test_check_finds_it_and_names_a_wrong_option(installed, config):
    assert run("fabgate", "check", str(config), PYTHONPATH=str(installed)).stdout.startswith("ok: ")
    config.write_text(config.read_text().replace("115200", "115000"), encoding="utf-8")
    done = run("fabgate", "check", str(config), PYTHONPATH=str(installed))
    assert done.returncode == 2
    assert "gate.yaml:6: reader.speed_bps: found '115000', wanted 9600" in done.stderr
    assert "found the reader driver 'serial-line', wanted" in run("fabgate", "check", str(config)).stderr


def test_a_gate_powers_its_machine_by_it(installed, config, device, tmp_path):
    pins = tmp_path / "pins"
    log = tmp_path / "log"
    with log.open("wb") as out:
        gate = subprocess.Popen(
            [sys.executable, "-m", "fabgate", "run", "--config", str(config)],
            env={**os.environ, "PYTHONPATH": str(installed)},
            stdout=out,
            stderr=out,
        )
    try:

        def level() -> str:
            return pins.read_text().split()[-1] if pins.exists() and pins.read_text() else ""

        wait_for("the gate to be ready", lambda: "ready: lyon/laser-1" in log.read_text())

        def is_on() -> bool:
            # The gate forgets what came before it was ready; a person holds the card there again.
            os.write(device[0], f"{CARD.hex().upper()}*{reduce(xor, CARD):02X}\r\n".encode())
            select.select([], [], [], 1.2)
            return level() == "1"

        wait_for("power", is_on)
    finally:
        gate.terminate()
        gate.wait(HANGS_S)
    assert level() == "0"
    assert gate.returncode == 0, log.read_text()


def test_contributing_shows_the_same_package():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    (shown,) = [block for block in re.findall(r"```toml\n(.*?)```", text, re.DOTALL) if "build-system" in block]
    project = tomllib.loads(shown)
    assert project["build-system"] == tomllib.loads((PACKAGE / "pyproject.toml").read_text())["build-system"]
    assert "fabgate.readers" in project["project"]["entry-points"]
