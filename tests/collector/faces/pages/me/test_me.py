"""Does each person see and end their own sign-ins, and change their own password?"""

from __future__ import annotations

import pytest

from fabgate.collector.faces.pages.me import browsers
from fabgate.collector.ground.models import FailedSignIn, OneTimeLink, SignIn, accounts
from fabgate.collector.members.accounts import links
from tests.collector.faces.pages.conftest import PASSWORD

NEW = "seven small boats"


def test_the_list_shows_this_browser_and_others_of_this_account_only(browse, account):
    desk = account("desk")
    here, _other, _foreign = browse(desk), browse(desk), browse("trainer")
    shown = here.get("/me").context["sign_ins"]
    assert sorted(one["is_own"] for one in shown) == [False, True]


def test_another_browser_is_signed_out_at_once(browse, account):
    desk = account("desk")
    here, other = browse(desk), browse(desk)
    assert here.post("/me/sign-ins", {"sign_in": other.session["sign_in"]}).status_code == 303
    assert other.get("/me").status_code == 303
    assert here.get("/me").status_code == 200


def test_all_others_are_signed_out_together(browse, account):
    desk = account("desk")
    here, others = browse(desk), [browse(desk), browse(desk)]
    response = here.post("/me/sign-ins", {"sign_in": "others"}, follow=True)
    assert "2 browsers are signed out" in response.content.decode()
    assert [client.get("/me").status_code for client in others] == [303, 303]


def test_nobody_signs_somebody_else_out(browse):
    desk, trainer = browse("desk"), browse("trainer")
    desk.post("/me/sign-ins", {"sign_in": trainer.session["sign_in"]})
    assert trainer.get("/me").status_code == 200


@pytest.mark.parametrize("which", ["", "x", "-1", "9" * 40, "²"])
def test_a_choice_that_is_none_is_refused(browse, which):
    assert browse("desk").post("/me/sign-ins", {"sign_in": which}).status_code == 400


def test_a_new_password_signs_other_browsers_out_and_keeps_this_one(browse, account):
    desk = account("desk")
    here, other = browse(desk), browse(desk)
    assert here.post("/me/password", {"old": PASSWORD, "password": NEW}).status_code == 303
    desk.refresh_from_db()
    assert desk.check_password(NEW)
    assert (here.get("/me").status_code, other.get("/me").status_code) == (200, 303)


def test_a_new_password_closes_the_link_that_would_reset_it(browse, account):
    desk = account("desk")
    token = links.make(OneTimeLink.RESET, desk, "manager")
    assert browse(desk).post("/me/password", {"old": PASSWORD, "password": NEW}).status_code == 303
    assert OneTimeLink.open(token) is None


def test_the_old_password_must_be_right_and_guessing_it_is_slowed_down(browse, account):
    desk = account("desk")
    here = browse(desk)
    response = here.post("/me/password", {"old": "x", "password": NEW})
    assert (response.status_code, list(response.context["form"].errors)) == (400, ["old"])
    FailedSignIn.objects.bulk_create(
        FailedSignIn(name="desk", address="127.0.0.1") for _ in range(accounts.MAX_FAILURES_OF_NAME)
    )
    assert here.post("/me/password", {"old": PASSWORD, "password": NEW}).status_code == 429
    desk.refresh_from_db()
    assert desk.check_password(PASSWORD)


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("passwordpassword", "This password is too common."),
        ("desk-account", "This password is too much like the account&#x27;s name or address."),
        ("nine char", "This password is too short. It must contain at least 10 characters."),
    ],
)
def test_a_new_password_that_is_guessed_easily_is_refused_with_why(browse, account, password, why):
    desk = account("desk", display_name="Desk Account")
    response = browse(desk).post("/me/password", {"old": PASSWORD, "password": password})
    assert response.status_code == 400
    assert why in response.content.decode()
    desk.refresh_from_db()
    assert desk.check_password(PASSWORD)


def test_strangers_keep_nobody_from_changing_their_password(visitor, account):
    desk = account("desk")
    visitor.post("/sign-in", {"name": "desk", "password": PASSWORD})
    FailedSignIn.objects.bulk_create(
        FailedSignIn(name="desk", address="10.0.0.1") for _ in range(accounts.MAX_FAILURES_OF_NAME)
    )
    assert visitor.post("/me/password", {"old": PASSWORD, "password": NEW}).status_code == 303
    desk.refresh_from_db()
    assert desk.check_password(NEW)


def test_an_account_that_is_switched_off_is_out_at_once(browse, account):
    desk = account("desk")
    here = browse(desk)
    desk.is_active = False
    desk.save()
    assert here.get("/me").status_code == 303


def test_a_session_without_its_sign_in_is_worth_nothing(browse):
    here = browse("desk")
    SignIn.objects.all().delete()
    assert here.get("/me").status_code == 303


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0", "Firefox (Linux)"),
        ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/120 Safari/537.36 Edg/120", "Edge (Windows)"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) Version/17.0 Safari/604.1", "Safari (iPhone)"),
        ("Mozilla/5.0 (Linux; Android 14) Chrome/120 Mobile Safari/537.36", "Chrome (Android)"),
        ("curl/8", "An unknown browser"),
    ],
)
def test_a_browser_is_called_as_people_call_it(agent, name):
    assert browsers.named(agent) == name
