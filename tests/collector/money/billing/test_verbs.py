"""Do the ``bill-`` verbs set what machines cost, refuse what is wrong, and add up to all sessions?"""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from django.conf import settings

from fabgate.collector.ground.models import Change, Group, Member, Payer, Plan, TariffRule, UsageSession
from fabgate.collector.members.people import blocks
from fabgate.collector.money.billing import member_plans, summary, terms
from fabgate.collector.money.billing.paying import payers as paying
from fabgate.errors import UsageError
from tests.collector.faces.pages import used
from tests.collector.paying import organisation

pytestmark = pytest.mark.usefixtures("database")

#: Noon in the middle of last month.
NOON = (used.NOON.replace(day=1) - timedelta(days=1)).replace(day=15)
MONTH = f"{NOON:%Y-%m}"


@pytest.fixture
def bill(run):
    """Run a verb and return what it printed."""
    return lambda verb, *words: run(f"bill-{verb}", *words)


@pytest.fixture
def started(bill):
    bill("start", "--currency", "eur", "--vat", "included", "--from", MONTH)
    return bill


def add(bill, *words: str) -> str:
    return str(bill("rule", "--from", f"{MONTH}-01", *words))


def students(*members: str) -> None:
    """Give members the plan "student", from before all their sessions."""
    member_plans.set_plans(dict.fromkeys(members, "student"), date(2020, 1, 1), actor="cli:test")


def test_billing_starts_once(started, bill):
    found = terms.get()
    assert (found.currency, found.digits, found.includes_vat, found.zone) == ("EUR", 2, True, "UTC")
    assert f"{found.first_month:%Y-%m-%d}" == f"{MONTH}-01"
    with pytest.raises(UsageError, match="it cannot be started again"):
        bill("start", "--currency", "CHF", "--vat", "excluded", "--from", MONTH)
    assert Change.objects.get(verb="billing.started").after["currency"] == "EUR"


def test_a_workshop_may_not_be_subject_to_vat(bill):
    printed = bill("start", "--currency", "EUR", "--vat", "not-applicable", "--from", MONTH)
    assert "in EUR, VAT not applicable (art. 293 B CGI), UTC" in printed
    assert terms.get().includes_vat is None


@pytest.mark.parametrize(
    ("words", "wrong"),
    [
        (("--currency", "XAU", "--vat", "included", "--from", MONTH), "found the currency 'XAU'"),
        (("--currency", "EUR", "--vat", "included", "--from", "2027"), "--from: found '2027'"),
    ],
)
def test_billing_does_not_start_with_a_mistake(bill, words, wrong):
    with pytest.raises(UsageError, match=wrong):
        bill("start", *words)


def test_before_billing_has_started_each_verb_says_how(bill):
    for words in (("rule",), ("month", MONTH), ("session", "s-1")):
        with pytest.raises(UsageError, match="bill-start"):
            bill(*words)


def test_a_plan_is_added_changed_and_listed_with_its_members(bill):
    bill("plan", "student", "--free-minutes", "40", "--discount", "12.5")
    bill("plan", "student", "--free-minutes", "60")
    for member, left_on in (("m-1", None), ("m-2", None), ("m-3", blocks.today())):
        Member.objects.create(id=member, left_on=left_on)
        students(member)
    assert bill("plan").splitlines()[1].split() == ["student", "60", "12.5", "%", "none", "2"]
    assert Plan.objects.get().discount_percent == Decimal("12.5")
    assert [row.verb for row in Change.objects.order_by("pk")] == ["plan.added", "plan.updated", *["member.plan"] * 3]


@pytest.mark.parametrize(
    "words",
    [
        ("student", "--discount", "101"),
        ("student", "--discount", "-1"),
        ("student", "--discount", "a lot"),
        ("student", "--discount", "NaN"),
        ("student", "--free-minutes", "-1"),
        ("student", "--free-minutes", "44641"),
        ("a\u200bb",),
        ("x" * 61,),
    ],
)
def test_a_wrong_plan_is_refused(bill, words):
    with pytest.raises(UsageError, match="found"):
        bill("plan", *words)
    assert not Plan.objects.exists()


def test_a_rule_is_printed_as_it_may_be_typed_again(started, shop):
    typed = (
        "price=0.1 idle_price=0.02 session_fee=0.5 minimum=1 daily_cap=9 basis=running grace_s=30 step_s=60"
        " purposes=group,own,training vat_code=V20"
    )
    printed = add(started, "--machine", "bandsaw", *typed.split())
    assert printed.strip() == f"rule 1: bandsaw, every plan, from {MONTH}-01: {typed}"
    peaks = ("peak=mon-fri,sun 17:00-22:00 0.25", "peak=sat 00:00-24:00 0.3")
    printed = add(started, "price=0.1", *peaks)
    assert "peak='mon-fri,sun 17:00-22:00 0.25' peak='sat 00:00-24:00 0.3'" in printed
    assert printed.split(": ", 2)[2].strip() in started("rule")


@pytest.mark.parametrize(
    ("words", "wrong"),
    [
        (("price=0.1", "--machine", "drill"), "--machine: found 'drill', wanted one of: bandsaw, lathe"),
        (("price=0.1", "--category", "wood"), "--category: found 'wood'"),
        (("price=0.1", "--plan", "student"), "--plan: found 'student'"),
        (("minimum=1",), "found no price"),
        (("pric=1",), "did you mean price="),
        (("0.10",), "wanted NAME=VALUE"),
        (("price=cheap",), "price: found 'cheap'"),
        (("price=-1",), "price: found -1, wanted 0"),
        (("price=NaN",), "price: found NaN"),
        (("price=1", "price=2"), "price: found it twice"),
        (("price=1", "step_s=1.5"), "step_s: found '1.5'"),
        (("price=1", "basis=hours"), "basis: found 'hours'"),
        (("price=1", "minimum=0.005"), "at most 2 decimals"),
        (("price=1", "purposes=fun"), "purposes: found 'fun'"),
        (("price=1", "vat_code="), "vat_code: found ''"),
        (("price=1", "peak=someday 17:00-22:00 1"), "peak: found"),
        (("price=1", "peak=mon 17:00-25:00 1"), "peak: found"),
        (("price=1", "peak=mon 17:00-22:00 dear"), "peak: found"),
        (("price=1", "peak=fri-mon 22:00-02:00 1", "peak=mon 01:00-03:00 1"), "hours that another line has too"),
        (("price=1", "--from", "2020-01-01"), "because billing starts then"),
        (("price=1", "--from", "tomorrow"), "--from: found 'tomorrow'"),
    ],
)
def test_a_wrong_rule_is_refused(started, shop, words, wrong):
    with pytest.raises(UsageError) as found:
        add(started, *words)
    assert wrong in str(found.value)
    assert not TariffRule.objects.exists()


def test_a_rule_without_a_day_applies_from_the_start_of_billing_and_later_from_today(started, shop):
    started("rule", "--machine", "bandsaw", "price=0.1")
    assert TariffRule.objects.get().valid_from == NOON.date().replace(day=1)
    started("rule", "--machine", "bandsaw", "price=0.2")
    assert TariffRule.objects.latest("pk").valid_from == terms.today(terms.get())


def test_a_rule_that_changes_what_past_sessions_cost_lists_them_first(started, shop, capsys):
    shop.session("s-1", "m-1", NOON, 60)
    add(started, "price=0.1")
    with pytest.raises(UsageError, match="changes what past sessions cost: they are listed above; add --sure"):
        started("rule", "--from", f"{NOON:%Y-%m-%d}", "price=0.2")
    listed = capsys.readouterr().err.splitlines()[1].split()
    assert listed == ["bandsaw", "no", "plan", "1", "6.00", "EUR", "12.00", "EUR"]
    assert TariffRule.objects.count() == 1
    started("rule", "--from", f"{NOON:%Y-%m-%d}", "--sure", "price=0.2")
    assert TariffRule.objects.count() == 2


def test_all_mistakes_of_a_rule_are_named_at_once(started):
    with pytest.raises(UsageError) as found:
        add(started, "pric=1", "minimum=x", "--machine", "drill")
    assert len(str(found.value).splitlines()) == 3


def test_two_rules_for_the_same_do_not_begin_on_the_same_day(started, shop):
    add(started, "price=0.1")
    add(started, "--machine", "bandsaw", "price=0.2")
    with pytest.raises(UsageError, match="bill-rule-remove 1"):
        add(started, "price=0.2")
    started("rule-remove", "1")
    add(started, "price=0.2")
    with pytest.raises(UsageError, match="found no rule 1"):
        started("rule-remove", "1")


def test_payers_are_listed_for_people_and_for_programs(bill, shop):
    assert bill("payers") == "no payers have a record: everyone pays for themselves\n"
    university = organisation(address="86 rue Pasteur\n69007 Lyon", vat_number="FR40303265045")
    organisation("Old", 2, ended_on=date(2026, 3, 1))
    paying.set_references(university, {"tryton": "411"}, actor="eve")
    Member.objects.filter(pk__in=["m-2", "m-3"]).update(payer=university)
    group = Group.objects.create(name="2de B", kind=Group.CLASS)
    Payer.objects.create(id=group.roster_id, group=group)
    Group.objects.update(payer=university)
    lines = [line.split() for line in bill("payers").splitlines()]
    assert lines == [
        ["payer", "name", "kind", "people", "groups", "note"],
        [group.roster_id, "2de", "B", "group", "0", "0", "no", "address"],
        ["payer:1", "Université", "Lumière", "organisation", "2", "1"],
        ["payer:2", "Old", "organisation", "0", "0", "closed", "on", "2026-03-01"],
    ]
    found = {line["payer"]: line for line in json.loads(bill("payers", "--json"))}
    assert found["payer:1"] == {
        "payer": "payer:1",
        "kind": "organisation",
        "name": "Université Lumière",
        "legal_name": "Université Lumière",
        "address": "86 rue Pasteur\n69007 Lyon",
        "email": "",
        "lang": settings.ENVIRONMENT.lang,
        "registration_number": "",
        "vat_number": "FR40303265045",
        "references": {"tryton": "411"},
        "people": 2,
        "groups": 1,
        "ended_on": None,
    }
    assert found["payer:2"]["ended_on"] == "2026-03-01"


def test_the_classes_of_a_month_add_up_to_all_its_sessions(started, shop):
    Plan.objects.create(name="student", free_minutes=20)
    students("m-1")
    add(started, "--machine", "bandsaw", "price=0.10", "grace_s=60")
    start = NOON - timedelta(hours=20)
    for number, (member, minutes, gate) in enumerate(
        [("m-1", 15, "saw-1"), ("m-1", 15, "saw-1"), ("m-2", 30, "saw-1"), ("m-2", 1, "saw-1"), ("m-3", 9, "lathe-1")]
    ):
        shop.session(f"s-{number}", member, start + timedelta(hours=number), minutes, gate)
    shop.session("s-9", "m-3", start + timedelta(hours=6), 5, uncertainty_ms=90_000, reason="power-loss")
    found = json.loads(started("month", MONTH, "--json"))
    lines = {(line["payer"], line["kind"]): (line["sessions"], line["amount_minor"]) for line in found["lines"]}
    assert lines == {
        ("m-1", "free"): (1, 0),
        ("m-1", "billed"): (1, 100),
        ("m-2", "billed"): (1, 300),
        ("m-2", "grace"): (1, 0),
        ("m-3", "no-tariff"): (1, 0),
        ("m-3", "in-review"): (1, 0),
    }
    assert (found["currency"], found["digits"], found["includes_vat"]) == ("EUR", 2, True)
    assert found["classes"].keys() == set(summary.CLASSES)
    everything = [(row.pk, row.counted_ms) for row in UsageSession.objects.all()]
    assert sum(kind["sessions"] for kind in found["classes"].values()) == len(everything) == 6
    assert sum(kind["counted_ms"] for kind in found["classes"].values()) == sum(ms for _, ms in everything)
    rows = list(csv.DictReader(io.StringIO(started("month", MONTH, "--csv"))))
    assert [row["amount_minor"] for row in rows if row["payer"] == "m-2"] == ["300", "0"]
    assert {row["currency"] for row in rows} == {"EUR"}
    table = started("month", MONTH).splitlines()
    assert table[0].split() == ["payer", "name", "class", "sessions", "time", "EUR"]
    assert table[-1].split() == ["all", "6", "1:15:00", "4.00"]


def test_a_session_has_the_plan_of_the_day_on_which_it_ended(started, shop):
    """The day is one of the zone in which billing was started."""
    for name, percent in (("half", 50), ("tenth", 90)):
        Plan.objects.create(name=name, discount_percent=Decimal(percent))
    midnight = NOON.replace(hour=0)
    member_plans.set_plan(Member.objects.get(pk="m-1"), "half", midnight.date(), actor="cli:test")
    member_plans.set_plan(Member.objects.get(pk="m-1"), "tenth", midnight.date() + timedelta(days=1), actor="cli:test")
    add(started, "price=0.10")
    for number, end in enumerate((-20, 0, 24 * 60 - 20, 24 * 60)):
        shop.session(f"s-{number}", "m-1", midnight + timedelta(minutes=end - 10), 10)
    amounts = [json.loads(started("session", f"s-{number}", "--json"))["amount_minor"] for number in range(4)]
    assert amounts == [100, 50, 50, 10]


def test_a_session_is_explained_step_by_step(started, shop):
    Plan.objects.create(name="student", free_minutes=20, discount_percent=Decimal(50))
    students("m-1")
    add(started, "price=0.10", "step_s=900", "session_fee=0.25", "daily_cap=1.40")
    shop.session("s-1", "m-1", NOON - timedelta(hours=20), 31)
    lines = started("session", "s-1").splitlines()
    assert lines[0] == "s-1: m-1 at bandsaw, paid by m-1: billed"
    assert [line.strip() for line in lines[2:]] == [
        "on: 0:45:00 from 16:00:00, of which 0:14:00 added by rounding, of which 0:20:00 free, at 0.1 a minute = 2.5",
        "session fee: + 0.25 = 2.75",
        "lowered to the daily cap of 1.4: - 1.35 = 1.4",
        "discount of the plan: - 0.7 = 0.7",
        "rounded: 0.70 EUR",
    ]
    assert json.loads(started("session", "s-1", "--json"))["amount_minor"] == 70


def test_the_session_and_its_month_say_the_same_also_where_no_payer_is_on_record(started, shop):
    Plan.objects.create(name="student", free_minutes=20)
    students("m-1")
    add(started, "price=0.10")
    for number in range(3):
        shop.session(f"s-{number}", "m-1", NOON - timedelta(hours=20 - number), 15)
    UsageSession.objects.filter(pk="s-0").update(payer="")
    amounts = [json.loads(started("session", f"s-{number}", "--json"))["amount_minor"] for number in range(3)]
    month = json.loads(started("month", MONTH, "--json"))
    assert amounts == [0, 100, 150]
    assert sum(line["amount_minor"] for line in month["lines"] if line["payer"] == "m-1") == 250


@pytest.mark.parametrize(
    ("rule", "changes", "last"),
    [
        ("price=0.1 grace_s=3600", {}, "is not longer than the grace time of 3600 s: 0 EUR"),
        ("price=0", {}, "rounded: 0.00 EUR"),
        ("price=0.1", {"reason": "power-loss", "uncertainty_ms": 90_000}, "once a person has checked it"),
        ("price=0.1 purposes=training", {}, "a purpose that the rule does not bill"),
        ("price=0.000033", {}, "rounded: 0.00 EUR"),
    ],
)
def test_a_session_that_costs_nothing_says_why(started, shop, rule, changes, last):
    add(started, *rule.split())
    shop.session("s-1", "m-1", NOON - timedelta(hours=20), 31, **changes)
    assert started("session", "s-1").strip().endswith(last)


def test_a_month_that_is_not_billed_and_an_unknown_session_are_refused(started, shop):
    with pytest.raises(UsageError, match="because billing starts then"):
        started("month", "2020-01")
    with pytest.raises(UsageError, match="MONTH: found 'now'"):
        started("month", "now")
    shop.begin("s-open", "m-1", NOON - timedelta(hours=20))
    for unknown in ("s-open", "s-none"):
        with pytest.raises(UsageError, match="that has ended"):
            started("session", unknown)
    assert started("month", MONTH) == "nothing is charged in this month\n"


def test_nothing_is_shown_that_could_move_the_cursor_or_run_in_a_spreadsheet(started, shop):
    add(started, "price=0.1")
    shop.session("s-1", "m-4", NOON - timedelta(hours=20), 31)
    assert "'=1+2" in started("month", MONTH, "--csv")


def test_a_month_is_one_of_the_zone_in_which_billing_was_started(bill, shop, monkeypatch):
    monkeypatch.setattr(settings, "TIME_ZONE", "Asia/Tokyo")
    bill("start", "--currency", "JPY", "--vat", "excluded", "--from", MONTH)
    bill("rule", "--from", f"{MONTH}-01", "price=5")
    first = datetime(NOON.year, NOON.month, 1, tzinfo=UTC)
    shop.session("s-in", "m-1", first - timedelta(hours=9, minutes=7), 8)
    shop.session("s-before", "m-1", first - timedelta(hours=9, minutes=7), 7 - 1, "lathe-1")
    found = json.loads(bill("month", MONTH, "--json"))
    assert found["classes"]["billed"] == {"sessions": 1, "counted_ms": 480_000, "amount_minor": 40}
    assert found["currency"] == "JPY"


# --- a tariff that does not apply yet ---------------------------------------------------------------------------------


def test_an_invented_session_is_explained(started, shop):
    shown = started(
        "try", "price=0.1", "peak=mon-sun 17:00-24:00 0.25", "--minutes", "60", "--start", f"{MONTH}-15T16:30"
    )
    assert shown.splitlines()[-1] == "rounded: 10.50 EUR"
    assert "on: 0:30:00 from 17:00:00, at 0.25 a minute = 7.5" in shown
    running = started(
        "try", "price=1", "basis=running", "idle_price=0.1", "--minutes", "30", "--running", "20", "--json"
    )
    assert json.loads(running)["amount_minor"] == 2_100


def test_the_free_minutes_of_a_plan_count_in_an_invented_session(started, shop):
    Plan.objects.create(name="student", free_minutes=20, discount_percent=Decimal(50))
    shown = started("try", "price=0.1", "--plan", "student", "--minutes", "30", "--json")
    assert json.loads(shown)["amount_minor"] == 50


def test_a_session_on_record_is_shown_beside_what_it_costs_now(started, shop):
    add(started, "price=0.1")
    shop.session("s-1", "m-1", NOON - timedelta(hours=20), 30)
    assert started("try", "price=0.2", "--session", "s-1").splitlines()[-2:] == [
        "rounded: 6.00 EUR",
        "with the rules that apply now: 3.00 EUR (billed)",
    ]
    assert TariffRule.objects.count() == 1


def test_a_tariff_is_tried_on_a_session_although_its_machine_has_a_rule_of_its_own(started, shop):
    Plan.objects.create(name="student")
    students("m-1")
    add(started, "--machine", "bandsaw", "--plan", "student", "price=0.1")
    shop.session("s-1", "m-1", NOON - timedelta(hours=20), 30)
    assert json.loads(started("try", "price=0.2", "--session", "s-1", "--json"))["amount_minor"] == 600
    with pytest.raises(UsageError, match="the session was at bandsaw"):
        started("try", "price=0.2", "--machine", "lathe", "--session", "s-1")


def test_a_month_is_compared_by_machine_and_plan(started, shop):
    Plan.objects.create(name="student")
    students("m-1")
    add(started, "price=0.1")
    add(started, "--machine", "bandsaw", "price=0.1", "minimum=5")
    for number, (member, gate) in enumerate([("m-1", "saw-1"), ("m-2", "saw-1"), ("m-2", "lathe-1")]):
        shop.session(f"s-{number}", member, NOON - timedelta(hours=20 - number), 30, gate)
    found = json.loads(started("try", "price=0.2", "--machine", "bandsaw", "--month", MONTH, "--json"))
    lines = {(line.pop("machine"), line.pop("plan")): line for line in found["lines"]}
    assert lines == {
        ("bandsaw", ""): {"sessions": 1, "amount_minor": 500, "new_minor": 600},
        ("bandsaw", "student"): {"sessions": 1, "amount_minor": 500, "new_minor": 600},
        ("lathe", ""): {"sessions": 1, "amount_minor": 300, "new_minor": 300},
    }
    table = started("try", "price=0.2", "--machine", "bandsaw", "--month", MONTH).splitlines()
    assert table[0].split() == ["machine", "plan", "sessions", "now", "EUR", "new", "difference"]
    assert table[-1].split() == ["all", "3", "13.00", "15.00", "2.00"]
    assert started("try", "price=1", "--month", "2020-01") == "no session ended in this month\n"


@pytest.mark.parametrize(
    ("words", "wrong"),
    [
        (("prise=1", "--minutes", "5"), "did you mean price="),
        (("price=1", "--minutes", "-5"), "--minutes: found -5"),
        (("price=1", "--minutes", "nan"), "--minutes: found nan"),
        (("price=1", "--minutes", "5", "--running", "1e9"), "--running: found"),
        (("price=1", "--minutes", "5", "--start", "soon"), "--start: found 'soon'"),
        (("price=1", "--minutes", "5", "--start", "9999-12-31"), "--start: found '9999-12-31', wanted a day from"),
        (("price=1", "--minutes", "5", "--machine", "drill"), "--machine: found 'drill'"),
        (("price=1", "--session", "s-none"), "that has ended"),
        (("price=1", "--month", "soon"), "--month: found 'soon'"),
    ],
)
def test_a_wrong_trial_is_refused(started, shop, words, wrong):
    with pytest.raises(UsageError) as found:
        started("try", *words)
    assert wrong in str(found.value)


def test_options_without_a_tariff_list_nothing(started, shop):
    with pytest.raises(UsageError, match="found no tariff"):
        started("rule", "--machine", "bandsaw")


# --- VAT rates --------------------------------------------------------------------------------------------------------


def test_vat_rates_are_set_listed_and_removed(started, shop, bill):
    add(bill, "price=0.10", "vat_code=S20")
    assert bill("vat") == "code  rate  in closed months\nS20   none  no\n"
    assert bill("vat", "S20", "2") == "S20: 2 %\n"
    assert bill("vat", "S20", "20.0") == "S20: 20 %\n"
    assert bill("vat", "S20", "20") == "S20: 20 %, as before\n"
    assert bill("vat", "", "5,5") == "no code: 5.5 %\n"
    assert bill("vat") == "code      rate  in closed months\nno code  5.5 %  no\nS20       20 %  no\n"
    assert bill("vat", "", "--remove") == "removed the rate of no code\n"
    verbs_logged = Change.objects.filter(kind="vatrate").order_by("pk").values_list("verb", flat=True)
    assert [*verbs_logged] == ["vat-rate.added", "vat-rate.changed", "vat-rate.added", "vat-rate.removed"]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--remove"], "found no code; wanted one such as S20"),
        (["S20"], "found no rate; wanted a number of percent"),
        (["S20", "20", "--remove"], "found a rate and --remove"),
        (["S20", "--remove"], "found no rate of the VAT code 'S20'"),
        (["S20", "many"], "wanted a number of percent such as 20 or 5.5"),
        (["S20", "120"], "wanted at least 0 and below 100 percent"),
    ],
)
def test_a_wrong_vat_rate_is_refused(started, bill, words, why):
    with pytest.raises(UsageError, match=why):
        bill("vat", *words)


def test_the_first_rate_of_a_code_that_a_closed_month_has_wants_sure(started, shop, bill):
    bill("line", "m-1", "12", "plywood", "--day", f"{MONTH}-02", "--vat-code", "S20")
    bill("close", MONTH, "--reason", "a test")
    with pytest.raises(UsageError, match="the rate can never be changed; look at it again, and add --sure"):
        bill("vat", "S20", "20")
    assert bill("vat", "S20", "20", "--sure") == "S20: 20 %\n"
    assert bill("vat") == "code  rate  in closed months\nS20   20 %  yes\n"
    with pytest.raises(UsageError, match="their totals cannot change"):
        bill("vat", "S20", "10", "--sure")


def test_a_workshop_without_vat_has_no_rates(bill):
    bill("start", "--currency", "EUR", "--vat", "not-applicable", "--from", MONTH)
    assert bill("vat") == "VAT is not applicable to this workshop (art. 293 B CGI)\n"
    with pytest.raises(UsageError, match="VAT is not applicable"):
        bill("vat", "S20", "20")
