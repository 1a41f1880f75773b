"""Is every session dated before its gate's first day marked, and no other one, in any order of arrival?"""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, transaction
from django.http import QueryDict
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fabgate.collector.cli import sessions as listing
from fabgate.collector.faces.api.programs import sessions
from fabgate.collector.faces.pages.use.exports import tables
from fabgate.collector.ground.models import Gate, LedgerLine, Review, UsageSession
from fabgate.collector.recording.intake.store import Store
from tests.collector.gates import NOON, Journal
from tests.collector.postgresql import EXAMPLES

pytestmark = pytest.mark.usefixtures("database")

DAY = timedelta(days=1)
#: When everything arrives: long after it was written, so that the arrival says nothing about the clock.
LATER = NOON + timedelta(days=400)
#: The last moment of the second day before the day of NOON, and the one after it.
TOO_EARLY = datetime(2026, 11, 22, 23, 59, 59, tzinfo=UTC)
EARLY = datetime(2026, 11, 23, tzinfo=UTC)


def store(*messages, now: datetime = LATER) -> None:
    Store("lyon").store(list(messages), now)


def reviews() -> dict[str, str | None]:
    return dict(UsageSession.objects.order_by("id").values_list("id", "review"))


def boot(journal: Journal, name: str, at: datetime | None) -> None:
    """Start the gate once more: its clock says `at` then, or is not synchronised."""
    journal.boot, journal.synced = name, at is not None
    if at is not None:
        journal.off = at - NOON - timedelta(milliseconds=journal.boottime_ms + 1000)
    journal.write("gate.started", version="1")


def session(journal: Journal, name: str) -> None:
    journal.start(name)
    journal.end(name, 1_000)


def begun(at: datetime = NOON, **more) -> Journal:
    """A journal whose first entry is dated `at`."""
    journal = Journal(**more)
    boot(journal, "boot-1", at)
    return journal


@pytest.mark.parametrize(("at", "review"), [(TOO_EARLY, "before-first"), (EARLY, None), (NOON, None)])
def test_a_session_dated_more_than_a_day_before_its_gates_first_day_is_marked(at, review):
    journal = begun()
    boot(journal, "boot-2", NOON + DAY)
    session(journal, "s-1")
    boot(journal, "boot-3", at)
    journal.off -= timedelta(seconds=1)
    session(journal, "s-2")
    store(*journal.messages())
    assert reviews() == {"s-1": None, "s-2": review}


def test_an_end_alone_is_marked_too():
    journal = begun()
    boot(journal, "boot-2", NOON + DAY)
    boot(journal, "boot-3", NOON - 900 * DAY)
    journal.end("s-1", 1_000)
    store(journal.message(1), journal.message(2), journal.message(4))
    assert reviews() == {"s-1": "before-first"}


def test_within_a_boot_that_has_the_right_date_a_session_of_years_ago_is_marked():
    journal = begun()
    journal.off = -900 * DAY
    session(journal, "s-1")
    store(*journal.messages())
    assert reviews() == {"s-1": "before-first"}


def test_one_that_was_stored_before_is_judged_again_when_the_first_boot_is_dated_late():
    journal = Journal()
    boot(journal, "boot-1", None)
    boot(journal, "boot-2", NOON - 100 * DAY)
    session(journal, "s-1")
    boot(journal, "boot-3", NOON + DAY)
    journal.boot = "boot-1"
    store(*journal.messages())
    assert reviews() == {"s-1": None}
    journal.off = timedelta()
    store(journal.write("clock.synced"))  # out of its place, as only a broken gate writes it
    assert reviews() == {"s-1": "before-first"}
    kinds = LedgerLine.objects.filter(session="s-1").order_by("pk").values_list("kind", "review")
    assert list(kinds) == [("ended", ""), ("changed", "before-first")]


def test_one_whose_own_boot_was_dated_late_is_judged_again_too():
    journal = begun()
    boot(journal, "boot-2", None)
    session(journal, "s-1")
    journal.synced, journal.off = True, -900 * DAY
    journal.write("clock.synced")
    boot(journal, "boot-3", NOON + DAY)
    store(*journal.messages(2))
    assert reviews() == {"s-1": None}  # it is the first itself, as far as anybody knows
    store(journal.message(1))
    assert reviews() == {"s-1": "before-first"}


def test_a_mark_is_taken_back_when_what_the_gate_wrote_before_arrives():
    journal = begun(NOON - 300 * DAY)
    boot(journal, "boot-2", NOON)
    boot(journal, "boot-3", NOON - 200 * DAY)
    session(journal, "s-1")
    boot(journal, "boot-4", NOON + DAY)
    store(*journal.messages(2))
    assert reviews() == {"s-1": "before-first"}
    store(journal.message(1))
    assert reviews() == {"s-1": None}
    assert Review.objects.get().decision == "resolved"


def test_a_gate_that_worked_for_months_before_the_collector_knew_it_is_believed():
    journal = begun(NOON - 300 * DAY)
    session(journal, "s-1")
    boot(journal, "boot-2", NOON - 299 * DAY)
    session(journal, "s-2")
    boot(journal, "boot-3", NOON)
    session(journal, "s-3")
    messages = journal.messages()
    store(journal.status(), *messages[-3:], now=NOON + DAY)  # the newest are heard first
    store(*messages[:-3], now=NOON + DAY)
    assert reviews() == {"s-1": None, "s-2": None, "s-3": None}


def test_an_older_card_that_is_put_back_is_believed():
    new = begun(NOON)
    session(new, "s-1")
    store(*new.messages())
    old = begun(NOON - 300 * DAY)
    session(old, "s-2")
    store(*old.messages())
    assert reviews() == {"s-1": None, "s-2": None}


def test_a_restored_image_and_its_copies_are_believed():
    old = begun(NOON - 300 * DAY)
    session(old, "s-1")
    new = old.fork(mark=3)
    new.off = timedelta()
    session(new, "s-2")
    store(*new.messages())
    store(*old.messages())
    assert reviews() == {"s-1": None, "s-2": None}


def test_another_gate_that_is_younger_or_older_says_nothing():
    one, other = begun(NOON), begun(NOON - 300 * DAY, gate="saw-1")
    session(one, "s-1")
    session(other, "t-1")
    store(*one.messages(), *other.messages())
    assert reviews() == {"s-1": None, "t-1": None}


def test_a_first_boot_whose_own_clock_was_ahead_accuses_nobody():
    journal = begun(NOON + 300 * DAY)
    boot(journal, "boot-2", NOON)
    session(journal, "s-1")
    store(*journal.messages())
    assert reviews() == {"s-1": None}  # of two dates nobody knows which one is wrong
    boot(journal, "boot-3", NOON + DAY)
    session(journal, "s-2")
    boot(journal, "boot-4", NOON - 900 * DAY)
    session(journal, "s-3")
    store(*journal.messages())
    assert reviews() == {"s-1": None, "s-2": None, "s-3": "before-first"}


def test_a_first_boot_whose_clock_was_set_right_later_counts_by_the_right_date():
    journal = begun(NOON + 300 * DAY)
    journal.off = timedelta()
    journal.write("clock.synced", step_ms=-300 * 86_400_000)
    session(journal, "s-1")
    store(*journal.messages())
    assert reviews() == {"s-1": None}


def test_a_clock_that_is_known_to_have_been_wrong_is_a_wrong_clock_and_no_impossibility():
    journal = begun()
    journal.off = -900 * DAY
    journal.start("s-1")
    journal.off = timedelta()
    journal.end("s-1", 1_000)
    store(*journal.messages())
    assert reviews() == {"s-1": "clock"}


def test_a_session_without_a_date_stays_undated():
    journal = begun()
    boot(journal, "boot-2", None)
    session(journal, "s-1")
    store(*journal.messages())
    assert reviews() == {"s-1": "undated"}


DATES = st.sampled_from([None, *(NOON + days * DAY for days in (-900, -100, -3, -2, -1, 0, 1, 40, 300))])


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_whatever_order_entries_come_in_the_same_sessions_are_marked(data):
    """Boots and clocks of any date, in one journal or two, sessions that end in another boot, late synchronisation."""
    journals = [Journal(boot=f"j{number}") for number in range(data.draw(st.integers(1, 2)))]
    for number in range(data.draw(st.integers(2, 8))):
        journal = data.draw(st.sampled_from(journals))
        what = data.draw(st.sampled_from(["boot", "boot", "session", "sync", "across"]))
        if what == "boot" or not journal.head:
            boot(journal, f"{journal.name}-{number}", data.draw(DATES))
        if what == "sync":
            journal.synced, journal.off = True, (data.draw(DATES) or NOON) - NOON
            journal.write("clock.synced")
        elif what == "across":
            journal.start(f"s-{number}")
            boot(journal, f"{journal.name}-{number}b", data.draw(DATES))
            journal.end(f"s-{number}", 1_000, reason="power-loss")
        elif what == "session":
            session(journal, f"s-{number}")
    written = [message for journal in journals for message in journal.messages()]
    found = []
    for order in (written, data.draw(st.permutations(written))):
        size = data.draw(st.integers(1, 6))
        with transaction.atomic():
            for first in range(0, len(order), size):
                store(*order[first : first + size])
            rows = UsageSession.objects.order_by("id").values_list("id", "doubt", "review", "uncertain")
            found.append((list(rows), Gate.objects.get().earliest_at))
            transaction.set_rollback(True)
    assert found[0] == found[1]


def test_what_it_marks_is_uncertain_in_files_in_lists_and_for_whoever_bills():
    journal = begun()
    journal.off = -900 * DAY
    session(journal, "s-1")
    store(*journal.messages())
    form = tables._UnlimitedSessions(QueryDict("period=all"))
    assert form.is_valid()
    table = tables._sessions(form)
    (row,) = (dict(zip([column.head for column in table.columns], row, strict=True)) for row in table.rows)
    assert (row["Uncertain"], row["To review"], row["Powered on (ms)"]) == (
        "yes",
        "Dated before the gate existed",
        1_000,
    )
    told = sessions.sessions(None, after="0", limit=10)["sessions"]  # type: ignore[arg-type]  # it looks at no request
    assert [(one["session"], one["review"]) for one in told] == [("s-1", "before-first")]
    out = io.StringIO()
    listing.write_csv(listing.lines(NOON - 1000 * DAY, LATER, NOON.tzinfo), out)
    out.seek(0)
    assert [one["review"] for one in csv.DictReader(out)] == ["before-first"]


def test_a_batch_asks_nothing_more_for_it_once_the_first_boots_of_a_gate_are_known():
    journal = begun()
    for number in (2, 3):
        boot(journal, f"boot-{number}", NOON + number * DAY)
    store(*journal.messages())

    def asked(*messages) -> list[str]:
        """Return the conditions of what is asked of dated boots, and of entries by their date."""
        with CaptureQueriesContext(connection) as queries:
            store(*messages)
        wanted = ('"first_at" IS NOT NULL', '"occurred_at" <')
        return [condition for query in queries for condition in wanted if condition in query["sql"]]

    assert asked(journal.start("s-1"), journal.end("s-1", 1_000)) == []
    boot(journal, "boot-4", NOON + 4 * DAY)
    assert asked(journal.message(journal.head)) == ['"first_at" IS NOT NULL']  # whether it is among the first
    older = begun(NOON - 300 * DAY)
    assert asked(*older.messages()).count('"occurred_at" <') == 1  # what was dated before the first day of until then
    assert Gate.objects.get().earliest_at == EARLY - 300 * DAY
