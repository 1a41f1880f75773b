"""Is what plans from an earlier day change shown before they are stored: by a list, on a person's page, by the verbs?"""

from __future__ import annotations

import random
from datetime import date, datetime, timedelta

import pytest
from django.db import transaction

from fabgate.collector.ground.models import Member, Plan
from fabgate.collector.members.people.blocks import today
from fabgate.collector.money.billing import member_plans, terms, trial
from fabgate.collector.money.billing.charges import refresh
from fabgate.collector.money.billing.paying import payers
from fabgate.errors import UsageError
from tests.collector.faces.pages import billing
from tests.collector.faces.pages.billing import FIRST, NOON, charged
from tests.collector.faces.pages.people.imports.importing import look, take
from tests.collector.faces.pages.used import Used, text

pytestmark = pytest.mark.usefixtures("env", "told")
LIST = "id,plan\nm-1,student\nm-2,student\n"
SURE = ("This changes the cost of past sessions", "Nothing has been saved yet")


@pytest.fixture
def charged_shop(shop: Used) -> Used:
    """Last month, at 0.10 a minute: 60 minutes by m-1, who had a plan before, and 30 by m-2."""
    billing.start()
    billing.plan("pro", "m-1")
    billing.plan("student", discount_percent=50)
    billing.rule("price=0.10")
    shop.session("s-1", "m-1", NOON, 60)
    shop.session("s-2", "m-2", NOON + timedelta(hours=2), 30)
    refresh.refresh_all()
    return shop


def on(client, page, day):
    """Choose a day on the preview of a list."""
    return client.get(page.request["PATH_INFO"], {"plans_from": str(day)})


def test_a_list_shows_the_money_before_it_is_imported(charged_shop, browse):
    manager = browse("manager")
    page = look(manager, LIST)
    assert page.context["difference"] is None, "from today on, no past session changes"
    page = on(manager, page, FIRST)
    assert all(words in text(page) for words in SURE)
    change = page.context["difference"]
    assert (change["whole"]["now"], change["whole"]["new"], change["whole"]["sessions"]) == ("€9.00", "€4.50", 2)
    assert [(line["plan"], line["difference"]) for line in change["lines"]] == [("student", "−€4.50")]  # noqa: RUF001
    answer = take(manager, page, plans_from=str(FIRST))
    assert (answer.status_code, charged()) == (200, {"s-1": 600, "s-2": 300}), "nobody has confirmed the difference"
    assert all(words in text(answer) for words in SURE)
    assert take(manager, page, plans_from=str(FIRST), sure=change["seen"]).status_code == 303
    assert charged() == {"s-1": 300, "s-2": 150}


def test_a_session_that_ends_meanwhile_is_shown_first(charged_shop, browse):
    manager = browse("manager")
    page = on(manager, look(manager, LIST), FIRST)
    seen = page.context["difference"]["seen"]
    charged_shop.session("s-3", "m-2", NOON + timedelta(hours=5), 10)
    answer = take(manager, page, plans_from=str(FIRST), sure=seen)
    assert (answer.status_code, answer.context["difference"]["whole"]["sessions"]) == (200, 3)
    assert take(manager, answer, plans_from=str(FIRST), sure=answer.context["difference"]["seen"]).status_code == 303
    assert charged() == {"s-1": 300, "s-2": 150, "s-3": 50}


def test_a_day_after_the_sessions_changes_nothing(charged_shop, browse):
    manager = browse("manager")
    page = on(manager, look(manager, LIST), NOON.date() + timedelta(days=1))
    assert page.context["difference"] is None
    take(manager, page, plans_from=str(NOON.date() + timedelta(days=1)))
    assert charged() == {"s-1": 600, "s-2": 300}


def test_before_billing_started_a_list_shows_no_money(database, browse):
    Used()
    Plan.objects.create(name="student")
    manager = browse("manager")
    assert on(manager, look(manager, LIST), FIRST).context["difference"] is None


def test_a_plan_on_a_persons_page_is_stored_once_its_difference_was_seen(charged_shop, browse):
    manager, student = browse("manager"), Plan.objects.get(name="student")
    data = {"plan": student.pk, "since": str(FIRST)}
    answer = manager.post("/people/m-1/plan", data)
    assert answer.status_code == 200
    assert all(words in text(answer) for words in SURE)
    assert (answer.context["difference"]["whole"]["new"], charged()["s-1"]) == ("€3.00", 600)
    assert manager.post("/people/m-1/plan", data | {"sure": answer.context["difference"]["seen"]}).status_code == 303
    assert charged() == {"s-1": 300, "s-2": 300}
    assert manager.post("/people/m-1/plan", data | {"since": str(today())}).status_code == 303, "today asks nothing"


@pytest.fixture
def verb(run, capsys):
    def said(*words: object) -> str:
        try:
            return str(run(*map(str, words)))
        except UsageError as error:
            return f"{capsys.readouterr().err}{error}"

    return said


def test_the_verbs_list_the_difference_and_want_sure(charged_shop, verb, tmp_path):
    file = tmp_path / "list.csv"
    file.write_text(LIST, "utf-8")
    sentence = f"from {FIRST} on, this changes what past sessions cost: they are listed above; add --sure"
    said = verb("import-members", file, "--plans-from", FIRST)
    assert (sentence in said, "9.00 EUR  4.50 EUR" in said) == (True, True), said
    said = verb("member-plan", "m-1", "student", "--from", FIRST)
    assert (sentence in said, "6.00 EUR  3.00 EUR" in said) == (True, True), said
    assert charged() == {"s-1": 600, "s-2": 300}
    assert "2 members imported" in verb("import-members", file, "--plans-from", FIRST, "--sure")
    assert charged() == {"s-1": 300, "s-2": 150}
    assert "no plan from" in verb("member-plan", "m-1", "--none", "--from", FIRST, "--sure")
    assert charged() == {"s-1": 600, "s-2": 150}


def test_a_list_of_each_night_asks_nothing(charged_shop, verb, tmp_path):
    """From today on, plans change as people do: a script imports the list."""
    charged_shop.session("s-today", "m-1", charged_shop.now - timedelta(minutes=2), 1)
    file = tmp_path / "list.csv"
    file.write_text(LIST, "utf-8")
    assert "2 members imported" in verb("import-members", file)


@pytest.mark.parametrize("seed", range(12))
def test_what_was_shown_is_what_changes(seed, database):
    chance, shop = random.Random(seed), Used()
    billing.start()
    names = ["", "pro", "student", "guest"]
    for name in names[1:]:
        billing.plan(name, free_minutes=chance.choice([0, 15, 45]), discount_percent=chance.choice([0, 12, 50]))
    billing.rule("price=0.10 minimum=0.50 daily_cap=4")
    billing.rule("price=0.23 session_fee=1", plan=chance.choice(names[1:]))
    members = ["m-1", "m-2", "m-3"]
    with transaction.atomic():
        payers.ensure_all(["m-1"], actor="maya")
    Member.objects.filter(pk="m-2").update(payer="m-1")
    for member in members:
        if chance.random() < 0.5:
            member_plans.set_plans({member: chance.choice(names)}, day(chance), actor="maya")
    for number in range(12):
        at = datetime.combine(day(chance), NOON.timetz()) + timedelta(minutes=31 * number)
        shop.session(f"s-{number}", chance.choice(members), at, chance.randint(1, 30))
    for _again in range(3):
        before = charged()
        plans = {member: chance.choice(names) for member in members if chance.random() < 0.7}
        since = day(chance)
        shown = trial.of_plans(terms.get(), plans, since)
        member_plans.set_plans(plans, since, actor="maya")
        after = charged()
        moved = {session for session in before if before[session] != after[session]}
        assert sum(one.new_minor - one.amount_minor for one in shown.values()) == sum(
            after[session] - before[session] for session in moved
        )
        assert sum(one.sessions for one in shown.values()) >= len(moved)  # another class at the same amount counts too


def day(chance: random.Random) -> date:
    return FIRST + timedelta(days=chance.randrange(28))
