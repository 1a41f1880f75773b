"""Does the simulator say what a tariff would cost, step by step, and store nothing?"""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from fabgate.collector.ground.models import Change, TariffRule
from fabgate.collector.money.paper.figures import NOTHING
from tests.collector.faces.pages import billing
from tests.collector.faces.pages.billing import MONTH, NOON, typed
from tests.collector.faces.pages.tables import rows
from tests.collector.faces.pages.used import Used, text

pytestmark = pytest.mark.usefixtures("database")

PEAK = [([str(day) for day in range(7)], "17:00", "00:00", "0.25")]


@pytest.fixture
def started_shop(shop: Used) -> Used:
    billing.start()
    return shop


@pytest.fixture
def manager(browse, started_shop):
    return browse("manager")


def steps(page) -> list[tuple[str, str]]:
    return [tuple(step) for step in page.context["result"]["steps"]]


def test_an_invented_session_is_explained(manager):
    what = {"kind": "invented", "start": "2027-01-05T16:30", "minutes": "60"}
    page = manager.get("/month/try", {**typed(peaks=PEAK), **what})
    assert steps(page) == [
        ("on: 0:30:00 from 16:30:00, at €0.10 a minute", "€3.00"),
        ("on: 0:30:00 from 17:00:00, at €0.25 a minute", "€7.50"),
    ]
    assert "€10.50" in text(page)
    # the address is kept, so the form is as it was typed
    assert page.context["form"].peaks[0]["price"].value() == "0.25"


def test_running_minutes_and_the_plan_count(manager):
    billing.plan("student", free_minutes=5)
    what = {"kind": "invented", "start": "2027-01-05T16:30", "minutes": "30", "running": "20"}
    page = manager.get("/month/try", {**typed(price="1", basis="running", idle_price="0.1", plan="student"), **what})
    assert page.context["result"]["amount"] == "€16.00"


def test_a_session_on_record_is_shown_beside_what_it_costs_now(manager, started_shop):
    billing.rule("price=0.1", machine="bandsaw")
    started_shop.session("s-1", "m-1", NOON, 30)
    page = manager.get("/month/try?kind=session&session=s-1")
    assert page.context["trial"]["session"].value() == "s-1"
    assert str(page.context["form"]["price"].value()) == "0.1"
    found = manager.get("/month/try", {**typed(price="0.2"), "kind": "session", "session": "s-1"}).context["result"]
    assert (found["amount"], found["before"], found["difference"]) == ("€6.00", "€3.00", "+€3.00")
    page = manager.get("/month/try", {**typed(where="machine:lathe"), "kind": "session", "session": "s-1"})
    assert page.status_code == 400
    assert "another machine" in page.context["form"].errors["where"][0]
    page = manager.get("/month/try", {**typed(), "kind": "session", "session": "s-none"})
    assert "No session" in page.context["trial"].errors["session"][0]


def test_a_month_is_compared_by_machine_and_plan(manager, started_shop):
    billing.plan("student", "m-1")
    billing.rule("price=0.1")
    for number, (member, gate) in enumerate([("m-1", "saw-1"), ("m-2", "saw-1"), ("m-2", "lathe-1")]):
        started_shop.session(f"s-{number}", member, NOON + timedelta(hours=number), 30, gate)
    page = manager.get("/month/try", {**typed(price="0.2", where="machine:bandsaw"), "kind": "month", "month": MONTH})
    assert rows(page.content.decode(), "By machine and plan") == [
        ["Band saw", NOTHING, "1", "€3.00", "€6.00", "+€3.00"],
        ["Band saw", "student", "1", "€3.00", "€6.00", "+€3.00"],
        ["Metal lathe", NOTHING, "1", "€3.00", "€3.00", "€0.00"],
        ["Total", "", "3", "€9.00", "€15.00", "+€6.00"],
    ]
    page = manager.get("/month/try", {**typed(), "kind": "month", "month": f"{NOON - timedelta(days=90):%Y-%m}"})
    assert "No session ended in this month" in text(page)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"minutes": "-5"}, "minutes"),
        ({"minutes": "NaN"}, "minutes"),
        ({"minutes": ""}, "minutes"),
        ({"running": "1e9"}, "running"),
        ({"start": "soon"}, "start"),
        ({"start": ""}, "start"),
        ({"start": "9999-12-31T23:59"}, "start"),
        ({"kind": "year"}, "kind"),
        ({"kind": "session"}, "session"),
        ({"kind": "month", "month": "1999-01"}, "month"),
    ],
)
def test_a_wrong_trial_is_named_at_its_field(manager, changes, field):
    what = {"kind": "invented", "start": "2027-01-05T16:30", "minutes": "60"}
    page = manager.get("/month/try", {**typed(), **what, **changes})
    assert page.status_code == 400
    assert field in page.context["trial"].errors
    assert page.context["result"] is None


def test_a_rule_is_tried_from_its_form_and_made_of_it_again(manager):
    sent = manager.post("/month/try", {**typed(price="0.3", peaks=PEAK), "csrfmiddlewaretoken": "secret"})
    assert sent.status_code == 303
    address = sent.headers["Location"]
    assert "secret" not in address
    assert parse_qs(urlsplit(address).query)["peak-0-days"] == [str(day) for day in range(7)]
    page = manager.get(address)
    assert page.context["form"]["price"].value() == "0.3"
    back = manager.get(f"/month/tariffs/new?{page.context['query']}").context["form"]
    assert back["price"].value() == "0.3"
    assert back["since"].value() == billing.FIRST.isoformat()
    assert back.peaks[0]["start"].value() == "17:00"
    assert not TariffRule.objects.exists()
    assert not Change.objects.filter(verb__startswith="tariff").exists()


def test_an_auditor_tries_too(browse, started_shop):
    what = {"kind": "invented", "start": "2027-01-05T16:30", "minutes": "60"}
    page = browse("auditor").get("/month/try", {**typed(), **what})
    assert page.context["result"]["amount"] == "€6.00"
    assert "Make it a rule" not in text(page)
