"""Whether a machine works, and whether it takes power that nobody asked for, by what a meter measured."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from fabgate.rules.sensing import UNASKED_MS, Limits, Unasked, Work

LIMITS = Limits(running_above=2.0, stopped_below=1.0, stopped_after_ms=5_000)
levels = st.one_of(st.none(), st.sampled_from([0.0, 0.99, 1.0, 1.5, 2.0, 2.01, 30.0, math.nan, math.inf]))


def works(*measured: tuple[int, float | None]) -> bool:
    work = Work()
    for at_ms, level in measured:
        work = work.see(level, LIMITS, at_ms)
    return work.works


def test_it_works_above_one_threshold_and_stops_some_seconds_below_the_other():
    assert works()
    assert works((0, 0.5), (4_999, 0.5))
    assert not works((0, 0.5), (5_000, 0.5))
    assert works((0, 0.5), (5_000, 0.5), (6_000, 2.1))
    assert not works((0, 0.5), (5_000, 0.5), (6_000, 1.5)), "between the two it goes on doing what it did"
    assert works((0, 3.0), (60_000, 1.5))
    assert works((0, 0.5), (4_000, 1.5), (5_000, 0.5), (9_999, 0.5)), "the pause starts again"


@given(st.lists(st.tuples(st.integers(1, 9_000), levels), max_size=20))
def test_it_has_stopped_only_after_a_whole_pause_without_a_doubt(steps):
    work, at, quiet_since = Work(), 0, None
    for step, level in steps:
        at += step
        before, work = work, work.see(level, LIMITS, at)
        if level is not None and level < LIMITS.stopped_below:
            quiet_since = at if quiet_since is None else quiet_since
        else:
            quiet_since = None
        if level is None or math.isnan(level) or level > LIMITS.running_above:
            assert work.works, "what cannot be read is running"
        if before.works and not work.works:
            assert quiet_since is not None
            assert at - quiet_since >= LIMITS.stopped_after_ms
        if not before.works and work.works:
            assert level is None or not level <= LIMITS.running_above


@given(st.lists(st.tuples(st.integers(1, 2_000), levels, st.booleans()), max_size=20))
def test_only_current_that_goes_on_flowing_without_power_is_proved(steps):
    seen, at, since = Unasked(), 0, None
    for step, level, powered in steps:
        at += step
        seen = seen.see(level, LIMITS, at, powered=powered)
        flows = level is not None and level > LIMITS.running_above
        since = (at if since is None else since) if flows and not powered else None
        assert seen.is_proved(at) is (since is not None and at - since >= UNASKED_MS)
