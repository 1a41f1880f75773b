"""An update that changes the tables, work with the newer version, and the way back to the earlier one."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from fabgate.collector.ground.base import data_folder
from tests.collector.gates import Journal
from tests.collector.processes.rollback.workshop import LAST_MONTH, Workshop
from tests.support.postgresql import programs

pytestmark = pytest.mark.usefixtures("database")
#: The first entry of the session s-3: the gate has deleted what is older.
FLOOR = 6


def sessions(workshop: Workshop) -> list[str]:
    return [name for (name,) in workshop.ask("SELECT id FROM collector_usagesession ORDER BY id")]


@pytest.fixture
def journal(workshop, tmp_path) -> Journal:
    """The journal of the gate; the workshop bills, and has recorded one session."""
    (tmp_path / "members.csv").write_text("id,badges,machines\nm-1,04A1B2C3,laser\n")
    workshop.done(workshop.older, "import-members", str(tmp_path / "members.csv"))
    workshop.done(workshop.older, "bill-start", "--currency", "EUR", "--vat", "included", "--from", LAST_MONTH)
    workshop.done(workshop.older, "bill-prepaid", "m-1", "--from", LAST_MONTH)
    journal = Journal()
    journal.write("gate.started", version="1")
    journal.start("s-1")
    journal.end("s-1", 1000)
    workshop.deliver(workshop.older, journal, 1)
    return journal


def work(workshop: Workshop, journal: Journal) -> None:
    """Let people and the gate work with the newer version."""
    for verb in (
        ("bill-credit", "m-1", "20", "--method", "cash"),
        ("bill-credit", "m-1", "5", "--method", "card"),
        ("bill-line", "m-1", "3", "Wood"),
        ("member-block", "m-1", "--reason", "banned"),
        ("member-unblock", "m-1"),
        ("member-block", "m-1", "--reason", "suspended"),
        ("bill-close", LAST_MONTH, "--reason", "no address yet"),
    ):
        workshop.done(workshop.newer, *verb)
    for name in ("s-2", "s-3"):
        journal.start(name)
        journal.end(name, 1000)
    workshop.deliver(workshop.newer, journal, 4)
    assert workshop.deliver(workshop.newer, journal, FLOOR, floor=FLOOR, mark=journal.head) == 7
    assert sessions(workshop) == ["s-1", "s-2", "s-3"]


def check_numbers(lost: dict[str, Any], text: str) -> None:
    assert lost["sessions"] == {"recorded": 2, "gone": 1}
    often, once = ("prepaid.credited", "block.set"), ("line.added", "block.lifted", "month.closed")
    assert lost["changes"]["verbs"] == dict.fromkeys(often, 2) | dict.fromkeys(once, 1)
    assert [change["verb"] for change in lost["changes"]["each"]][:2] == ["month.closed", "block.set"]
    assert [change["about"] for change in lost["changes"]["each"]].count("m-1") == 6, (
        "for a row, its number says nothing"
    )
    assert lost["closed"] == {"months": [LAST_MONTH], "statements": 1, "mails": 0}
    entered = [(money["number"], money["kind"], money["payer"], money["amount_minor"]) for money in lost["entered"]]
    assert entered == [(1, "credit", "m-1", 2000), (2, "credit", "m-1", 500), (1, "line", "m-1", 300)]
    for part in (
        "- 7 changes that people made on pages and by commands: ",
        "credit added (2)",
        "  make these again first, because they keep somebody out, unless they were undone since:\n    20",
        ": blocked, m-1\n",
        "  the others:\n    20",
        f"- 1 closed month ({LAST_MONTH}) with 1 statement\n",
        "- 3 credits, refunds and lines that people entered\n",
        "    credit 2: ",
        ", m-1, 5.00 EUR, card\n",
        "- 1 of 2: a gate still has them, as it last reported, and sends them again\n",
        "- 1 of 2: no gate has them any more, and they would be LOST\n",
    ):
        assert part in text


def test_it_says_what_is_lost_and_then_all_is_as_before_and_gates_send_what_they_have(workshop, journal):
    older, newer, folder = workshop.older, workshop.newer, str(workshop.copies)
    copy = workshop.update()
    assert copy.name.startswith("fabgate-lyon-before-update-20")
    assert copy.name.endswith(f"-from-0.1.0-to-0.1.0{workshop.ending}")
    work(workshop, journal)
    told, text = workshop.told(newer), workshop.done(newer, "rollback", "--copies", folder)
    assert (told["fits"], told["needed"], told["copy"]["path"]) == (False, True, str(copy))
    assert (told["copy"]["from"], told["copy"]["to"]) == ("0.1.0", "0.1.0")
    check_numbers(told["lost"], text)
    assert text.endswith(f"  4. fabgate collector rollback --copies {folder} --yes\n")
    assert f"  2. fabgate collector rollback --copies {folder} --json > lost.json\n" in text
    assert "which would bring" in workshop.refused(newer, "rollback", "--copies", folder, "--yes")
    assert sessions(workshop) == ["s-1", "s-2", "s-3"]

    # the earlier version is installed again
    assert "see `fabgate collector rollback`" in workshop.refused(older, "migrate", code=7)
    assert workshop.told(older) == told | {"fits": True}
    said = workshop.go_back()
    assert "The collector is as it was on 20" in said
    assert "What was there before is in " in said
    assert workshop.done(older, "migrate").endswith(": up to date\n")
    assert (workshop.is_updated(), sessions(workshop)) == (False, ["s-1"])
    assert workshop.ask("SELECT COUNT(*) FROM collector_prepaidentry") == [(0,)]
    assert "Note: the database was restored on " in workshop.done(older, "verify")

    mark = workshop.deliver(older, journal, FLOOR, floor=FLOOR, mark=journal.head)
    assert (mark, sessions(workshop)) == (7, ["s-1", "s-3"])
    assert workshop.ask("SELECT COUNT(*) FROM collector_change WHERE verb = 'collector.restored'") == [(1,)]
    assert workshop.told(older)["needed"] is False
    assert "there is nothing to go back from" in workshop.done(older, "rollback", "--copies", folder)
    assert "nothing was changed" in workshop.go_back()
    done = json.loads(workshop.done(older, "rollback", "--copies", folder, "--yes", "--json"))
    assert done == {"restored": False, "copy": None, "aside": None}
    assert sessions(workshop) == ["s-1", "s-3"], "what came after going back is not lost by doing it again"


@pytest.mark.parametrize("at", ["2001-01-01 00:00:00", "2099-01-01 00:00:00"])
def test_the_numbers_are_those_of_what_came_after_the_copy_whatever_the_clock_says(workshop, journal, at):
    """The clock is wrong after the copy, or was wrong before it."""
    wrong = [("change", "at"), ("prepaidentry", "at"), ("manualline", "at"), ("closedmonth", "closed_at")]
    is_early = at < "2002"
    if not is_early:
        workshop.done(workshop.older, "bill-credit", "m-1", "7", "--method", "cash")
        workshop.ask("UPDATE collector_prepaidentry SET at = '2099-01-01 00:00:00'")
        workshop.ask("UPDATE collector_entry SET arrived_at = '2099-01-01 00:00:00'")
    workshop.update()
    work(workshop, journal)
    if is_early:
        for table, column in (*wrong, ("entry", "arrived_at")):
            workshop.ask(f"UPDATE collector_{table} SET {column} = '{at}'")
    lost = workshop.told(workshop.newer)["lost"]
    assert sum(lost["changes"]["verbs"].values()) == 7
    assert [money["amount_minor"] for money in lost["entered"]] == [2000, 500, 300]
    assert lost["closed"]["months"] == [LAST_MONTH]
    assert lost["sessions"] == {"recorded": 2, "gone": 1}


def test_a_running_collector_is_looked_at_and_not_replaced(workshop):
    workshop.update()
    running = data_folder.use(workshop.home)  # as each process does until it ends
    try:
        assert workshop.told(workshop.newer)["needed"]
        said = workshop.refused(workshop.older, "rollback", "--copies", str(workshop.copies), "--yes")
        assert "a collector is running on" in said
    finally:
        os.close(running)
    assert workshop.is_updated()
    workshop.go_back()
    assert not workshop.is_updated()


def test_without_a_copy_it_says_what_makes_one(workshop):
    arguments = ("rollback", "--copies", str(workshop.copies))
    assert "there is nothing to go back to" in workshop.refused(workshop.older, *arguments)
    workshop.copies.mkdir()
    (workshop.copies / f"fabgate-lyon-20261101-033000{workshop.ending}").touch()
    for more in ((), ("--yes",)):
        said = workshop.refused(workshop.older, *arguments, *more)
        assert "found no copy from before an update of lyon in" in said
        assert "`migrate --copy`" in said


def test_a_copy_that_is_damaged_changes_nothing(workshop):
    copy = workshop.update()
    body = copy.read_bytes()
    copy.write_bytes(body[: len(body) // 2])
    arguments = ("rollback", "--copies", str(workshop.copies), "--yes")
    assert str(copy) in workshop.refused(workshop.older, *arguments)
    assert workshop.is_updated()
    assert workshop.in_folder() == [copy.name]
    workshop.done(workshop.newer, "gates")


# --- kills ------------------------------------------------------------------------------------------------------------

_RENAMES = """
from pathlib import Path
rename, left = Path.rename, [{at}]
def counted(path, target):
    left[0] -= 1
    if left[0] == 0:
        die()
    return rename(path, target)
Path.rename = counted
"""


def is_newer(database: Path) -> bool:
    with contextlib.closing(sqlite3.connect(database)) as opened:
        return bool(opened.execute("SELECT 1 FROM django_migrations WHERE name = '9001_shelf'").fetchall())


@pytest.mark.kills
@pytest.mark.sqlite
@pytest.mark.parametrize("at", [1, 2, 4, 5, 6, 8, 9])
def test_going_back_that_is_killed_ends_when_it_is_done_again(workshop, at):
    before = (workshop.home / "gates/laser-1/token").read_bytes()
    workshop.update()
    workshop.done(workshop.newer, "gate-add", "laser-1", "--machine", "laser", "--new-token")
    arguments = ("rollback", "--copies", str(workshop.copies), "--yes")
    workshop.killed(workshop.older, _RENAMES.format(at=at), *arguments)
    for env in (workshop.older, workshop.newer):
        assert "was interrupted; run `" in workshop.refused(env, "gates")
        assert "`fabgate collector rollback --yes` again" in workshop.refused(env, *arguments[:-1])
    workshop.go_back()
    assert workshop.done(workshop.older, "migrate").endswith(": up to date\n")
    assert not workshop.is_updated()
    assert (workshop.home / "gates/laser-1/token").read_bytes() == before
    assert workshop.done(workshop.older, "verify")
    aside = [*workshop.home.glob("before-restore-*/collector.db")]
    assert [is_newer(database) for database in aside].count(True) == 1, "what was there before is kept"


@pytest.mark.kills
@pytest.mark.sqlite
@pytest.mark.parametrize("at", [5, 6, 8])
def test_going_back_that_is_killed_and_then_fails_leaves_no_room_for_an_empty_collector(workshop, at):
    """The old files are aside, and the copy can no longer be read: without a mark, a start would begin anew."""
    copy = workshop.update()
    arguments = ("rollback", "--copies", str(workshop.copies), "--yes")
    workshop.killed(workshop.older, _RENAMES.format(at=at), *arguments)
    body = copy.read_bytes()
    for _ in range(2):
        copy.write_bytes(body[:-100])
        assert "is not a complete copy" in workshop.refused(workshop.older, *arguments)
        for env in (workshop.older, workshop.newer):
            assert "was interrupted; run `" in workshop.refused(env, "migrate")
    copy.write_bytes(body)
    workshop.go_back()
    assert "laser-1" in workshop.done(workshop.older, "gates")


_BEFORE = "from fabgate.collector.processes.rollback import dumps; dumps.restore = die"
_BEFORE_COMMIT = """
from fabgate.collector.processes.rollback import dumps
copy = dumps._copy_statements
def copy_and_die(source, target):
    copy(source, target)
    target.flush()
    die()
dumps._copy_statements = copy_and_die
"""
_AFTER = "from fabgate.collector.processes.rollback import back; back._invalidate = die"


@pytest.mark.kills
@pytest.mark.postgresql
@pytest.mark.parametrize(
    ("patch", "is_back"), [(_BEFORE, False), (_BEFORE_COMMIT, False), (_AFTER, True)], ids=["before", "within", "after"]
)
def test_on_postgresql_a_kill_leaves_the_one_or_the_other(workshop, patch, is_back):
    workshop.update()
    workshop.done(workshop.newer, "account-add", "ada", "--role", "manager")
    workshop.killed(workshop.older, patch, "rollback", "--copies", str(workshop.copies), "--yes")
    assert workshop.is_updated() is not is_back
    accounts = "SELECT COUNT(*) FROM collector_account"
    assert workshop.ask(accounts) == [(0 if is_back else 1,)]
    assert ("nothing to go back from" in workshop.go_back()) is is_back
    assert workshop.done(workshop.older, "migrate").endswith(": up to date\n")
    assert (workshop.is_updated(), workshop.ask(accounts)) == (False, [(0,)])
    assert workshop.ask("SELECT COUNT(*) FROM collector_change WHERE verb = 'collector.restored'") == [(1,)]
    assert workshop.done(workshop.older, "verify")


@pytest.mark.postgresql
def test_tables_keys_and_columns_of_the_newer_version_are_gone_afterwards(workshop):
    """They point at each other: pg_restore alone fails at that."""
    workshop.update()
    workshop.ask("CREATE TABLE collector_shelf (id bigint PRIMARY KEY, gate_id bigint REFERENCES collector_gate)")
    workshop.ask("ALTER TABLE collector_gate ADD COLUMN main_id bigint REFERENCES collector_shelf")
    workshop.ask("INSERT INTO collector_shelf SELECT id, id FROM collector_gate")
    workshop.ask("CREATE TABLE lamps (id bigint)")  # of another program
    workshop.go_back()
    tables = {name for (name,) in workshop.ask("SELECT relname FROM pg_class WHERE relkind = 'r'")}
    assert "lamps" in tables
    assert "collector_shelf" not in tables
    assert workshop.done(workshop.older, "migrate").endswith(": up to date\n")
    dumps = [name for name in workshop.in_folder() if name.startswith("fabgate-lyon-before-rollback-20")]
    assert len(dumps) == 1
    workshop.update()
    assert workshop.is_updated(), "the same update can be done again"


@pytest.mark.postgresql
def test_what_another_program_built_on_our_tables_keeps_them_and_is_named(workshop):
    workshop.update()
    workshop.ask("CREATE VIEW report AS SELECT shelf FROM collector_gate")
    arguments = ("rollback", "--copies", str(workshop.copies), "--yes")
    said = workshop.refused(workshop.older, *arguments, code=1)
    assert "could not be restored, and the database is as it was (" in said
    assert "view public.report depends on table public.collector_gate" in said
    assert workshop.is_updated()
    assert len(workshop.in_folder()) == 1
    workshop.ask("DROP VIEW report")
    workshop.go_back()


@pytest.mark.postgresql
def test_the_programs_of_a_newer_postgresql_restore_on_an_older_server(workshop, tmp_path):
    """pg_restore 17 sets what a server before 17 does not know."""
    workshop.update()
    path = tmp_path / "pg_restore"
    real = programs() / "pg_restore"
    path.write_text(f"#!/bin/sh\n{real} \"$@\" | sed 's/^SET lock_timeout = 0;$/&\\nSET transaction_timeout = 0;/'\n")
    path.chmod(0o755)
    workshop.older |= {"PATH": f"{tmp_path}:{workshop.older['PATH']}"}
    workshop.go_back()
    assert not workshop.is_updated()
