"""Are rules and plans set on the pages as people mean them, with every mistake named at its field?"""

from __future__ import annotations

from datetime import date, time, timedelta
from decimal import Decimal

import pytest
from django.db import transaction
from django.http import QueryDict
from django.utils import timezone, translation
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from fabgate.collector.faces.pages.month.tariffs.rule_form import RuleForm, initial_of
from fabgate.collector.faces.pages.words import tariff_phrases
from fabgate.collector.ground.models import Change, Machine, Plan, TariffRule
from fabgate.collector.money.billing import closing, member_plans, rule_store, terms
from fabgate.collector.money.billing.tariffs.coverage import MachineInCategory, counting, unpriced
from fabgate.collector.money.billing.tariffs.rules import Rule
from fabgate.collector.money.billing.tariffs.typed_rule import Typed
from fabgate.collector.money.paper.figures import Money
from fabgate.pricing import stored
from fabgate.pricing.tariffs import RUNNING, Peak, Tariff
from tests.collector.faces.pages import billing
from tests.collector.faces.pages.billing import FIRST, typed
from tests.collector.faces.pages.racing import at_once, sent
from tests.collector.faces.pages.used import Used, text

pytestmark = pytest.mark.usefixtures("database")

EUR = Money("EUR", 2)
NEW = "/month/tariffs/new"
TYPED = Typed(Tariff(Decimal(1)), frozenset({"own"}), "")


def today() -> date:
    """Of the moment: midnight may have passed since this file was read."""
    return timezone.localdate()


@pytest.fixture(autouse=True)
def _started(database) -> None:
    billing.start()
    Used()


# --- adding ---------------------------------------------------------------------------------------------------------


def test_a_rule_is_added_as_it_was_typed(manager):
    billing.plan("student")
    answer = manager.post(
        NEW,
        typed(
            where="machine:bandsaw",
            plan="student",
            price="0.125",
            minimum="1",
            session_fee="0.50",
            daily_cap="12.00",
            grace_s="30",
            step_s="900",
            vat_code="V20",
            purposes=["own", "training"],
            peaks=[(["0", "1"], "17:00", "22:00", "0.25"), (["6"], "22:00", "00:00", "0")],
        ),
    )
    assert answer.status_code == 303
    row = TariffRule.objects.get()
    assert (str(row.machine), row.plan.name, row.valid_from, row.vat_code) == ("Band saw", "student", FIRST, "V20")
    assert row.purposes == ["own", "training"]
    assert stored.from_json(row.tariff) == Tariff(
        Decimal("0.125"),
        peaks=(
            Peak(frozenset({0, 1}), time(17), time(22), Decimal("0.25")),
            Peak(frozenset({6}), time(22), time(0), Decimal(0)),
        ),
        session_fee=Decimal("0.5"),
        minimum=Decimal(1),
        daily_cap=Decimal(12),
        grace_s=30,
        step_s=900,
    )
    change = Change.objects.get(verb="tariff.added")
    assert (change.actor, change.kind, row.made_by) == ("manager", "tariffrule", "manager")


def test_amounts_are_typed_as_the_reader_writes_them(browse, account):
    client = browse(account("manager", lang="fr"))
    assert client.post(NEW, typed(price="0,10", daily_cap="12.5")).status_code == 303
    assert TariffRule.objects.get().tariff["price"] == "0.1"
    english = browse(account("accountant", lang="en"))
    answer = english.post(NEW, typed(price="1,000"))
    assert answer.context["form"].errors["price"] == ["Enter an amount such as 0.10."]


@pytest.mark.parametrize(
    ("changes", "field", "wrong"),
    [
        ({"price": ""}, "price", "This field is required."),
        ({"price": "cheap"}, "price", "Enter an amount such as 0.10."),
        ({"price": "-1"}, "price", "Enter 0 or more, at most €10,000,000.00."),
        ({"price": "NaN"}, "price", "Enter 0 or more"),
        ({"price": "1e99"}, "price", "Enter 0 or more"),
        ({"price": "0.1234567"}, "price", "Enter at most 6 decimals."),
        ({"minimum": "0.005"}, "minimum", "Enter at most 2 decimals."),
        ({"daily_cap": "1", "minimum": "2"}, "daily_cap", "The daily cap is below the minimum, €2.00."),
        ({"idle_price": "0.01"}, "idle_price", "A price for idle time needs"),
        ({"grace_s": "3601"}, "grace_s", "Enter 0 to 3600 seconds."),
        ({"grace_s": "-1"}, "grace_s", "Enter 0 to 3600 seconds."),
        ({"purposes": []}, "purposes", "Choose at least one purpose."),
        ({"purposes": ["fun"]}, "purposes", "Select a valid choice"),
        ({"where": "machine:drill"}, "where", "Select a valid choice"),
        ({"plan": "student"}, "plan", "Select a valid choice"),
        ({"since": "soon"}, "since", "Enter the day as year-month-day"),
        ({"since": "2020-01-01"}, "since", "Billing starts on"),
        ({"vat_code": "x" * 21}, "vat_code", "at most 20 characters"),
    ],
)
def test_a_mistake_is_named_at_its_field_and_nothing_is_stored(manager, changes, field, wrong):
    answer = manager.post(NEW, typed(**changes))
    assert answer.status_code == 400
    assert wrong in answer.context["form"].errors[field][0]
    assert not TariffRule.objects.exists()


@pytest.mark.parametrize(
    ("peaks", "row", "field", "wrong"),
    [
        ([([], "17:00", "22:00", "1")], 0, "days", "Choose at least one day."),
        ([(["0"], "17:00", "", "1")], 0, "end", "This field is required."),
        ([(["0"], "17:00", "22:00", "x")], 0, "price", "Enter an amount"),
        ([(["0"], "17:00", "22:00", "-1")], 0, "price", "Enter 0 or more"),
        ([(["4"], "22:00", "02:00", "1"), (["5"], "01:00", "03:00", "1")], 1, "start", "Another row covers"),
        ([(["4"], "22:00", "", "1"), (["5"], "01:00", "03:00", "x")], 1, "price", "Enter an amount"),
    ],
)
def test_a_mistake_in_peak_hours_is_named_in_its_row(manager, peaks, row, field, wrong):
    answer = manager.post(NEW, typed(peaks=peaks))
    assert answer.status_code == 400
    assert wrong in answer.context["form"].peaks[row].errors[field][0]
    assert wrong in text(answer)
    assert not TariffRule.objects.exists()


def test_all_mistakes_are_named_at_once_and_what_was_typed_stays(manager):
    peaks = [([], "17:00", "22:00", "1.5")]
    answer = manager.post(NEW, typed(price="-1", minimum="x", grace_s="9999", since="2020-01-01", peaks=peaks))
    assert answer.context["form"].errors.keys() == {"price", "minimum", "grace_s", "since"}
    page = text(answer)
    for value in ('value="-1"', 'value="x"', 'value="9999"', 'value="2020-01-01"', 'value="17:00"', 'value="1.5"'):
        assert value in page
    assert page.count('<details class="fold" open>') == 2


def test_peak_hours_beside_running_time_are_refused(manager):
    answer = manager.post(NEW, typed(basis="running", peaks=[(["0"], "17:00", "22:00", "1")]))
    assert "The gate does not record when a job runs" in answer.context["form"].non_field_errors()[0]


def test_a_row_may_be_emptied_or_added(manager):
    before = billing.rule("price=1 peak='mon 17:00-22:00 2'")
    page = manager.get(f"{NEW}?from={before.pk}")
    assert len(page.context["form"].peaks.forms) == 3
    answer = manager.post(NEW, {**typed(since=f"{today()}", peaks=[([], "", "", "")]), "peak-INITIAL_FORMS": 1})
    assert answer.status_code == 303
    more = manager.post(NEW, {**typed(price="7", peaks=[(["0"], "17:00", "", "x")]), "row": "1"})
    assert more.status_code == 200
    assert len(more.context["form"].peaks.forms) == 4
    assert 'value="7"' in text(more)
    assert 'class="errorlist"' not in text(more)
    assert TariffRule.objects.count() == 2


def test_two_rules_for_the_same_do_not_begin_on_one_day(manager):
    billing.rule("price=1")
    answer = manager.post(NEW, typed())
    assert answer.status_code == 400
    assert "begins on this day" in answer.context["form"].errors["since"][0]
    assert manager.post(NEW, typed(where="machine:lathe")).status_code == 303


def test_two_people_never_add_two_rules_for_one_day(browse, account):
    first, second = browse("manager"), browse("accountant")
    answers = at_once(sent(first, NEW, typed(price="1")), sent(second, NEW, typed(price="2")))
    assert sorted(answer.status_code for answer in answers) == [303, 400]
    (lost,) = (answer for answer in answers if answer.status_code == 400)
    assert "Another rule for the same machines and plan begins on this day." in text(lost)
    assert TariffRule.objects.count() == 1


def test_at_the_command_line_too_the_second_of_two_rules_is_refused():
    def add() -> None:
        with transaction.atomic():  # as the verb does
            rule_store.add(rule_store.unsaved((None, "", None), FIRST, TYPED), "maya")

    outcomes = at_once(add, add)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["NoneType", "SameDayError"]
    assert Change.objects.filter(verb="tariff.added").count() == 1


amounts = st.decimals(0, 9_999, places=2)
tariffs = st.builds(
    Tariff,
    price=st.decimals(0, 100, places=6),
    peaks=st.lists(st.integers(0, 6), unique=True, max_size=3).map(
        lambda days: tuple(Peak(frozenset({day}), time(17, 30), time(0), Decimal("0.25")) for day in days)
    ),
    session_fee=amounts,
    minimum=amounts,
    daily_cap=st.none() | st.just(Decimal(9_999)),
    grace_s=st.integers(0, 3_600),
    step_s=st.integers(1, 86_400),
) | st.builds(Tariff, price=amounts, charged_for=st.just(RUNNING), idle_price=amounts)


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
@given(tariff=tariffs, lang=st.sampled_from(["en", "fr"]))
def test_the_form_of_a_successor_sends_the_same_tariff(tariff, lang):
    before = Rule(1, tariff, FIRST, purposes=frozenset({"own", "training"}), vat_code="V1")
    with translation.override(lang):
        shown = RuleForm(terms.get(), initial={**initial_of(before), "since": FIRST})
        data = QueryDict(mutable=True)
        for form in (shown, *shown.peaks.forms):
            for field in form:
                value = field.value()
                if isinstance(value, list):
                    data.setlist(field.html_name, list(map(str, value)))
                elif value is not None:
                    data[field.html_name] = str(field.field.widget.format_value(value))
        data["peak-TOTAL_FORMS"], data["peak-INITIAL_FORMS"] = str(len(shown.peaks.forms)), "0"
        for name in ("where", "plan", "basis", "step_s"):  # whose widgets show choices
            data[name] = str(shown[name].value() or "")
        sent = RuleForm(terms.get(), data, {"step_s": tariff.step_s})
        assert sent.is_valid(), (sent.errors, sent.peaks.errors)
        assert stored.to_json(sent.typed().tariff) == stored.to_json(tariff)
        assert sent.typed().purposes == before.purposes


# --- the first day of a new rule --------------------------------------------------------------------------------------


def since_of(form: RuleForm) -> object:
    return form["since"].value()


def test_the_first_rule_of_a_machine_applies_from_the_start_of_billing(manager):
    assert since_of(manager.get(NEW).context["form"]) == FIRST
    billing.rule("price=1", today(), machine="bandsaw")
    assert since_of(manager.get(f"{NEW}?where=machine:lathe").context["form"]) == FIRST
    assert since_of(manager.get(f"{NEW}?where=machine:bandsaw").context["form"]) == today()


def test_an_empty_first_day_is_the_proposed_one_of_the_machine_that_is_chosen(manager):
    billing.rule("price=1", today(), machine="bandsaw")
    form = manager.get(NEW).context["form"]
    assert since_of(form) is None
    assert "for machines without a price" in form.fields["since"].help_text
    for machine, day in (("lathe", FIRST), ("bandsaw", today())):
        data = typed(where=f"machine:{machine}", plan="", price="2", since="")
        answer = manager.post(NEW, data)
        if machine == "bandsaw":  # a rule that begins on that day is there
            assert answer.context["form"]["since"].value() == f"{day}"
        else:
            assert answer.status_code == 303
            assert TariffRule.objects.get(machine__name=machine).valid_from == day


def test_once_a_month_was_closed_a_rule_applies_from_today(manager):
    closing.close(FIRST, timezone.now() + timedelta(days=60), actor="maya", reason="-")
    for where in ("", "?where=machine:lathe"):
        assert since_of(manager.get(f"{NEW}{where}").context["form"]) == today()


def test_a_rule_of_the_category_or_of_all_machines_counts_as_one_of_the_machine(manager):
    Machine.objects.filter(name="lathe").update(category="metal")
    billing.rule("price=1", category="metal")
    assert since_of(manager.get(f"{NEW}?where=machine:lathe").context["form"]) == today()
    assert since_of(manager.get(f"{NEW}?where=machine:bandsaw").context["form"]) == FIRST
    assert since_of(manager.get(f"{NEW}?where=category:metal").context["form"]) == today()
    billing.rule("price=1", today())
    assert since_of(manager.get(f"{NEW}?where=machine:bandsaw").context["form"]) == today()


# --- successors, and removing -----------------------------------------------------------------------------------------


def test_a_successor_starts_with_the_values_of_its_rule(manager):
    before = billing.rule("price=0.12 minimum=1 peak='mon-fri 17:00-22:00 0.25'", machine="bandsaw")
    form = manager.get(f"{NEW}?from={before.pk}").context["form"]
    assert form["where"].value() == "machine:bandsaw"
    assert form["price"].value() == "0.12"
    assert form["since"].value() == (today().replace(day=1) + timedelta(days=31)).replace(day=1)
    assert form.has_rare
    assert form.has_peaks
    Machine.objects.filter(name="bandsaw").update(retired_at=timezone.now())
    form = manager.get(f"{NEW}?from={before.pk}").context["form"]
    assert "machine:bandsaw" in dict(form.fields["where"].choices)


@pytest.mark.parametrize("pk", ["", "0", "x", "9" * 30, "99"])
def test_a_successor_of_nothing_is_a_new_rule(manager, pk):
    assert manager.get(f"{NEW}?from={pk}").context["before"] is None


def test_only_a_rule_that_does_not_apply_yet_is_removed(manager):
    begun, coming = billing.rule("price=1", today()), billing.rule("price=2", today() + timedelta(days=1))
    page = text(manager.get("/month/tariffs"))
    assert f"/month/tariffs/{begun.pk}/remove" not in page
    assert f"/month/tariffs/{coming.pk}/remove" in page
    answer = manager.post(f"/month/tariffs/{begun.pk}/remove")
    assert answer.status_code == 409
    assert "This rule applies already" in text(answer)
    assert manager.post(f"/month/tariffs/{coming.pk}/remove").status_code == 303
    assert [*TariffRule.objects.all()] == [begun]
    change = Change.objects.get(verb="tariff.removed")
    assert (change.key, change.before["tariff"]["price"], change.after) == (str(coming.pk), "2", {})
    assert manager.post(f"/month/tariffs/{coming.pk}/remove").status_code == 409


def test_the_log_shows_a_rule_in_words(manager, browse, account):
    manager.post(NEW, typed(price="0.12", minimum="1", purposes=["own"]))
    row = browse(account("auditor", lang="fr")).get("/log").context["rows"][0]
    shown = {name: new for name, _old, new in row["fields"]}
    assert shown["Tarif"] == "0,12\N{NO-BREAK SPACE}€ la minute · au moins 1,00\N{NO-BREAK SPACE}€ la session"
    assert shown["Usages facturés"] == "Projet personnel"


# --- the list -----------------------------------------------------------------------------------------------------


def test_rules_are_listed_by_place_with_their_history_folded(manager):
    billing.plan("student")
    Machine.objects.filter(name="lathe").update(category="metal")
    billing.rule("price=0.30", machine="bandsaw")
    billing.rule("price=0.35", today(), machine="bandsaw")
    billing.rule("price=0.40", today() + timedelta(days=9), machine="bandsaw")
    billing.rule("price=0.20", category="metal")
    billing.rule("price=0.10")
    billing.rule("price=0.05", plan="student")
    places = manager.get("/month/tariffs").context["places"]
    assert [place.title for place in places] == ["All machines", "Category: metal", "Band saw"]
    every, saw = places[0], places[2]
    assert [row["phrases"][0] for row in every.current] == ["€0.10 a minute", "€0.05 a minute"]
    assert [[row["phrases"][0] for row in rows] for rows in (saw.current, saw.coming, saw.past)] == [
        ["€0.35 a minute"],
        ["€0.40 a minute"],
        ["€0.30 a minute"],
    ]
    # every machine has a rule of its own or of its category, but the plan's rule is never reached
    assert [row["is_unused"] for row in every.current] == [True, True]
    assert "1 earlier rule" in text(manager.get("/month/tariffs"))


def test_machines_without_a_price_are_named(manager):
    assert "No tariff yet" in text(manager.get("/month/tariffs"))
    billing.plan("student")
    billing.rule("price=1", today(), machine="bandsaw")
    billing.rule("price=1", plan="student")
    found = manager.get("/month/tariffs").context["unpriced"]
    assert [(one["machine"], one["until"], one["plans"]) for one in found] == [
        ("Band saw", today(), ("student",)),
        ("Metal lathe", None, ("student",)),
    ]
    billing.rule("price=1")
    assert not manager.get("/month/tariffs").context["unpriced"]


DAY = date(2027, 1, 1)
PLACES = [MachineInCategory("saw", "wood"), MachineInCategory("laser", "")]


def _rule(pk: int, since: date = DAY, **place: str) -> Rule:
    return Rule(pk, Tariff(Decimal(1)), since, **place)


@pytest.mark.parametrize(
    ("rules", "named"),
    [
        ([], ["saw", "laser"]),
        ([_rule(1)], []),
        ([_rule(1, category="wood")], ["laser"]),
        ([_rule(1, category="wood"), _rule(2, machine="laser")], []),
        ([_rule(1, plan="student")], ["saw", "laser"]),
        ([_rule(1, date(2027, 2, 1))], ["saw", "laser"]),
        ([_rule(1, date(2026, 2, 1))], []),
    ],
)
def test_a_hole_is_a_machine_without_a_rule_for_everyone(rules, named):
    assert [one.machine for one in unpriced(PLACES, rules, DAY)] == named


def test_a_rule_counts_if_a_session_can_meet_it():
    rules = [
        _rule(1),
        _rule(2, category="wood"),
        _rule(3, machine="laser"),
        _rule(4, plan="student"),
        _rule(5, machine="laser", plan="student"),
    ]
    assert counting(PLACES, ["student"], rules, DAY) == {2, 3, 5}
    assert counting([*PLACES, MachineInCategory("drill", "")], ["student"], rules, DAY) == {1, 2, 3, 4, 5}
    assert counting(PLACES, [], rules, date(2026, 1, 1)) == set()


@pytest.mark.parametrize(
    ("tariff", "phrases"),
    [
        (Tariff(Decimal("0.1")), ["€0.10 a minute"]),
        (Tariff(Decimal("0.000033")), ["€0.000033 a minute"]),
        (Tariff(Decimal(0)), ["costs nothing"]),
        (Tariff(Decimal(0), session_fee=Decimal(2), minimum=Decimal(3)), ["€3.00 a session"]),
        (
            Tariff(Decimal(1), charged_for=RUNNING, idle_price=Decimal("0.5"), grace_s=90, step_s=900),
            [
                "€1.00 a minute while a job runs",
                "€0.50 a minute while no job runs",
                "sessions up to 90 s are free",
                "time rounded up to 15 min",
            ],
        ),
        (
            Tariff(
                Decimal(1),
                peaks=(
                    Peak(frozenset({0, 1, 2, 6}), time(17), time(0), Decimal(2)),
                    Peak(frozenset(range(7)), time(1), time(2), Decimal(3)),
                ),
                session_fee=Decimal("0.5"),
                minimum=Decimal(1),
                daily_cap=Decimal(5),
            ),
            [
                "€1.00 a minute",
                "€2.00 a minute on Mon\N{EN DASH}Wed, Sun, 17:00\N{EN DASH}24:00",
                "€3.00 a minute on all days, 01:00\N{EN DASH}02:00",
                "€0.50 for each session",
                "at least €1.00 a session",
                "at most €5.00 a day",
            ],
        ),
    ],
)
def test_a_tariff_is_written_in_words(tariff, phrases):
    assert tariff_phrases.of(tariff, {"own", "group"}, "", EUR) == phrases


def test_purposes_and_the_vat_code_are_named_if_they_are_unusual():
    phrases = tariff_phrases.of(Tariff(Decimal(1)), {"own", "training"}, "V20", EUR)
    assert phrases[1:] == ["only these purposes are billed: Own project, Training", "VAT code V20"]


# --- plans ------------------------------------------------------------------------------------------------------------


def test_a_plan_is_added_changed_and_listed_with_its_members(manager):
    assert "No plan yet" in text(manager.get("/month/plans"))
    added = {"name": "student", "free_minutes": "40", "discount_percent": "12.5"}
    assert manager.post("/month/plans/new", added).status_code == 303
    plan = Plan.objects.get()
    member_plans.set_plans({"m-1": "student", "m-2": "student"}, FIRST, actor="maya")
    page = text(manager.get(f"/month/plans/{plan.pk}"))
    assert "2 members have this plan. A change applies to all months that are not closed" in page
    changed = {"name": "other", "free_minutes": "60", "discount_percent": "12.5"}
    assert manager.post(f"/month/plans/{plan.pk}", changed).status_code == 303
    plan.refresh_from_db()
    assert (plan.name, plan.free_minutes, plan.discount_percent) == ("student", 60, Decimal("12.5"))
    row = manager.get("/month/plans").context["rows"][0]
    assert (row["members"], row["discount"]) == (2, "12.5%")
    assert [change.verb for change in Change.objects.filter(kind="plan").order_by("pk")] == [
        "plan.added",
        "plan.updated",
    ]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 61}, "name"),
        ({"name": "a\u200bb"}, "name"),
        ({"name": "basic"}, "name"),
        ({"free_minutes": "-1"}, "free_minutes"),
        ({"free_minutes": "44641"}, "free_minutes"),
        ({"free_minutes": ""}, "free_minutes"),
        ({"discount_percent": "101"}, "discount_percent"),
        ({"discount_percent": "-1"}, "discount_percent"),
        ({"discount_percent": "NaN"}, "discount_percent"),
        ({"discount_percent": "1.234"}, "discount_percent"),
    ],
)
def test_a_wrong_plan_is_refused_at_its_field(manager, changes, field):
    Plan.objects.create(name="basic")
    answer = manager.post(
        "/month/plans/new", {"name": "student", "free_minutes": "0", "discount_percent": "0", **changes}
    )
    assert answer.status_code == 400
    assert answer.context["form"].errors.keys() == {field}
    assert Plan.objects.count() == 1


def test_a_plan_that_someone_else_changed_meanwhile_is_not_overwritten(manager):
    plan = Plan.objects.create(name="student", free_minutes=10)
    seen = manager.get(f"/month/plans/{plan.pk}").context["form"].seen
    Plan.objects.update(free_minutes=20)
    answer = manager.post(f"/month/plans/{plan.pk}", {"free_minutes": "30", "discount_percent": "0", "seen": seen})
    assert answer.status_code == 409
    assert Plan.objects.get().free_minutes == 20
