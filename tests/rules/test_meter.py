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
