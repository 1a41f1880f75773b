"""How is a database brought up to date, and which ones are refused? tests/collector/later is the version after this one."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Collection, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import connection, transaction
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from fabgate.collector.ground import migrations
from fabgate.collector.ground.db import migration
from fabgate.collector.ground.db.migration import GROWING
from fabgate.collector.ground.migrations import KNOWN
from fabgate.collector.processes import start
from fabgate.errors import UsageError
from tests.collector.later import LATER, MIGRATIONS
from tests.support.recording import Recording

BEFORE_0_1_0 = "found a database from before fabgate 0.1.0; wanted one of 0.1.0 or later"


@pytest.mark.usefixtures("database")
def test_models_and_migrations_say_the_same():
    call_command("makemigrations", "collector", check_changes=True, dry_run=True, verbosity=0)


def parts(sql: str) -> Iterator[str]:
    """Yield what stands in the outer brackets of a statement: columns and constraints."""
    depth = start = 0
    for at, sign in enumerate(sql):
        depth += (sign == "(") - (sign == ")")
        if (sign == "(" and depth == 1) or (sign == "," and depth == 1) or (sign == ")" and depth == 0):
            yield sql[start:at].strip()
            start = at + 1
    yield sql[start:].strip()


def laid_out() -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Return what the connected database is made of, in no order of columns, and its rows without their ids and times."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")
        made = {name: sorted(parts(sql)) for name, sql in cursor.fetchall()}
        rows = {}
        for table in connection.introspection.table_names(cursor):
            columns = [column.name for column in connection.introspection.get_table_description(cursor, table)]
            kept = ", ".join(
                f'"{name}"' for name in sorted(columns) if name not in {"id", "applied"} and "_id" not in name
            )
            cursor.execute(f'SELECT {kept or 1} FROM "{table}"')
            rows[table] = sorted(map(str, cursor.fetchall()))
    return made, rows


@pytest.mark.usefixtures("database")
@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL's tables are always made by the migrations")
def test_a_new_database_is_the_one_that_all_migrations_make(tmp_path, monkeypatch):
    by_migrations = laid_out()
    connection.close()
    (tmp_path / "new.db").touch()
    monkeypatch.setitem(connection.settings_dict, "NAME", str(tmp_path / "new.db"))
    assert not migration.is_complete()
    migration.migrate([])
    made, rows = laid_out()
    assert made == by_migrations[0]
    assert rows == by_migrations[1]
    assert migration.is_complete()
    MigrationRecorder(connection).record_unapplied("collector", KNOWN[-1])
    assert not migration.is_complete()
    assert laid_out() != by_migrations


@pytest.mark.usefixtures("database")
@pytest.mark.skipif(connection.vendor != "sqlite", reason="the recorded databases are of SQLite")
def test_the_database_of_each_released_version_becomes_that_of_this_one(recording: Recording, tmp_path, monkeypatch):
    """Fails where a migration that was released is changed: databases in workshops do not carry it out again."""
    new, _ = laid_out()
    connection.close()
    recording.unpack_site(tmp_path)
    monkeypatch.setitem(connection.settings_dict, "NAME", str(tmp_path / "collector" / "collector.db"))
    migration.migrate([])
    assert laid_out()[0] == new


def copied(tables: Collection[str]) -> dict[str, list[str]]:
    """Return which of the tables each migration after the first one copies."""
    loader = MigrationLoader(connection)
    found = {}
    for app, name in sorted(loader.graph.nodes):
        if app == "collector" and name != KNOWN[0]:
            statements = " ".join(loader.collect_sql([(loader.graph.nodes[app, name], False)]))
            found[name] = [table for table in sorted(tables) if f"new__{table}" in statements]
    return {name: copies for name, copies in found.items() if copies}


@pytest.mark.usefixtures("database")
@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL changes tables without copying them")
def test_no_migration_copies_a_table_that_grows_with_the_years(monkeypatch):
    """To change a column SQLite's Django copies the table and makes its indexes again, in one transaction, silently."""
    assert copied(GROWING) == {}
    monkeypatch.setattr(settings, "MIGRATION_MODULES", {"collector": MIGRATIONS})
    assert copied({"collector_gate"}) == {"9002_longer_shelf": ["collector_gate"]}  # or this test could not fail


#: Starts as every verb does; each check of foreign keys is one line.
_START = """
from django.db.backends.signals import connection_created
def wrapped(execute, statement, *more):
    if "foreign_key_check" in statement:
        print(statement)
    return execute(statement, *more)
connection_created.connect(lambda connection, **_: connection.execute_wrappers.append(wrapped), weak=False)
from fabgate.collector.ground.db import migration
from fabgate.collector.processes import start
start.prepare(owns=True)
"""


def run(data: Path, **more: str) -> list[str]:
    """Start the collector of a folder; return the lines that it writes."""
    others = {name: value for name, value in os.environ.items() if not name.startswith("FABGATE_")}
    ours = {"FABGATE_SITE": "lyon", "FABGATE_DATA": str(data), "PYTHONPATH": ":".join(sys.path)}
    environment = {**others, **ours, **more}
    done = subprocess.run([sys.executable, "-c", _START], env=environment, check=True, capture_output=True, text=True)
    return done.stdout.splitlines() + done.stderr.splitlines()


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL checks what a statement changes")
def test_an_update_checks_no_keys_of_tables_that_grow_and_logs_its_progress(tmp_path):
    """SQLite's Django checks all keys of the database after each migration, silently."""
    run(tmp_path)
    lines = run(tmp_path, **LATER)
    checks = [line for line in lines if line.startswith("PRAGMA")]
    assert 'PRAGMA foreign_key_check("collector_gate")' in checks
    assert [line for line in checks if line.endswith("check") or any(f'"{table}"' in line for table in GROWING)] == []
    steps = [line.partition("bringing the database up to date: ")[2] for line in lines]
    assert list(filter(None, steps)) == ["9001_shelf (1 of 2)", "9002_longer_shelf (2 of 2)"]
    assert not [line for line in run(tmp_path, **LATER) if "database" in line or line.startswith("PRAGMA")]


@pytest.fixture
def mixed(tmp_path, monkeypatch) -> Path:
    """The migrations of this version, in a folder in which files of another one may be left."""
    folder = tmp_path / "mixed_migrations"
    folder.mkdir()
    for name in ("__init__", *KNOWN):
        shutil.copy(Path(migrations.__path__[0]) / f"{name}.py", folder)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(settings, "MIGRATION_MODULES", {"collector": "mixed_migrations"})
    yield folder
    sys.modules.pop("mixed_migrations", None)


def test_the_known_migrations_are_the_files_of_the_repository_in_their_order():
    assert list(KNOWN) == sorted(path.stem for path in Path(migrations.__path__[0]).glob("[0-9]*.py"))


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize("case", ["left", "lost"])
def test_an_installation_with_files_of_two_versions_is_refused(mixed, case):
    assert migration.is_complete()
    if case == "left":
        (mixed / "0099_from_another_commit.py").write_text("")
        found = "0099_from_another_commit is too many"
    else:
        (mixed / f"{KNOWN[-1]}.py").unlink()
        found = f"{KNOWN[-1]} is missing"
    for start_of in (migration.is_complete, migration.steps, migration.lay_out):
        with pytest.raises(UsageError, match=rf"found the files of two versions in .*\({found}\).*install it again"):
            start_of()


@pytest.mark.usefixtures("database")
def test_a_database_with_an_unknown_migration_is_refused():
    with transaction.atomic():
        MigrationRecorder(connection).record_applied("collector", "0099_from_another_commit")
        with pytest.raises(UsageError, match=r"found a database of a newer version.*0099_from_another_commit"):
            start._check_version(owns=True, handle=-1)
        transaction.set_rollback(True)


@pytest.mark.usefixtures("database")
def test_a_database_from_before_the_first_release_is_refused():
    with transaction.atomic():
        recorder = MigrationRecorder(connection)
        recorder.record_unapplied("collector", "0001_release")
        recorder.record_applied("collector", "0001_initial")
        with pytest.raises(UsageError, match=BEFORE_0_1_0):
            start._check_version(owns=True, handle=-1)
        transaction.set_rollback(True)


@pytest.mark.skipif(connection.vendor != "sqlite", reason="the test above is run on both")
def test_a_database_of_an_earlier_commit_is_refused_and_stays_as_it_was(tmp_path):
    with closing(sqlite3.connect(tmp_path / "collector.db")) as db, db:
        db.execute("CREATE TABLE django_migrations (id integer PRIMARY KEY, app text, name text, applied datetime)")
        db.execute("INSERT INTO django_migrations VALUES (1, 'collector', '0001_initial', '2026-11-25 03:30:00')")
        db.execute("CREATE TABLE collector_gate (id integer PRIMARY KEY)")
    with pytest.raises(subprocess.CalledProcessError) as failed:
        run(tmp_path)
    assert BEFORE_0_1_0 in failed.value.stderr
    with closing(sqlite3.connect(tmp_path / "collector.db")) as db:
        tables = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
    assert tables == ["collector_gate", "django_migrations"]
