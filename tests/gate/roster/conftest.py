"""A source with its collector, and a whole gate that fetches from it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fabgate.gate.config.gate_yaml import Mqtt
from tests.gate.roster.collector import Harness
from tests.gate.shell import Bench, wait


@pytest.fixture
def harness(tmp_path: Path) -> Iterator[Harness]:
    found = Harness(tmp_path)
    yield found
    found.close()


@pytest.fixture
def bench(harness: Harness, tmp_path: Path) -> Iterator[Bench]:
    source = harness.config(every_s=3_600).roster
    found = Bench(tmp_path, roster=source, mqtt=Mqtt(host="127.0.0.1", port=1))
    found.start()
    wait(lambda: found.daemon._in_force.version == 100, "the roster")
    found.settle()
    yield found
    found.close()
