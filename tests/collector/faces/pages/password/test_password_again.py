"""Is the password asked for again before a change that concerns money, without losing what was typed?"""

from __future__ import annotations

import re
from datetime import date, timedelta
from pathlib import Path

import pytest
from django.test import Client

import fabgate.collector
from fabgate.collector.faces.pages import rights
from fabgate.collector.faces.pages.password import password_again
from fabgate.collector.faces.pages.roles import Asks
from fabgate.collector.ground.models import Account, FailedSignIn, Member, OneTimeLink, Plan, TariffRule
from fabgate.collector.members.accounts import links, sign_in
from tests.collector.faces.pages import billing
from tests.collector.faces.pages.conftest import PASSWORD
from tests.collector.faces.pages.password.question import QUESTION, grow_stale, hidden
from tests.collector.faces.pages.used import Used, text

WHO_MAY_DO_WHAT = Path(__file__).parents[1] / "who_may_do_what.md"


@pytest.fixture
def stale(browse) -> Client:
    """A manager's browser in which the password was typed 15 minutes ago."""
    client: Client = browse("manager")
    grow_stale(client, password_again.LASTS)
    return client


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
    grow_stale(client, age)
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


@pytest.mark.sqlite
def test_the_managers_page_says_which_routes_ask():
    said = WHO_MAY_DO_WHAT.read_text(encoding="utf-8").partition("## The password again")[2]
    found = {
        Asks(when): set(re.findall("`([a-z-]+)`", routes))
        for when, routes in re.findall(r"^- \*\*([a-z ]+)\*\*: (.+?)(?=^- |\Z)", said, re.DOTALL | re.MULTILINE)
    }
    for asks in (Asks.ALWAYS, Asks.IF_MONEY_CHANGES):
        assert {name for name, right in rights.table().items() if right.asks_password is asks} == found[asks]


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
    grow_stale(client, timedelta(days=1))
    assert client.post("/month/plans/new", _plan()).status_code == 403


def test_a_change_that_is_undone_until_the_password_is_typed_keeps_all_that_was_typed(browse, env):
    """A form with some fields about money: the desk's two clicks stay, and a payer is asked about."""
    Used()
    client = browse("manager")
    grow_stale(client, timedelta(days=1))
    typed = {"name": "Zoé <b>Müller</b>", "lang": "fr", "grace_days": "3", "level": "user", "note": "two\nlines"}
    assert client.post("/people/m-1/edit", typed).status_code == 303
    page = client.post("/people/m-1/edit", {**typed, "name": "Zoé M.", "payer": "m-2"})
    assert QUESTION in text(page)
    assert Member.objects.get(pk="m-1").name == typed["name"]
    again = dict(hidden(page.content.decode()))
    assert again == {**typed, "name": "Zoé M.", "payer": "m-2"}
    wrong = client.post("/people/m-1/edit", {**again, "password_again": "three green tables"})
    assert (wrong.status_code, Member.objects.get(pk="m-1").payer_id) == (400, None)
    assert client.post("/people/m-1/edit", {**again, "password_again": PASSWORD}).status_code == 303
    found = Member.objects.get(pk="m-1")
    assert (found.name, found.payer_id, found.note) == ("Zoé M.", "m-2", "two\nlines")


def test_no_form_that_asks_has_a_file_because_a_file_cannot_be_repeated():
    templates = Path(fabgate.collector.__file__).parent / "templates"
    with_files = [found.name for found in templates.rglob("*.html") if "multipart/form-data" in found.read_text()]
    assert with_files == ["import.html"]
    assert rights.table()["people-import"].asks_password is Asks.NEVER


def test_nobody_mails_a_link_that_opens_money_before_the_password_is_typed(stale, account, mail_server):
    server = mail_server()
    found = account("accountant", email="tom@example.org")
    token = links.make(OneTimeLink.RESET, found, "manager")
    page = stale.post(f"/accounts/{found.pk}/mail", {"token": token})
    assert QUESTION in text(page)
    assert not server.taken
    again = {**dict(hidden(page.content.decode())), "password_again": PASSWORD}
    assert stale.post(f"/accounts/{found.pk}/mail", again).status_code == 200
    assert len(server.taken) == 1
