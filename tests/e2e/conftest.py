"""Fixtures: real processes on a real Mosquitto, and an observer of the pins outside the gate."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from fabgate.demo.processes.workshop import Workshop
from tests.support.mosquitto import MOSQUITTO, Mosquitto

SOAK = bool(os.environ.get("FABGATE_SOAK"))


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    if not Path(MOSQUITTO).exists():
        pytest.skip("no mosquitto on this computer: apt install mosquitto")
    broker = Mosquitto(tmp_path / "broker").start()
    yield broker
    broker.stop()


@pytest.fixture
def workshop(mosquitto: Mosquitto, tmp_path: Path) -> Iterator[Workshop]:
    shop = Workshop(tmp_path, port=mosquitto.port)
    yield shop
    shop.close()
