"""Pure: what a session's entries say together."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET, UnsetType, structs

from fabgate import wire
from fabgate.collector.recording.entries.wall_time import BootDates, Tie
from fabgate.collector.recording.sessions import merge
from fabgate.collector.recording.sessions.merge import Arrival, DerivedSession, absorb
from tests.collector.gates import NOON


def clock(ms: int) -> wire.Clock:
    return wire.Clock(boot="b", boottime_ms=ms)


def sight(seq: int) -> Arrival:
    return Arrival(1, None, 1, seq, NOON + timedelta(seconds=seq), NOON)


def unsynced(seq: int, arrived_s: int) -> Arrival:
    return Arrival(1, None, 1, seq, None, NOON + timedelta(seconds=arrived_s))


def ended(
    ms: int, uncertainty_ms: int = 0, reason: str = "badge", at: int = 9, energy_wh: int | UnsetType = UNSET
) -> wire.SessionEnded:
    return wire.SessionEnded(
        clock=clock(at),
        session="s",
        member="m",
        badge="d",
        energised_ms=ms,
        running_ms=ms // 2,
        reason=reason,
        uncertainty_ms=uncertainty_ms,
        energy_wh=energy_wh,
    )


def progress(ms: int, at: int = 5, energy_wh: int | UnsetType = UNSET) -> wire.SessionProgress:
    return wire.SessionProgress(
        clock=clock(at), session="s", member="m", badge="d", energised_ms=ms, running_ms=ms // 3, energy_wh=energy_wh
    )


def started() -> wire.SessionStarted:
    return wire.SessionStarted(
        clock=clock(1), session="s", member="m", badge="d", basis=wire.Basis(kind="grant"), mode="tap"
    )


def settle(row: DerivedSession, *, start: BootDates, last: BootDates, abandoned: bool, image: bool) -> None:
    merge.conclude(row, start=start, last=last, abandoned=abandoned)
    merge.judge(row, image=image, impossible=None)


def conclude(*facts, abandoned: bool = False, image: bool = False):
    row = None
    for seq, fact in facts:
        row = absorb(row, fact, sight(seq))
    settle(row, start=BootDates(), last=BootDates(), abandoned=abandoned, image=image)
    return row


def test_of_two_ends_the_larger_value_holds_with_its_own_uncertainty_reason_and_time():
    row = conclude((1, started()), (2, ended(500, 60_000, "power-loss")), (3, ended(700, 5, "badge")))
    assert (row.energised_ms, row.uncertainty_ms, row.reason) == (700, 5, "badge")
    assert row.ended_at == NOON + timedelta(seconds=3)


def test_counters_are_the_maximum_also_of_a_progress_above_the_end():
    row = conclude((1, started()), (2, progress(900)), (3, ended(500)))
    assert (row.energised_ms, row.running_ms) == (900, 300)
    assert (row.reason, row.review) == ("badge", "counter-above-end")


def test_the_running_time_that_is_not_known_is_the_most_that_any_fact_names():
    unknown = structs.replace(progress(900), running_unknown_ms=40)
    more = structs.replace(ended(950), running_unknown_ms=60)
    assert conclude((1, started()), (2, progress(900)), (3, ended(950))).running_unknown_ms is None
    assert conclude((1, started()), (2, unknown), (3, ended(950, reason="restart"))).running_unknown_ms == 40
    for order in (((2, unknown), (3, more)), ((3, more), (2, unknown))):
        assert conclude((1, started()), *order).running_unknown_ms == 60


def test_the_energy_is_that_of_the_latest_fact_and_not_known_after_one_that_names_none():
    assert conclude((1, started()), (2, progress(900, energy_wh=7))).energy_wh == 7
    assert conclude((1, started()), (2, progress(900, energy_wh=7)), (3, ended(950, energy_wh=9))).energy_wh == 9
    assert (
        conclude((1, started()), (2, progress(900, energy_wh=7)), (3, ended(950, reason="restart"))).energy_wh is None
    )
    assert conclude((1, started()), (2, ended(950, energy_wh=0))).energy_wh == 0


def test_a_progress_within_the_uncertainty_of_the_end_needs_no_review():
    assert conclude((1, started()), (2, progress(900)), (3, ended(500, 400))).review is None


def test_an_uncertainty_above_a_minute_goes_to_review():
    assert conclude((1, ended(500, 60_000))).review is None
    assert conclude((1, ended(500, 60_001))).review == "uncertain"


def test_a_session_without_an_end_is_open_until_its_journal_is_abandoned():
    assert conclude((1, started()), (2, progress(900))).reason is None
    row = conclude((1, started()), (2, progress(900)), abandoned=True)
    assert (row.reason, row.review, row.ended_at) == ("journal-lost", "journal-lost", NOON + timedelta(seconds=2))


def test_a_real_end_wins_over_an_abandoned_journal_even_with_a_lower_value():
    row = conclude((1, started()), (2, progress(900)), (3, ended(800, 200)), abandoned=True)
    assert (row.reason, row.review) == ("badge", None)


def test_only_an_end_concluded_at_a_start_is_doubted_for_a_restored_image():
    assert conclude((1, ended(5, reason="power-loss")), image=True).review == "restored-image"
    assert conclude((1, ended(5)), image=True).review is None


def at(ms: int, boot: str = "b") -> wire.Clock:
    return wire.Clock(boot=boot, boottime_ms=ms)


def session(*, on_ms: int, start: wire.Clock, end: wire.Clock, wall_s: int | None = None, **more):
    """A session whose start and end were written at these clocks, `wall_s` apart by the wall clock (None: no dates)."""
    early = more.pop("energised_from_ms", None)
    began = wire.SessionStarted(
        clock=start,
        session="s",
        member="m",
        badge="d",
        basis=wire.Basis(kind="grant"),
        mode="tap",
        energised_from_ms=early,
    )
    said = {"running_ms": 0, "reason": "badge", **more}
    done = wire.SessionEnded(clock=end, session="s", member="m", badge="d", energised_ms=on_ms, **said)
    times = (None, None) if wall_s is None else (NOON, NOON + timedelta(seconds=wall_s))
    row = None
    for seq, (fact, time) in enumerate(zip((began, done), times, strict=True), 1):
        row = absorb(row, fact, Arrival(1, None, 1, seq, time, NOON))
    settle(row, start=BootDates(), last=BootDates(), abandoned=False, image=False)
    return row


@pytest.mark.parametrize(
    ("on_ms", "more", "review"),
    [
        (60_000, {}, None),
        (61_000, {}, None),  # clocks are rounded
        (61_001, {}, "time-above-clock"),
        (90_000, {"energised_from_ms": 70_000}, None),  # a handover: it had power already
        (90_000, {"energised_from_ms": 80_000}, "time-above-clock"),
        (60_000, {"running_ms": 60_000}, None),
        (60_000, {"running_ms": 60_001}, "running-above-time"),
        (10**9, {"reason": "power-loss", "uncertainty_ms": 900_000}, "time-above-clock"),
    ],
)
def test_within_one_boot_its_clock_bounds_the_time_on_and_that_bounds_the_job(on_ms, more, review):
    row = session(on_ms=on_ms, start=at(100_000), end=at(160_000), wall_s=60, **more)
    assert (row.review, row.doubt, row.uncertain) == (review, review, review is not None)
    assert (row.energised_ms, row.counted_ms) == (on_ms, on_ms)  # marked, and not cut


@pytest.mark.parametrize(
    ("on_ms", "wall_s", "review"),
    [
        (3_600_000, 3_600, None),
        (3_660_000, 3_600, None),  # wall clocks run apart by up to a minute
        (3_660_001, 3_600, "time-above-clock"),
        (1, -61, "time-above-clock"),
    ],
)
def test_across_boots_the_wall_clock_bounds_it_where_both_ends_have_a_date(on_ms, wall_s, review):
    told = {"on_ms": on_ms, "start": at(10**9), "end": at(5_000, "c"), "reason": "power-loss"}
    assert session(wall_s=wall_s, **told).review == review
    assert session(wall_s=None, **told).review == "undated"


def test_an_end_without_its_start_is_bounded_by_nothing():
    assert conclude((1, ended(10**9))).review is None


@given(
    st.integers(0, 10**7), st.integers(0, 10**7), st.integers(0, 2 * 10**7), st.integers(0, 2 * 10**7), st.booleans()
)
def test_whatever_a_gate_counts_the_figures_stay_and_what_cannot_be_is_marked(start, lasted, on, ran, same_boot):
    end = at(start + lasted) if same_boot else at(5_000, "c")
    row = session(on_ms=on, start=at(start), end=end, wall_s=lasted // 1000, running_ms=ran)
    most = lasted + 1_000 if same_boot else lasted // 1000 * 1000 + 60_000
    assert (row.review in {"time-above-clock", "running-above-time"}) == (ran > on or on > most)
    assert (row.counted_ms, row.running_ms) == (on, ran)


def test_another_gate_changes_nothing():
    row = absorb(None, ended(5), sight(1))
    assert absorb(row, ended(99), Arrival(2, None, 7, 1, None, NOON)).energised_ms == 5


def test_an_undated_end_takes_its_time_from_the_tie_of_its_boot():
    row = absorb(None, ended(5, at=4_000), unsynced(1, 20))
    settle(row, start=BootDates(), last=BootDates(tie=Tie(10_000, NOON)), abandoned=False, image=False)
    assert (row.ended_at, row.not_after, row.review) == (NOON - timedelta(seconds=6), None, None)


def placed(*, before: int | None, after: int | None, arrived: int, fact=None):
    """A session of a boot that never synchronised, between two moments; seconds after noon."""
    row = absorb(absorb(None, started(), unsynced(1, arrived)), fact or ended(5), unsynced(2, arrived))
    moments = [None if s is None else NOON + timedelta(seconds=s) for s in (before, after)]
    when = BootDates(not_before=moments[0], not_after=moments[1])
    settle(row, start=when, last=when, abandoned=False, image=False)
    return row


def test_an_undated_session_lies_between_the_last_dated_entry_before_and_the_first_after():
    row = placed(before=10, after=90, arrived=500)
    assert (row.not_before, row.not_after) == (NOON + timedelta(seconds=10), NOON + timedelta(seconds=90))
    assert (row.started_at, row.ended_at, row.review) == (None, row.not_after, "undated")


def test_it_ended_at_the_latest_when_it_arrived():
    assert placed(before=10, after=None, arrived=50).ended_at == NOON + timedelta(seconds=50)
    assert placed(before=10, after=900, arrived=50).ended_at == NOON + timedelta(seconds=50)


def test_a_clock_that_was_set_back_makes_no_interval_that_ends_before_it_begins():
    row = placed(before=90, after=10, arrived=500)
    assert row.not_before == row.not_after == row.ended_at == NOON + timedelta(seconds=90)


def test_another_reason_for_a_review_comes_before_that_of_the_date():
    assert placed(before=1, after=2, arrived=3, fact=ended(5, 60_001)).review == "uncertain"


def test_an_unknown_start_before_a_known_end_leaves_the_end_where_it_is():
    row = absorb(absorb(None, started(), unsynced(1, 500)), ended(5), sight(2))
    settle(row, start=BootDates(not_before=NOON), last=BootDates(), abandoned=False, image=False)
    assert (row.not_before, row.not_after, row.review) == (NOON, row.ended_at, "undated")
    assert row.ended_at == NOON + timedelta(seconds=2)


FACTS = st.one_of(
    st.just(started()),
    st.builds(progress, st.integers(0, 99), st.integers(1, 99)),
    st.builds(ended, st.integers(0, 99), st.integers(0, 99), st.sampled_from(["badge", "restart"]), st.integers(1, 99)),
)


@given(st.lists(FACTS, min_size=1, max_size=8), st.data())
def test_any_order_and_any_doubling_gives_the_same_row(facts, data):
    numbered = list(enumerate(facts, 1))
    starts = [fact for fact in facts if isinstance(fact, wire.SessionStarted)]
    if len(starts) > 1:
        numbered = [pair for pair in numbered if pair[1] is not starts[0]] + [(1, starts[0])]
    doubled = numbered + data.draw(st.lists(st.sampled_from(numbered)))
    # Facts that are equal in all that counts may stand under different numbers: which one is kept does not matter.
    one, other = conclude(*numbered), conclude(*data.draw(st.permutations(doubled)))
    for row in (one, other):
        row.opened_seq = 0
        row.last_at = row.ended_at = row.started_at = None
    assert one == other
