"""The copy that is made before an update changes the tables, or that keeps the update from changing them."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.collector.processes.rollback.workshop import Workshop
from tests.support import disk
from tests.support.patience import HANGS_S
from tests.support.postgresql import programs

pytestmark = pytest.mark.usefixtures("database")


def test_a_copy_is_made_before_the_tables_change_and_never_else(workshop):
    workshop.done(workshop.older, "migrate", "--copy", str(workshop.copies))
    assert workshop.in_folder() == [], "there was nothing to change"
    copy = workshop.update()
    assert workshop.in_folder() == [copy.name]
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert stat.S_IMODE(workshop.copies.stat().st_mode) == 0o700
    assert workshop.is_updated()
    workshop.done(workshop.newer, "migrate", "--copy", str(workshop.copies))
    assert workshop.in_folder() == [copy.name]


#: Runs a verb as the program of the Debian package.
AS_PACKAGE = """
import sys
from fabgate import installed
installed.package = lambda: installed.COLLECTOR
from fabgate.collector.cli.arguments import upkeep
upkeep.BEFORE_UPDATE = {copies!r}
from fabgate.collector.cli import verbs
sys.exit(verbs.main(sys.argv[1:]))
"""


def as_package(env: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    copies = str(Path(env["FABGATE_DATA"]).with_name("copies"))
    command = [sys.executable, "-c", AS_PACKAGE.format(copies=copies), *arguments]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=HANGS_S)


@pytest.mark.parametrize("verb", ["worker", "gates", "gate-add"])
def test_the_verbs_of_a_package_change_no_tables_without_a_copy(workshop, verb):
    """After an update that could not make its copy, and a restart of the computer; or after restoring an older copy."""
    more = ("saw-9", "--machine", "saw") if verb == "gate-add" else ()
    done = as_package(workshop.newer, verb, *more)
    assert done.returncode == 2
    assert "run `fabgate collector migrate`, which makes it" in done.stderr
    assert not workshop.is_updated()
    assert as_package(workshop.older, "migrate").returncode == 0
    assert as_package(workshop.newer, "migrate").returncode == 0
    assert workshop.is_updated()
    assert len(workshop.in_folder()) == 1


def test_after_restoring_an_older_copy_a_package_copies_before_it_changes_tables(workshop, tmp_path):
    if workshop.url:
        pytest.skip("`restore` is for SQLite; on PostgreSQL it names pg_restore")
    kept = str(tmp_path / "kept.tar.gz")
    assert as_package(workshop.older, "backup", kept).returncode == 0
    assert as_package(workshop.newer, "migrate").returncode == 0
    restored = as_package(workshop.newer, "restore", kept, "--replace")
    assert "Run `fabgate collector migrate` first" in restored.stdout, restored.stderr
    assert as_package(workshop.newer, "worker").returncode == 2
    assert as_package(workshop.newer, "migrate", "--restored").returncode == 0
    assert workshop.is_updated()
    assert len(workshop.in_folder()) == 2, "one copy before the update, and one of what was restored"


def test_a_package_makes_a_new_collector_without_a_copy(tmp_path):
    workshop = Workshop(tmp_path)
    assert as_package(workshop.newer, "migrate").returncode == 0


def test_a_new_collector_needs_no_copy(tmp_path):
    workshop = Workshop(tmp_path)
    workshop.done(workshop.newer, "migrate", "--copy", str(workshop.copies))
    assert workshop.in_folder() == []


def test_the_version_that_is_not_known_is_not_named(workshop):
    (workshop.home / ".used-by").unlink()
    copy = workshop.update()
    assert re.fullmatch(rf"fabgate-lyon-before-update-[\d-]+-to-0\.1\.0{re.escape(workshop.ending)}", copy.name)
    told = workshop.told(workshop.newer)["copy"]
    assert (told["from"], told["to"]) == (None, "0.1.0")
    assert (workshop.home / ".used-by").read_text() == "0.1.0\n"


def test_the_newest_two_stay_and_no_other_file_is_touched(workshop):
    workshop.copies.mkdir()
    ours = [
        f"fabgate-lyon-before-update-{at}-from-0.0.{n}-to-0.0.{n + 1}{workshop.ending}"
        for n, at in enumerate(("20250101-120000-000", "20250201-120000-000", "20250301-120000-000"))
    ]
    others = {
        "fabgate-lyon-20250101-120000.tar.gz",
        "fabgate-lyon-2-before-update-20250101-120000-000-to-0.0.1.tar.gz",
        "fabgate-lyon-before-rollback-20250101-120000-000.dump",
        "fabgate-lyon-before-update-20259901-120000-000-to-0.0.1.tar.gz",
        "notes.txt",
    }
    for name in (*ours, *others):
        (workshop.copies / name).touch()
    (workshop.copies / ".before-update-killed").mkdir()
    copy = workshop.update()
    assert set(workshop.in_folder()) == {copy.name, ours[-1], *others}


def test_the_newest_copy_is_the_newest_though_the_clock_went_back(workshop):
    """Otherwise it would be deleted as the oldest one, and going back would take a copy of an earlier update."""
    workshop.copies.mkdir()
    ahead = [f"fabgate-lyon-before-update-{at}-120000-000-to-0.0.1{workshop.ending}" for at in ("20990101", "20990201")]
    for name in ahead:
        (workshop.copies / name).touch()
    copy = workshop.update()
    assert workshop.in_folder() == [ahead[1], copy.name]
    assert workshop.told(workshop.older)["copy"]["path"] == str(copy)


@pytest.mark.parametrize("case", ["no folder", "no parent", "full"])
def test_without_a_copy_nothing_is_changed(workshop, tmp_path, case):
    folder = tmp_path / "place"
    if case == "no folder":
        folder.touch()
        assert refused(workshop, folder).endswith(f"install -d -m 700 -o {os.geteuid()} -g {os.getegid()} {folder}")
    elif case == "no parent":
        assert "cannot be used (No such file or directory)" in refused(workshop, folder / "copies")
        assert not folder.exists()
    else:
        with disk.small_disk(folder, 64) as small:
            assert f"the disk of {small} is full" in refused(workshop, small)
            assert [*small.iterdir()] == []
    assert not workshop.is_updated()
    workshop.update()


def refused(workshop: Workshop, folder: Path) -> str:
    said = workshop.refused(workshop.newer, "migrate", "--copy", str(folder))
    assert said.startswith("error: the tables were not changed, because no copy could be made before: ")
    return said


@pytest.mark.sqlite
def test_a_copy_without_the_keys_of_a_gate_is_none(workshop):
    (workshop.home / "gates/laser-1/seal.keys").unlink()
    said = workshop.refused(workshop.newer, "migrate", "--copy", str(workshop.copies), code=1)
    assert "a copy would lack keys of gates" in said
    assert (workshop.is_updated(), workshop.in_folder()) == (False, [])


# --- kills ------------------------------------------------------------------------------------------------------------

_BETWEEN = """
from fabgate.collector.ground.db import migration
class Killed(migration._LoggedMigrate):
    def migration_progress_callback(self, action, migration=None, fake=False):
        if action == "apply_start" and migration.name == "9002_longer_shelf":
            die()
        super().migration_progress_callback(action, migration, fake)
migration._LoggedMigrate = Killed
"""
_WRITING = """
from fabgate.collector.processes import backup
from fabgate.collector.processes.rollback import dumps
backup._publish = dumps._run = die
"""
_NOTED = "from fabgate.collector.ground.base import data_folder; data_folder.note_{what} = die"
_MIGRATING = "from fabgate.collector.ground.db import migration; migration.migrate = die"


@pytest.mark.kills
@pytest.mark.parametrize(
    ("patch", "times", "copies"),
    [
        (_WRITING, 3, 1),
        (_NOTED.format(what="updating"), 1, 2),
        (_MIGRATING, 3, 1),
        (_BETWEEN, 3, 1),
        (_NOTED.format(what="used"), 2, 1),
    ],
    ids=["writing", "not noted", "before the first step", "between two steps", "at the end"],
)
def test_an_update_that_is_killed_however_often_keeps_the_copy_from_before_it(workshop, patch, times, copies):
    for _ in range(times):
        workshop.killed(workshop.newer, patch, "migrate", "--copy", str(workshop.copies))
    said = workshop.done(workshop.newer, "migrate", "--copy", str(workshop.copies))
    assert said.endswith(": up to date\n")
    assert len(workshop.in_folder()) == copies
    assert not [name for name in workshop.in_folder() if name.startswith(".")]
    assert not (workshop.home / ".updating").exists()
    assert workshop.told(workshop.older)["fits"], "a copy of a database half way would not fit"
    workshop.go_back()
    assert workshop.done(workshop.older, "migrate").endswith(": up to date\n")


# --- PostgreSQL's programs --------------------------------------------------------------------------------------------


def stub(folder: Path, name: str, lines: str) -> str:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{lines}\n")
    (folder / name).chmod(0o755)
    return str(folder)


@pytest.mark.postgresql
def test_a_missing_or_older_pg_dump_is_named_with_what_to_install(workshop, tmp_path):
    none = workshop.newer | {"PATH": str(tmp_path)}
    said = workshop.refused(none, "migrate", "--copy", str(workshop.copies))
    assert re.search(r"found no pg_dump, wanted that of PostgreSQL \d+ or newer; apt install postgresql-client$", said)
    path = stub(tmp_path / "old", "pg_dump", 'echo "pg_dump (PostgreSQL) 9.6.24"')
    older = workshop.newer | {"PATH": f"{path}:{workshop.newer['PATH']}"}
    said = workshop.refused(older, "migrate", "--copy", str(workshop.copies))
    assert "found pg_dump (PostgreSQL) 9.6.24, which is older than the server" in said
    assert "apt install postgresql-client" in said
    assert (workshop.is_updated(), workshop.in_folder()) == (False, [])


@pytest.mark.postgresql
def test_a_failing_pg_dump_leaves_no_file_and_no_change(workshop, tmp_path):
    path = stub(tmp_path / "bad", "pg_dump", '[ "$1" = --version ] && echo "pg_dump 99" && exit\necho half\nexit 1')
    bad = workshop.newer | {"PATH": f"{path}:{workshop.newer['PATH']}"}
    assert "pg_dump failed (1)" in workshop.refused(bad, "migrate", "--copy", str(workshop.copies), code=1)
    assert (workshop.is_updated(), workshop.in_folder()) == (False, [])


@pytest.mark.postgresql
def test_no_password_is_among_the_arguments(workshop, tmp_path):
    told = tmp_path / "told"
    path = ""
    for name in ("pg_dump", "pg_restore", "psql"):
        lines = f'echo "$0 $*" >> {told}\necho "password: $PGPASSWORD" >> {told}\nexec {programs()}/{name} "$@"'
        path = stub(tmp_path / "spies", name, lines)
    spied = {
        "PATH": f"{path}:{workshop.newer['PATH']}",
        "FABGATE_DATABASE_URL": workshop.url.replace("fabgate@", "fabgate:verysecret@"),
    }
    workshop.newer |= spied
    workshop.older |= spied
    workshop.update()
    workshop.go_back()
    lines = told.read_text().splitlines()
    assert {line for line in lines if "verysecret" in line} == {"password: verysecret"}
    called = {Path(line.split()[0]).name for line in lines if not line.startswith("password: ")}
    assert called == {"pg_dump", "pg_restore", "psql"}
