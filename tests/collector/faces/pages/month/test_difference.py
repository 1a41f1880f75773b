"""Is what other prices change in open months shown before it is stored?"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from fabgate.collector.ground.models import Charge, Plan, TariffRule
from fabgate.collector.money.billing import closing, terms, trial
from fabgate.collector.money.billing.charges import refresh
from tests.collector.faces.pages import billing
from tests.collector.faces.pages.billing import NOON, charged, typed
from tests.collector.faces.pages.used import Used, text

pytestmark = pytest.mark.usefixtures("database")
NEW = "/month/tariffs/new"


@pytest.fixture
def charged_shop(shop: Used) -> Used:
    """Two sessions of last month, of 60 and 30 minutes, at 0.10 a minute; the second one by a student."""
    billing.start()
    billing.plan("student", "m-2")
    billing.rule("price=0.10")
    shop.session("s-1", "m-1", NOON, 60)
    shop.session("s-2", "m-2", NOON + timedelta(hours=2), 30)
    refresh.refresh_all()
    return shop


def test_a_rule_that_changes_charges_is_stored_once_its_difference_was_seen(charged_shop, browse):
    manager, data = browse("manager"), typed(price="0.25", since=f"{NOON:%Y-%m-%d}")
    answer = manager.post(NEW, data)
    assert answer.status_code == 200
    assert "This changes the cost of past sessions" in text(answer)
    whole = answer.context["difference"]["whole"]
    assert (whole["sessions"], whole["now"], whole["new"]) == (2, "€9.00", "€22.50")
    assert (TariffRule.objects.count(), charged()) == (1, {"s-1": 600, "s-2": 300})
    seen = answer.context["difference"]["seen"]
    assert manager.post(NEW, {**data, "price": "0.30", "sure": seen}).status_code == 200, "another difference"
    assert manager.post(NEW, {**data, "sure": seen}).status_code == 303
    assert charged() == {"s-1": 1_500, "s-2": 750}


def test_a_rule_for_a_plan_shows_only_the_sessions_that_cost_something_else(charged_shop, browse):
    student = Plan.objects.get()
    answer = browse("manager").post(NEW, typed(price="0.05", plan=student.name, since=f"{billing.FIRST}"))
    (line,) = answer.context["difference"]["lines"]
    assert (line["plan"], line["sessions"], line["now"], line["new"]) == ("student", 1, "€3.00", "€1.50")


def test_payers_whom_nothing_concerns_are_not_rated(charged_shop):
    now = terms.for_rating(terms.get())
    broken = now._replace(plans={})  # to rate the student's session fails: there is no plan
    assert trial.changes([billing.FIRST], broken, broken, lambda facts: facts.user == "m-1") == {}
    with pytest.raises(KeyError):
        trial.changes([billing.FIRST], broken, broken, lambda facts: facts.user == "m-2")


@pytest.mark.parametrize("since", [NOON + timedelta(days=1), NOON + timedelta(days=400)])
def test_a_rule_that_changes_no_charge_is_stored_at_once(charged_shop, browse, since):
    assert browse("manager").post(NEW, typed(price="0.25", since=f"{since:%Y-%m-%d}")).status_code == 303
    assert charged() == {"s-1": 600, "s-2": 300}


def test_the_first_rule_is_stored_at_once(charged_shop, browse):
    Charge.objects.all().delete()
    TariffRule.objects.all().delete()
    assert browse("manager").post(NEW, typed(price="0.10", since=f"{billing.FIRST}")).status_code == 303
    assert charged() == {"s-1": 600, "s-2": 300}


def test_after_a_closing_the_first_rule_shows_what_it_changes(database, browse):
    shop, before = Used(), (billing.FIRST - timedelta(days=1)).replace(day=1)
    billing.start(first=before)
    shop.session("s-1", "m-1", NOON, 30)
    closing.close(before, NOON, actor="maya", reason="-")
    answer = browse("manager").post(NEW, typed(price="0.10", since=f"{billing.FIRST}"))
    assert (answer.status_code, answer.context["difference"]["whole"]["new"]) == (200, "€3.00")


def test_a_plan_that_changes_charges_is_stored_once_its_difference_was_seen(charged_shop, browse):
    manager, student = browse("manager"), Plan.objects.get()
    address = f"/month/plans/{student.pk}"
    data = {
        "free_minutes": "10",
        "discount_percent": "50",
        "overdraft_minor": "0",
        "seen": manager.get(address).context["form"].seen,
    }
    answer = manager.post(address, data)
    assert (answer.status_code, answer.context["difference"]["whole"]["new"]) == (200, "€1.00")
    assert Plan.objects.get().free_minutes == 0
    assert charged() == {"s-1": 600, "s-2": 300}
    assert manager.post(address, {**data, "sure": answer.context["difference"]["seen"]}).status_code == 303
    assert (Plan.objects.get().discount_percent, charged()) == (Decimal(50), {"s-1": 600, "s-2": 100})


def test_closed_months_are_no_part_of_the_difference(charged_shop, browse):
    closing.close(billing.FIRST, NOON + timedelta(days=60), actor="maya", reason="-")
    manager, student = browse("manager"), Plan.objects.get()
    address = f"/month/plans/{student.pk}"
    data = {"free_minutes": "30", "discount_percent": "0", "seen": manager.get(address).context["form"].seen}
    assert manager.post(address, data).status_code == 303
    assert charged() == {"s-1": 600, "s-2": 300}
