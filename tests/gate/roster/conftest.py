"""A source with its collector, a whole gate that fetches from it, and rosters that are stored or kept as a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from fabgate import wire
from fabgate.gate.config.gate_yaml import Mqtt
from fabgate.gate.roster import file
from fabgate.gate.roster.directory import Directory
from tests.gate.roster.collector import Harness
from tests.gate.shell import Bench, wait

#: For rosters that a person keeps as a file.
KEY = b"a badge key of some workshop...."
TOPICS = wire.GateTopics("lyon", "saw")
FALLBACK = wire.MachineRules(limit_s=600, max_s=1200)


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


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "roster.db"


@pytest.fixture
def opened(path: Path) -> Iterator[Callable[[], Directory]]:
    """Open stored rosters, and close them after the test."""
    found: list[Directory] = []

    def opened_() -> Directory:
        found.append(Directory(path))
        return found[-1]

    yield opened_
    for directory in found:
        directory.close()


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., wire.Roster]:
    """Read a roster from its text; the name's ending says which format it is."""

    def read_(text: str | bytes, ending: str = "yaml") -> wire.Roster:
        path = tmp_path / f"members.{ending}"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        found = file.read(path, key=KEY, topics=TOPICS, fallback=FALLBACK)
        return msgspec.structs.replace(found, members=list(found.members), refusals=list(found.refusals))

    return read_
