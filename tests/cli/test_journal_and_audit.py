"""fabgate journal and fabgate audit."""

from __future__ import annotations

import contextlib
import json
import re
import sqlite3
import subprocess
import sys

import pytest

from fabgate import cli, wire
from fabgate.gate.journal.writer import Draft, Journal
from tests.cli.running import (
    RunningGate,
    refused,
    run_fabgate,
)


def test_journal_prints_entries_without_a_badge_in_full(gate):
    done = run_fabgate("journal", "--config", gate.config)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    started = next(line for line in lines if "session.started" in line)
    assert "member=m-1" in started
    assert "basis=grant" in started
    assert re.search(r"badge=…[0-9a-f]{6} ", started)
    assert not re.search(r"[0-9a-f]{64}", done.stdout)


def test_journal_as_json_is_the_stored_entries_and_after_goes_on(gate):
    entries = [
        json.loads(line) for line in run_fabgate("journal", "--config", gate.config, "--json").stdout.splitlines()
    ]
    assert [int(entry["id"]) for entry in entries] == list(range(1, len(entries) + 1))
    later = run_fabgate("journal", "--state-dir", gate.state, "--json", "--after", "2").stdout.splitlines()
    assert [json.loads(line) for line in later] == entries[2:]
    assert run_fabgate("journal", "--state-dir", gate.state, "--after", "100000").stdout == ""


@pytest.mark.parametrize("after", ["99999999999999999999999", "-99999999999999999999999"])
def test_no_number_is_too_large_to_go_on_after(gate, after):
    done = run_fabgate("journal", "--state-dir", gate.state, f"--after={after}")
    assert (done.returncode, done.stderr) == (0, "")
    assert ("gate.started" in done.stdout) == (after[0] == "-")


@pytest.mark.parametrize(
    ("spoil", "journal", "verify"),
    [
        ("UPDATE entry SET body = x'ff00fe' WHERE seq = 1", "entry 1 cannot be read", None),
        ("UPDATE entry SET body = 'text' WHERE seq = 1", "entry 1 cannot be read", None),
        ("UPDATE meta SET value = 12345678901234 WHERE key = 'anchor_hash'", None, "is damaged"),
        ("UPDATE meta SET value = 'x' WHERE key = 'anchor_seq'", None, "is damaged"),
        ("DELETE FROM meta WHERE key LIKE 'anchor%'", None, "is damaged"),
        ("UPDATE meta SET value = 'y' WHERE key = 'mark'", None, "is damaged"),
    ],
)
def test_a_damaged_journal_is_one_clear_line(tmp_path, capsys, spoil, journal, verify):
    found = Journal(tmp_path / "journal.db", wire.GateTopics("lyon", "saw"))
    found.open()
    data = wire.GateStopping(clock=wire.Clock(boot="b", boottime_ms=1, synced=False), reason="SIGTERM")
    found.append([Draft("u1", "gate.stopping", data, None)])
    found.close()
    with contextlib.closing(sqlite3.connect(tmp_path / "journal.db")) as db:
        db.execute(spoil)
        db.commit()
    where = ["--state-dir", str(tmp_path)]
    assert cli.main(["journal", *where]) == (4 if journal else 0)
    assert re.search(journal or "^$", capsys.readouterr().err)
    assert cli.main(["journal", "--json", *where]) == 0
    capsys.readouterr()
    for more in ([], ["--json"]):
        assert cli.main(["audit", "verify", *more, *where]) == (4 if verify else 1)
        assert re.search(verify or "^$", capsys.readouterr().err)


def test_journal_into_a_pipe_that_closes_is_no_error(gate):
    command = f"'{sys.executable}' -m fabgate journal --state-dir '{gate.state}' --json | true"
    done = subprocess.run(["bash", "-c", f"set -o pipefail; {command}"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_journal_of_no_gate_is_one_clear_line(tmp_path):
    refused(run_fabgate("journal", "--state-dir", tmp_path), 4, r"journal\.db: the journal cannot be read")
    (tmp_path / "journal.db").write_bytes(b"not a database, but long enough to be looked at" * 100)
    refused(run_fabgate("journal", "--state-dir", tmp_path), 4, r"journal\.db: the journal cannot be read")
    refused(run_fabgate("journal", "--state-dir", tmp_path, "--after", "x"), 2, "invalid int value: 'x'")


def test_audit_verify_says_that_the_chain_is_whole(gate):
    done = run_fabgate("audit", "verify", "--config", gate.config)
    assert done.returncode == 0
    assert re.match(r"ok: the chain of entries 1 to \d+ of journal \w+ is whole; acknowledged up to 0\n", done.stdout)
    found = json.loads(run_fabgate("audit", "verify", "--config", gate.config, "--json").stdout)
    assert found["first_break"] is None
    assert (found["floor"], found["mark"]) == (1, 0)


def test_audit_verify_says_which_entries_nobody_has(tmp_path, capsys):
    found = Journal(tmp_path / "journal.db", wire.GateTopics("lyon", "saw"))
    data = wire.GateStopping(clock=wire.Clock(boot="b", boottime_ms=1, synced=False), reason="SIGTERM")
    found.append([Draft(f"u{n}", "gate.stopping", data, None) for n in range(1, 11)])
    found.acknowledge(2)
    assert found.keep_newest(4) == 6
    assert found.keep_newest(4) == 0
    found.close()
    assert cli.main(["audit", "verify", "--state-dir", str(tmp_path)]) == 0
    assert capsys.readouterr().out == (
        f"ok: the chain of entries 7 to 10 of journal {found.id} is whole; acknowledged up to 2; entries up to 6 were removed, and no"
        " collector has those after 2\n"
    )


def test_audit_verify_names_the_entry_that_was_changed_and_ends_with_1(tmp_path):
    gate = RunningGate(tmp_path / "gate")
    gate.stop()
    db = sqlite3.connect(gate.state / "journal.db")
    db.execute("UPDATE entry SET body = replace(body, 'lyon', 'nice') WHERE seq = 1")
    db.commit()
    db.close()
    done = run_fabgate("audit", "verify", "--config", gate.config)
    assert done.returncode == 1
    assert re.match(r"BROKEN at entry [12] of journal \w+: this entry or the one before it was changed", done.stdout)
    assert json.loads(run_fabgate("audit", "verify", "--config", gate.config, "--json").stdout)["first_break"] in (1, 2)


def test_audit_of_no_journal_and_of_nothing(tmp_path):
    refused(run_fabgate("audit", "verify", "--state-dir", tmp_path), 4, "the journal cannot be read")
    refused(run_fabgate("audit"), 2, "the following arguments are required: VERB")
