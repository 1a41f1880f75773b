"""Is the password asked for again before a change that concerns money, without losing what was typed?"""

from __future__ import annotations

import re
from datetime import date, timedelta

import pytest
from django.test import Client
from django.utils import timezone

from fabgate.collector.accounts import sign_in
from fabgate.collector.models import Account, FailedSignIn, Member, Plan, TariffRule
from fabgate.collector.pages import rights
from fabgate.collector.pages.signin import password_again
from tests.collector.pages import billing
from tests.collector.pages.conftest import PASSWORD
from tests.collector.pages.used import Used, text

QUESTION = "Confirm your password"


@pytest.fixture
def stale(browse) -> Client:
    """A manager's browser in which the password was typed 15 minutes ago."""
    client: Client = browse("manager")
    _age(client, password_again.LASTS)
    return client


def _age(client: Client, age: timedelta) -> None:
    session = client.session
    session[sign_in._PASSWORD_AT] = (timezone.now() - age).timestamp()
    session.save()


def hidden(page: str) -> list[tuple[str, str]]:
    """Return the hidden fields of a page besides the CSRF token."""
    found = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', page)
    return [(name, value) for name, value in found if name != "csrfmiddlewaretoken"]


def test_a_fresh_password_is_not_asked_for(browse):
    client = browse("manager")
    typed = {"currency": "EUR", "vat": "included", "first": f"{billing.FIRST:%Y-%m}"}
    assert client.post("/month/start", typed).status_code == 303


def test_what_was_typed_is_sent_again_with_the_password(stale):
    billing.start()
    typed = billing.typed(price="0.17", peaks=[(["0", "4"], "17:00", "00:00", "0.30")])
    page = stale.post("/month/tariffs/new", typed)
    assert page.status_code == 200
    assert QUESTION in text(page)
    assert not TariffRule.objects.exists()
    again = dict.fromkeys(name for name, _value in hidden(page.content.decode()))
    sent = {name: [value for other, value in hidden(page.content.decode()) if other == name] for name in again}
    assert sent["peak-0-days"] == ["0", "4"]

    wrong = stale.post("/month/tariffs/new", {**sent, "password_again": "three green tables"})
    assert wrong.status_code == 400
    assert "This password is wrong" in text(wrong)
    assert not TariffRule.objects.exists()
    assert FailedSignIn.objects.count() == 1
    assert "three green tables" not in text(wrong)

    assert stale.post("/month/tariffs/new", {**sent, "password_again": PASSWORD}).status_code == 303
    assert TariffRule.objects.get().tariff["price"] == "0.17"
    assert TariffRule.objects.get().tariff["peaks"][0]["days"] == [0, 4]
    # now it is fresh
    assert stale.post("/month/plans/new", _plan()).status_code == 303


def _plan() -> dict[str, object]:
    return {"name": "student", "free_minutes": 1, "discount_percent": 0}


@pytest.mark.parametrize(
    ("age", "is_asked"),
    [(timedelta(minutes=14, seconds=50), False), (timedelta(minutes=15), True), (timedelta(seconds=-60), True)],
)
def test_the_password_is_fresh_for_a_quarter_of_an_hour(browse, age, is_asked):
    billing.start()
    client = browse("manager")
    _age(client, age)
    client.post("/month/plans/new", _plan())
    assert Plan.objects.exists() is not is_asked


def test_a_sign_in_from_before_this_was_kept_is_asked(browse):
    billing.start()
    client = browse("manager")
    session = client.session
    del session[sign_in._PASSWORD_AT]
    session.save()
    assert QUESTION in text(client.post("/month/plans/new", _plan()))


def test_wrong_passwords_are_limited_as_at_sign_in(stale, monkeypatch):
    billing.start()
    monkeypatch.setattr(FailedSignIn, "is_too_many", classmethod(lambda *_args: True))
    answer = stale.post("/month/plans/new", {**_plan(), "password_again": PASSWORD})
    assert answer.status_code == 429
    assert not Plan.objects.exists()


def test_the_password_of_someone_else_does_not_count(stale, account):
    billing.start()
    other = account("accountant")
    other.set_password("seven small boats")
    other.save()
    answer = stale.post("/month/plans/new", {**_plan(), "password_again": "seven small boats"})
    assert answer.status_code == 400


def test_each_change_of_what_people_pay_asks(stale):
    billing.start()
    rule = billing.rule("price=1", date(2190, 1, 1))
    plan = Plan.objects.create(name="student")
    for path in (
        "/month/start",
        "/month/tariffs/new",
        f"/month/tariffs/{rule.pk}/remove",
        "/month/plans/new",
        f"/month/plans/{plan.pk}",
    ):
        assert QUESTION in text(stale.post(path)), path
    asking = {name for name, right in rights.table().items() if right.asks_password}
    billing_ = ("month", "people-credit")
    writing = {name for name, right in rights.table().items() if name.startswith(billing_) and right.post}
    # A tariff that is tried is not stored; sending statements and the letterhead change no amount.
    no_money = {"month-try", "month-statements", "month-statement-send", "month-workshop"}
    # A new organisation pays for nobody yet, and one that still pays for somebody cannot be ended.
    whose = {"people-import-preview", "people-plan", "people-payer", "people-group-payer", "people-payer-edit"}
    assert asking == (writing - no_money) | whose


def test_a_person_whose_payer_is_chosen_is_changed_once_the_password_is_typed(stale):
    Used()
    page = stale.post("/people/m-1/payer", {"payer": "m-2"})
    assert QUESTION in text(page)
    assert Member.objects.get(pk="m-1").payer_id is None
    again = {**dict(hidden(page.content.decode())), "password_again": PASSWORD}
    assert stale.post("/people/m-1/payer", again).status_code == 303
    assert Member.objects.get(pk="m-1").payer_id == "m-2"


def test_nobody_without_the_right_is_asked(browse):
    client = browse(Account.DESK)
    _age(client, timedelta(days=1))
    assert client.post("/month/plans/new", _plan()).status_code == 403
