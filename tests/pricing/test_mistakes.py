"""Is each mistake in a tariff found, and is a right tariff stored without a change?"""

from __future__ import annotations

from datetime import time
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabgate.pricing import stored
from fabgate.pricing.mistakes import tariff_mistakes
from fabgate.pricing.tariffs import CHARGED_FOR, RUNNING, Peak, Tariff

WEEKDAYS, WEEKEND = frozenset(range(5)), frozenset({5, 6})
QUARTER = Decimal("0.25")


def tariff(**changes) -> Tariff:
    return Tariff(**{"price": Decimal("0.10"), **changes})


def test_right_tariffs_have_no_mistake():
    peaks = (
        Peak(WEEKDAYS, time(17), time(22), QUARTER),
        Peak(WEEKDAYS, time(22), time(0), Decimal(0)),
        Peak(WEEKEND, time(0), time(0), QUARTER),
    )
    assert tariff_mistakes(tariff(peaks=peaks, daily_cap=Decimal(5), minimum=Decimal(5)), 2) == {}
    assert tariff_mistakes(tariff(charged_for=RUNNING, idle_price=Decimal("0.000001")), 2) == {}


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("price", {"price": Decimal("-0.01")}),
        ("price", {"price": Decimal("NaN")}),
        ("price", {"price": Decimal("Infinity")}),
        ("price", {"price": Decimal("0.0000001")}),
        ("price", {"price": Decimal("10000000.01")}),
        ("idle_price", {"idle_price": QUARTER}),
        ("session_fee", {"session_fee": Decimal("0.005")}),
        ("minimum", {"minimum": Decimal(-1)}),
        ("daily_cap", {"daily_cap": Decimal("0.50"), "minimum": Decimal(1)}),
        ("daily_cap", {"daily_cap": Decimal("NaN")}),
        ("minimum", {"daily_cap": Decimal(5), "minimum": Decimal("NaN")}),
        ("basis", {"charged_for": "hours"}),
        ("grace_s", {"grace_s": -1}),
        ("grace_s", {"grace_s": 3_601}),
        ("step_s", {"step_s": 0}),
        ("step_s", {"step_s": 86_401}),
        ("peaks", {"charged_for": RUNNING, "peaks": (Peak(WEEKEND, time(1), time(2), QUARTER),)}),
        ("peaks", {"peaks": (Peak(frozenset(), time(1), time(2), QUARTER),)}),
        ("peaks", {"peaks": (Peak(frozenset({7}), time(1), time(2), QUARTER),)}),
        ("peaks", {"peaks": (Peak(WEEKEND, time(1, 0, 1), time(2), QUARTER),)}),
        ("peaks", {"peaks": (Peak(WEEKEND, time(1), time(2), Decimal(-1)),)}),
    ],
)
def test_each_mistake_is_named(field, changes):
    assert [*tariff_mistakes(tariff(**changes), 2)] == [field]


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (Peak(WEEKDAYS, time(17), time(22), QUARTER), Peak(frozenset({4}), time(21, 59), time(23), QUARTER)),
        (Peak(frozenset({6}), time(22), time(2), QUARTER), Peak(frozenset({0}), time(1), time(3), QUARTER)),
        (Peak(WEEKEND, time(8), time(8), QUARTER), Peak(frozenset({0}), time(7, 59), time(9), QUARTER)),
    ],
)
def test_hours_that_have_two_prices_are_found(one, two):
    assert "peak hours 2" in tariff_mistakes(tariff(peaks=(one, two)), 2)["peaks"]
    assert "peak hours 2" in tariff_mistakes(tariff(peaks=(two, one)), 2)["peaks"]


def test_a_window_that_wraps_into_itself_is_found():
    wraps = Peak(frozenset({0, 1}), time(8), time(8), QUARTER)
    assert tariff_mistakes(tariff(peaks=(wraps,)), 2) == {}
    assert tariff_mistakes(tariff(peaks=(wraps, Peak(frozenset({2}), time(7), time(9), QUARTER))), 2)


amounts = st.decimals(0, 1_000, places=3, allow_nan=False)
times = st.integers(0, 24 * 60 - 1).map(lambda minute: time(minute // 60, minute % 60))
tariffs = st.builds(
    Tariff,
    price=amounts,
    charged_for=st.sampled_from(CHARGED_FOR),
    idle_price=amounts,
    peaks=st.lists(st.builds(Peak, st.frozensets(st.integers(0, 6)), times, times, amounts), max_size=3).map(tuple),
    session_fee=amounts,
    minimum=amounts,
    daily_cap=st.none() | amounts,
    grace_s=st.integers(0, 3_600),
    step_s=st.integers(1, 86_400),
)


@given(tariffs)
def test_what_is_stored_comes_back(found):
    assert stored.from_json(stored.to_json(found)) == found


def test_equal_amounts_are_stored_alike():
    one, two = (stored.to_json(tariff(price=Decimal(price))) for price in ("10.0", "1E1"))
    assert one == two
    assert one["price"] == "10"
