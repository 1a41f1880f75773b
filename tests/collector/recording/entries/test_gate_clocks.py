"""Is a gate's wrong clock noticed by what arrives, and never a right one's?"""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fabgate.collector.ground.models import Entry, Gate, Pulse, Quarantine, Refusal, Review, UsageDay, UsageSession
from fabgate.collector.recording.intake.store import Store
from tests.collector.gates import NOON, Journal
from tests.collector.postgresql import EXAMPLES

HOUR, MINUTE, SECOND = timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1)


def at(journal: Journal) -> datetime:
    """Return what time it really is when the gate has just written."""
    return NOON + timedelta(milliseconds=journal.boottime_ms)


def heard(store: Store, journal: Journal) -> None:
    """Let the gate say where its journal ends, and the collector hear it at once."""
    store.store([journal.status(at=at(journal))], at(journal))


def deliver(store: Store, journal: Journal, first: int, *, late: timedelta = timedelta()) -> None:
    store.store(journal.messages(first), at(journal) + late)


def use(store: Store, journal: Journal, session: str = "s-1") -> None:
    """Write a session of a second, each entry of which arrives at once."""
    journal.start(session)
    deliver(store, journal, journal.head)
    journal.end(session, 1000)
    deliver(store, journal, journal.head)


def begun(store: Store, journal: Journal) -> None:
    journal.write("gate.started", version="1")
    deliver(store, journal, 1)
    heard(store, journal)


def row(session: str = "s-1") -> UsageSession:
    return UsageSession.objects.get(id=session)


def off() -> int | None:
    return Gate.objects.get().clock_off_ms


def refuse(store: Store, journal: Journal) -> Refusal:
    """Let the gate refuse a badge, and the collector hear of it at once."""
    journal.write("access.refused", badge="b" * 64, member=None, reasons=["unknown-badge"])
    deliver(store, journal, journal.head)
    return Refusal.objects.get()


@pytest.mark.parametrize("jump", [timedelta(days=40), timedelta(days=-40)])
def test_a_refusal_by_a_wrong_clock_keeps_its_date_and_is_found_by_when_it_was_received(store, journal, jump):
    begun(store, journal)
    journal.off = jump
    found, now = refuse(store, journal), at(journal)
    assert found.clock_off_ms == pytest.approx(jump / SECOND * 1000, abs=5000)
    assert (found.at, found.seen_at, found.about) == (pytest.approx(now + jump, abs=SECOND), now, now)
    assert list(Refusal.between(now - HOUR)) == list(Refusal.between(now - HOUR, now)) == [found]
    assert not Refusal.between(now + SECOND).exists()
    assert not Refusal.between(now + jump - HOUR, now + jump + HOUR).exists()


def test_a_refusal_by_a_right_clock_is_found_by_its_date_however_late_it_came(store, journal):
    begun(store, journal)
    journal.write("access.refused", badge="b" * 64, member=None, reasons=["unknown-badge"])
    written = at(journal)
    deliver(store, journal, journal.head, late=HOUR)
    found = Refusal.objects.get()
    assert (found.clock_off_ms, found.about, found.seen_at) == (None, found.at, written + HOUR)
    assert list(Refusal.between(written - MINUTE, written + MINUTE)) == [found]


def test_refusals_by_wrong_and_right_clocks_stand_in_one_order_found_by_one_index(store, journal):
    begun(store, journal)
    first = refuse(store, journal)
    Refusal.objects.filter(pk=first.pk).update(clock_off_ms=-1, at=first.at - timedelta(days=40))
    with CaptureQueriesContext(connection) as asked:
        journal.write("access.refused", badge="c" * 64, member=None, reasons=["unknown-badge"])
        deliver(store, journal, journal.head)
        assert [row.badge[0] for row in Refusal.between(NOON)] == ["c", "b"]
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN QUERY PLAN {asked[-1]['sql']}")
            plan = [row[-1] for row in cursor.fetchall()]
        assert len(plan) == 1, plan
        assert "SEARCH collector_refusal USING INDEX refusal_about" in plan[0]


def test_a_right_clock_raises_nothing(store, journal):
    begun(store, journal)
    use(store, journal)
    assert (off(), row().clock_off_ms, row().review, Review.objects.count()) == (None, None, None, 0)


@pytest.mark.parametrize("jump", [HOUR, -HOUR, timedelta(days=365), timedelta(days=-365)])
def test_a_clock_that_jumped_is_noticed_and_its_sessions_wait_for_somebody(store, journal, jump):
    begun(store, journal)
    journal.off = jump
    use(store, journal)
    assert off() == pytest.approx(jump / SECOND * 1000, abs=5000)
    assert row().clock_off_ms == pytest.approx(jump / SECOND * 1000, abs=5000)
    assert (row().review, row().uncertain, row().counted_ms) == ("clock", True, 1000)
    assert [(review.session_id, review.why) for review in Review.waiting()] == [("s-1", "clock")]
    assert UsageDay.objects.get().uncertain == 1
    assert Entry.objects.count() == 3
    assert not Quarantine.objects.exists()


@pytest.mark.parametrize(
    ("wrong", "is_noticed"),
    [(61 * SECOND, True), (60 * SECOND, False), (-5 * MINUTE - 2 * SECOND, True), (-5 * MINUTE, False)],
)
def test_how_wrong_is_too_wrong(store, journal, wrong, is_noticed):
    begun(store, journal)
    journal.off = wrong
    journal.start("s-1")
    deliver(store, journal, 2)
    assert (off() is not None) == is_noticed


def test_a_backlog_delivered_days_late_raises_nothing(store, journal):
    begun(store, journal)
    journal.start("s-1")
    journal.end("s-1", 1000)
    journal.write("clock.synced")
    store.store(journal.messages(2), NOON + timedelta(days=9))
    assert (off(), row().review) == (None, None)


def test_what_a_status_that_came_in_the_same_batch_knows_already_was_written_before_it(store, journal):
    begun(store, journal)
    days = timedelta(days=9)
    journal.start("s-1")
    store.store([journal.status(at=at(journal) + days), *journal.messages(2)], at(journal) + days)
    assert (off(), row().clock_off_ms) == (None, None)


def test_a_status_that_may_have_waited_in_the_broker_says_nothing_of_when(store, journal):
    begun(store, journal)
    store.store([journal.status()], NOON + HOUR)
    use(store, journal)
    journal.off = -HOUR
    use(store, journal, "s-2")
    assert (off(), row().review, row("s-2").review) == (None, None, None)


def test_the_last_will_takes_back_what_was_said_of_the_journals_end(store, journal):
    begun(store, journal)
    assert Gate.objects.get().head_at == at(journal)
    store.store([journal.status(online=False, journal=None, at=NOON + HOUR)], NOON + HOUR)
    assert Gate.objects.get().head_at is None


def test_what_is_copied_after_a_restore_was_written_long_ago(store, journal):
    begun(store, journal)
    journal.start("s-1")
    forked = journal.fork(mark=1)
    days = timedelta(days=9)
    store.store([Journal(name=forked.name).status(at=NOON + days)], NOON + days)
    store.store(forked.messages(), NOON + days)
    assert row().clock_off_ms is None


def test_a_gate_that_set_its_clock_right_is_well_again_and_pages_hear_of_both(store, journal):
    begun(store, journal)
    before = Pulse.newest()
    journal.off = HOUR
    journal.write("clock.synced", step_ms=3_600_000)
    deliver(store, journal, 2)
    assert off() is not None
    assert Pulse.objects.get(id__gt=before).topic == Pulse.FLOOR
    store.store([journal.status()], at(journal))  # nobody knows when it was said
    before = Pulse.newest()
    journal.off = timedelta()
    journal.write("clock.synced", step_ms=-3_600_000)
    store.store(journal.messages(3), at(journal) + 9 * HOUR)
    assert off() is None
    assert Pulse.objects.get(id__gt=before).topic == Pulse.FLOOR


def test_a_gate_stays_wrong_until_an_entry_shows_that_it_is_right(store, journal):
    begun(store, journal)
    journal.off = HOUR
    use(store, journal)
    heard(store, journal)
    assert off() is not None
    journal.off = timedelta()
    use(store, journal, "s-2")
    assert (off(), row("s-2").review) == (None, None)
    assert row().review == "clock"


def test_the_same_entry_again_later_changes_nothing(store, journal):
    begun(store, journal)
    journal.off = HOUR
    use(store, journal)
    before = row().clock_off_ms
    deliver(store, journal, 1, late=9 * HOUR)
    assert (row().clock_off_ms, Review.objects.count()) == (before, 1)


def test_a_clock_that_was_set_in_a_session_is_told_by_the_boot_clock_however_late_it_arrives(store, journal):
    journal.start("s-1")
    journal.off = -HOUR
    journal.end("s-1", 1000)
    store.store(journal.messages(), NOON + timedelta(days=9))
    assert (row().review, row().clock_off_ms, row().counted_ms) == ("clock", None, 1000)


def test_what_was_accepted_stays_accepted(store, journal):
    begun(store, journal)
    journal.off = HOUR
    use(store, journal)
    Review.objects.update(settled_at=NOON, decision=Review.ACCEPTED)
    journal.progress("s-1", 500)
    deliver(store, journal, journal.head)
    assert not Review.waiting()


def test_it_costs_no_question_more_however_many_entries_are_wrong(store, journal):
    begun(store, journal)
    journal.off = HOUR
    counts = []
    for entries in (1, 2, 40):
        first = journal.head + 1
        for _ in range(entries):
            journal.write("gate.stopping", reason="x")
        with CaptureQueriesContext(connection) as asked:
            deliver(store, journal, first)
        counts.append(len(asked))
    assert counts[1] == counts[2] > 0, counts


@pytest.mark.usefixtures("database")
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    moves=st.lists(st.sampled_from(["use", "status", "stale", "gone", "back", "sleep", "twice"]), max_size=30),
    skew_s=st.integers(-50, 50),
)
def test_no_right_clock_is_ever_called_wrong(moves, skew_s):
    """Whatever is delivered late, twice or after a status; `skew_s`: two right clocks are not the same."""
    with transaction.atomic():
        store, journal, sent, there = Store("lyon"), Journal(off=skew_s * SECOND), 0, True
        for number, move in enumerate(moves):
            if move == "use":
                journal.start(f"s-{number}")
                journal.end(f"s-{number}", 1000)
            elif move == "sleep":
                journal.boottime_ms += 3_600_000
            elif move in {"gone", "back"}:
                there = move == "back"
            elif there and move == "stale":
                store.store([journal.status()], at(journal))
            elif there:
                # In order, as the gate publishes them: a backlog after the status of a connect.
                if move == "status":
                    store.store([journal.status(at=at(journal))], at(journal))
                store.store(journal.messages(1 if move == "twice" else sent + 1) or [journal.status()], at(journal))
                sent = journal.head
        assert not UsageSession.objects.exclude(review=None).exists()
        assert not Gate.objects.exclude(clock_off_ms=None).exists()
        transaction.set_rollback(True)
