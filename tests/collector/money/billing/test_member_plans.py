"""Does a member have the right plan on each day, after any changes in any order?"""

from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fabgate.collector.ground.models import Change as LogEntry
from fabgate.collector.ground.models import Member, Plan, PlanChange
from fabgate.collector.members.people import blocks
from fabgate.collector.money.billing import member_plans
from fabgate.collector.money.billing.member_plans import Change
from fabgate.collector.processes.verify.findings import Report
from fabgate.collector.processes.verify.money import prices
from fabgate.errors import UsageError

FIRST = date(2026, 1, 1)
DAYS = [FIRST + timedelta(days=number) for number in range(12)]
#: Plans are typed for a day of DAYS.
ACTS = st.lists(st.tuples(st.sampled_from(DAYS), st.sampled_from(["", "student", "pro"])), max_size=8)


def by_days(acts: list[tuple[date, str]]) -> dict[date, str]:
    """Return the plan of each day: each act fills the days from its own to the next one for which somebody acted."""
    plans = dict.fromkeys([FIRST - timedelta(days=1), *DAYS], "")
    for number, (since, plan) in enumerate(acts):
        later = [day for day, _plan in acts[:number] if day > since]
        end = min(later, default=DAYS[-1] + timedelta(days=1))
        plans |= {day: plan for day in DAYS if since <= day < end}
    return plans


@given(ACTS)
def test_the_plan_of_each_day_is_the_one_that_was_chosen_last_for_it(acts):
    history = member_plans.NO_HISTORY
    for since, plan in acts:
        history = member_plans.with_change(history, Change(since, plan))
        plans = ["", *(change.plan for change in member_plans.steps(history))]
        assert all(before != after for before, after in pairwise(plans))
    assert {day: member_plans.plan_on(history, day) for day in by_days(acts)} == by_days(acts)


@pytest.fixture
def plans(database) -> None:
    Plan.objects.bulk_create([Plan(name="pro"), Plan(name="student")])
    Member.objects.bulk_create([Member(id=f"m-{number}") for number in range(1, 4)])


@pytest.mark.usefixtures("plans")
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            st.sampled_from(DAYS),
            st.dictionaries(
                st.sampled_from(["m-1", "m-2", "m-3"]), st.sampled_from(["", "student", "pro"]), min_size=1
            ),
        ),
        max_size=6,
    )
)
def test_the_database_has_the_same_histories(acts):
    PlanChange.objects.all().delete()
    expected: dict[str, list[tuple[date, str]]] = {}
    for since, chosen in acts:
        member_plans.set_plans(chosen, since, actor="ada")
        for member, plan in chosen.items():
            expected.setdefault(member, []).append((since, plan))
    stored = member_plans.histories()
    for member, theirs in expected.items():
        history = stored.get(member, member_plans.NO_HISTORY)
        assert {day: member_plans.plan_on(history, day) for day in by_days(theirs)} == by_days(theirs)
        assert member_plans.history(Member.objects.get(pk=member)) == history


@pytest.mark.usefixtures("plans")
def test_a_plan_that_was_confirmed_stays_when_an_earlier_day_is_corrected():
    ada = Member.objects.get(pk="m-1")
    assert member_plans.set_plan(ada, "student", FIRST, actor="ada")
    assert member_plans.set_plan(ada, "student", DAYS[5], actor="desk")
    assert member_plans.set_plan(ada, "pro", FIRST, actor="manager")
    history = member_plans.history(ada)
    assert [member_plans.plan_on(history, day) for day in (DAYS[4], DAYS[5])] == ["pro", "student"]
    assert prices_are_as_logged()


@pytest.mark.usefixtures("plans")
def test_a_change_to_come_is_cancelled_and_does_not_come_back():
    ada, today = Member.objects.get(pk="m-1"), DAYS[2]
    member_plans.set_plan(ada, "student", FIRST, actor="ada")
    member_plans.set_plan(ada, "pro", DAYS[4], actor="ada")
    assert member_plans.cancel(ada, DAYS[4], today, actor="bob")
    assert not member_plans.cancel(ada, DAYS[4], today, actor="bob")
    assert member_plans.history(ada) == (Change(FIRST, "student"),)
    assert prices_are_as_logged()
    with pytest.raises(UsageError, match="wanted a day after 2026-01-03"):
        member_plans.cancel(ada, FIRST, today, actor="bob")


def prices_are_as_logged() -> bool:
    report = Report()
    prices.check(report)
    return not [finding for finding in report.findings if finding.table == "planchange"]


@pytest.mark.usefixtures("plans")
def test_a_change_is_logged_with_its_day_and_one_that_changes_nothing_is_not():
    ada = Member.objects.get(pk="m-1")
    assert member_plans.set_plan(ada, "student", FIRST, actor="ada")
    assert not member_plans.set_plan(ada, "student", FIRST, actor="ada")
    assert member_plans.set_plan(ada, "", DAYS[5], actor="bob")
    assert [
        (row.kind, row.key, row.verb, row.actor, row.before, row.after) for row in LogEntry.objects.order_by("pk")
    ] == [
        ("member", "m-1", "member.plan", "ada", {"plan": ""}, {"plan": "student", "since": "2026-01-01"}),
        ("member", "m-1", "member.plan", "bob", {"plan": "student"}, {"plan": "", "since": "2026-01-06"}),
    ]


@pytest.mark.usefixtures("plans")
def test_an_unknown_plan_changes_nothing():
    with pytest.raises(KeyError):
        member_plans.set_plans({"m-1": "student", "m-2": "gold"}, FIRST, actor="ada")
    assert not PlanChange.objects.exists()
    assert not LogEntry.objects.exists()


@pytest.mark.usefixtures("plans")
def test_a_plan_counts_those_who_have_it_today_and_have_not_left():
    member_plans.set_plans(dict.fromkeys(["m-1", "m-2", "m-3"], "student"), FIRST, actor="ada")
    member_plans.set_plans({"m-1": "pro"}, DAYS[4], actor="ada")
    Member.objects.filter(pk="m-2").update(left_on=DAYS[2])
    assert [dict(member_plans.members_of(day)) for day in (DAYS[1], DAYS[4])] == [
        {"student": 3},
        {"pro": 1, "student": 1},
    ]


# --- the verb ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def plan(run, plans):
    return lambda *words: run("member-plan", *words)


def test_the_verb_gives_a_plan_and_lists_the_history(plan):
    today = blocks.today()
    assert plan("m-1", "student", "--from", "2026-01-01") == "m-1: student from 2026-01-01\n"
    assert plan("m-1", "student", "--from", "2026-01-01") == "m-1: student from 2026-01-01; nothing changed\n"
    assert plan("m-1", "--none") == f"m-1: no plan from {today}\n"
    assert plan("m-1") == f"2026-01-01  student\n{today}  no plan\n"
    tomorrow = today + timedelta(days=1)
    plan("m-1", "pro", "--from", str(tomorrow))
    assert plan("m-1", "--cancel", str(tomorrow)) == f"m-1: the change of {tomorrow} is cancelled\n"
    assert plan("m-1", "--cancel", str(tomorrow)) == f"m-1: found no change of {tomorrow}; nothing changed\n"
    assert plan("m-1") == f"2026-01-01  student\n{today}  no plan\n"


@pytest.mark.parametrize(
    ("words", "wrong"),
    [
        (("m-9", "student"), "found no member 'm-9'"),
        (("m-1", "studnet"), "did you mean 'student'"),
        (("m-1", "xyz"), "wanted one of: pro, student"),
        (("m-1", "pro", "--from", "tomorrow"), "--from: found 'tomorrow'"),
        (("m-1", "pro", "--from", "1999-12-31"), "--from: found 1999-12-31, wanted a day from 2000-01-01"),
        (("m-1", "pro", "--from", "9999-01-01"), "--from: found '9999-01-01'"),
    ],
)
def test_the_verb_refuses_what_is_wrong(plan, words, wrong):
    with pytest.raises(UsageError, match=wrong):
        plan(*words)
    assert not PlanChange.objects.exists()
