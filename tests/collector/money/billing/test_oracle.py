"""The rating gives each session of a random month the class and the amount that a second implementation gives it.

What a month holds is chosen by one function, `choose`. Where hypothesis chooses, a failure becomes a small example; a
plain random generator chooses faster and more evenly.
"""

from __future__ import annotations

import os
import random
from calendar import monthrange
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fabgate.collector.money.billing.rating import Facts, Plan, Terms, rate
from fabgate.collector.money.billing.tariffs.rules import Rule
from fabgate.pricing.tariffs import Peak, Tariff
from tests.collector.money.billing.oracle import judge

EXAMPLES, MONTHS = (1_000, 3_000) if os.environ.get("FABGATE_SOAK") else (60, 100)
Choose = Callable[[Sequence[Any]], Any]

#: Days on which clocks change, or an ordinary one where they never do: by half an hour, at midnight, by two hours.
DAYS = [
    ("Europe/Paris", date(2026, 10, 25)),
    ("Europe/Paris", date(2026, 3, 29)),
    ("Australia/Lord_Howe", date(2026, 4, 5)),
    ("Australia/Lord_Howe", date(2026, 10, 4)),
    ("America/Havana", date(2026, 11, 1)),
    ("America/Havana", date(2026, 3, 8)),
    ("Antarctica/Troll", date(2026, 3, 29)),
    ("Asia/Kathmandu", date(2026, 2, 28)),
]
CATEGORIES = {"laser": "cutting", "saw": "cutting", "lathe": "metal", "kiln": ""}
USERS = ["ann", "bob", "cem"]
MACHINES = [*["laser"] * 3, *CATEGORIES]
PLANS = [
    Plan("basic", discount_percent=Decimal(20)),
    Plan("hour", free_minutes=60, discount_percent=Decimal(10)),
    Plan("day", free_minutes=600),
    Plan("odd", free_minutes=7, discount_percent=Decimal("33.33")),
    Plan("gift", discount_percent=Decimal(100)),
]
PLAN_NAMES = ["", *(plan.name for plan in PLANS)]
PRICES = [
    Decimal(text) for text in ("0.10", "0.25", "0.5", "0", "0", "0.1234", "0.0001", "0.000017", "0.3333", "5", "12.5")
]
FEES = [Decimal(text) for text in ("0", "0", "0.5", "0.005", "1.2345")]
MINIMUMS = [Decimal(text) for text in ("0", "0", "1", "0.333", "7.5")]
CAPS = [None, *(Decimal(text) for text in ("5", "1", "0.7775", "20", "0"))]
CLOCKS = [
    *(time(0), time(0, 30), time(1), time(1, 45), time(2), time(2, 15), time(2, 30), time(3)),
    *(time(9), time(17), time(22), time(23, 59)),
]
NIGHT_CLOCKS = [time(minute // 60, minute % 60) for minute in range(0, 240, 15)]
WEEKDAYS = [*[frozenset(range(7))] * 6, frozenset(range(5)), frozenset({5, 6}), *(frozenset({day}) for day in range(7))]
PURPOSES = [*["own"] * 8, *["group"] * 4, "training", "maintenance"]
BILLED_PURPOSES = [
    *[frozenset({"own", "group"})] * 8,
    *(frozenset({"own", "group", "training"}), frozenset(PURPOSES), frozenset({"training"}), frozenset({"own"})),
]
DURATIONS_MS = [
    *(minutes * 60_000 for minutes in (1, 2, 5, 7, 15, 30, 45, 60, 90, 120, 180, 240, 600, 1440, 1800)),
    *(0, 1, 999, 29_999, 30_000, 30_001, 59_999, 60_001, 300_001, 1_234_567, 3_599_999, 11_111_111, 90_000_001),
]
CORRECTIONS_MS = [1, -1, 60_000, -60_000, 3_600_000, -3_600_000, 12_345, -12_345]
#: Minutes after midnight. Most are in the night, when clocks change.
STARTS = [*range(-120, 240, 15), *range(-120, 240, 15), *range(-480, 1440, 60)]
ODD_MS = [0, 0, 0, 1, 999, 15_000, 30_500, 59_999]


class Month(NamedTuple):
    sessions: list[Facts]
    terms: Terms
    late: list[Facts]


def minutes_of_week(peak: Peak) -> set[int]:
    """The minutes of an ordinary week that are inside the window."""
    start, end = (moment.hour * 60 + moment.minute for moment in (peak.start, peak.end))
    lasts = end - start if end > start else end - start + 1440
    return {(day * 1440 + start + minute) % 10_080 for day in peak.days for minute in range(lasts)}


def make_peaks(choose: Choose) -> tuple[Peak, ...]:
    peaks: list[Peak] = []
    taken: set[int] = set()
    for _ in range(choose([0, 1, 2, 4])):
        peak = Peak(choose(WEEKDAYS), choose(CLOCKS), choose(CLOCKS), choose(PRICES))
        minutes = minutes_of_week(peak)
        if not minutes & taken:
            peaks.append(peak)
            taken |= minutes
    return tuple(peaks)


def make_tariff(choose: Choose) -> Tariff:
    running = choose([False, False, False, True])
    return Tariff(
        price=choose(PRICES),
        charged_for="running" if running else "on",
        idle_price=choose(PRICES) if running else Decimal(0),
        peaks=() if running else make_peaks(choose),
        session_fee=choose(FEES),
        minimum=choose(MINIMUMS),
        daily_cap=choose(CAPS),
        grace_s=choose([0, 0, 30, 60, 300]),
        step_s=choose([1, 1, 7, 60, 900, 3600]),
    )


def make_rules(choose: Choose, day: date) -> list[Rule]:
    rules: dict[tuple[Any, ...], Rule] = {}
    for number in range(choose([1, 2, 3, 4, 6, 8])):
        machine, category = choose(
            [("", ""), ("", ""), ("", "cutting"), ("", "metal"), ("laser", ""), ("saw", ""), ("kiln", "")]
        )
        plan = choose(["", "", *PLAN_NAMES])
        valid_from = choose([date(2025, 1, 1), date(2026, 1, 1), day, day - timedelta(1), day + timedelta(1)])
        if number == 0 and choose([True] * 5 + [False]):
            machine, category, plan, valid_from = "", "", "", date(2025, 1, 1)
        rule = Rule(
            number,
            make_tariff(choose),
            valid_from,
            machine=machine,
            category=category,
            plan=plan,
            purposes=choose(BILLED_PURPOSES),
        )
        rules.setdefault((machine, category, plan, valid_from), rule)
    return list(rules.values())


def make_session(choose: Choose, name: str, zone: ZoneInfo, day: date, plans: dict[str, str]) -> Facts | None:
    """A session that ends in the month, or nothing."""
    last = monthrange(day.year, day.month)[1]
    number = choose([*[day.day] * 5, max(day.day - 1, 1), min(day.day + 1, last), 1, last])
    midnight = datetime(day.year, day.month, number, tzinfo=zone).astimezone(UTC)
    start = midnight + timedelta(minutes=choose(STARTS), milliseconds=choose(ODD_MS))
    really_ms = choose(DURATIONS_MS)
    end = start + timedelta(milliseconds=really_ms)
    counted_ms = max(really_ms + choose([0, 0, 0, choose(CORRECTIONS_MS)]), 0)
    local = end.astimezone(zone)
    if (local.year, local.month) != (day.year, day.month):
        return None
    machine, user = choose(MACHINES), choose(["ann", *USERS])
    shown_in = choose([UTC, zone])
    return Facts(
        session=name,
        user=choose([user] * 19 + ["emergency:fire"]),
        machine=machine,
        machine_category=CATEGORIES[machine],
        plan=choose([plans[user]] * 9 + PLAN_NAMES),
        purpose=choose(PURPOSES),
        start=choose([start, start, start, None]) and start.astimezone(shown_in),
        end=end.astimezone(choose([UTC, zone])),
        counted_ms=counted_ms,
        running_ms=choose([0, counted_ms // 3, counted_ms, really_ms, really_ms + 60_000]),
        in_review=choose([False] * 29 + [True]),
        waived=choose([False] * 29 + [True]),
    )


def month(choose: Choose) -> Month:
    zone_name, day = choose(DAYS)
    zone = ZoneInfo(zone_name)
    plans = {user: choose(PLAN_NAMES) for user in USERS}
    names = [f"s{number}" for number in range(choose(range(1, 25)))]
    drawn = [(make_session(choose, name, zone, day, plans), choose([False] * 5 + [True])) for name in names]
    return Month(
        sessions=[facts for facts, is_late in drawn if facts and not is_late],
        terms=Terms(make_rules(choose, day), {plan.name: plan for plan in PLANS}, zone, choose([2, 0, 3])),
        late=[facts for facts, is_late in drawn if facts and is_late],
    )


def night(choose: Choose) -> Month:
    """One session in a night in which clocks change, and many windows."""
    zone_name, day = choose(DAYS)
    zone = ZoneInfo(zone_name)
    peaks = [Peak(choose(WEEKDAYS), choose(NIGHT_CLOCKS), choose(NIGHT_CLOCKS), Decimal(2)), *make_peaks(choose)]
    kept = [peak for peak in peaks[1:] if not minutes_of_week(peak) & minutes_of_week(peaks[0])]
    midnight = datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)
    start = midnight + timedelta(minutes=choose(range(-60, 240, 5)), milliseconds=choose(ODD_MS))
    lasts_ms = choose(range(1, 300, 7)) * 60_000 + choose(ODD_MS)
    end = start + timedelta(milliseconds=lasts_ms)
    facts = Facts("s", "ann", "laser", "", "", "own", start, end, lasts_ms, 0)
    tariff = Tariff(Decimal(1), peaks=(peaks[0], *kept))
    return Month([facts], Terms([Rule(1, tariff, date(2026, 1, 1))], {}, zone, 3), [])


def compare(found: Month) -> dict[str, tuple[str, int]]:
    wanted = judge(found.sessions, found.terms, found.late)
    rated = rate(found.sessions, found.terms, found.late)
    assert len(rated) == len(found.sessions) + len(found.late)
    assert {one.facts.session: (one.kind, one.amount_minor) for one in rated} == wanted
    return wanted


@settings(max_examples=EXAMPLES)
@given(st.data())
def test_a_night_in_which_clocks_change_costs_what_the_second_implementation_says(data):
    compare(night(lambda options: data.draw(st.sampled_from(options))))


@settings(max_examples=EXAMPLES)
@given(st.data())
def test_class_and_amount_of_each_session_are_those_of_the_second_implementation(data):
    compare(month(lambda options: data.draw(st.sampled_from(options))))


def test_plain_random_months_too_because_hypothesis_prefers_what_is_near_to_what_it_had():
    for seed in range(MONTHS):
        try:
            compare(month(random.Random(seed).choice))
        except AssertionError as exc:
            exc.add_note(f"seed {seed}")
            raise


def session(start: datetime, minutes: float, name: str = "a") -> Facts:
    end = start + timedelta(minutes=minutes)
    return Facts(name, "ann", "laser", "", "member", "own", start, end, int(minutes * 60_000), 0)


def price(text: str, free_minutes: int = 0, digits: int = 2, **more) -> Terms:
    rule = Rule(1, Tariff(Decimal(text), **more), date(2026, 1, 1))
    return Terms([rule], {"member": Plan("member", free_minutes)}, ZoneInfo("Europe/Paris"), digits)


AFTERNOON = datetime(2026, 3, 2, 16, 30, tzinfo=ZoneInfo("Europe/Paris"))
NIGHT = datetime(2026, 10, 24, 23, 30, tzinfo=UTC)  # 01:30, and clocks go back at 03:00
EVENING = (Peak(frozenset(range(7)), time(17), time(0), Decimal("0.25")),)


@pytest.mark.parametrize(
    ("terms", "found", "kind", "amount"),
    [
        (price("0.10", grace_s=30, minimum=Decimal(1)), session(AFTERNOON, 0.5), "grace", 0),
        (price("0.10", minimum=Decimal(1)), session(AFTERNOON, 4), "billed", 100),
        (price("0.10", peaks=EVENING), session(AFTERNOON, 60), "billed", 1050),
        (price("0.10", 40, peaks=EVENING), session(AFTERNOON, 60), "billed", 500),
        (price("0.10"), session(NIGHT, 180), "billed", 1800),
        (price("5", digits=0), session(AFTERNOON, 7.5), "billed", 38),
        (price("0.125", digits=3), session(AFTERNOON, 7.5), "billed", 938),
        (price("0.10", 60, session_fee=Decimal("0.5"), minimum=Decimal(1)), session(AFTERNOON, 30), "free", 0),
        (price("0.10", step_s=900, peaks=EVENING), session(AFTERNOON + timedelta(minutes=10), 18), "billed", 300),
    ],
)
def test_the_second_implementation_gives_what_the_examples_of_the_document_say(terms, found, kind, amount):
    assert judge([found], terms) == {"a": (kind, amount)}


def test_the_second_implementation_caps_a_day_as_the_example_of_the_document_says():
    both = [session(AFTERNOON, 40), session(AFTERNOON + timedelta(hours=1), 30, "b")]
    assert judge(both, price("0.10", daily_cap=Decimal(5))) == {"a": ("billed", 400), "b": ("billed", 100)}
