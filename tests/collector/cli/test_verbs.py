"""The verbs as processes."""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import shlex
import signal
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from fabgate.collector import DEFAULT_DATA
from fabgate.collector.cli import verbs as cli
from fabgate.collector.ground.base import data_folder
from fabgate.demo.processes.ports import free_port
from tests.collector.later import LATER
from tests.collector.running import children, environment, is_waiting, run, until_healthy
from tests.support.mosquitto import mosquitto
from tests.support.patience import HANGS_S, wait

MAKING = "note: making a new collector in {home}: database and keys (FABGATE_DATA)\n"
PERIOD = ("--from", "2026-11-01", "--to", "2026-12-01")


def test_wrong_values_end_with_code_2_and_a_line_each(tmp_path):
    done = run(environment(tmp_path, FABGATE_SITE="", FABGATE_TZ="Mars"), "migrate")
    assert done.returncode == 2
    assert [line[: line.index(":", 8)] for line in done.stderr.splitlines()] == [
        "error: FABGATE_SITE",
        "error: FABGATE_TZ",
    ]


def test_a_restored_database_is_handled_on_request(tmp_path):
    assert "put back" not in run(environment(tmp_path), "migrate").stdout
    done = run(environment(tmp_path), "migrate", "--restored")
    assert done.returncode == 0
    assert done.stdout.startswith("handled as restored: ")
    assert "everybody signs in again" in done.stdout


def test_a_directory_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    done = run(environment(tmp_path / "file" / "data"), "migrate")
    assert done.returncode == 2
    assert done.stderr.startswith("error: FABGATE_DATA: found")


#: Starts where no file can be opened any more, and says with which code that ends.
_TOO_MANY_FILES = """
import resource
from zoneinfo import ZoneInfo
from fabgate.collector.processes import start
from fabgate.errors import FabgateError
ZoneInfo("UTC")  # it is read from a file, once
resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
try:
    start.prepare()
except FabgateError as error:
    print(error.exit_code, error)
"""


def test_a_temporarily_unusable_directory_does_not_end_run(tmp_path):
    ours = environment(tmp_path)
    done = subprocess.run([sys.executable, "-c", _TOO_MANY_FILES], env=ours, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("1 FABGATE_DATA: found"), "2 is for what no later attempt can mend"
    assert "cannot be used now (Too many open files)" in done.stdout


def test_the_first_start_makes_secrets_that_only_their_owner_reads_and_no_start_changes_them(tmp_path):
    home = tmp_path / "data"
    assert run(environment(home), "migrate").returncode == 0
    secrets = ("secret.key", "badge.keys", "collector.db")
    assert {stat.S_IMODE((home / name).stat().st_mode) for name in secrets} == {0o600}
    before = [(home / name).read_bytes() for name in secrets[:2]]
    assert run(environment(home), "migrate").returncode == 0
    assert [(home / name).read_bytes() for name in secrets[:2]] == before


def test_processes_that_start_at_once_wait_for_each_other(tmp_path):
    command = [sys.executable, "-m", "fabgate.collector", "migrate"]
    started = [subprocess.Popen(command, env=environment(tmp_path), stderr=subprocess.PIPE) for _ in range(4)]
    ended = [(p.communicate(timeout=HANGS_S)[1].decode(), p.returncode) for p in started]
    assert sorted(ended) == [("", 0)] * 3 + [(MAKING.format(home=tmp_path), 0)]


@pytest.mark.parametrize(
    "verb",
    [
        ("usage", *PERIOD),
        ("sessions", *PERIOD),
        ("holes",),
        ("gates", "--json"),
        ("machine-set", "laser"),
        ("lock", "laser-1", "--reason", "x"),
        ("unlock", "laser-1"),
        ("member-block", "m-1", "--reason", "banned"),
        ("member-unblock", "m-1"),
    ],
    ids=lambda verb: verb[0],
)
def test_a_verb_with_nothing_to_show_makes_no_collector_and_names_the_path(tmp_path, verb):
    home = tmp_path / "data"
    done = run(environment(home), *verb)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"error: found no collector database at {home}/collector.db; set FABGATE_DATA to its directory, or make a new one"
        " with `fabgate collector run`\n"
    )
    assert not home.exists()


def test_a_verb_that_sets_up_makes_a_collector_and_reports_where_once(tmp_path):
    env = environment(tmp_path / "data")
    first = run(env, "gate-add", "laser-1", "--machine", "laser", "--json")
    assert (first.returncode, first.stderr) == (0, MAKING.format(home=tmp_path / "data"))
    json.loads(first.stdout)
    assert run(env, "migrate").stderr == ""


def verbs() -> dict[str, argparse.ArgumentParser]:
    parser = argparse.ArgumentParser()
    cli.add_verbs(parser)
    (below,) = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    return below.choices


@pytest.mark.parametrize("name", verbs())
def test_the_help_of_each_verb_names_site_and_data_their_default_and_an_example_that_is_understood(name):
    told = verbs()[name].format_help()
    assert "FABGATE_SITE" in told
    assert f"FABGATE_DATA  the directory of database and keys (default: {DEFAULT_DATA})" in told
    site, *words = shlex.split(told.rpartition("example:\n")[2])
    assert (site, words[:3]) == ("FABGATE_SITE=lyon", ["fabgate", "collector", name])
    verbs()[name].parse_args(words[3:])


@pytest.mark.parametrize("name", verbs())
def test_each_verb_calls_a_function_that_exists(name):
    calls = verbs()[name].get_default("calls")
    assert callable(cli.function_of(argparse.Namespace(calls=calls)))


def test_the_help_of_all_verbs_names_site_and_data_and_their_default(capsys):
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    told = " ".join(capsys.readouterr().out.split())
    assert f"FABGATE_DATA (the directory of database and keys; default: {DEFAULT_DATA})" in told
    assert "FABGATE_SITE=lyon FABGATE_DATA=/srv/fabgate fabgate collector gates" in told


def test_a_database_of_another_site_is_refused(tmp_path):
    run(environment(tmp_path), "migrate")
    done = run(environment(tmp_path, FABGATE_SITE="paris"), "gates")
    assert done.returncode == 1
    assert "the database holds the site 'lyon'" in done.stderr


def test_a_workshop_is_set_up_by_commands(tmp_path):
    env = environment(tmp_path / "data")
    made = run(env, "gate-add", "laser-1", "--machine", "laser", "--rules", "limit_s=7200", "mode=hold", "--json")
    assert json.loads(made.stdout)["machine_rules"]["limit_s"] == 7200
    (tmp_path / "m.csv").write_text("id,badges,machines\nm-1,04A1B2C3,laser\n")
    done = run(env, "import-members", str(tmp_path / "m.csv"))
    assert (done.returncode, done.stdout) == (
        0,
        "1 member imported (1 new) with 1 badge; laser-1 will be updated at its next roster request\n",
    )
    assert run(env, "lock", "laser-1", "--when", "now", "--reason", "belt").returncode == 0
    (row,) = json.loads(run(env, "gates", "--json").stdout)
    assert (row["gate"], row["machine"], row["locked"]) == ("laser-1", "laser", True)
    done = run(env, "usage", "--from", "2026-11-01", "--to", "2026-12-01", "--json")
    assert json.loads(done.stdout)["usage"] == []
    done = run(env, "usage", "--from", "x", "--to", "y")
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 2)


@pytest.mark.parametrize("program", [("fabgate", "collector"), ("fabgate.collector",)], ids=" ".join)
def test_each_program_logs_as_fabgate_log_asks(tmp_path, program):
    env = environment(tmp_path, FABGATE_LOG="json")
    command = [sys.executable, "-W", "error", "-m", *program, "ingest"]
    with subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True) as ingest:
        try:
            line = next(line for line in ingest.stderr if not line.startswith("note: "))
        finally:
            ingest.kill()
    assert json.loads(line)["process"] == "ingest"


@pytest.mark.broker
def test_run_keeps_ingest_web_and_worker_alive(tmp_path):
    home = tmp_path / "data"
    with mosquitto(tmp_path / "broker") as broker:
        port = free_port()
        env = environment(home, FABGATE_MQTT_PORT=str(broker.port), FABGATE_WEB_PORT=str(port))
        running = subprocess.Popen([sys.executable, "-m", "fabgate.collector", "run"], env=env, stderr=subprocess.PIPE)
        try:
            until_healthy(port)
            first = children(running.pid)
            assert sorted(first.values()) == ["ingest", "web", "worker"]
            os.kill(next(pid for pid, verb in first.items() if verb == "web"), signal.SIGKILL)
            wait(lambda: children(running.pid).keys() - first.keys())
            until_healthy(port)
        finally:
            running.terminate()
            _, errors = running.communicate(timeout=HANGS_S)
        assert running.returncode == 0, errors.decode()
    with contextlib.closing(sqlite3.connect(home / "collector.db")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


# --- the time zone ----------------------------------------------------------------------------------------------------


def test_enrolling_a_gate_again_waits_for_another_enrolment_in_progress(in_paris):
    folder = in_paris / "gates" / "laser-1"
    before = {file.name: file.read_text() for file in folder.iterdir()}
    with data_folder.alone(in_paris / data_folder.LETTING_IN):
        again = ("gate-add", "laser-1", "--machine", "laser", "--new-token")
        both = [
            subprocess.Popen(
                [sys.executable, "-m", "fabgate.collector", *again],
                env=environment(in_paris),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            for _ in range(2)
        ]
        wait(lambda: all(is_waiting(one.pid, in_paris / data_folder.LETTING_IN) for one in both))
        assert {file.name: file.read_text() for file in folder.iterdir()} == before
        assert token_hash(in_paris) == hashed(before["token"])
    assert [one.wait(HANGS_S) for one in both] == [0, 0]
    after = {file.name: file.read_text() for file in folder.iterdir()}
    assert after.keys() == before.keys()
    assert after["token"] != before["token"]
    assert after["seal.keys"] != before["seal.keys"]
    assert token_hash(in_paris) == hashed(after["token"])


def token_hash(home: Path) -> str:
    with contextlib.closing(sqlite3.connect(home / "collector.db")) as connection:
        return connection.execute("SELECT token_hash FROM collector_gate WHERE name = 'laser-1'").fetchone()[0]


def hashed(token: str) -> str:
    return hashlib.sha256(token.strip().encode()).hexdigest()


def has_new_column(home: Path) -> bool:
    with contextlib.closing(sqlite3.connect(home / "collector.db")) as connection:
        return ("shelf",) in connection.execute("SELECT name FROM pragma_table_info('collector_gate')").fetchall()


def test_no_verb_migrates_a_database_that_an_older_process_still_uses(in_paris):
    older = data_folder.use(in_paris)  # as each process does until it ends
    later = environment(in_paris, **LATER)
    try:
        done = run(later, "accounts")
        assert (done.returncode, done.stdout, has_new_column(in_paris)) == (2, "", False)
        assert "found a database of a version before fabgate" in done.stderr
        start = (
            f"from fabgate.collector.processes import start; start.OTHERS_END_S = {HANGS_S}; start.prepare(owns=True)"
        )
        waits = subprocess.Popen([sys.executable, "-c", start], env=later)
        wait(lambda: is_waiting(waits.pid, in_paris / ".starting"))
        assert not has_new_column(in_paris)
    finally:
        os.close(older)
    assert waits.wait(HANGS_S) == 0  # they were restarted together
    assert has_new_column(in_paris)


def test_a_database_of_a_newer_version_is_left_alone(in_paris):
    with contextlib.closing(sqlite3.connect(in_paris / "collector.db")) as connection, connection:
        applied = "INSERT INTO django_migrations (app, name, applied) VALUES ('collector', '0999_later', '2030-01-01')"
        connection.execute(applied)
    done = run(environment(in_paris), "lock", "laser-1", "--reason", "Belt")
    assert (done.returncode, done.stdout) == (2, "")
    assert "a newer version than fabgate" in done.stderr
    assert "(0999_later)" in done.stderr
    for verb, code in (("migrate", 7), ("worker", 2)):
        assert run(environment(in_paris), verb).returncode == code
