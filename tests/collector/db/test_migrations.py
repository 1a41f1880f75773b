"""What becomes of the rows of the first collector, and are all databases the same in the end?"""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from importlib import import_module
from pathlib import Path

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import connection
from django.db.migrations.loader import MigrationLoader

from fabgate.collector.models import Badge, Collector, Gate, Journal, LedgerLine, Member, Review, UsageSession
from fabgate.collector.models.badges import badge as spellings
from fabgate.collector.processes.migration import GROWING
from tests.collector.gates import NOON

pytestmark = pytest.mark.usefixtures("database")

old_rows = import_module("fabgate.collector.migrations.0003_old_rows")
what_waits = import_module("fabgate.collector.migrations.0017_what_waits")
corrected_figures = import_module("fabgate.collector.migrations.0021_corrected_figures")


def carried(spelling: str) -> Badge:
    member = Member.objects.get_or_create(id="m-1")[0]
    return Badge.objects.create(spelling=spelling, digest=spelling, member=member)


def test_eight_bare_digits_are_spelled_so_that_they_are_one_card():
    for spelling in ("12345678", "04A1B2C3", "04A1B2C3D4E5F6", "w26:123,45678", "12:34:56:79"):
        carried(spelling)
    old_rows.respell(apps, None)
    assert list(Badge.objects.order_by("id").values_list("spelling", flat=True)) == [
        *("12:34:56:78", "04A1B2C3", "04A1B2C3D4E5F6"),
        *("w26:123,45678", "12:34:56:79"),
    ]
    assert Badge.digest_again(b"k" * 32) == 5


def test_where_both_spellings_are_there_the_older_one_ends():
    older, newer = carried("12345678"), carried("12:34:56:78")
    old_rows.respell(apps, None)
    older.refresh_from_db()
    newer.refresh_from_db()
    assert (older.spelling, older.end_reason, newer.ended_at) == ("12:34:56:78", "replaced", None)
    assert spellings.parse(older.spelling) == spellings.parse(newer.spelling)


def test_what_the_entries_say_counts_and_what_is_in_doubt_waits_for_review():
    gate = Gate.objects.create(name="laser-1")
    journal = Journal.objects.create(name="j", gate=gate)
    for pk, more in {
        "s-1": {},
        "s-2": {"review": "undated"},
        "s-3": {"uncertainty_ms": 5, "basis": "maintainer"},
    }.items():
        UsageSession.objects.create(
            id=pk, gate=gate, member="m-1", badge="d", opened_in=journal, energised_ms=7, **more
        )
    old_rows.count(apps, None)
    rows = UsageSession.objects.order_by("id").values_list("used_by", "payer", "purpose", "counted_ms", "uncertain")
    assert list(rows) == [
        ("m-1", "m-1", "own", 7, False),
        ("m-1", "m-1", "own", 7, True),
        ("m-1", "m-1", "maintenance", 7, True),
    ]
    assert [(review.session_id, review.why) for review in Review.objects.all()] == [("s-2", "undated")]


def test_what_was_settled_or_contested_before_it_was_told_is_told_now():
    gate = Gate.objects.create(name="laser-1")
    journal = Journal.objects.create(name="j", gate=gate)
    Collector.objects.create(id=1, collector="c", site="lyon", rolled_tz="Europe/Paris")
    settled = {"settled_at": NOON, "settled_by": "eve", "decision": "accepted", "note": "a storm"}
    for pk, review, case in (
        ("s-1", None, None),
        ("s-2", "uncertain", {"why": "uncertain"}),
        ("s-3", "undated", {"why": "undated", **settled}),
        ("s-4", None, {"why": "contested", "note": "my twin"}),
        ("s-5", "uncertain", {"why": "contested", **settled}),
    ):
        usage = UsageSession.objects.create(
            id=pk,
            gate=gate,
            member="m-1",
            used_by="m-1",
            badge="d",
            opened_in=journal,
            reason="badge",
            ended_at=NOON,
            review=review,
            uncertain=review is not None,
        )
        if case is not None:
            Review.objects.create(session=usage, opened_at=NOON, **case)
    with connection.cursor() as cursor:
        for statement in what_waits.Migration.operations[-1].sql:
            cursor.execute(statement)
    assert list(UsageSession.objects.order_by("id").values_list("review", "doubt", "uncertain")) == [
        (None, None, False),
        ("uncertain", "uncertain", True),
        (None, "undated", False),
        ("contested", None, True),
        (None, "uncertain", False),
    ]
    lines = LedgerLine.objects.order_by("pk").values_list("session", "kind", "review", "author", "why")
    assert list(lines) == [
        ("s-3", "reviewed", "", "eve", "a storm"),
        ("s-4", "reviewed", "contested", "", "my twin"),
        ("s-5", "reviewed", "", "eve", "a storm"),
    ]
    assert (Collector.objects.get().rolled_tz, Collector.objects.get().zone) == ("-Europe/Paris", "Europe/Paris")


def test_a_time_that_was_corrected_before_takes_its_other_figures_along_and_billing_is_told():
    gate = Gate.objects.create(name="laser-1")
    journal = Journal.objects.create(name="j", gate=gate)
    Collector.objects.create(id=1, collector="c", site="lyon", rolled_tz="Europe/Paris")
    said = {"gate": gate, "member": "m-1", "used_by": "m-1", "badge": "d", "opened_in": journal, "uncertain": True}
    for pk, more in {
        "s-1": {"corrected": "time", "running_ms": 40, "uncertainty_ms": 5},
        "s-2": {"corrected": "member time", "running_ms": 4},
        "s-3": {"corrected": "member", "running_ms": 40, "uncertainty_ms": 5},
    }.items():
        UsageSession.objects.create(id=pk, counted_ms=10, reason="badge", ended_at=NOON, **said, **more)
    with connection.cursor() as cursor:
        for statement in corrected_figures.Migration.operations[-1].sql:
            cursor.execute(statement)
    assert dict(UsageSession.objects.values_list("id", "uncertain")) == {"s-1": False, "s-2": False, "s-3": True}
    lines = LedgerLine.objects.values_list("session", "kind", "counted_ms", "running_ms", "uncertainty_ms")
    assert list(lines) == [("s-1", "changed", 10, 10, 0)]
    assert Collector.objects.get().rolled_tz == "-Europe/Paris"


#: Makes the database of its environment, step by step as it once was, to the last of the migrations that are replaced.
_STEP_BY_STEP = """
import django
django.setup()
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader
executor = MigrationExecutor(connection)
executor.loader = MigrationLoader(connection, replace_migrations=False)
replaced = executor.loader.get_migration("collector", "0001_squashed_0013").replaces
executor.migrate([replaced[-1]])
"""
#: The same, to the last of those that were written before anybody asked how long they take where much is stored.
_UNASKED = "0019_sums_of_months"
_AS_BEFORE = _STEP_BY_STEP.replace("replaced[-1]", f"('collector', '{_UNASKED}')")
_AT_ONCE = "import django; django.setup(); from django.core.management import call_command; call_command('migrate')"


def run(data: Path, program: str) -> list[str]:
    """Run a program in the collector of a folder; return the lines that it writes."""
    settings = {"DJANGO_SETTINGS_MODULE": "fabgate.collector.settings", "FABGATE_SITE": "lyon"}
    (data / "collector.db").touch()
    environment = {**settings, "FABGATE_DATA": str(data), "PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, check=True, capture_output=True, text=True)
    return done.stdout.splitlines() + done.stderr.splitlines()


def made(data: Path, *programs: str) -> dict[str, object]:
    """Return the tables, with their columns and keys, and the indexes in the order in which they were made."""
    for program in programs:
        run(data, program)
    with closing(sqlite3.connect(data / "collector.db")) as db:
        found: dict[str, object] = {}
        for kind, name, sql in db.execute("SELECT type, name, sql FROM sqlite_master ORDER BY rowid"):
            if kind == "table":
                columns = db.execute('SELECT name, type, "notnull", dflt_value, pk FROM pragma_table_info(?)', [name])
                keys = db.execute('SELECT "table", "from", "to" FROM pragma_foreign_key_list(?)', [name])
                found[name] = sorted(columns), sorted(keys), "UNIQUE" in sql, "AUTOINCREMENT" in sql
        indexes = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = 'collector_usagesession'"
        found["indexes of sessions, as they were made"] = [
            name for name, _ in db.execute(f"{indexes} AND name LIKE 'session_%' ORDER BY rowid") if name in _ALIKE
        ]
        every = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
        found["indexes"] = sorted(db.execute(every))
    return found


#: Of two that fit a question alike SQLite takes the one that was made last.
_ALIKE = ("session_ended", "session_uncertain")


@pytest.mark.skipif(connection.vendor != "sqlite", reason="one look at them is enough")
def test_a_database_is_the_same_whether_it_was_made_at_once_or_step_by_step(tmp_path):
    for name in ("new", "old", "halfway"):
        (tmp_path / name).mkdir()
    new = made(tmp_path / "new", _AT_ONCE)
    assert made(tmp_path / "old", _STEP_BY_STEP, _AT_ONCE) == new
    halfway = _STEP_BY_STEP.replace("replaced[-1]", "replaced[4]")
    assert made(tmp_path / "halfway", halfway, _AT_ONCE) == new


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL changes tables without copying them")
def test_no_migration_copies_a_table_that_grows_with_the_years():
    """To add a column SQLite's Django copies the table and makes its indexes again, in one transaction, saying nothing."""
    loader = MigrationLoader(connection)
    later = [key for key in loader.graph.nodes if key[0] == "collector" and key[1] > _UNASKED]
    assert later
    for key in sorted(later):
        statements = " ".join(loader.collect_sql([(loader.graph.nodes[key], False)]))
        assert [table for table in sorted(GROWING) if f"new__{table}" in statements] == [], key


#: Starts as every verb does; each look at foreign keys is one line.
_START = """
from django.db.backends.signals import connection_created
def wrapped(execute, statement, *more):
    if "foreign_key_check" in statement:
        print(statement)
    return execute(statement, *more)
connection_created.connect(lambda connection, **_: connection.execute_wrappers.append(wrapped), weak=False)
from fabgate.collector.processes import start
start.prepare(owns=True)
"""


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL looks at what a statement changes")
def test_an_update_reads_no_table_that_grows_for_its_keys_and_says_how_far_it_is(tmp_path):
    """SQLite's Django looks at all keys of the database after each migration, saying nothing."""
    run(tmp_path, _AS_BEFORE)
    said = run(tmp_path, _START)
    looks = [line for line in said if line.startswith("PRAGMA")]
    assert 'PRAGMA foreign_key_check("collector_gate")' in looks
    assert [line for line in looks if line.endswith("check") or any(f'"{table}"' in line for table in GROWING)] == []
    steps = [line for line in said if "bringing the database up to date" in line]
    assert "0020_flags (1 of " in steps[0]
    assert f"({len(steps)} of {len(steps)})" in steps[-1]
    assert not [line for line in run(tmp_path, _START) if "database" in line or line.startswith("PRAGMA")]


def test_models_and_migrations_say_the_same():
    call_command("makemigrations", "collector", check_changes=True, dry_run=True, verbosity=0)
