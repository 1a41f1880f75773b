"""What is counted as lost, on a database that is here or that a newer version has changed."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from fabgate import installed
from fabgate.collector.ground.db import audit
from fabgate.collector.ground.models import Entry, Gate, Machine
from fabgate.collector.processes import ends
from fabgate.collector.processes.rollback import database, labels, lost, sessions, versions
from fabgate.collector.processes.rollback.database import Database
from fabgate.collector.processes.rollback.sessions import Sessions
from fabgate.collector.recording.intake.store import Store
from fabgate.errors import FabgateError
from fabgate.gate.config.gate_yaml import JournalOptions
from tests.collector.gates import NOON, Journal

LATER = NOON + timedelta(hours=1)


@pytest.fixture
def counted(env, database):
    """Count what was stored since this fixture was made."""
    from fabgate.collector.processes.rollback import database as reader

    def last() -> ends.Ends:
        with reader.reading(replace(env, data=database.parent)) as present:
            return {"collector_entry": present.rows("SELECT MAX(id) FROM collector_entry")[0][0]}

    def count(since: ends.Ends | None = None) -> lost.Lost:
        with reader.reading(replace(env, data=database.parent)) as present:
            return lost.count(present, NOON, {} if since is None else since)

    count.last = last  # type: ignore[attr-defined]
    return count


@pytest.fixture
def store(env) -> Store:
    return Store("lyon")


def worked(*names: str) -> Journal:
    journal = Journal()
    journal.write("gate.started", version="1")
    for name in names:
        journal.start(name)
        journal.end(name, 1000)
    return journal


@pytest.mark.parametrize("at", [LATER, NOON - timedelta(days=3)], ids=["later", "the clock went back"])
def test_a_session_is_counted_once_from_the_copy_on(store, counted, at):
    journal = worked("s-1", "s-2")
    store.store([journal.status(), *journal.messages()[:2]], NOON)
    last = counted.last()
    assert counted(last).sessions == Sessions(0, 0)
    store.store(journal.messages(3), at)
    assert counted(last).sessions == Sessions(2, 0), "the end of s-1 is lost, too, and sent again"


def test_an_entry_that_was_damaged_is_no_session(store, counted):
    journal = worked("s-1")
    store.store([journal.status(), *journal.messages()], NOON)
    Entry.objects.filter(type="session.started").update(body=b"{")
    assert counted().sessions == Sessions(1, 0), "its end is whole"
    Entry.objects.filter(type="session.ended").update(body=b"{")
    assert counted().sessions == Sessions(0, 0)


def test_what_is_below_the_floor_of_its_journal_is_on_no_gate(store, counted):
    journal = worked("s-1", "s-2", "s-3")
    store.store([journal.status(), *journal.messages()], LATER)
    for floor, gone in ((1, 0), (2, 0), (3, 1), (4, 1), (5, 2), (8, 3)):
        store.store([journal.status(floor=floor, mark=journal.head)], LATER)
        assert counted().sessions == Sessions(3, gone), floor


def test_a_gate_with_another_card_has_what_it_copied_only(store, counted):
    journal = worked("s-1", "s-2")
    store.store([journal.status(), *journal.messages()], LATER)
    new = journal.fork(floor=4, mark=journal.head)
    store.store([new.status(), *new.messages()], LATER)
    assert counted().sessions == Sessions(2, 1)
    empty = Journal()
    empty.write("gate.started", version="1")
    store.store([empty.status(), *empty.messages()], LATER)
    assert counted().sessions == Sessions(2, 2)


def test_changes_of_no_person_are_not_lost(env, counted):
    machine = Machine.objects.create(name="laser-1")
    for actor in (audit.WORKER, audit.START, "maya", "cli:root"):
        audit.record(actor, "machine.updated", machine)
    Gate.objects.create(name="laser-1", machine=machine)
    with_now = counted().changes
    assert with_now is not None
    assert with_now.verbs == {"machine.updated": 2}
    assert [change.actor for change in with_now.each] == ["cli:root", "maya"]


def test_what_this_version_does_not_know_is_not_guessed(env, database):
    from fabgate.collector.processes.rollback import database as reader

    with reader.reading(replace(env, data=database.parent)) as present:
        without = {table: columns - {"id", "month"} for table, columns in present.columns.items()}
        found = lost.count(Database(present.ask, without, present.is_sqlite), NOON, {})
    assert (found.changes, found.sessions, found.closed, found.entered, found.sent) == (None,) * 5
    from fabgate.collector.cli.upkeep import losses

    text = "\n".join(losses.lines(found, age_days=1))
    assert text.count("not known, because this version does not know their tables") == 5
    assert "This copy is 1 day old." in text


def test_the_database_cannot_be_written_by_what_only_reads(env, database):
    from fabgate.collector.processes.rollback import database as reader

    with (
        pytest.raises(FabgateError, match=r"readonly|read-only"),
        reader.reading(replace(env, data=database.parent)) as present,
    ):
        present.rows("DELETE FROM collector_gate")


def test_gates_keep_entries_as_long_as_it_is_said():
    assert (JournalOptions().keep_days, JournalOptions().max_entries) == (sessions.KEEP_DAYS, sessions.MAX_ENTRIES)


def test_each_change_that_keeps_somebody_out_has_words():
    assert {verb for verb in lost.SHUTS_OUT if labels.verb(verb) == verb} == set()
    assert labels.verb("shelf.moved") == "shelf.moved"


def test_the_command_that_installs_an_earlier_version(monkeypatch):
    assert versions.install("0.1.0") == 'its commit, as in docs/install-by-hand.md, "Update, and back"'
    monkeypatch.setattr(installed, "package", lambda: installed.COLLECTOR)
    apt = "apt install --allow-downgrades "
    assert versions.install("0.1.0") == f"{apt}'fabgate-collector=0.1.0+deb*'"
    assert versions.install("0.1.1.dev12+g86cf3d94") == f"{apt}'fabgate-collector=0.1.1~dev12+g86cf3d94+deb*'"
    assert versions.install("") == (
        f"{apt}fabgate-collector=VERSION; `apt list -a fabgate-collector` lists the versions"
    )


def test_a_moment_of_either_database_is_in_utc():
    assert database.when("2026-11-24 12:00:00") == database.when(NOON) == NOON
