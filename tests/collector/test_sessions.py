"""Pure: what a session's entries say together."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from fabgate import wire
from fabgate.collector.sessions import Sight, Tie, When, absorb, settle

from .gates import NOON


def clock(ms: int) -> wire.Clock:
    return wire.Clock(boot="b", boottime_ms=ms)


def sight(seq: int) -> Sight:
    return Sight(1, None, 1, seq, NOON + timedelta(seconds=seq), NOON)


def unsynced(seq: int, arrived_s: int) -> Sight:
    return Sight(1, None, 1, seq, None, NOON + timedelta(seconds=arrived_s))


def ended(ms: int, uncertainty_ms: int = 0, reason: str = "badge", at: int = 9) -> wire.SessionEnded:
    return wire.SessionEnded(
        clock=clock(at),
        session="s",
        member="m",
        badge="d",
        energised_ms=ms,
        running_ms=ms // 2,
        reason=reason,
        uncertainty_ms=uncertainty_ms,
    )


def progress(ms: int, at: int = 5) -> wire.SessionProgress:
    return wire.SessionProgress(
        clock=clock(at), session="s", member="m", badge="d", energised_ms=ms, running_ms=ms // 3
    )


def started() -> wire.SessionStarted:
    return wire.SessionStarted(
        clock=clock(1), session="s", member="m", badge="d", basis=wire.Basis(kind="grant"), mode="tap"
    )


def conclude(*facts, abandoned: bool = False, image: bool = False):
    row = None
    for seq, fact in facts:
        row = absorb(row, fact, sight(seq))
    settle(row, start=When(), last=When(), abandoned=abandoned, image=image)
    return row


def test_of_two_ends_the_larger_value_holds_with_its_own_uncertainty_reason_and_time():
    row = conclude((1, started()), (2, ended(500, 60_000, "power-loss")), (3, ended(700, 5, "badge")))
    assert (row.energised_ms, row.uncertainty_ms, row.reason) == (700, 5, "badge")
    assert row.ended_at == NOON + timedelta(seconds=3)


def test_counters_are_the_maximum_also_of_a_progress_above_the_end():
    row = conclude((1, started()), (2, progress(900)), (3, ended(500)))
    assert (row.energised_ms, row.running_ms) == (900, 300)
    assert (row.reason, row.review) == ("badge", "counter-above-end")


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


def test_another_gate_changes_nothing():
    row = absorb(None, ended(5), sight(1))
    assert absorb(row, ended(99), Sight(2, None, 7, 1, None, NOON)).energised_ms == 5


def test_an_undated_end_takes_its_time_from_the_tie_of_its_boot():
    row = absorb(None, ended(5, at=4_000), unsynced(1, 20))
    settle(row, start=When(), last=When(tie=Tie(10_000, NOON)), abandoned=False, image=False)
    assert (row.ended_at, row.not_after, row.review) == (NOON - timedelta(seconds=6), None, None)


def placed(*, before: int | None, after: int | None, arrived: int, fact=None):
    """A session of a boot that never synchronised, between two moments; seconds after noon."""
    row = absorb(absorb(None, started(), unsynced(1, arrived)), fact or ended(5), unsynced(2, arrived))
    moments = [None if s is None else NOON + timedelta(seconds=s) for s in (before, after)]
    when = When(not_before=moments[0], not_after=moments[1])
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
    settle(row, start=When(not_before=NOON), last=When(), abandoned=False, image=False)
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
