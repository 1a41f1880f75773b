"""fabgate status."""

from __future__ import annotations

import fcntl
import json
import os
import re

import msgspec
import pytest

from fabgate import cli
from fabgate.gate.clock import boot_id, boottime_ms
from fabgate.gate.roster.http_source import Receipt
from tests.cli.running import (
    refused,
    run_fabgate,
)


def test_status_tells_what_the_gate_thinks(gate):
    done = run_fabgate("status", "--config", gate.config)
    assert (done.returncode, done.stderr) == (0, "")
    rows = dict(re.split(r" {2,}", line, maxsplit=1) for line in done.stdout.splitlines())
    assert rows["machine"] == "Laser 1 (lyon/laser-1)"
    assert rows["process"] == f"running, pid {gate.process.pid}"
    assert rows["state"] == "idle"
    assert rows["broker"] == "not configured"
    assert re.fullmatch(r"entry \d+, no broker configured; kept here", rows["journal"])
    assert re.fullmatch(r"version \d+, made .* UTC \(.* old\)", rows["roster"])
    assert rows["wall clock"] == "synchronised"
    by_folder = run_fabgate("status", "--state-dir", gate.state, "--json")
    assert json.loads(by_folder.stdout)["alive"] is True


@pytest.mark.parametrize(
    "content", [None, "", "{", "[]", "{}", '"hello"', "5", "null", '{"pid": 1}', '{"pid": "x", "mqtt": 5}', "\udcff"]
)
def test_status_without_a_status_is_one_clear_line(tmp_path, content):
    if content is not None:
        (tmp_path / "status.json").write_bytes(content.encode(errors="surrogateescape"))
    refused(
        run_fabgate("status", "--state-dir", tmp_path),
        2,
        r"status\.json: there is no status \(.*\); is the gate running",
    )


#: What a gate writes while somebody works and nothing is wrong.
STATUS = {
    "machine": "Saw",
    "site": "lyon",
    "gate": "saw",
    "state": "active",
    "journal": {"head": 5, "unacknowledged": 2},
    "mqtt": {"connected": True, "problem": ""},
    "roster": None,
    "clock_synced": True,
    "problems": [],
}


@pytest.mark.parametrize("content", ['{"pid": 1, "mqtt": [], "roster": null}', "[" * 100_000])
def test_a_status_of_another_kind_is_one_clear_line(tmp_path, content):
    (tmp_path / "status.json").write_text(content)
    refused(
        run_fabgate("status", "--state-dir", tmp_path),
        2,
        r"status\.json: there is no status \(.*\); is the gate running",
    )


def test_status_says_from_which_entry_on_a_gate_without_a_collector_has_its_journal(tmp_path, capsys):
    found = STATUS | {
        "pid": 1,
        "mqtt": {"configured": False, "connected": False, "problem": ""},
        "journal": {"floor": 201, "head": 1200, "unacknowledged": 1000, "newest_kept": 1000},
    }
    (tmp_path / "status.json").write_text(json.dumps(found))
    cli.main(["status", "--state-dir", str(tmp_path)])
    wanted = "entries 201 to 1200, no broker configured; only the newest 1000 are kept"
    assert wanted in capsys.readouterr().out


def test_a_gate_whose_number_another_process_has_does_not_run(tmp_path, capsys):
    found = STATUS | {"pid": os.getpid()}
    (tmp_path / "status.json").write_text(json.dumps(found))
    with (tmp_path / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert cli.main(["status", "--state-dir", str(tmp_path)]) == 0
        assert f"running, pid {os.getpid()}" in capsys.readouterr().out
    assert cli.main(["status", "--state-dir", str(tmp_path)]) == 1
    assert "NOT RUNNING" in capsys.readouterr().out


def test_status_shows_problems_and_then_ends_with_1(tmp_path, capsys):
    found = STATUS | {
        "pid": os.getpid(),
        "member": "m-1",
        "causes": ["flag"],
        "mqtt": {"connected": False, "problem": "refused"},
        "clock_synced": False,
        "problems": ["reader: gone"],
    }
    (tmp_path / "status.json").write_text(json.dumps(found))
    assert cli.main(["status", "--state-dir", str(tmp_path)]) == 1
    shown = capsys.readouterr().out
    for text in (
        "active by m-1 (blocked: flag)",
        "entry 5, 2 not yet at the collector",
        "refused",
        "none",
        "not synchronised",
        "reader: gone",
    ):
        assert text in shown


def test_status_computes_the_age_of_the_roster_when_it_is_asked(tmp_path, capsys):
    found = STATUS | {"pid": os.getpid(), "clock_synced": True, "problems": [], "roster": {"version": 5}}
    (tmp_path / "status.json").write_text(json.dumps(found))

    def age_s() -> int | None:
        cli.main(["status", "--state-dir", str(tmp_path), "--json"])
        age: int | None = json.loads(capsys.readouterr().out)["roster"]["age_s"]
        return age

    assert age_s() is None, "a roster of a file grows no older"
    receipt = Receipt(version=5, hash="", boot=boot_id(), boot_ms=boottime_ms() - 600_000)
    (tmp_path / "roster.json").write_bytes(msgspec.json.encode(receipt))
    assert age_s() >= 600
    assert age_s() < 600 + 3600
    (tmp_path / "roster.json").write_bytes(msgspec.json.encode(msgspec.structs.replace(receipt, version=4)))
    assert age_s() is None, "the receipt is that of another roster"


def test_status_and_others_without_a_configuration_say_which_they_looked_for(tmp_path):
    refused(run_fabgate("status", "--config", tmp_path / "gate.yaml"), 2, r"gate\.yaml: cannot be read")
    refused(run_fabgate("journal", "--config", tmp_path / "gate.yaml"), 2, r"gate\.yaml: cannot be read")
    refused(run_fabgate("status", "--config", "a", "--state-dir", "b"), 2, "not allowed with argument")
