"""Does a one-time link open once, and only for whom it was made?"""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.conf import settings
from django.test import Client
from django.utils import timezone

from fabgate.collector.cli import accounts
from fabgate.collector.ground.models import Account, Change, OneTimeLink, SignIn
from fabgate.collector.members.accounts import first_link, links
from fabgate.errors import UsageError

NEW = "seven small boats"


def first(database=None) -> str:
    return first_link.when_needed(settings.ENVIRONMENT).rpartition("/")[2]


def test_the_first_link_makes_the_first_manager_and_lets_them_in(visitor):
    url = f"/welcome/{first()}"
    assert "become" in visitor.get(url).content.decode()
    response = visitor.post(url, {"name": "Ada", "display_name": "Ada L.", "password": NEW})
    assert (response.status_code, response.headers["Location"]) == (303, "/")
    manager = Account.objects.get()
    assert (manager.name, manager.role, str(manager)) == ("ada", "manager", "Ada L.")
    assert manager.check_password(NEW)
    assert manager.password.startswith("argon2")
    assert visitor.get("/accounts").status_code == 200
    assert [change.verb for change in Change.objects.order_by("id")] == ["link.made", "link.used", "account.added"]


def test_a_link_opens_once(visitor):
    url = f"/welcome/{first()}"
    visitor.post(url, {"name": "ada", "password": NEW})
    visitor.post("/sign-out")
    assert visitor.get(url).status_code == 404
    assert visitor.post(url, {"name": "eve", "password": NEW}).status_code == 404
    assert Account.objects.count() == 1


def test_each_start_prints_another_first_link_and_the_one_before_opens_nothing(visitor):
    old, new = first(), first()
    assert visitor.get(f"/welcome/{old}").status_code == 404
    assert visitor.get(f"/welcome/{new}").status_code == 200


def test_who_has_a_dead_link_is_told_whom_to_ask_for_another(account, visitor):
    new = "fabgate collector first-link"
    shown = visitor.get("/welcome/none").content.decode()
    assert new in shown
    assert "Ask a manager" not in shown, "nobody is one"
    shown = visitor.get("/welcome/none", headers={"Accept-Language": "fr"}).content.decode()
    assert f"lancez «\xa0{new}\xa0»" in shown
    account("manager")
    shown = visitor.get("/welcome/none").content.decode()
    assert "Ask a manager for a new link." in shown
    assert new not in shown


def test_there_is_no_first_link_once_there_is_a_manager(account, visitor):
    token = first()
    account("manager")
    assert first_link.when_needed(settings.ENVIRONMENT) is None
    assert visitor.get(f"/welcome/{token}").status_code == 404
    with pytest.raises(UsageError, match="there is already a manager"):
        accounts.show_first_link(None)


def test_a_manager_who_was_only_invited_counts_as_none(database):
    account = Account(name="ada", role="manager")
    account.set_unusable_password()
    account.save()
    assert first_link.when_needed(settings.ENVIRONMENT) is not None


def test_a_link_is_kept_as_a_hash_only(database):
    token = first()
    assert token not in str(OneTimeLink.objects.values())


def test_a_form_without_its_cookie_is_refused_and_the_log_has_no_link(database, caplog):
    token = first()
    with caplog.at_level("INFO"):
        response = Client(enforce_csrf_checks=True).post(f"/welcome/{token}", {"name": "ada", "password": NEW})
    assert response.status_code == 403
    assert "welcome: a form was refused" in caplog.text
    assert not [record for record in caplog.records if record.name.startswith("fabgate") and token in record.message]


@pytest.mark.parametrize("purpose", ["invite", "reset"])
def test_a_link_sets_the_password_of_its_account_and_ends_other_sign_ins(visitor, browse, account, purpose):
    desk = account("desk")
    before = browse(desk)
    url = f"/welcome/{links.make(purpose, desk, 'ada')}"
    assert visitor.get(url).status_code == 200
    assert visitor.post(url, {"password": NEW}).status_code == 303
    desk.refresh_from_db()
    assert desk.check_password(NEW)
    assert visitor.get("/me").status_code == 200
    assert before.get("/me").status_code == 303


def test_a_link_ends_by_itself(visitor, account):
    url = f"/welcome/{links.make('reset', account('desk'), 'ada')}"
    OneTimeLink.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert visitor.get(url).status_code == 404


def test_a_link_of_an_account_that_is_switched_off_opens_nothing(visitor, account):
    url = f"/welcome/{links.make('reset', account('desk', is_active=False), 'ada')}"
    assert visitor.get(url).status_code == 404


#: What is guessed easily; the account is called ada.lovelace, and Grace Hopper by others.
GUESSED = {
    "": "",
    "short": "trop court",
    "3 chairs!": "trop court",
    "1234567890": "trop courant",
    "password123": "trop courant",
    "passwordpassword": "trop courant",
    "azerty azerty azerty ": "trop courant",
    "aaaaaaaaaaaaa": "trop courant",
    "ada.lovelace": "ressemble trop au nom",
    "gracehopper1": "ressemble trop au nom",
    "73016402958": "entièrement numérique",
}


@pytest.mark.parametrize(("password", "why"), GUESSED.items())
def test_a_password_that_is_guessed_easily_is_refused_and_the_link_still_opens(visitor, password, why):
    url = f"/welcome/{first()}"
    typed = {"name": "ada.lovelace", "display_name": "Grace Hopper", "password": password}
    response = visitor.post(url, typed, headers={"Accept-Language": "fr"})
    assert why in "".join(response.context["form"].errors["password"])
    assert response.status_code == 400
    assert response.context["form"].errors["password"]
    assert not Account.objects.exists()
    assert visitor.get(url).status_code == 200


@pytest.mark.parametrize("name", ["", "a b", "é", "-x", "x" * 64, "desk"])
def test_a_name_that_cannot_be_one_or_is_taken_is_refused(visitor, account, name):
    account("desk")
    response = visitor.post(f"/welcome/{first()}", {"name": name, "password": NEW})
    assert response.status_code == 400
    assert "name" in response.context["form"].errors


def test_of_two_who_open_one_link_at_once_one_is_told_so(visitor, account, monkeypatch):
    url = f"/welcome/{links.make('invite', account('desk'), 'ada')}"
    monkeypatch.setattr(links, "use", lambda _link, **_actor: False)
    assert visitor.post(url, {"password": NEW}).status_code == 409
    assert not SignIn.objects.exists()
