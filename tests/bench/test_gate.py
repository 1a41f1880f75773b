"""Does a gate take what the measurements give it?"""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bench.gates import people
from bench.gates.config import write_config
from bench.gates.process import roster_server
from bench.run import Run
from fabgate import wire
from fabgate.gate.config import gate_yaml
from fabgate.gate.roster.directory import Directory
from fabgate.gate.roster.http_source import HttpSource
from fabgate.gate.roster.source import RosterConfirmed, RosterStored
from fabgate.rules.vocabulary import Member, Now


@pytest.mark.parametrize("stored", [0, 10], ids=["without a roster", "with a roster"])
def test_a_gate_takes_the_rosters_of_the_benchmarks(tmp_path: Path, stored: int) -> None:
    with roster_server(Run("roster", tmp_path, tmp_path)) as (roster, body):
        body.write_bytes(wire.encode(people.roster(range(10))))
        config = gate_yaml.load(write_config(tmp_path, str(tmp_path / "reader"), stored, roster=roster))
        came: list[object] = []
        now = Now(boot_ms=1, local=datetime.now(UTC), synced=True)
        source = HttpSource(config, config.state_dir / "roster.db", came.append, boot="bench", now=lambda: now)
        assert source.fetch()
        body.write_bytes(wire.encode(people.roster(range(5, 15))).replace(b'"version":1', b'"version":2', 1))
        assert source.fetch()
    assert [type(event) for event in came] == [RosterConfirmed if stored else RosterStored, RosterStored], came
    with contextlib.closing(Directory(config.state_dir / "roster.db")) as directory:
        assert directory.version == 2
        assert isinstance(directory.find(people.badge(14)), Member)
