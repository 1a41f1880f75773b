"""fabgate roster and fabgate rename."""

from __future__ import annotations

import json
import re

import pytest

from fabgate import wire
from fabgate.gate.config import gate_yaml as gate_config
from fabgate.gate.journal.ids import uuid7
from fabgate.gate.journal.writer import Draft, Journal
from fabgate.gate.roster.directory import store
from tests.cli.running import (
    refused,
    run_fabgate,
)


def test_roster_show_tells_version_members_and_machine(gate):
    done = run_fabgate("roster", "show", "--config", gate.config)
    assert (done.returncode, done.stderr) == (0, "")
    for line in (
        "members +2",
        "m-1 +Ada +user +fr +2",
        "m-2 +Bob +user +en +1",
        " +limit_s +600 .10 min.",
        " +lock +none.*",
    ):
        assert re.search(f"^{line}$", done.stdout, re.MULTILINE), line
    found = json.loads(run_fabgate("roster", "show", "--state-dir", gate.state, "--json").stdout)
    assert (found["members"], found["tz"], found["machine"]["limit_s"]) == (2, "UTC", 600)
    assert found["people"][0] == {"id": "m-1", "name": "Ada", "lang": "fr", "badges": 2}
    assert not re.search("[0-9a-f]{64}", json.dumps(found))


def test_roster_show_of_none_or_a_broken_one_is_one_clear_line(tmp_path):
    refused(run_fabgate("roster", "show", "--state-dir", tmp_path), 2, r"roster\.db: no usable roster")
    (tmp_path / "roster.db").write_text("broken")
    refused(run_fabgate("roster", "show", "--state-dir", tmp_path), 2, r"roster\.db: no usable roster")
    refused(run_fabgate("roster"), 2, "the following arguments are required: VERB")


def test_roster_fetch_of_a_file_says_that_there_is_nothing_to_fetch(config):
    refused(run_fabgate("roster", "fetch", "--config", config), 2, "the roster is a file; there is nothing to fetch")


def test_roster_adopt_says_what_changes_and_when_it_does(config, monkeypatch, capsys):
    state = gate_config.load(config).state_dir
    refused(
        run_fabgate("roster", "adopt", "--config", config),
        2,
        "badge.key: there is no badge key yet|no roster is stored yet",
    )
    state.mkdir(exist_ok=True)
    (state / "badge.key").write_bytes(bytes(32))
    roster = wire.Roster(version=5, site="lyon", gate="laser-1", members=[wire.Member(id="m-9", badges=[])])
    store(roster, state / "roster.db", source="collector:c-1")
    done = run_fabgate("roster", "adopt", "--config", config)
    assert (done.returncode, done.stderr) == (0, "")
    assert "in force: version 5 of the collector c-1, 1 member\n" in done.stdout
    assert "no longer members: 1 (m-9)\n" in done.stdout
    assert "ok: the gate accepts this roster when it starts" in done.stdout
    store(roster, state / "roster.db", source="file")
    refused(run_fabgate("roster", "adopt", "--config", config), 2, "there is nothing to adopt")


def test_rename_needs_a_journal_and_a_gate_that_stands_still(config, gate):
    refused(run_fabgate("rename", "--config", config), 2, r"journal\.db: there is no journal")
    refused(run_fabgate("rename", "--config", gate.config), 2, "the gate is running; stop it first")


@pytest.mark.parametrize(("count", "told"), [(1, "1 entry"), (2, "2 entries")])
def test_rename_says_how_much_no_collector_has(config, count, told):
    state = gate_config.load(config).state_dir
    state.mkdir()
    journal = Journal(state / "journal.db", wire.GateTopics("lyon", "old"))
    journal.open()
    data = wire.GateStarted(clock=wire.Clock(boot="b", boottime_ms=1, synced=True), version="0")
    journal.append([Draft(uuid7(), "gate.started", data, None) for _ in range(count)])
    journal.close()
    refused(run_fabgate("rename", "--config", config), 1, f"{told} never reached a collector")
