"""Is there a line for each change that counts, in the order of commit, and none for what changes nothing?"""

from __future__ import annotations

import threading
import time

import pytest
from django.db import connection

from fabgate.collector.ground.models import LedgerLine, Member
from fabgate.collector.recording.intake.store import Store
from fabgate.collector.recording.sessions import corrections
from tests.collector.gates import NOON, Journal
from tests.collector.ground.db.together import together
from tests.support.patience import HANGS_S

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def journal(database) -> Journal:
    Member.objects.create(id="m-2", name="Bob")
    journal = Journal()
    journal.write("gate.started", version="1")
    return journal


def told() -> list[tuple[str, str, int, str]]:
    return list(LedgerLine.objects.order_by("pk").values_list("session", "kind", "counted_ms", "used_by"))


def test_a_session_is_told_when_it_has_ended_and_not_before(journal):
    Store("lyon").store([*journal.messages(), journal.start("s-1"), journal.progress("s-1", 5_000)], NOON)
    assert told() == []
    Store("lyon").store([journal.end("s-1", 6_000)], NOON)
    assert told() == [("s-1", "ended", 6_000, "m-1")]


def test_the_same_entries_again_tell_nothing(journal):
    journal.start("s-1")
    journal.end("s-1", 6_000)
    for _ in range(2):
        Store("lyon").store(journal.messages(), NOON)
    assert len(told()) == 1


def test_what_later_entries_change_is_a_new_line(journal):
    journal.start("s-1")
    late = journal.progress("s-1", 9_000)
    journal.end("s-1", 6_000)
    Store("lyon").store([message for message in journal.messages() if message != late], NOON)
    Store("lyon").store([late], NOON)
    assert told() == [("s-1", "ended", 6_000, "m-1"), ("s-1", "changed", 9_000, "m-1")]


def test_a_correction_is_a_new_line_with_author_and_reason(journal):
    journal.start("s-1")
    journal.end("s-1", 6_000)
    Store("lyon").store(journal.messages(), NOON)
    corrections.correct("s-1", "member", "m-2", author="eve", reason="lent")
    line = LedgerLine.objects.latest("pk")
    assert (line.kind, line.used_by, line.payer, line.author, line.why) == ("corrected", "m-2", "m-2", "eve", "lent")
    assert told()[0] == ("s-1", "ended", 6_000, "m-1")


def test_an_end_that_was_only_concluded_is_withdrawn_when_the_journal_lives_on(journal):
    Store("lyon").store([*journal.messages(), journal.start("s-1"), journal.progress("s-1", 5_000)], NOON)
    other = Journal(name="other")
    replaced = other.write("gate.started", version="1", replaces=journal.name)
    Store("lyon").store([replaced], NOON)
    assert told() == [("s-1", "ended", 5_000, "m-1")]
    Store("lyon").store([journal.end("s-1", 6_000)], NOON)
    assert told()[-1] == ("s-1", "changed", 6_000, "m-1")


@pytest.mark.postgresql
def test_whoever_reads_on_misses_no_line_that_is_committed_later(journal):
    """An ingest has its number already when somebody at the desk asks for theirs: they wait for each other's commit."""
    store, read = Store("lyon"), []
    store.store([*journal.messages(), journal.start("s-1"), journal.end("s-1", 6_000)], NOON)
    numbered, asked = threading.Event(), threading.Event()

    def pause(execute, query, *rest):
        done = execute(query, *rest)
        if "INSERT INTO collector_ledgerline" in query:
            numbered.set()
            assert asked.wait(HANGS_S)
        return done

    def ingest() -> None:
        with connection.execute_wrapper(pause):
            store.store([journal.start("s-2"), journal.end("s-2", 5_000)], NOON)

    def desk() -> None:
        assert numbered.wait(HANGS_S)
        corrections.correct("s-1", "time", "1", author="eve", reason="x")
        read.extend(told())

    def reader() -> None:
        """Look while the desk waits."""
        assert numbered.wait(HANGS_S)
        deadline = time.monotonic() + HANGS_S
        with connection.cursor() as cursor:
            while time.monotonic() < deadline:
                cursor.execute(
                    "SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = database"
                    " AND datname = current_database() WHERE locktype = 'advisory' AND NOT granted"
                )
                if cursor.fetchone()[0]:
                    break
        assert [session for session, *_ in told()] == ["s-1"]
        asked.set()

    assert together(ingest, desk, reader) == []
    assert [session for session, *_ in read] == ["s-1", "s-2", "s-1"]
