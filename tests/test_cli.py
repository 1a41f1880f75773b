"""Each verb as its user runs it: a real gate in a process of its own, and the terminal beside it."""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import io
import json
import os
import re
import shlex
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

import fabgate
from fabgate import arguments, badge, cli, errors, wire
from fabgate.drivers.emulated.control import ask
from fabgate.drivers.readers import Card, Misread, MisreadReason
from fabgate.errors import FabgateError
from fabgate.gate.clock import boot_id, boottime_ms
from fabgate.gate.config import gate_yaml as gate_config
from fabgate.gate.journal.ids import uuid7
from fabgate.gate.journal.writer import Draft, Journal
from fabgate.gate.roster.directory import store
from fabgate.gate.roster.http_source import Receipt
from fabgate.gate.roster.source import RosterConfirmed, RosterRefused, RosterStored
from tests.support.patience import HANGS_S, wait

CONFIG = """\
site: lyon
gate: laser-1
state_dir: state
demo: true
machine: {name: Laser 1, limit_s: 600}
reader: {driver: simulated, control_socket: CONTROL}
output: {driver: memory}
panel: {driver: log, file: panel}
roster: {file: members.csv}
clock: {source: assume-synced}
"""


def fabgate_(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run one verb in a process of its own; where coverage is measured, in this one, or nothing would be measured."""
    words = [str(argument) for argument in arguments]
    if "COVERAGE_RUN" in os.environ and words[:1] != ["run"]:
        return in_this_process(words)
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "fabgate", *words],
        capture_output=True,
        text=True,
        timeout=HANGS_S,
        check=False,
    )


def in_this_process(words: list[str]) -> subprocess.CompletedProcess[str]:
    out, told = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(told):
        try:
            code = cli.main(words)
        except SystemExit as ended:
            code = int(ended.code or 0)
    return subprocess.CompletedProcess(words, code, out.getvalue(), told.getvalue())


def refused(done: subprocess.CompletedProcess[str], code: int, expected: str) -> None:
    """Assert one clear line, the right exit code, nothing on standard output, and no traceback."""
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert re.search(expected, done.stderr), done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith(("error: ", "usage: ")) or ": error: " in last
    assert len(done.stderr) < 1000


def write_gate(folder: Path, text: str = CONFIG) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "members.csv").write_text(
        "id,name,badges,lang\nm-1,Ada,04:A1:B2:C3;04:A1:B2:C5,fr\nm-2,Bob,04:A1:B2:C4,en\n"
    )
    path = folder / "gate.yaml"
    path.write_text(text.replace("CONTROL", str(folder / "control")))
    return path


def status_of(folder: Path) -> dict:
    try:
        return json.loads((folder / "state" / "status.json").read_text())
    except (OSError, ValueError):
        return {}


class RunningGate:
    def __init__(self, folder: Path, text: str = CONFIG) -> None:
        self.folder = folder
        self.config = write_gate(folder, text)
        self.state = folder / "state"
        self.control = folder / "control"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "fabgate", "run", "--config", str(self.config)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        wait(lambda: status_of(folder).get("roster") or self.process.poll() is not None, "the start")
        assert self.process.poll() is None, self.process.communicate()[0]

    def stop(self) -> str:
        self.process.send_signal(signal.SIGTERM)
        return self.process.communicate(timeout=HANGS_S)[0]


@pytest.fixture(scope="module")
def gate(tmp_path_factory):
    """A gate that runs, with one session of Ada's behind it."""
    found = RunningGate(tmp_path_factory.mktemp("gate") / "laser-1")
    for card, state in (("04:A1:B2:C3", "active"), ("04:A1:B2:C5", "idle")):  # both are Ada's
        tapped = fabgate_("tap", found.control, card, "--for", "200")
        assert (tapped.returncode, tapped.stderr) == (0, "")
        wait(lambda wanted=state: status_of(found.folder).get("state") == wanted, state)
    yield found
    if found.process.poll() is None:
        found.stop()


@pytest.fixture
def config(tmp_path):
    """A configuration whose gate never ran."""
    return write_gate(tmp_path / "gate")


# --- run --------------------------------------------------------------------------------------------------------------


def test_run_ends_in_order_with_0_on_sigterm_and_says_one_line_a_decision(tmp_path):
    gate = RunningGate(tmp_path / "gate")
    fabgate_("tap", gate.control, "04:A1:B2:C3")
    wait(lambda: status_of(gate.folder).get("state") == "active", "the session")
    said = gate.stop()
    assert gate.process.returncode == 0
    assert "Traceback" not in said
    assert "ready: lyon/laser-1" in said
    assert "04A1B2C3" not in said
    assert "04:A1" not in said
    kinds = [
        json.loads(line)["type"] for line in fabgate_("journal", "--config", gate.config, "--json").stdout.splitlines()
    ]
    assert kinds[-2:] == ["fabgate.session.ended.v1", "fabgate.gate.stopping.v1"]
    stopped = fabgate_("status", "--config", gate.config)
    assert stopped.returncode == 1
    assert "NOT RUNNING" in stopped.stdout


def test_run_names_every_mistake_of_its_configuration_and_ends_with_2(tmp_path):
    path = write_gate(tmp_path / "gate", CONFIG.replace("limit_s: 600", "limit_s: -1") + "nonsense: 1\n")
    done = fabgate_("run", "--config", path)
    refused(done, 2, "machine.limit_s: found '-1'")
    assert [line.startswith("error: ") for line in done.stderr.splitlines()] == [True, True]


def test_a_second_gate_on_one_state_directory_is_refused(gate):
    done = fabgate_("run", "--config", gate.config)
    assert done.returncode == 2
    assert "another fabgate runs on this state directory; stop it first" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_state_directory_that_cannot_be_made_is_one_clear_line(tmp_path):
    path = write_gate(tmp_path / "gate", CONFIG.replace("state_dir: state", "state_dir: members.csv/state"))
    done = fabgate_("run", "--config", path)
    assert done.returncode == 4
    assert "members.csv/state: the state directory cannot be used" in done.stderr
    assert "Traceback" not in done.stderr


# --- check ------------------------------------------------------------------------------------------------------------


def test_check_says_that_a_configuration_is_right_and_how_many_members_its_file_has(config):
    done = fabgate_("check", config)
    assert (done.returncode, done.stderr) == (0, "")
    members = config.parent / "members.csv"
    assert done.stdout == f"ok: {config} describes the gate lyon/laser-1\nok: {members} has 2 members\n"
    as_json = json.loads(fabgate_("check", config, "--json").stdout)
    assert as_json == {"ok": True, "mistakes": [], "gate": "lyon/laser-1", "roster": {"members": 2, "refused": 0}}
    assert not (config.parent / "state").exists()
    members.write_text("id,badges,reasons\na,04A1B2C3,\nb,04A1B2C4,suspended\n")
    assert fabgate_("check", config).stdout.endswith("has 1 member, and 1 who is refused\n")


def test_check_names_every_mistake_of_the_roster_file_by_line_and_ends_with_2(config):
    members = config.parent / "members.csv"
    members.write_text("id,badges,level\na,12345678,user\nb,zz,boss\na,04A1B2C3,user\n")
    done = fabgate_("check", config)
    refused(done, 2, r"members\.csv:2: member 1: badges: '…78' is a number, .*: write hex:…78")
    lines = [line.removeprefix(f"error: {members}:").split(": ")[:3] for line in done.stderr.splitlines()]
    assert lines == [
        ["2", "member 1", "badges"],
        ["3", "member 2", "level"],
        ["3", "member 2", "badges"],
        ["4", "member 3", "id"],
    ]
    assert [f"error: {mistake}" for mistake in json.loads(fabgate_("check", config, "--json").stdout)["mistakes"]] == (
        done.stderr.splitlines()
    )


def test_check_names_every_mistake_a_line_each(tmp_path):
    path = write_gate(tmp_path / "gate", CONFIG.replace("demo: true", "dema: true").replace("site: lyon", "site: LYON"))
    done = fabgate_("check", path)
    refused(done, 2, "dema: found an unknown key")
    assert [line.replace(str(path), "f").split(": ")[:3] for line in done.stderr.splitlines()] == [
        ["error", "f:1", "site"],
        ["error", "f:4", "dema"],
        ["error", "f:6", "reader"],
    ]
    as_json = fabgate_("check", path, "--json")
    assert as_json.returncode == 2
    found = json.loads(as_json.stdout)
    assert not found["ok"]
    assert [f"error: {mistake}" for mistake in found["mistakes"]] == done.stderr.splitlines()


def test_check_of_no_file_and_of_none_given(tmp_path):
    refused(fabgate_("check", tmp_path / "none.yaml"), 2, r"none\.yaml: cannot be read \(No such file or directory\)")
    refused(fabgate_("check"), 2, "the following arguments are required: FILE")


# --- status -----------------------------------------------------------------------------------------------------------


def test_status_tells_what_the_gate_thinks(gate):
    done = fabgate_("status", "--config", gate.config)
    assert (done.returncode, done.stderr) == (0, "")
    rows = dict(re.split(r" {2,}", line, maxsplit=1) for line in done.stdout.splitlines())
    assert rows["machine"] == "Laser 1 (lyon/laser-1)"
    assert rows["process"] == f"running, pid {gate.process.pid}"
    assert rows["state"] == "idle"
    assert rows["broker"] == "not configured"
    assert re.fullmatch(r"entry \d+, no broker configured; kept here", rows["journal"])
    assert re.fullmatch(r"version \d+, made .* UTC \(.* old\)", rows["roster"])
    assert rows["wall clock"] == "synchronised"
    by_folder = fabgate_("status", "--state-dir", gate.state, "--json")
    assert json.loads(by_folder.stdout)["alive"] is True


@pytest.mark.parametrize(
    "content", [None, "", "{", "[]", "{}", '"hello"', "5", "null", '{"pid": 1}', '{"pid": "x", "mqtt": 5}', "\udcff"]
)
def test_status_without_a_status_is_one_clear_line(tmp_path, content):
    if content is not None:
        (tmp_path / "status.json").write_bytes(content.encode(errors="surrogateescape"))
    refused(
        fabgate_("status", "--state-dir", tmp_path), 2, r"status\.json: there is no status \(.*\); is the gate running"
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
        fabgate_("status", "--state-dir", tmp_path), 2, r"status\.json: there is no status \(.*\); is the gate running"
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
    refused(fabgate_("status", "--config", tmp_path / "gate.yaml"), 2, r"gate\.yaml: cannot be read")
    refused(fabgate_("journal", "--config", tmp_path / "gate.yaml"), 2, r"gate\.yaml: cannot be read")
    refused(fabgate_("status", "--config", "a", "--state-dir", "b"), 2, "not allowed with argument")


# --- journal and audit ------------------------------------------------------------------------------------------------


def test_journal_prints_entries_without_a_badge_in_full(gate):
    done = fabgate_("journal", "--config", gate.config)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    started = next(line for line in lines if "session.started" in line)
    assert "member=m-1" in started
    assert "basis=grant" in started
    assert re.search(r"badge=…[0-9a-f]{6} ", started)
    assert not re.search(r"[0-9a-f]{64}", done.stdout)


def test_journal_as_json_is_the_stored_entries_and_after_goes_on(gate):
    entries = [json.loads(line) for line in fabgate_("journal", "--config", gate.config, "--json").stdout.splitlines()]
    assert [int(entry["id"]) for entry in entries] == list(range(1, len(entries) + 1))
    later = fabgate_("journal", "--state-dir", gate.state, "--json", "--after", "2").stdout.splitlines()
    assert [json.loads(line) for line in later] == entries[2:]
    assert fabgate_("journal", "--state-dir", gate.state, "--after", "100000").stdout == ""


@pytest.mark.parametrize("after", ["99999999999999999999999", "-99999999999999999999999"])
def test_no_number_is_too_large_to_go_on_after(gate, after):
    done = fabgate_("journal", "--state-dir", gate.state, f"--after={after}")
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


def test_audit_untapped_lists_a_start_right_after_the_gates_own(gate):
    done = fabgate_("audit", "untapped", "--config", gate.config)
    assert (done.returncode, done.stderr) == (0, "")
    first, why, count = done.stdout.splitlines()
    assert "session.started" in first
    assert re.fullmatch(r" {8}the gate was started [0-9]\.[0-9] s before", why)
    assert count == "1 session may have begun without a tap"
    found = json.loads(fabgate_("audit", "untapped", "--state-dir", gate.state, "--json").stdout)
    assert (found["cause"], found["entry"]["type"]) == ("restart", "fabgate.session.started.v1")


def test_audit_untapped_of_a_journal_without_sessions(tmp_path, capsys):
    found = Journal(tmp_path / "journal.db", wire.GateTopics("lyon", "saw"))
    found.open()
    found.close()
    assert cli.main(["audit", "untapped", "--state-dir", str(tmp_path)]) == 0
    assert capsys.readouterr().out == "no sessions may have begun without a tap\n"


def test_journal_into_a_pipe_that_closes_is_no_error(gate):
    command = f"'{sys.executable}' -m fabgate journal --state-dir '{gate.state}' --json | true"
    done = subprocess.run(["bash", "-c", f"set -o pipefail; {command}"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_journal_of_no_gate_is_one_clear_line(tmp_path):
    refused(fabgate_("journal", "--state-dir", tmp_path), 4, r"journal\.db: the journal cannot be read")
    (tmp_path / "journal.db").write_bytes(b"not a database, but long enough to be looked at" * 100)
    refused(fabgate_("journal", "--state-dir", tmp_path), 4, r"journal\.db: the journal cannot be read")
    refused(fabgate_("journal", "--state-dir", tmp_path, "--after", "x"), 2, "invalid int value: 'x'")


def test_audit_verify_says_that_the_chain_is_whole(gate):
    done = fabgate_("audit", "verify", "--config", gate.config)
    assert done.returncode == 0
    assert re.match(r"ok: the chain of entries 1 to \d+ of journal \w+ is whole; acknowledged up to 0\n", done.stdout)
    found = json.loads(fabgate_("audit", "verify", "--config", gate.config, "--json").stdout)
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
    done = fabgate_("audit", "verify", "--config", gate.config)
    assert done.returncode == 1
    assert re.match(r"BROKEN at entry [12] of journal \w+: this entry or the one before it was changed", done.stdout)
    assert json.loads(fabgate_("audit", "verify", "--config", gate.config, "--json").stdout)["first_break"] in (1, 2)


def test_audit_of_no_journal_and_of_nothing(tmp_path):
    refused(fabgate_("audit", "verify", "--state-dir", tmp_path), 4, "the journal cannot be read")
    refused(fabgate_("audit"), 2, "the following arguments are required: VERB")


# --- badge and tap ----------------------------------------------------------------------------------------------------


def test_badge_shows_every_spelling_and_each_is_the_same_card():
    done = fabgate_("badge", "04:A1:B2:C3")
    assert (done.returncode, done.stderr) == (0, "")
    shown = dict(re.split(r" {2,}", line, maxsplit=1) for line in done.stdout.splitlines())
    assert {str(badge.parse(spelling)) for spelling in shown.values()} == {"04A1B2C3"}
    assert shown == json.loads(fabgate_("badge", "dec:0077705923", "--json").stdout)["spellings"]


def test_badge_digest_is_the_one_under_the_gates_key(gate):
    done = fabgate_("badge", "04:A1:B2:C3", "--digest", "--config", gate.config)
    assert done.returncode == 0
    key = (gate.state / "badge.key").read_bytes()
    assert done.stdout == badge.digest(badge.parse("04A1B2C3"), key) + "\n"
    as_json = json.loads(fabgate_("badge", "04A1B2C3", "--digest", "--json", "--config", gate.config).stdout)
    assert as_json["digest"] == done.stdout.strip()


@pytest.mark.parametrize(
    ("spelling", "expected"),
    [
        ("4A1B2C3", "a zero is missing"),
        ("08:12:34:56", "is a random UID"),
        ("77705923123", "a number can be two different cards"),
        ("hello", "is not a badge: wanted hex such as 04:A1:B2:C3"),
        ("880401B2", "cascade tag"),
        ("w26:256,1", "'256' is too large, wanted 0 to 255"),
    ],
)
def test_badge_says_why_a_spelling_is_none(spelling, expected):
    refused(fabgate_("badge", spelling), 2, expected)


def test_badge_of_digits_alone_shows_each_card_that_they_can_be():
    done = fabgate_("badge", "12345678")
    refused(done, 2, "'12345678' is a number, and a number can be two different cards; write one of these:")
    lines = [re.split(r" {2,}", line.removeprefix("error:")) for line in done.stderr.splitlines()[1:4]]
    assert [line[1:] for line in lines] == [
        ["hex:12345678", "12:34:56:78", "hex, as most readers print it"],
        ["dec:12345678", "00BC614E", "decimal, bytes in card order"],
        ["dec-reversed:12345678", "4E61BC00", "decimal, last byte first"],
    ]
    as_json = fabgate_("badge", "12345678", "--json")
    assert as_json.returncode == 2
    readings = json.loads(as_json.stdout)["readings"]
    assert readings == {line[1]: line[2] for line in lines}
    for spelling, card in readings.items():
        assert json.loads(fabgate_("badge", spelling, "--json").stdout)["spellings"]["canonical"] == card
    refused(fabgate_("badge", "9" * 30), 2, f"write dec:{'9' * 30}")


def test_badge_of_many_digits_keeps_spelling_and_card_apart():
    digits = "9" * 23
    done = fabgate_("badge", digits)
    assert re.findall(r"\bdec:\d+ +[0-9A-F]{20} ", done.stderr), done.stderr
    assert re.findall(r"\bdec-reversed:\d+ +[0-9A-F]{20} ", done.stderr), done.stderr


def test_badge_leaves_the_reader_of_a_running_gate_alone(gate):
    refused(fabgate_("badge", "--config", gate.config), 2, "the gate is running and uses the reader; stop it first")


def test_badge_without_what_it_needs_says_so(config):
    refused(fabgate_("badge"), 2, "found no badge; add a spelling, or --config gate.yaml")
    refused(fabgate_("badge", "04A1B2C3", "--digest"), 2, "a digest needs the gate's badge key: add --config gate.yaml")
    done = fabgate_("badge", "04A1B2C3", "--digest", "--config", config)
    refused(done, 2, r"badge\.key: there is no badge key yet; start the gate once")
    assert not (config.parent / "state").exists()


def test_badge_waits_for_a_card_and_explains_it(config):
    process = subprocess.Popen(
        [sys.executable, "-m", "fabgate", "badge", "--json", "--config", str(config)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    control = str(config.parent / "control")
    wait(lambda: Path(control).exists() or process.poll() is not None, "the reader")
    ask(control, {"do": "place", "uid": "08123456"})
    ask(control, {"do": "remove"})
    ask(control, {"do": "place", "uid": "04A1B2C3D4E5F6"})
    out, told = process.communicate(timeout=HANGS_S)
    assert process.returncode == 0
    assert json.loads(out)["spellings"]["canonical"] == "04A1B2C3D4E5F6"
    assert "hold a card on the reader" in told


def test_badge_on_a_reader_that_is_not_there_ends_with_3(tmp_path):
    text = CONFIG.replace("reader: {driver: simulated, control_socket: CONTROL}", "reader: {driver: mfrc522}")
    path = write_gate(tmp_path / "gate", text)
    refused(fabgate_("badge", "--config", path), 3, "error: ")


def test_tap_without_a_reader_or_a_card_says_so(gate, tmp_path):
    refused(fabgate_("tap", tmp_path / "nowhere", "04A1B2C3"), 2, "found no reader at .*nowhere: is the gate running")
    refused(fabgate_("tap", gate.control, "4A1B2C3"), 2, "a zero is missing")
    for time_ms in ("soon", "5", "-300", "300.5", "60001", "9" * 5000):
        done = fabgate_("tap", gate.control, "04A1B2C3", f"--for={time_ms}")
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == f"error: --for: found '{time_ms[:20]}', wanted 100 to 60000 milliseconds\n"
    refused(
        fabgate_("tap", "laser-1", "ada", "--data", tmp_path), 2, "--data: there is no running demo in .*; start one"
    )
    (tmp_path / "file").touch()
    refused(fabgate_("tap", tmp_path / "file", "04A1B2C3"), 3, "error: ")


def test_tap_says_what_was_tapped_where(gate):
    unknown = "C0:FF:EE:01"
    done = fabgate_("tap", gate.control, unknown, "--for", "150")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"tapped {unknown} at {gate.control} for 150 ms\n"


def test_tap_finds_the_reader_that_a_gate_yaml_names(gate, tmp_path):
    done = fabgate_("tap", gate.config, "C0:FF:EE:01", "--for", "150")
    assert (done.returncode, done.stdout) == (0, f"tapped C0:FF:EE:01 at {gate.config} for 150 ms\n")
    text = CONFIG.replace("reader: {driver: simulated, control_socket: CONTROL}", "reader: {driver: mfrc522}")
    real = write_gate(tmp_path / "gate", text)
    refused(fabgate_("tap", real, "C0:FF:EE:01"), 2, "found the reader 'mfrc522', wanted an emulated one")


def test_tap_finds_a_gate_of_fabgate_data_by_its_name(gate, tmp_path, monkeypatch):
    (tmp_path / "emulated" / "laser-1").mkdir(parents=True)
    (tmp_path / "emulated" / "laser-1" / "reader.sock").symlink_to(gate.control)
    monkeypatch.setenv("FABGATE_DATA", str(tmp_path))
    done = fabgate_("tap", "laser-1", "C0:FF:EE:01", "--for", "150")
    assert (done.returncode, done.stdout) == (0, "tapped C0:FF:EE:01 at laser-1 for 150 ms\n")
    refused(fabgate_("tap", "saw-1", "C0:FF:EE:01"), 2, "found no reader at .*/emulated/saw-1/reader.sock")


def test_tap_finds_people_and_gates_in_the_folder_of_a_demo(gate, tmp_path):
    (tmp_path / "people.json").write_text('{"zoe": "C0:FF:EE:02"}')
    refused(fabgate_("tap", "laser-1", "zoe", "--data", tmp_path), 2, "--data: there is no running demo in ")
    (tmp_path / "laser-1.sock").symlink_to(gate.control)
    done = fabgate_("tap", "laser-1", "zoe", "--data", tmp_path)
    assert (done.returncode, done.stdout) == (0, "tapped zoe at laser-1 for 300 ms\n")
    refused(
        fabgate_("tap", "laser-1", "max", "--data", tmp_path),
        2,
        "'max' is not a badge.*; the people of this demo are zoe",
    )
    refused(fabgate_("tap", "saw", "zoe", "--data", tmp_path), 2, "found the gate 'saw', wanted laser-1")


# --- roster and rename ------------------------------------------------------------------------------------------------


def test_roster_show_tells_version_members_and_machine(gate):
    done = fabgate_("roster", "show", "--config", gate.config)
    assert (done.returncode, done.stderr) == (0, "")
    for line in (
        "members +2",
        "m-1 +Ada +user +fr +2",
        "m-2 +Bob +user +en +1",
        " +limit_s +600 .10 min.",
        " +lock +none.*",
    ):
        assert re.search(f"^{line}$", done.stdout, re.MULTILINE), line
    found = json.loads(fabgate_("roster", "show", "--state-dir", gate.state, "--json").stdout)
    assert (found["members"], found["tz"], found["machine"]["limit_s"]) == (2, "UTC", 600)
    assert found["people"][0] == {"id": "m-1", "name": "Ada", "lang": "fr", "badges": 2}
    assert not re.search("[0-9a-f]{64}", json.dumps(found))


def test_roster_show_of_none_or_a_broken_one_is_one_clear_line(tmp_path):
    refused(fabgate_("roster", "show", "--state-dir", tmp_path), 2, r"roster\.db: no usable roster")
    (tmp_path / "roster.db").write_text("broken")
    refused(fabgate_("roster", "show", "--state-dir", tmp_path), 2, r"roster\.db: no usable roster")
    refused(fabgate_("roster"), 2, "the following arguments are required: VERB")


def test_roster_fetch_of_a_file_says_that_there_is_nothing_to_fetch(config):
    refused(fabgate_("roster", "fetch", "--config", config), 2, "the roster is a file; there is nothing to fetch")


def test_roster_adopt_says_what_changes_and_when_it_does(config, monkeypatch, capsys):
    state = gate_config.load(config).state_dir
    refused(
        fabgate_("roster", "adopt", "--config", config),
        2,
        "badge.key: there is no badge key yet|no roster is stored yet",
    )
    state.mkdir(exist_ok=True)
    (state / "badge.key").write_bytes(bytes(32))
    roster = wire.Roster(version=5, site="lyon", gate="laser-1", members=[wire.Member(id="m-9", badges=[])])
    store(roster, state / "roster.db", source="collector:c-1")
    done = fabgate_("roster", "adopt", "--config", config)
    assert (done.returncode, done.stderr) == (0, "")
    assert "in force: version 5 of the collector c-1, 1 member\n" in done.stdout
    assert "no longer members: 1 (m-9)\n" in done.stdout
    assert "ok: the gate accepts this roster when it starts" in done.stdout
    store(roster, state / "roster.db", source="file")
    refused(fabgate_("roster", "adopt", "--config", config), 2, "there is nothing to adopt")


def test_rename_needs_a_journal_and_a_gate_that_stands_still(config, gate):
    refused(fabgate_("rename", "--config", config), 2, r"journal\.db: there is no journal")
    refused(fabgate_("rename", "--config", gate.config), 2, "the gate is running; stop it first")


@pytest.mark.parametrize(("count", "told"), [(1, "1 entry"), (2, "2 entries")])
def test_rename_says_how_much_no_collector_has(config, count, told):
    state = gate_config.load(config).state_dir
    state.mkdir()
    journal = Journal(state / "journal.db", wire.GateTopics("lyon", "old"))
    journal.open()
    data = wire.GateStarted(clock=wire.Clock(boot="b", boottime_ms=1, synced=True), version="0")
    journal.append([Draft(uuid7(), "gate.started", data, None) for _ in range(count)])
    journal.close()
    refused(fabgate_("rename", "--config", config), 1, f"{told} never reached a collector")


# --- the rest ---------------------------------------------------------------------------------------------------------


def test_an_unknown_verb_and_the_version():
    refused(fabgate_("dance"), 2, "invalid choice: 'dance'")
    assert fabgate_("--version").stdout == f"fabgate {fabgate.__version__}\n"


def every_verb(parser: argparse.ArgumentParser, name: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Return every verb of the command line, as it is typed."""
    below = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not below:
        return [name]
    return [verb for action in below for key, sub in action.choices.items() for verb in every_verb(sub, (*name, key))]


@pytest.mark.parametrize("words", [[], ["collector"]], ids=["fabgate", "collector"])
def test_without_a_verb_all_are_listed(words, capsys):
    assert cli.main(words) == 0
    shown = capsys.readouterr().out
    listed = re.findall(r"^  ([a-z][a-z-]*)  +\S", shown, re.MULTILINE)
    known = {verb[len(words)] for verb in every_verb(arguments.parser()) if list(verb[: len(words)]) == words}
    assert sorted(listed) == sorted(known)


@pytest.mark.parametrize("verb", every_verb(arguments.parser()), ids=" ".join)
def test_every_verb_has_help(verb, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main([*verb, "--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert " ".join(verb) in shown
    if verb[0] == "collector":
        return  # its own tests look at those
    examples = re.findall(r"^  fabgate (\S.*?)(?:  .*)?$", shown.partition("\nexample")[2], re.MULTILINE)
    assert examples
    for example in examples:
        assert arguments.parser().parse_args(shlex.split(example)).verb == "_".join(verb)


def test_exit_codes_are_one_each_and_told_by_the_help_of_the_module():
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, FabgateError)]
    codes = [kind.exit_code for kind in kinds]
    assert sorted(codes) == sorted(set(codes)) == list(range(1, len(codes) + 1))
    for code in codes:
        assert re.search(rf"\b{code} \w", cli.__doc__)


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (errors.SealError("wrong seal"), 5, "error: wrong seal\n"),
        (errors.UsageError("one\ntwo"), 2, "error: one\nerror: two\n"),
        (PermissionError(13, "Permission denied", "/x"), 1, "error: [Errno 13] Permission denied: '/x'\n"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_what_a_verb_raises_becomes_lines_and_an_exit_code(monkeypatch, capsys, error, code, told):
    def fail(_):
        raise error

    monkeypatch.setattr(cli, "check", fail)
    assert cli.main(["check", "x"]) == code
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", told)


def test_run_loads_the_configuration_and_hands_it_to_the_daemon(monkeypatch, config):
    from fabgate.gate import daemon

    seen = []
    monkeypatch.setattr(daemon, "run", lambda found: seen.append(found.topics.account) or 7)
    assert cli.main(["run", "--config", str(config)]) == 7
    assert seen == ["lyon/laser-1"]


def test_output_whose_reader_went_away_is_no_error_and_leaves_no_noise_at_exit(monkeypatch, tmp_path):
    def fail(_):
        raise BrokenPipeError

    with (tmp_path / "out").open("w") as out:
        monkeypatch.setattr(cli, "check", fail)
        monkeypatch.setattr(sys, "stdout", out)
        assert cli.main(["check", "x"]) == 0
        sys.stdout.write("to nobody")
    assert (tmp_path / "out").read_text() == ""


class Sleeper:
    """A reader with a script of what it sees."""

    def __init__(self, _options):
        self.seen = iter(
            [None, Misread(MisreadReason.TORN), Misread(MisreadReason.TORN), None, Card(b"\x04\xa1\xb2\xc3")]
        )
        self.open = self.close = lambda: None

    def poll(self):
        return next(self.seen)


def test_badge_says_once_why_a_card_was_not_read(monkeypatch, config, capsys):
    from fabgate.gate.config import gate_yaml as gate_config

    monkeypatch.setattr(gate_config, "make_driver", lambda kind, section: Sleeper(section))
    assert cli.main(["badge", "--config", str(config)]) == 0
    shown = capsys.readouterr()
    assert shown.err.count("not read: torn") == 1
    assert "04A1B2C3" in shown.out


def test_the_demo_is_played_or_shown(monkeypatch, tmp_path):
    from fabgate.demo import live, script

    monkeypatch.setattr(script, "run", lambda data, *, lang: 5 if data else 6)
    monkeypatch.setattr(live, "run", lambda data, *, lang, browser: 7 if data is None and browser else 8)
    assert [cli.main(["demo", *more]) for more in (["--script"], ["--script", "--data", str(tmp_path)], [])] == [
        6,
        5,
        7,
    ]


class Collector:
    """What a fetch from a collector may end in."""

    events: tuple[object, ...] = ()
    confirmed = True
    mended = 0

    def __init__(self, _config, _path, post, **_):
        self.post = post

    def replace_damaged(self):
        type(self).mended += 1

    def fetch(self):
        for event in self.events:
            self.post(event)
        return self.confirmed


@pytest.mark.parametrize(
    ("events", "confirmed", "code", "out", "err"),
    [
        ((RosterStored(5, 2),), True, 0, "ok: version 5 with 2 members is stored\n", ""),
        ((RosterStored(5, 1),), True, 0, "ok: version 5 with 1 member is stored\n", ""),
        ((RosterConfirmed(),), True, 0, "ok: the stored roster is still the newest\n", ""),
        ((RosterRefused("wrong seal"),), False, 1, "", "refused: wrong seal\n"),
    ],
)
def test_roster_fetch_tells_what_became_of_it(monkeypatch, capsys, config, events, confirmed, code, out, err):
    from fabgate.gate.roster import http_source

    folder = config.parent
    for name in ("token", "seal", "badges"):
        (folder / name).write_text("k1:QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVowMTIzNDU=")
    text = config.read_text().replace("{file: members.csv}", "{url: 'https://c', token_file: token}")
    config.write_text(f"{text}gate_key_file: seal\nbadge_key_file: badges\n")
    monkeypatch.setattr(Collector, "events", events)
    monkeypatch.setattr(Collector, "confirmed", confirmed)
    monkeypatch.setattr(Collector, "mended", 0)
    monkeypatch.setattr(http_source, "HttpSource", Collector)
    assert cli.main(["roster", "fetch", "--config", str(config)]) == code
    assert capsys.readouterr() == (out, err)
    assert cli.main(["roster", "fetch", "--json", "--config", str(config)]) == code
    as_json = json.loads(capsys.readouterr().out)
    stored = {"version": 5, "members": events[0].members} if "version 5" in out else None
    assert as_json == {"ok": confirmed, "stored": stored, "refused": ["wrong seal"] if err else []}
    assert Collector.mended == 0
    (folder / "state" / "roster.db").write_bytes(b"damaged")
    assert cli.main(["roster", "fetch", "--config", str(config)]) == code
    assert (Collector.mended, capsys.readouterr()) == (1, (out, err)), "it asks for all of it"
    with (folder / "state" / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert cli.main(["roster", "fetch", "--config", str(config)]) == 2
    assert "the gate is running and fetches the roster every 60 s" in capsys.readouterr().err


def test_an_entry_whose_clock_was_not_known_says_so(tmp_path, capsys):
    text = CONFIG.replace("assume-synced", "timesyncd")
    gate = RunningGate(tmp_path / "gate", text)
    gate.stop()
    assert cli.main(["journal", "--config", str(gate.config)]) == 0
    first = capsys.readouterr().out.splitlines()[0]
    if not Path("/run/systemd/timesync/synchronized").exists():
        assert "(clock unknown)" in first


def test_without_the_collector_and_the_demo_their_verbs_say_what_to_install(monkeypatch, capsys):
    for name in ("fabgate.collector.cli.verbs", "fabgate.demo", "fabgate.demo.live", "fabgate.demo.script"):
        monkeypatch.setitem(sys.modules, name, None)
    assert cli.main(["collector", "usage", "--from", "x"]) == 2
    assert "the collector is not installed" in capsys.readouterr().err
    assert cli.main(["demo", "--script"]) == 2
    assert "pip install 'fabgate[demo]'" in capsys.readouterr().err
