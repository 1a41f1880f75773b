"""Does the fast way of pricing always come to the amount of the one that explains it?"""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabgate.pricing import price as pricing
from fabgate.pricing.live import LiveTariff
from fabgate.pricing.mistakes import tariff_mistakes
from fabgate.pricing.price import Use
from fabgate.pricing.tariffs import ON, RUNNING, Peak, Tariff

PRICES = [Decimal(text) for text in ("0", "0.10", "0.25", "0.000017", "1.333333", "12")]
AMOUNTS = [Decimal(text) for text in ("0", "0.5", "1", "3")]
ZONES = [
    ZoneInfo(name) for name in ("UTC", "Europe/Paris", "America/St_Johns", "Australia/Lord_Howe", "Asia/Kathmandu")
]
#: Around a night in which the clocks of three of these zones change, and an ordinary one.
STARTS = st.builds(
    lambda first, after: first + after,
    st.sampled_from([datetime(2026, 3, 6, tzinfo=UTC), datetime(2026, 10, 2, tzinfo=UTC)]),
    st.timedeltas(timedelta(0), timedelta(days=32)),
)
#: Up to 40 days: a week and a month go round.
LASTS_MS = st.one_of(st.integers(0, 6 * 3_600_000), st.integers(0, 40 * 86_400_000))
TIMES = [time(0), time(1, 30), time(2), time(2, 59), time(8), time(17), time(23, 59)]


@st.composite
def tariffs(draw) -> Tariff:
    peaks = draw(
        st.lists(
            st.builds(
                Peak,
                st.frozensets(st.integers(0, 6), min_size=1),
                st.sampled_from(TIMES),
                st.sampled_from(TIMES),
                st.sampled_from(PRICES),
            ),
            max_size=3,
        )
    )
    basis = draw(st.sampled_from([ON, ON, RUNNING]))
    minimum = draw(st.sampled_from(AMOUNTS))
    found = Tariff(
        price=draw(st.sampled_from(PRICES)),
        basis=basis,
        idle_price=draw(st.sampled_from(PRICES)) if basis == RUNNING else Decimal(0),
        peaks=() if basis == RUNNING else tuple(peaks),
        session_fee=draw(st.sampled_from(AMOUNTS)),
        minimum=minimum,
        daily_cap=draw(st.sampled_from([None, None, minimum, Decimal(5), Decimal(20)])),
        grace_s=draw(st.sampled_from([0, 30, 3_600])),
        step_s=draw(st.sampled_from([1, 60, 900, 86_400])),
    )
    mistakes = tariff_mistakes(found, 3)
    return Tariff(found.price) if mistakes else found


@given(
    tariffs(),
    st.sampled_from(ZONES),
    st.sampled_from([0, 2, 3]),
    st.sampled_from([Decimal(text) for text in ("0", "20", "33.33", "100")]),
    STARTS,
    LASTS_MS,
    st.integers(0, 6 * 3_600_000),
    st.booleans(),
)
def test_the_amount_is_that_of_the_price_that_is_explained(
    tariff, zone, digits, discount, start, lasts_ms, ran_ms, dated
):
    began = start if dated else None
    explained = pricing.price(tariff, Use(lasts_ms, ran_ms, began), zone, discount_percent=discount)
    found = LiveTariff(tariff, zone, digits, discount).cost(lasts_ms, ran_ms, began)
    assert found == pricing.minor_units(explained.amount, digits)


@given(tariffs(), st.sampled_from(ZONES), STARTS)
def test_the_price_of_a_moment_is_that_of_a_session_which_begins_with_it(tariff, zone, moment):
    one = pricing.price(tariff, Use(1, 1, moment), zone).segments
    if one:
        assert LiveTariff(tariff, zone, 2).price_at(moment) == one[0].price


@pytest.mark.parametrize("zone", ZONES, ids=str)
def test_a_week_with_a_window_each_night_goes_round(zone):
    night = Tariff(Decimal("0.10"), peaks=(Peak(frozenset(range(7)), time(22), time(6), Decimal("0.25")),))
    live = LiveTariff(night, zone, 2)
    start = datetime(2026, 3, 1, 12, tzinfo=UTC)
    for lasts in (timedelta(hours=1), timedelta(days=1), timedelta(days=6, hours=20), timedelta(days=30)):
        lasts_ms = lasts // timedelta(milliseconds=1)
        wanted = pricing.price(night, Use(lasts_ms, 0, start), zone).amount
        assert live.cost(lasts_ms, 0, start) == pricing.minor_units(wanted, 2)
