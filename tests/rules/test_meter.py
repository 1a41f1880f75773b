"""How long the machine had power, and how long it worked."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fabgate.rules.meter import Meter


def test_power_and_work_are_counted_apart():
    meter = Meter().energise(1_000).run(2_000, on=True).run(5_000, on=False).stop(9_000)
    assert (meter.energised_ms, meter.running_ms) == (8_000, 3_000)


def test_work_goes_on_counting_until_the_power_is_off():
    meter = Meter().energise(0).run(10, on=True).stop(110)
    assert (meter.energised_ms, meter.running_ms) == (110, 100)
    assert meter.stop(999) == meter


def test_work_without_power_is_not_counted():
    assert Meter().run(0, on=True).stop(500) == Meter()


@given(st.lists(st.integers(0, 10_000), max_size=20))
def test_reading_changes_nothing_in_the_sum(steps):
    read, unread, at = Meter().energise(0).run(0, on=True), Meter().energise(0).run(0, on=True), 0
    for step in steps:
        at += step
        read = read.read(at)
    assert read.stop(at) == unread.stop(at)
    assert read.energised_ms == read.running_ms == at


@given(st.lists(st.one_of(st.integers(0, 5), st.just(None), st.just(-1)), max_size=20), st.integers(0, 20))
def test_sessions_one_after_the_other_have_the_energy_of_the_counter_or_none_that_is_known(steps, handover):
    """A step of -1 is a counter that starts again; None is a counter that cannot be read."""
    count: int | None = 100
    meter, first, whole, is_known = Meter().energise(0, count), None, [0, 0], [True, True]
    for number, step in enumerate(steps):
        if number == handover:
            first, meter = meter.stop(number), Meter().energise(number, count)
            is_known[1] = count is not None
        part = int(first is not None)
        if step == -1 and count == 0:
            step = 0  # noqa: PLW2901 - from 0 to 0: no count is lost, and a restart cannot be seen
        is_known[part] = is_known[part] and step not in (None, -1)
        whole[part] += step or 0
        count = None if step is None else 0 if step == -1 else (count or 0) + step
        meter = meter.count_energy(count)
    for part, found in enumerate([meter] if first is None else [first, meter]):
        assert found.energy_wh == (whole[part] if is_known[part] else None)


def test_energy_without_a_counter_is_unknown_and_stays_so():
    meter = Meter().energise(0)
    assert meter.energy_wh is None
    assert meter.count_energy(5).count_energy(9).energy_wh is None
    assert Meter().energise(0, 7).energy_wh == 0
    assert Meter().energise(0, 7).count_energy(9).stop(10).count_energy(12).energy_wh == 2
