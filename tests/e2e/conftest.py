"""Fixtures: real processes on a real Mosquitto, and an observer of the pins outside the gate."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from fabgate.demo.processes.ports import free_port
from fabgate.demo.processes.workshop import Workshop
from tests.support.mosquitto import Mosquitto
from tests.support.patience import HANGS_S

SOAK = bool(os.environ.get("FABGATE_SOAK"))


@pytest.fixture
def workshop(plain_broker: Mosquitto, tmp_path: Path) -> Iterator[Workshop]:
    shop = Workshop(tmp_path, port=plain_broker.port)
    yield shop
    shop.close()


@pytest.fixture
def home(tmp_path: Path, plain_broker: Mosquitto) -> dict[str, str]:
    """The environment of a collector, and of everything beside it."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("FABGATE_")}
    return {
        **inherited,
        "FABGATE_SITE": "lyon",
        "FABGATE_DATA": str(tmp_path / "data"),
        "FABGATE_TZ": "Europe/Paris",
        "FABGATE_MQTT_PORT": str(plain_broker.port),
        "FABGATE_WEB_PORT": str(free_port()),
    }


@pytest.fixture
def started(home: dict[str, str], tmp_path: Path) -> Iterator[list[subprocess.Popen[bytes]]]:
    processes: list[subprocess.Popen[bytes]] = []
    yield processes
    for process in reversed(processes):
        process.terminate()
        process.wait(HANGS_S)
