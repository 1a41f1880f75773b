"""When was a boot? The same, in any order of arrival."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fabgate.collector.ground.models import Boot, Quarantine, UsageSession
from fabgate.collector.recording.intake.store import Store
from tests.collector.gates import BOOTED_MS, NOON, Journal
from tests.collector.postgresql import EXAMPLES

pytestmark = pytest.mark.usefixtures("database")
HOUR = timedelta(hours=1)
#: After everything that the gates of these tests write.
ARRIVAL = NOON + timedelta(days=9)


def boot(journal: Journal, name: str, hours: int | None) -> None:
    """Begin a boot `hours` after noon; None: the clock is not known."""
    journal.boot, journal.boottime_ms, journal.synced = name, 0, hours is not None
    time = None if hours is None else NOON + hours * HOUR
    journal.write("gate.started", version="1", time=time)


def use(journal: Journal, session: str) -> None:
    journal.start(session)
    journal.end(session, 60_000)


@pytest.fixture
def three() -> Journal:
    """A boot that is dated, one that never synchronises, and one that is dated again."""
    journal = Journal()
    boot(journal, "one", 0)
    journal.write("gate.stopping", reason="x", time=NOON + HOUR)
    boot(journal, "two", None)
    use(journal, "s-1")
    boot(journal, "three", 5)
    return journal


def row(session: str = "s-1") -> UsageSession:
    return UsageSession.objects.get(id=session)


def test_a_boot_that_never_synchronises_lies_between_the_last_dated_entry_before_it_and_the_first_after_it(three):
    Store("lyon").store(three.messages(), ARRIVAL)
    assert (row().not_before, row().not_after) == (NOON + HOUR, NOON + 5 * HOUR)
    assert (row().started_at, row().ended_at, row().review) == (None, NOON + 5 * HOUR, "undated")
    assert row().energised_ms == 60_000


def test_arrival_at_the_latest(three):
    Store("lyon").store(three.messages()[:5], NOON + 2 * HOUR)
    assert (row().not_before, row().not_after) == (NOON + HOUR, NOON + 2 * HOUR)
    Store("lyon").store(three.messages()[5:], ARRIVAL)
    assert row().not_after == NOON + 2 * HOUR


def test_a_late_clock_synced_dates_it_exactly_and_ends_the_review():
    journal = Journal()
    boot(journal, "two", None)
    use(journal, "s-1")
    synced = journal.write("clock.synced", time=NOON + 3 * HOUR)
    later = journal.messages()[:3]
    Store("lyon").store(later, ARRIVAL)
    assert row().review == "undated"
    Store("lyon").store([synced], ARRIVAL)
    assert (row().started_at, row().ended_at) == (
        NOON + 3 * HOUR - timedelta(seconds=2),
        NOON + 3 * HOUR - timedelta(seconds=1),
    )
    assert (row().not_before, row().not_after, row().review) == (None, None, None)


def test_an_unsynced_boot_is_dated_by_its_latest_clock_synced_in_whatever_order_they_come():
    journal = Journal()
    boot(journal, "one", None)
    use(journal, "s-1")
    journal.write("clock.synced", time=NOON)  # at 4 s of the boot's clock
    journal.write("clock.synced", time=NOON + 2 * HOUR, step_ms=7_199_000)  # at 5 s
    for order in (journal.messages(), journal.messages()[::-1]):
        with transaction.atomic():
            for message in order:
                Store("lyon").store([message], ARRIVAL)
            assert row().ended_at == NOON + 2 * HOUR - timedelta(seconds=2)
            transaction.set_rollback(True)


def test_where_the_clock_synced_is_lost_the_first_entry_that_carries_a_time_dates_the_boot():
    journal = Journal()
    boot(journal, "one", None)
    use(journal, "s-1")
    journal.write("clock.synced", time=NOON)
    journal.write("gate.stopping", reason="x", time=NOON + timedelta(seconds=1))
    Store("lyon").store([*journal.messages()[:3], journal.message(5)], ARRIVAL)
    assert row().ended_at == NOON - timedelta(seconds=1)


def test_neighbours_in_the_journal_before_and_the_journal_after_count_too():
    old, new = Journal(), Journal(boot="three")
    boot(old, "one", 0)
    middle = Journal(boot="two", synced=False)
    middle.write("gate.started", version="1", replaces=old.name)
    use(middle, "s-1")
    new.write("gate.started", version="1", replaces=middle.name, time=NOON + 5 * HOUR)
    for journal in (new, middle, old):
        Store("lyon").store(journal.messages(), ARRIVAL)
    assert (row().not_before, row().not_after) == (NOON, NOON + 5 * HOUR)


def test_a_session_cut_off_in_a_dated_boot_and_concluded_in_one_that_is_not_began_when_it_says():
    journal = Journal()
    boot(journal, "one", 0)
    start = journal.start("s-1")
    boot(journal, "two", None)
    journal.end("s-1", 30_000, reason="power-loss", uncertainty_ms=90_000)
    boot(journal, "three", 7)
    Store("lyon").store(journal.messages(), ARRIVAL)
    assert start.seq == "2"
    assert (row().started_at, row().ended_at) == (row().not_before, NOON + 7 * HOUR)
    assert row().review == "uncertain"


def test_each_period_counts_a_session_that_is_about_once(three):
    from fabgate.collector.cli import usage

    Store("lyon").store(three.messages(), ARRIVAL)
    hours = [usage.collect(NOON + n * HOUR, NOON + (n + 1) * HOUR) for n in range(8)]
    assert [report.total.sessions for report in hours] == [0, 0, 0, 0, 0, 1, 0, 0]
    (found,) = [report for report in hours if report.lines]
    assert (found.lines[0].about, found.total.about, [line.session for line in found.about]) == (1, 1, ["s-1"])


@st.composite
def lives(draw) -> list[tuple[str, int, int]]:
    """Boots of a gate: how each clock is (dated, late, never), its sessions, and the hours until the next."""
    boots = st.tuples(st.sampled_from(["dated", "late", "never"]), st.integers(0, 2), st.integers(1, 5))
    return draw(st.lists(boots, min_size=1, max_size=6))


def live(boots: list[tuple[str, int, int]]) -> tuple[list[Journal], dict[str, tuple[datetime | None, datetime | None]]]:
    """Write the journals; return them with what each session's end must lie between."""
    journals, hours, wanted = [Journal()], 0, {}
    dated: list[tuple[int, datetime]] = []  # (boot, time of an entry that carries one), in order
    pending: list[tuple[int, str]] = []
    for number, (clock, sessions, pause) in enumerate(boots):
        if number and pause == 5:  # a new journal, between two boots
            journals.append(Journal())
        journal = journals[-1]
        journal.boot, journal.boottime_ms, journal.synced = f"boot-{number}", 0, clock == "dated"
        begun = NOON + hours * HOUR
        replaces = journals[-2].name if len(journals) > 1 and not journal.bodies else None
        journal.write("gate.started", version="1", replaces=replaces, time=begun if clock == "dated" else None)
        for n in range(sessions):
            journal.start(f"s-{number}-{n}")
            at = begun + timedelta(milliseconds=journal.boottime_ms)
            if clock == "dated":
                journal.end(f"s-{number}-{n}", 5, time=at)
            else:
                journal.end(f"s-{number}-{n}", 5)
            pending.append((number, f"s-{number}-{n}"))
        if clock == "late":
            journal.write("clock.synced", time=begun + timedelta(milliseconds=journal.boottime_ms + 1000))
        times = [e.time for e in map(decoded, journal.bodies) if e.time and boot_of(e) == f"boot-{number}"]
        dated += [(number, time) for time in times]
        hours += pause
    for number, session in pending:
        if boots[number][0] == "never":
            before = [time for place, time in dated if place < number]
            after = [time for place, time in dated if place > number]
            wanted[session] = (before[-1] if before else None, after[0] if after else ARRIVAL)
        else:
            wanted[session] = (None, None)
    return journals, wanted


def decoded(body: bytes):
    from fabgate import wire

    return wire.decode_entry(body)


def boot_of(entry) -> str:
    from fabgate import wire

    data = wire.decode_data(entry)
    assert data is not None
    return data.clock.boot


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(boots=lives(), data=st.data())
def test_any_order_of_arrival_places_each_session_between_the_same_moments_and_counts_it_once(boots, data):
    from fabgate.collector.cli import usage

    journals, wanted = live(boots)
    stream = [message for journal in journals for message in journal.messages()]
    order = data.draw(st.permutations(stream), label="order")
    size = data.draw(st.integers(1, 7), label="batch")
    with transaction.atomic():
        store = Store("lyon")
        for first in range(0, len(order), size):
            store.store(order[first : first + size], ARRIVAL)
        found = {s.id: (s.not_before, s.not_after) for s in UsageSession.objects.all()}
        assert found == wanted
        ended = {s.id: s.ended_at for s in UsageSession.objects.all()}
        assert all(ended[s] == after for s, (_, after) in wanted.items() if after)
        middle = data.draw(st.sampled_from([*ended.values(), ARRIVAL - HOUR]), label="cut")
        periods = [(NOON - HOUR, middle), (middle, ARRIVAL + HOUR)]
        counted = [usage.collect(a, b).total.sessions for a, b in periods if a < b]
        assert sum(counted) == len(wanted)
        assert Boot.objects.count() == len(boots)
        transaction.set_rollback(True)


#: Long enough after the boot for what a session counts.
SOON_MS = BOOTED_MS + 5_000


@pytest.mark.parametrize(
    ("said_ms", "synced_ms"), [(2**53, SOON_MS), (SOON_MS, 2**53 - 9_000), (2**48, SOON_MS), (2**46, SOON_MS)]
)
def test_a_boot_clock_that_cannot_be_dates_nothing_and_stops_nothing(said_ms, synced_ms):
    journal = Journal(synced=False)
    journal.boottime_ms = said_ms - 2_000 - BOOTED_MS
    use(journal, "s-1")
    store = Store("lyon")
    store.store(journal.messages(), ARRIVAL)
    journal.boottime_ms = synced_ms - 1_000 - BOOTED_MS
    journal.write("clock.synced", time=NOON)
    use(journal, "s-2")
    store.store(journal.messages(), ARRIVAL + HOUR)
    assert not Quarantine.objects.exists()
    assert (row().ended_at, row().review, row().energised_ms) == (ARRIVAL, "undated", 60_000)
    assert row("s-2").review is None
