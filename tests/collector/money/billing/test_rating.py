"""Does a month cost what its rules and plans say? Free minutes, caps, classes, late sessions, and which rule applies."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabgate.collector.money.billing import rating
from fabgate.collector.money.billing.rating import (
    BILLED,
    FREE,
    GRACE,
    IN_REVIEW,
    NO_TARIFF,
    NOT_BILLABLE,
    WAIVED,
    Facts,
    Plan,
    Rated,
    Terms,
)
from fabgate.collector.money.billing.tariffs import rules
from fabgate.collector.money.billing.tariffs.rules import Rule
from fabgate.pricing.tariffs import Tariff

PARIS = ZoneInfo("Europe/Paris")
MONDAY = datetime(2026, 3, 2, 9, tzinfo=UTC)
SINCE = date(2026, 1, 1)


def rule(price: str = "0.10", number: int = 1, since: date = SINCE, **more) -> Rule:
    own = {name: more.pop(name) for name in ("machine", "category", "plan", "purposes") if name in more}
    return Rule(number, Tariff(Decimal(price), **more), since, **own)


def terms(*found: Rule, **plans: Plan) -> Terms:
    return Terms(found or (rule(),), plans, PARIS, 2)


def session(name: str, minutes: int = 30, start: datetime = MONDAY, **more) -> Facts:
    values = {"user": "m-1", "machine": "laser", "machine_category": "cutters", "plan": "", "purpose": "own", **more}
    return Facts(
        session=name,
        start=start,
        end=start + timedelta(minutes=minutes),
        counted_ms=minutes * 60_000,
        running_ms=minutes * 60_000,
        **values,
    )


def amounts(found: list[Rated]) -> dict[str, int]:
    return {rated.facts.session: rated.amount_minor for rated in found}


def kinds(found: list[Rated]) -> dict[str, str]:
    return {rated.facts.session: rated.kind for rated in found}


def test_free_minutes_go_to_the_sessions_that_began_first_whatever_their_order():
    student = Plan("student", free_minutes=40)
    first, second = session("b", plan="student"), session("a", start=MONDAY + timedelta(hours=1), plan="student")
    for order in ([first, second], [second, first]):
        found = rating.rate(order, terms(student=student))
        assert amounts(found) == {"b": 0, "a": 200}
        assert kinds(found) == {"b": FREE, "a": BILLED}


def test_each_user_of_a_payer_has_free_minutes_of_their_own():
    both = [session("a", user="m-1", plan="student"), session("b", user="m-2", plan="student")]
    assert amounts(rating.rate(both, terms(student=Plan("student", free_minutes=30)))) == {"a": 0, "b": 0}


def test_the_cap_holds_for_one_user_at_one_machine_on_one_day():
    capped = terms(rule(daily_cap=Decimal(4)))
    later = MONDAY + timedelta(hours=1)
    found = rating.rate(
        [
            session("first"),
            session("same", start=later),
            session("other-user", start=later, user="m-2"),
            session("other-machine", start=later, machine="saw"),
            session("other-day", start=later + timedelta(days=1)),
        ],
        capped,
    )
    assert amounts(found) == {"first": 300, "same": 100, "other-user": 300, "other-machine": 300, "other-day": 300}


def test_the_day_of_the_end_in_the_zone_of_the_site_decides():
    over_midnight = session("a", minutes=60, start=datetime(2026, 3, 2, 22, 30, tzinfo=UTC))
    dearer = rule("0.20", 2, date(2026, 3, 3))
    assert amounts(rating.rate([over_midnight], terms(rule(), dearer))) == {"a": 1_200}
    before = session("a", minutes=20, start=datetime(2026, 3, 2, 22, 30, tzinfo=UTC))
    assert amounts(rating.rate([before], terms(rule(), dearer))) == {"a": 200}


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"user": "emergency:fire"}, NOT_BILLABLE),
        ({"purpose": "maintenance"}, NOT_BILLABLE),
        ({"purpose": "training"}, NOT_BILLABLE),
        ({"purpose": "maintenance", "waived": True, "in_review": True}, NOT_BILLABLE),
        ({"waived": True, "in_review": True}, WAIVED),
        ({"in_review": True}, IN_REVIEW),
        ({"machine": "drill", "in_review": True}, IN_REVIEW),
        ({"machine": "drill"}, NO_TARIFF),
        ({"machine": "drill", "purpose": "training"}, NOT_BILLABLE),
        ({"purpose": "group"}, BILLED),
    ],
)
def test_each_session_is_in_one_class(changes, kind):
    [found] = rating.rate([session("a", **changes)], terms(rule(machine="laser")))
    assert (found.kind, found.amount_minor) == (kind, 300 if kind == BILLED else 0)


def test_a_rule_may_bill_trainings_and_not_bill_members():
    trainings = terms(rule(purposes=frozenset({"training"})))
    found = rating.rate([session("a", purpose="training"), session("b")], trainings)
    assert kinds(found) == {"a": BILLED, "b": NOT_BILLABLE}


def test_what_is_in_review_waived_or_within_grace_uses_no_free_minutes():
    held = [session("a", in_review=True, plan="student"), session("b", waived=True, plan="student")]
    short = session("c", minutes=1, plan="student")
    last = session("d", start=MONDAY + timedelta(hours=1), plan="student")
    found = rating.rate([*held, short, last], terms(rule(grace_s=60), student=Plan("student", free_minutes=30)))
    assert kinds(found) == {"a": IN_REVIEW, "b": WAIVED, "c": GRACE, "d": FREE}


def test_a_late_session_gets_what_the_others_left_although_it_began_first():
    student = terms(rule(daily_cap=Decimal(4)), student=Plan("student", free_minutes=10))
    on_time = [session("b", start=MONDAY + timedelta(hours=1), plan="student")]
    before = rating.rate(on_time, student)
    first, second = session("z", plan="student"), session("a", start=MONDAY - timedelta(hours=1), plan="student")
    assert rating.rate(on_time, student, late=[first])[:1] == before
    after = rating.rate(on_time, student, late=[first, second])
    assert after[:2] == rating.rate(on_time, student, late=[first])
    assert amounts(after) == {"b": 200, "z": 200, "a": 0}


def test_the_place_comes_before_the_plan_and_the_newest_of_equals_counts():
    found = (
        rule("0.01", 1),
        rule("0.02", 2, plan="student"),
        rule("0.03", 3, category="cutters"),
        rule("0.04", 4, category="cutters", plan="student"),
        rule("0.05", 5, machine="laser"),
        rule("0.06", 6, machine="laser", since=date(2026, 3, 1)),
        rule("0.07", 7, machine="laser", since=date(2026, 4, 1)),
    )
    chosen = {
        (machine, category, plan): rating.rules.find(found, machine, category, plan, MONDAY.date()).id
        for machine, category, plan in [
            ("laser", "cutters", "student"),
            ("plotter", "cutters", "student"),
            ("plotter", "cutters", ""),
            ("drill", "", "student"),
            ("drill", "", "staff"),
        ]
    }
    assert list(chosen.values()) == [6, 4, 3, 2, 1]


def test_a_discount_comes_from_the_plan():
    found = rating.rate([session("a", plan="staff")], terms(staff=Plan("staff", discount_percent=Decimal("12.5"))))
    assert amounts(found) == {"a": 263}, "2.625, half up"


def test_in_the_night_when_clocks_go_back_the_session_that_began_first_comes_first():
    student = terms(student=Plan("student", free_minutes=10))
    night = datetime(2026, 10, 25, 2, 30, tzinfo=PARIS)
    first, second = (
        session(name, 10, start, plan="student")._replace(end=start.astimezone(UTC) + timedelta(minutes=10))
        for name, start in (("a", night), ("b", night.replace(minute=10, fold=1)))
    )
    assert amounts(rating.rate([second, first], student)) == {"a": 0, "b": 100}


@pytest.mark.parametrize(("price", "minutes"), [("0.255", [1] * 30), ("0.111", [45, 10, 10])])
@pytest.mark.parametrize("discount", ["0", "33.33"])
def test_rounded_amounts_never_add_up_to_more_than_the_cap(price, minutes, discount):
    capped = terms(rule(price, daily_cap=Decimal(5)), staff=Plan("staff", discount_percent=Decimal(discount)))
    one_after_another = [
        session(f"s{number:02}", lasts, MONDAY + timedelta(minutes=number * 10), plan="staff")
        for number, lasts in enumerate(minutes)
    ]
    found = sum(amounts(rating.rate(one_after_another, capped)).values())
    assert found <= 500
    assert found == 500 or discount != "0"


def test_a_plan_that_the_terms_do_not_have_is_no_silent_full_price():
    with pytest.raises(KeyError, match="student"):
        rating.rate([session("a", plan="student")], terms())


def test_a_time_without_a_zone_is_refused():
    with pytest.raises(ValueError, match="without a zone"):
        rating.rate([session("a", start=MONDAY.replace(tzinfo=None))], terms())


def test_a_rule_with_machine_and_category_needs_both():
    both = rule(machine="laser", category="metal")
    assert kinds(rating.rate([session("a")], terms(both))) == {"a": NO_TARIFF}


@given(
    rules_=st.lists(
        st.builds(
            Rule,
            id=st.integers(1, 9),
            tariff=st.just(Tariff(Decimal(1))),
            valid_from=st.dates(date(2027, 1, 1), date(2027, 1, 5)),
            machine=st.sampled_from(["", "saw"]),
            category=st.just(""),
            plan=st.sampled_from(["", "student"]),
        ),
        unique_by=lambda rule: rule.id,
        max_size=6,
    ),
    asked=st.lists(
        st.tuples(
            st.sampled_from(["saw", "laser"]),
            st.sampled_from(["", "wood"]),
            st.sampled_from(["", "student"]),
            st.dates(date(2026, 12, 31), date(2027, 1, 6)),
        ),
        max_size=8,
    ),
)
def test_a_lookup_finds_the_rule_that_is_found_one_by_one(rules_, asked):
    lookup = rules.Lookup(rules_)
    assert [lookup.find(*one) for one in asked] == [rules.find(rules_, *one) for one in asked]
