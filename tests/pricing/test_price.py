"""Does a session cost what its tariff says? The worked examples of docs/billing.md, and properties."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabgate.pricing import price as pricing
from fabgate.pricing.price import FREE, GRACE, PRICED, Use
from fabgate.pricing.tariffs import CHARGED_FOR, ON, RUNNING, Peak, Tariff

PARIS = ZoneInfo("Europe/Paris")
MINUTE_MS = 60_000
EVERY_DAY = frozenset(range(7))
TEN_CENTS = Decimal("0.10")


def tariff(price: str = "0.10", **more) -> Tariff:
    money = {"idle_price", "session_fee", "minimum", "daily_cap"}
    return Tariff(Decimal(price), **{name: Decimal(value) if name in money else value for name, value in more.items()})


def evening(price: str = "0.25") -> tuple[Peak, ...]:
    return (Peak(EVERY_DAY, time(17), time(0), Decimal(price)),)


def at(wall: str, day: str = "2026-03-03", *, fold: int = 0) -> datetime:
    return datetime.fromisoformat(f"{day}T{wall}").replace(tzinfo=PARIS, fold=fold)


def used(minutes: float, start: datetime | None = None, running: float = 0) -> Use:
    return Use(round(minutes * MINUTE_MS), round(running * MINUTE_MS), start)


def cost(found: pricing.Price, digits: int = 2) -> int:
    return pricing.minor_units(found.amount, digits)


# --- the worked examples ----------------------------------------------------------------------------------------------


def test_a_session_within_grace_costs_nothing():
    grace = tariff(grace_s=30, minimum="1.00")
    assert pricing.price(grace, used(0.5), PARIS).outcome == GRACE
    assert pricing.price(grace, used(0.5 + 1 / MINUTE_MS), PARIS).outcome == PRICED


def test_a_short_session_costs_the_minimum():
    found = pricing.price(tariff(minimum="1.00"), used(4), PARIS)
    assert (cost(found), pricing.money(found.topped_up)) == (100, Fraction("0.60"))


def test_a_session_into_the_evening_has_two_prices():
    found = pricing.price(tariff(peaks=evening()), used(60, at("16:30")), PARIS)
    assert [(segment.ms, segment.price) for segment in found.segments] == [
        (30 * MINUTE_MS, TEN_CENTS),
        (30 * MINUTE_MS, Decimal("0.25")),
    ]
    assert cost(found) == 1_050


def test_free_minutes_are_used_up_in_the_order_of_time():
    found = pricing.price(tariff(peaks=evening()), used(60, at("16:30")), PARIS, free_ms=40 * MINUTE_MS)
    assert [segment.free_ms for segment in found.segments] == [30 * MINUTE_MS, 10 * MINUTE_MS]
    assert (cost(found), found.free_ms) == (500, 40 * MINUTE_MS)


@pytest.mark.parametrize("peaks", [(), (Peak(EVERY_DAY, time(1), time(4), TEN_CENTS),)])
def test_the_night_in_which_the_clocks_go_back_has_three_hours_between_half_past_one_and_half_past_three(peaks):
    start, end = at("01:30", "2026-10-25"), at("03:30", "2026-10-25")
    minutes = (end.astimezone(UTC) - start.astimezone(UTC)) / timedelta(minutes=1)
    assert cost(pricing.price(tariff(peaks=peaks), used(minutes, start), PARIS)) == 1_800


@pytest.mark.parametrize(("price", "digits", "minor"), [("5", 0, 38), ("0.125", 3, 938), ("0.125", 2, 94)])
def test_money_is_rounded_half_up_to_the_minor_unit_of_its_currency(price, digits, minor):
    assert cost(pricing.price(tariff(price), used(7.5), PARIS), digits) == minor


def test_a_session_that_is_covered_by_free_minutes_costs_neither_fee_nor_minimum():
    found = pricing.price(tariff(session_fee="0.50", minimum="1.00"), used(30), PARIS, free_ms=60 * MINUTE_MS)
    assert (found.outcome, cost(found), found.free_ms) == (FREE, 0, 30 * MINUTE_MS)


def test_one_day_costs_at_most_the_cap():
    capped = tariff(daily_cap="5.00")
    first = pricing.price(capped, used(40), PARIS)
    second = pricing.price(capped, used(30), PARIS, cap_used=first.under_cap)
    third = pricing.price(capped, used(30), PARIS, cap_used=first.under_cap + second.under_cap)
    assert [cost(found) for found in (first, second, third)] == [400, 100, 0]
    assert pricing.money(second.capped) == 2


def test_the_time_that_a_step_adds_has_the_price_of_the_last_segment():
    found = pricing.price(tariff(step_s=900, peaks=evening()), used(18, at("16:40")), PARIS)
    assert (cost(found), found.segments[-1].added_ms) == (300, 12 * MINUTE_MS)
    found = pricing.price(tariff(step_s=900, peaks=evening()), used(21, at("16:40")), PARIS)
    assert cost(found) == 200 + 10 * 25


# --- what the examples leave open -------------------------------------------------------------------------------------


def test_running_and_idle_time_have_prices_of_their_own():
    tariffs = tariff("0.50", charged_for=RUNNING, idle_price="0.05")
    assert cost(pricing.price(tariffs, used(30, running=20), PARIS)) == 20 * 50 + 10 * 5
    assert cost(pricing.price(tariff("0.50", charged_for=RUNNING), used(30, running=20), PARIS)) == 20 * 50
    assert cost(pricing.price(tariffs, used(10, running=20), PARIS)) == 10 * 50, "more ran than counts"


def test_idle_time_without_a_price_is_neither_rounded_up_nor_free_time():
    found = pricing.price(
        tariff("0.50", charged_for=RUNNING, step_s=900), used(31, running=15), PARIS, free_ms=MINUTE_MS
    )
    assert [(segment.kind, segment.ms) for segment in found.segments] == [("running", 15 * MINUTE_MS)]
    assert cost(found) == 14 * 50


def test_a_machine_on_which_no_job_ran_costs_nothing_where_jobs_are_priced():
    found = pricing.price(tariff("0.50", charged_for=RUNNING, session_fee="2.00", minimum="1.00"), used(31), PARIS)
    assert (found.outcome, cost(found)) == (FREE, 0)


def test_free_hours_use_no_free_minutes_and_cost_no_fee():
    free_evening = tariff(peaks=evening("0"), session_fee="0.50")
    assert pricing.price(free_evening, used(60, at("18:00")), PARIS, free_ms=MINUTE_MS).outcome == FREE
    found = pricing.price(free_evening, used(60, at("16:30")), PARIS, free_ms=40 * MINUTE_MS)
    assert (found.free_ms, found.outcome) == (30 * MINUTE_MS, FREE)


def test_a_price_for_each_use_is_not_free_although_its_minutes_are():
    found = pricing.price(tariff("0", session_fee="2.00"), used(30), PARIS, free_ms=60 * MINUTE_MS)
    assert (found.outcome, cost(found), found.free_ms) == (PRICED, 200, 0)


def test_a_tariff_without_any_price_makes_sessions_free():
    assert pricing.price(tariff("0"), used(30), PARIS).outcome == FREE


def test_the_discount_is_taken_after_the_cap_and_does_not_count_towards_it():
    capped = tariff(daily_cap="3.00")
    first = pricing.price(capped, used(40), PARIS, discount_percent=Decimal(50))
    assert [pricing.money(found) for found in (first.under_cap, first.capped, first.discounted)] == [3, 1, 1.5]
    assert cost(first) == 150
    assert cost(pricing.price(capped, used(40), PARIS, cap_used=first.under_cap)) == 0


def test_a_window_over_midnight_belongs_to_the_day_on_which_it_starts():
    friday_night = Peak(frozenset({4}), time(22), time(2), Decimal(1))
    on = tariff(peaks=(friday_night,))
    friday, saturday, sunday = "2026-03-06", "2026-03-07", "2026-03-08"
    assert cost(pricing.price(on, used(60, at("21:30", friday)), PARIS)) == 300 + 3_000
    assert cost(pricing.price(on, used(60, at("01:30", saturday)), PARIS)) == 3_000 + 300
    assert cost(pricing.price(on, used(60, at("22:30", saturday)), PARIS)) == 600
    assert cost(pricing.price(on, used(60, at("01:30", sunday)), PARIS)) == 600


def test_a_window_in_the_hour_that_comes_twice_comes_twice():
    window = tariff(peaks=(Peak(EVERY_DAY, time(2), time(2, 30), Decimal(1)),))
    found = pricing.price(window, used(180, at("01:30", "2026-10-25")), PARIS)
    assert [round(segment.ms / MINUTE_MS) for segment in found.segments] == [30, 30, 30, 30, 60]


def test_a_clock_that_jumps_into_a_window_starts_it_and_one_that_jumps_over_it_skips_it():
    start = at("01:30", "2026-03-29")
    into = tariff(peaks=(Peak(EVERY_DAY, time(2, 30), time(4), Decimal(1)),))
    over = tariff(peaks=(Peak(EVERY_DAY, time(2, 10), time(2, 50), Decimal(1)),))
    assert [segment.ms for segment in pricing.price(into, used(120, start), PARIS).segments] == [
        30 * MINUTE_MS,
        60 * MINUTE_MS,
        30 * MINUTE_MS,
    ]
    assert len(pricing.price(over, used(120, start), PARIS).segments) == 1


def test_a_session_without_a_start_has_the_price_outside_peaks():
    assert cost(pricing.price(tariff(peaks=evening()), used(10), PARIS)) == 100


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (Tariff(Decimal("0.0000001")), "found 1E-7, wanted an amount with at most 6 decimals"),
        (tariff(session_fee="0.1234567"), "found 0.1234567, wanted an amount with at most 6 decimals"),
    ],
)
def test_an_amount_that_is_no_whole_number_of_parts_is_refused(found, message):
    with pytest.raises(ValueError, match=message):
        pricing.price(found, used(1), PARIS)
    with pytest.raises(ValueError, match=r"found 0\.001, wanted a discount with at most 2 decimals"):
        pricing.price(tariff(), used(1), PARIS, discount_percent=Decimal("0.001"))


# --- properties -------------------------------------------------------------------------------------------------------

cents = st.integers(0, 500).map(lambda number: Decimal(number) / 100)
hours = st.times(timezones=st.none()).map(
    lambda found: found.replace(minute=found.minute // 30 * 30, second=0, microsecond=0)
)
zones = st.sampled_from(["Europe/Paris", "Australia/Lord_Howe", "America/St_Johns", "Asia/Kathmandu", "UTC"]).map(
    ZoneInfo
)
starts = st.integers(0, 280 * 86_400).map(lambda found: datetime(2026, 3, 1, tzinfo=UTC) + timedelta(seconds=found))
tariffs = st.builds(
    Tariff,
    price=cents,
    charged_for=st.sampled_from(CHARGED_FOR),
    idle_price=cents,
    peaks=st.lists(st.builds(Peak, st.frozensets(st.integers(0, 6)), hours, hours, cents), max_size=1).map(tuple),
    session_fee=cents,
    minimum=cents,
    daily_cap=st.none() | cents,
    grace_s=st.integers(0, 60),
    step_s=st.sampled_from([1, 60, 900]),
)
uses = st.builds(Use, st.integers(0, 30 * 3_600_000), st.integers(0, 30 * 3_600_000), starts)


@given(tariffs, uses, zones, st.integers(0, 7_200_000), cents, st.integers(0, 100).map(Decimal))
def test_a_price_adds_up(found_tariff, use, zone, free_ms, cap_used, discount):
    found = pricing.price(
        found_tariff, use, zone, free_ms=free_ms, cap_used=pricing.parts(cap_used), discount_percent=discount
    )
    assert found.amount >= 0
    assert 0 <= found.free_ms <= free_ms
    assert all(0 <= segment.free_ms <= segment.ms and 0 <= segment.added_ms < segment.ms for segment in found.segments)
    if found.outcome != PRICED:
        assert found.amount == 0
    elif found_tariff.daily_cap is not None:
        assert pricing.money(found.under_cap) <= max(Decimal(0), found_tariff.daily_cap - cap_used)
    else:
        assert pricing.money(found.under_cap) >= found_tariff.minimum
    if found_tariff.charged_for == ON and found.segments:
        whole = sum(segment.ms for segment in found.segments)
        assert whole % (found_tariff.step_s * 1_000) == 0
        assert 0 <= whole - use.counted_ms < found_tariff.step_s * 1_000


@given(tariffs, uses, zones)
def test_stretches_follow_each_other_and_show_the_price_of_the_clock_on_the_wall(found_tariff, use, zone):
    found = pricing.price(found_tariff, use, zone)
    for one, two in zip(found.segments, found.segments[1:], strict=False):
        if one.since is not None:
            assert one.since + timedelta(milliseconds=one.ms - one.added_ms) == two.since
    for segment in found.segments:
        if segment.since is None or not found_tariff.peaks:
            continue
        assert pricing.price_at(found_tariff, segment.since, zone) == segment.price
        span_ms = segment.ms - segment.added_ms
        for moment in (0, span_ms // 3, span_ms // 2, span_ms - 1):
            wall = (segment.since + timedelta(milliseconds=moment)).astimezone(zone).replace(tzinfo=None)
            inside = next((peak.price for peak in found_tariff.peaks if peak.covers(wall)), found_tariff.price)
            assert inside == segment.price


@given(tariffs, uses, zones)
def test_longer_is_never_cheaper_than_at_the_same_price(found_tariff, use, zone):
    flat = Tariff(found_tariff.price, session_fee=found_tariff.session_fee, minimum=found_tariff.minimum)
    longer = use._replace(counted_ms=use.counted_ms + 60_000)
    assert pricing.price(flat, longer, zone).amount >= pricing.price(flat, use, zone).amount


@given(
    tariffs,
    st.integers(1, 30 * 3_600_000),
    starts,
    zones,
    st.integers(0, 7_200_000),
    st.integers(0, 100).map(Decimal),
    st.data(),
)
def test_two_parts_of_a_session_cost_together_what_the_whole_costs(
    found_tariff, counted_ms, start, zone, free_ms, discount, data
):
    plain = Tariff(found_tariff.price, peaks=found_tariff.peaks, step_s=1)  # no fee, minimum, cap and grace
    start, whole_ms = start.replace(microsecond=0), counted_ms // 1_000 * 1_000 or 1_000
    first_ms = data.draw(st.integers(0, whole_ms // 1_000)) * 1_000  # a step of a second rounds neither part
    whole = pricing.price(plain, Use(whole_ms, 0, start), zone, free_ms=free_ms, discount_percent=discount)
    first = pricing.price(plain, Use(first_ms, 0, start), zone, free_ms=free_ms, discount_percent=discount)
    later = start + timedelta(milliseconds=first_ms)
    rest = Use(whole_ms - first_ms, 0, later)
    second = pricing.price(plain, rest, zone, free_ms=free_ms - first.free_ms, discount_percent=discount)
    assert first.amount + second.amount == whole.amount
    assert first.free_ms + second.free_ms == whole.free_ms
