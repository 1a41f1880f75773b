"""The time zone: which one verbs and services use, and when a service changes that of the database."""

from __future__ import annotations

import contextlib
import gzip
import json
import sqlite3
import subprocess
import sys
from pathlib import Path

from fabgate.demo.processes.ports import free_port
from tests.collector.running import answers, environment, is_waiting, run
from tests.support.patience import HANGS_S, wait

# --- the time zone ----------------------------------------------------------------------------------------------------


def zone_of(home: Path) -> str:
    with contextlib.closing(sqlite3.connect(home / "collector.db")) as connection:
        return connection.execute("SELECT rolled_tz FROM collector_collector").fetchone()[0]


def zone_of_roster(home: Path) -> str:
    with contextlib.closing(sqlite3.connect(home / "collector.db")) as connection:
        (packed,) = connection.execute("SELECT body FROM collector_servedroster").fetchone()
        return json.loads(gzip.decompress(packed))["tz"]


def test_a_verb_without_a_zone_uses_that_of_the_database(in_paris):
    done = run(environment(in_paris), "lock", "laser-1", "--reason", "Belt")
    assert done.returncode == 0, done.stderr
    assert "daily sums" not in done.stderr
    assert (zone_of(in_paris), zone_of_roster(in_paris)) == ("Europe/Paris", "Europe/Paris")


def test_a_verb_without_a_zone_sets_none_for_a_new_collector(tmp_path):
    home = tmp_path / "data"
    assert run(environment(home), "gate-add", "laser-1", "--machine", "laser").returncode == 0
    assert zone_of(home) == ""
    assert run(environment(home, FABGATE_TZ="Europe/Paris"), "accounts").returncode == 0
    assert zone_of(home) == "Europe/Paris"


def test_a_service_sets_the_default_zone_of_a_new_collector(tmp_path):
    assert "the collector's time zone" not in served(tmp_path / "data")
    assert zone_of(tmp_path / "data") == "UTC"


def test_a_verb_reads_and_prints_dates_in_the_zone_of_the_database(in_paris):
    period = ("--from", "2026-07-01", "--to", "2026-07-02", "--json")
    of_the_database, said = (
        run(environment(in_paris, **tz), "usage", *period) for tz in ({}, {"FABGATE_TZ": "Europe/Paris"})
    )
    assert of_the_database.returncode == 0, of_the_database.stderr
    assert of_the_database.stdout == said.stdout
    assert "2026-07-01T00:00:00+02:00" in of_the_database.stdout


def test_a_verb_with_another_zone_than_the_database_is_refused(in_paris):
    done = run(environment(in_paris, FABGATE_TZ="Asia/Tokyo"), "accounts")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "error: FABGATE_TZ: found 'Asia/Tokyo', but the collector's time zone is 'Europe/Paris'; unset it, or"
        " change the zone: set it for `fabgate collector run` (or its units) and restart that\n"
    )
    assert zone_of(in_paris) == "Europe/Paris"


def served(home: Path, **more: str) -> str:
    """Serve the pages until they are there, and return the log."""
    port, log = free_port(), home.with_name("log")
    env = environment(home, FABGATE_WEB_PORT=str(port), **more)
    with log.open("w") as file:
        web = subprocess.Popen([sys.executable, "-m", "fabgate.collector", "web"], env=env, stderr=file)
    try:
        wait(lambda: web.poll() is not None or answers(port))
    finally:
        web.terminate()
        code = web.wait(HANGS_S)
    assert code == 0, log.read_text()
    return log.read_text()


def test_a_service_changes_the_zone_only_when_it_is_set(in_paris):
    changed = "the daily sums now use the time zone Asia/Tokyo"
    assert "daily sums" not in served(in_paris)
    assert (zone_of(in_paris), zone_of_roster(in_paris)) == ("Europe/Paris", "Europe/Paris")
    assert served(in_paris, FABGATE_TZ="Asia/Tokyo").count(changed) == 1
    assert (zone_of(in_paris), zone_of_roster(in_paris)) == ("Asia/Tokyo", "Asia/Tokyo")
    assert changed not in served(in_paris, FABGATE_TZ="Asia/Tokyo")


def test_no_service_changes_the_zone_while_another_one_runs(in_paris):
    start = "from fabgate.collector.processes import start; start.OTHERS_END_S = {}; start.prepare(owns=True)"
    tokyo = environment(in_paris, FABGATE_TZ="Asia/Tokyo")
    worker = subprocess.Popen([sys.executable, "-m", "fabgate.collector", "worker"], env=environment(in_paris))
    try:
        beats = "SELECT count(*) FROM collector_heartbeat"
        with contextlib.closing(sqlite3.connect(in_paris / "collector.db")) as connection:
            wait(lambda: connection.execute(beats).fetchone() == (1,))
        done = subprocess.run(
            [sys.executable, "-c", start.format(0)], env=tokyo, check=False, capture_output=True, text=True
        )
        assert (
            "UsageError: FABGATE_TZ: found 'Asia/Tokyo', but the collector's time zone is 'Europe/Paris'" in done.stderr
        )
        assert "set the same for all of them" in done.stderr
        assert zone_of(in_paris) == "Europe/Paris"
        waits = subprocess.Popen([sys.executable, "-c", start.format(HANGS_S)], env=tokyo)
        wait(lambda: is_waiting(waits.pid, in_paris / ".starting"))
    finally:
        worker.terminate()
        worker.wait(HANGS_S)
    assert waits.wait(HANGS_S) == 0  # they were restarted together
    assert zone_of(in_paris) == "Asia/Tokyo"
