"""What keeps a move from beginning: it is named, with what to do, and nothing is changed."""

from __future__ import annotations

import json
import shutil
from types import SimpleNamespace

import pytest

import fabgate
from fabgate import installed
from fabgate.by_hand import of_collector, use_package
from fabgate.by_hand.part import COLLECTOR, GATE
from fabgate.collector.ground.base import data_folder
from fabgate.collector.processes.doctor import judging
from fabgate.computer import Answer, Computer
from fabgate.errors import FabgateError, UsageError
from tests.by_hand import emulated
from tests.by_hand.emulated import ETC, GATE_UNIT, NEW

CHECK = f"{GATE.program} check /etc/fabgate/gate.yaml"
VERIFY = f"{GATE.program} audit verify --state-dir /var/lib/fabgate"
DOCTOR = f"{COLLECTOR.program} doctor --json"


@pytest.fixture
def both(computer):
    for part in (GATE, COLLECTOR):
        computer.install_by_hand(part)
        computer.install_package(part)
    return computer


def never(_question):
    raise AssertionError("a person is asked although the move cannot begin")


def refused(computer, part, says):
    """Assert that a move is refused with these words, before a person is asked, and that nothing was changed."""
    before, running = computer.files(but=("run",)), dict(computer.running)
    with pytest.raises(UsageError, match=says) as error:
        computer.move(part, ask=never)
    assert str(error.value).endswith("nothing was changed")
    assert computer.files(but=("run",)) == before
    assert computer.running == running


# --- the program ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("package", ["", "fabgate-collector"])
def test_only_the_program_of_the_package_moves_a_part(both, monkeypatch, package):
    monkeypatch.setattr(installed, "package", lambda: package)
    with pytest.raises(UsageError, match="apt install fabgate-gate, then sudo /usr/bin/fabgate use-package"):
        use_package.run.__wrapped__(both, GATE, ask=lambda _: True, say=str, ends_session=False)
    assert both.running[GATE_UNIT] == "by hand"


def test_only_root_moves_a_part(both):
    both.is_root = lambda: False
    with pytest.raises(UsageError, match="wanted root: sudo /usr/sbin/fabgate-collector use-package"):
        both.move(COLLECTOR)


@pytest.mark.parametrize(
    ("package", "by_hand"),
    [("0.1.0", "0.1.1"), ("0.1.0.dev7+gabc", "0.1.0"), ("0.2.0.dev3+g1", "0.2.0.dev4+g2"), ("0.9.0", "0.10.0")],
)
def test_an_older_package_is_refused(both, monkeypatch, package, by_hand):
    monkeypatch.setattr(fabgate, "__version__", package)
    both.by_hand_version = f"fabgate {by_hand}"
    refused(both, GATE, f"found fabgate {package.partition('+')[0]}.* apt install fabgate-gate")


@pytest.mark.parametrize(
    ("package", "by_hand"), [("0.1.0", "0.1.0"), ("0.1.0", "0.1.0.dev9+gabc"), ("0.2.0.dev1+g1", "0.1.9")]
)
def test_a_package_that_is_not_older_is_used_without_a_note(both, monkeypatch, package, by_hand):
    monkeypatch.setattr(fabgate, "__version__", package)
    both.by_hand_version = f"fabgate {by_hand}"
    assert "note:" not in both.move(GATE)


def test_versions_that_cannot_be_compared_are_a_note(both):
    both.by_hand_version = "fabgate 0.1.0.dev0+nogit"
    assert "cannot be compared" in both.move(GATE)


def test_an_environment_that_does_not_start_any_more_is_a_note(both):
    """As after an update of Debian, which removes the Python that it was made with."""
    both.answers["/opt/fabgate/bin/fabgate --version"] = Answer(127, "", "no such file")
    assert "does not say its version (no such file)" in both.move(GATE)


# --- a gate -----------------------------------------------------------------------------------------------------------


def test_settings_that_the_package_cannot_read_are_named_line_by_line(both):
    both.answers[CHECK] = Answer(2, "", "error: reader.driver: found x\nerror: output.pin: found 99\n")
    refused(both, GATE, r"gate.yaml: reader.driver: found x\n/etc/fabgate/gate.yaml: output.pin: found 99")


def test_a_journal_that_the_package_cannot_read_is_refused(both):
    both.answers[VERIFY] = Answer(4, "", "error: found a journal of a newer version")
    refused(both, GATE, "cannot read the journal in /var/lib/fabgate: found a journal of a newer version")


def test_a_chain_that_was_broken_before_is_a_note(both):
    both.answers[VERIFY] = Answer(1, "broken at entry 7\n", "")
    assert "the journal: broken at entry 7" in both.move(GATE)


def test_a_machine_in_use_is_refused_unless_told(both):
    both.use_machine("Ada")
    refused(both, GATE, r"in use \(by Ada\).* end it with --end-session")
    both.move(GATE, ends_session=True)
    assert both.running[GATE_UNIT] == "package"


def test_a_session_that_begins_while_the_person_reads_is_refused(both):
    def ask(_question):
        both.use_machine("Ada")
        return True

    with pytest.raises(UsageError, match=r"in use .*\n?.*nothing was changed"):
        both.move(GATE, ask=ask)
    assert both.running[GATE_UNIT] == "by hand"


def test_the_status_that_a_stopped_gate_left_is_no_session(both):
    both.use_machine("Ada")
    both.ask("systemctl", "stop", GATE_UNIT)
    both.move(GATE)


def test_the_collector_moves_while_a_machine_is_in_use(both):
    both.use_machine("Ada")
    both.move(COLLECTOR)
    assert both.running[GATE_UNIT] == "by hand"


# --- units ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["activating", "failed"])
@pytest.mark.parametrize("unit", [GATE_UNIT, "fabgate-collector@web.service"])
def test_what_does_not_run_well_is_refused_until_it_is_stopped(both, unit, state):
    part = GATE if unit == GATE_UNIT else COLLECTOR
    del both.running[unit]
    both.states[unit] = state
    refused(both, part, f"{unit}: found it {state}.* systemctl stop {unit}\n")
    both.ask("systemctl", "stop", unit)
    both.move(part)
    assert both.running.get(unit) == (None if part is GATE else "package")  # the target starts each of its services


def test_a_nightly_copy_that_failed_is_no_reason(both):
    both.states["fabgate-collector-backup.service"] = "failed"
    both.move(COLLECTOR)
    assert "fabgate-collector-backup.service" not in both.running


def test_a_drop_in_that_would_use_the_old_program_is_refused(both):
    both.put(
        f"{ETC}/{GATE_UNIT}.d/own.conf",
        "[Service]\nExecStartPre=/opt/fabgate/bin/fabgate check\n# /opt/fabgate/bin/fabgate\n",
    )
    refused(both, GATE, "own.conf: found ExecStartPre=/opt.*; write ExecStartPre=/usr/bin/fabgate check")
    both.move(COLLECTOR)


# --- a collector ------------------------------------------------------------------------------------------------------


def finding(name, text, outcome="fail"):
    findings = [{"id": name, "outcome": outcome, "text": text, "next": "do this"}]
    return Answer(1, json.dumps({"findings": findings}), "")


@pytest.mark.parametrize("name", ["environment", "database", "migrations"])
def test_what_the_doctor_of_the_package_finds_wrong_is_refused(both, name):
    both.answers[DOCTOR] = finding(name, "found something")
    refused(both, COLLECTOR, "found something; do this")


def test_what_has_nothing_to_do_with_the_move_is_not_asked_for(both):
    both.answers[DOCTOR] = finding("mail", "no mail server")
    both.move(COLLECTOR)


def test_a_doctor_that_cannot_run_is_refused(both):
    both.answers[DOCTOR] = Answer(2, "", "error: found no folder /var/lib/fabgate-collector")
    refused(both, COLLECTOR, "found exit code 2, wanted findings: found no folder")


def test_missing_migrations_are_found_by_the_words_of_the_doctor():
    said = judging.migrations(applied=["0001"], missing=["0002"], newer=[], is_before_release=False)
    others = [
        judging.migrations(applied=[], missing=["0001"], newer=[], is_before_release=False),
        judging.migrations(applied=["0001"], missing=["0002"], newer=["0003"], is_before_release=False),
        judging.migrations(applied=["0001"], missing=["0002"], newer=[], is_before_release=True),
        judging.migrations(applied=["0001"], missing=[], newer=[], is_before_release=False),
    ]
    assert of_collector.MISSING in said.text
    assert not any(of_collector.MISSING in other.text for other in others)


def test_the_files_of_the_database_have_the_names_that_the_collector_gives_them():
    assert {data_folder.USED_BY, data_folder.UPDATING} < {*of_collector.DATABASE}
    # These say that a database was restored, so they must not come back with it.
    assert not {data_folder.COUNTED, data_folder.AUDIT_HEAD} & {*of_collector.DATABASE}


def test_a_full_disk_is_refused_before_the_tables_change(both, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(free=1_000_000))
    both.tables = NEW
    refused(
        both, COLLECTOR, "found 1 MB free in /var/backups, wanted 50 MB.*\n.*free in /var/lib/fabgate-collector-copies"
    )


def test_postgresql_without_its_programs_is_refused_before_the_tables_change(both):
    both.tables, both.on_postgresql = NEW, True
    both.answers["pg_dump --version"] = Answer(127, "", "no such file")
    refused(both, COLLECTOR, "apt install postgresql-client")


def test_postgresql_whose_tables_stay_needs_none(both):
    both.on_postgresql = True
    both.answers["pg_dump --version"] = Answer(127, "", "no such file")
    assert "PostgreSQL" not in both.move(COLLECTOR)


# --- drivers and sinks of others --------------------------------------------------------------------------------------


def install_plug_in(computer, folder, name, group, driver, url=""):
    info = f"{folder}/{name.replace('-', '_')}-1.2.dist-info"
    computer.put(f"{info}/entry_points.txt", f"[console_scripts]\nx = y:z\n\n[{group}]\n{driver} = module:Class\n")
    if url:
        computer.put(f"{info}/direct_url.json", json.dumps({"url": url, "dir_info": {}}))


OPT = "/opt/fabgate/lib/python3.13/site-packages"


def test_a_driver_that_the_settings_name_has_to_be_where_the_package_finds_it(both):
    install_plug_in(both, OPT, "fabgate-own", "fabgate.readers", "own-reader")
    both.put("/etc/fabgate/gate.yaml", both.text("/etc/fabgate/gate.yaml") + "\nreaders: [{driver: own-reader}]\n")
    order = "/opt/fabgate/bin/pip install --no-deps --target /usr/local/lib/fabgate-gate 'fabgate-own==1.2'"
    refused(both, GATE, f"the settings name own-reader of fabgate-own 1.2: {order}")
    install_plug_in(both, "/usr/local/lib/fabgate-gate", "fabgate-own", "fabgate.readers", "own-reader")
    both.move(GATE)


def test_a_sink_that_no_setting_names_is_a_note_with_the_folder_that_it_came_from(both):
    install_plug_in(both, OPT, "till", "fabgate.sinks", "till", url="file:///root/till")
    said = both.move(COLLECTOR)
    assert "till 1.2 is not in the package" in said
    assert "--target /usr/local/lib/fabgate-collector '/root/till'" in said


def test_what_has_no_driver_for_this_part_and_fabgate_itself_is_no_plug_in(both):
    install_plug_in(both, OPT, "fabgate", "fabgate.readers", "mfrc522")
    install_plug_in(both, OPT, "till", "fabgate.sinks", "till")
    assert "note:" not in both.move(GATE)


@pytest.mark.parametrize("variable", [None, "/etc/fabgate/sinks.yaml"])
def test_a_sink_that_the_package_does_not_know_is_refused(both, variable):
    path = variable or f"{emulated.DATA}/sinks.yaml"
    both.variables = {"FABGATE_SINKS": variable} if variable else {}
    both.put(path, "books: {driver: dolibarr}\nown: {driver: till}\n")
    refused(both, COLLECTOR, f"{path}: own: found the driver till, which the package does not have")


# --- the person, and the files of a move ------------------------------------------------------------------------------


def test_without_a_terminal_the_answer_has_to_be_an_option(monkeypatch):
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    with pytest.raises(UsageError, match="with --yes; nothing was changed"):
        use_package.ask_person("Go on?")


def test_a_plan_that_cannot_be_read_is_named(both):
    both.put("/var/backups/fabgate-by-hand/gate-1/plan.json", "{}")
    with pytest.raises(FabgateError, match=r"gate-1/plan.json: found .*, wanted the plan of a move; restore this file"):
        both.move(GATE)


def test_an_interrupted_move_of_a_gate_waits_for_the_machine_too(both):
    both.kill_at = 12
    with pytest.raises(emulated.KilledError):
        both.move(GATE)
    both.kill_at = None
    both.ask("systemctl", "start", GATE_UNIT)
    both.use_machine("Ada")
    with pytest.raises(UsageError, match="in use"):
        both.move(GATE)
    both.use_machine(None)
    both.move(GATE)
    assert both.running[GATE_UNIT] == "package"


# --- this computer ----------------------------------------------------------------------------------------------------


def test_a_program_that_is_missing_is_an_answer():
    assert Computer().run("/no/such/program").code == 127


def test_a_program_answers_with_its_code_and_its_words():
    answer = Computer().run("sh", "-c", "echo out; echo 'error: why' >&2; exit 3")
    assert (answer.code, answer.out, answer.said) == (3, "out\n", "why")
