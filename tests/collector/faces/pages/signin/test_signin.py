"""Does a person get in with the right password, and nobody else?"""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth import hashers
from django.http import HttpResponse
from django.test import Client, RequestFactory
from django.utils import timezone

from fabgate.collector.ground.db import audit
from fabgate.collector.ground.models import Account, Change, FailedSignIn, SignIn, accounts
from fabgate.collector.members.accounts import known_browsers, manage
from fabgate.collector.members.accounts import sign_in as signing_in
from fabgate.collector.processes.verify.findings import Report
from fabgate.collector.processes.verify.tables import logged
from tests.collector.faces.pages.conftest import PASSWORD
from tests.support import baseline


def sign_in(client, name="desk", password=PASSWORD, **more):
    return client.post("/sign-in", {"name": name, "password": password, **more})


def test_the_right_password_leads_to_where_the_person_wanted_to_go(visitor, account):
    account("desk")
    asked = visitor.get("/me?x=1")
    assert (asked.status_code, asked.headers["Location"]) == (303, "/sign-in?next=%2Fme%3Fx%3D1")
    form = visitor.get(asked.headers["Location"])
    assert form.context["next"] == "/me?x=1"
    let_in = sign_in(visitor, next="/me?x=1")
    assert (let_in.status_code, let_in.headers["Location"]) == (303, "/me?x=1")
    assert visitor.get("/me").status_code == 200


def older_hash(account: Account) -> None:
    """Let the account have the hash of a version that took less time for it."""
    hasher = hashers.get_hasher("argon2")
    hasher.time_cost = 1
    account.password = hasher.encode(PASSWORD, "salt" * 4)
    account.save(update_fields=["password"])


def test_an_older_hash_is_renewed_at_the_sign_in_and_the_log_has_a_digest_of_the_new_one(visitor, account):
    desk = account("desk")
    older_hash(desk)
    baseline.log(Account)
    older = desk.password
    assert sign_in(visitor, password="x").status_code == 400
    assert Account.objects.get().password == older
    assert sign_in(visitor).status_code == 303
    renewed = Account.objects.get()
    assert renewed.password != older
    assert renewed.check_password(PASSWORD)
    change = Change.objects.get(verb="account.rehashed")
    assert (change.actor, change.key, change.before.keys(), change.after) == (
        *("desk", "desk", {"password_seal"}),
        audit.seals_of(renewed),
    )
    assert renewed.password not in str(change.after)
    report = Report()
    logged.check(report)
    assert report.total == 0
    assert sign_in(visitor).status_code == 303
    assert Change.objects.filter(verb="account.rehashed").count() == 1, "a hash of this version stays"


def test_the_renewal_of_a_hash_never_puts_back_a_password_that_was_changed_meanwhile(account):
    older_hash(account("desk"))
    signing_in_now = Account.objects.get()
    manage.set_password(Account.objects.get(), "seven small boats")
    manage.renew_hash(signing_in_now, PASSWORD)
    assert Account.objects.get().check_password("seven small boats")
    assert not Change.objects.filter(verb="account.rehashed").exists()


def test_the_name_may_be_capitalised(visitor, account):
    account("desk")
    assert sign_in(visitor, name=" Desk ").status_code == 303


@pytest.mark.parametrize("where", ["https://evil.example/", "//evil.example", "javascript:alert(1)", "/\\evil.example"])
def test_nobody_is_sent_to_another_site(visitor, account, where):
    account("desk")
    assert sign_in(visitor, next=where).headers["Location"] == "/"


def test_a_wrong_password_and_an_unknown_name_get_the_same_answer(visitor, account):
    account("desk")
    wrong, unknown = sign_in(visitor, password="x"), sign_in(visitor, name="nobody", password="x")
    assert (wrong.status_code, unknown.status_code) == (400, 400)
    said = [list(response.context["form"].non_field_errors()) for response in (wrong, unknown)]
    assert said[0] == said[1] != []


def test_where_there_is_no_manager_nobody_is_sent_to_one(visitor, account):
    def told() -> str:
        return visitor.post("/sign-in", {"name": "ada", "password": "x"}).content.decode()

    account("desk")
    assert "fabgate collector first-link" in told()
    assert "ask a manager" not in told()
    account("manager")
    assert "ask a manager for a new link" in told()
    assert "first-link" not in told()


def test_an_unknown_name_costs_a_hash_too(visitor, account, monkeypatch):
    hashed = []
    from django.contrib.auth.hashers import Argon2PasswordHasher

    encode = Argon2PasswordHasher.encode
    monkeypatch.setattr(Argon2PasswordHasher, "encode", lambda *args: hashed.append(1) or encode(*args))
    sign_in(visitor, name="nobody", password="x")
    assert hashed


def test_an_account_that_is_switched_off_cannot_sign_in(visitor, account):
    account("desk", is_active=False)
    assert sign_in(visitor).status_code == 400


@pytest.mark.parametrize("fields", [{}, {"name": "desk"}, {"password": "x"}, {"name": "x" * 64, "password": "x"}])
def test_what_is_missing_or_too_long_is_said_beside_the_field(visitor, fields):
    response = visitor.post("/sign-in", fields)
    assert response.status_code == 400
    assert response.context["form"].errors
    assert 'aria-invalid="true"' in response.content.decode()
    assert "_error" in response.content.decode()


def test_after_ten_wrong_passwords_even_the_right_one_waits(visitor, account):
    account("desk")
    FailedSignIn.objects.bulk_create(
        FailedSignIn(name="desk", address=f"10.0.0.{n}") for n in range(accounts.MAX_FAILURES_OF_NAME - 1)
    )
    assert sign_in(visitor, password="x").status_code == 400
    refused = sign_in(visitor)
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "900")
    FailedSignIn.objects.update(at=timezone.now() - accounts.FAILURES_WITHIN - timedelta(seconds=1))
    assert sign_in(visitor).status_code == 303
    assert not FailedSignIn.objects.filter(name="desk").exists()


def test_an_unknown_name_is_slowed_down_the_same(visitor):
    FailedSignIn.objects.bulk_create(
        FailedSignIn(name="nobody", address="10.0.0.1") for _ in range(accounts.MAX_FAILURES_OF_NAME)
    )
    assert sign_in(visitor, name="nobody", password="x").status_code == 429


def test_one_address_cannot_try_many_names(visitor, account):
    account("desk")
    FailedSignIn.objects.bulk_create(
        FailedSignIn(name=f"n{n}", address="127.0.0.1") for n in range(accounts.MAX_FAILURES_FROM_ADDRESS)
    )
    assert sign_in(visitor).status_code == 429


# --- a browser that knows the account ---------------------------------------------------------------------------------


def failed(name="desk", times=accounts.MAX_FAILURES_OF_NAME, address="10.0.0.1"):
    FailedSignIn.objects.bulk_create(FailedSignIn(name=name, address=address) for _ in range(times))


@pytest.fixture
def known(visitor, account):
    """A browser in which the desk signed in once, and signed out."""
    account("desk")
    cookie = sign_in(visitor).cookies[known_browsers.COOKIE]
    assert (cookie["httponly"], cookie["samesite"], cookie["max-age"]) == (True, "Lax", 365 * 24 * 3600)
    assert visitor.post("/sign-out").status_code == 303
    return visitor


def test_strangers_lock_nobody_out_of_a_browser_that_knows_the_account(known):
    failed()
    failed("others", accounts.MAX_FAILURES_FROM_ADDRESS, "127.0.0.1")
    assert sign_in(known).status_code == 303


def test_what_strangers_tried_still_counts_against_strangers(known):
    failed()
    assert sign_in(known).status_code == 303
    assert sign_in(Client(headers={"host": "localhost"})).status_code == 429


def test_a_browser_that_knows_the_account_counts_its_own_failures(known):
    for _ in range(accounts.MAX_FAILURES_OF_NAME):
        assert sign_in(known, password="x").status_code == 400
    assert sign_in(known).status_code == 429
    assert not FailedSignIn.objects.filter(name="desk").exists()
    assert sign_in(Client(headers={"host": "localhost"})).status_code == 303


def test_a_browser_knows_only_the_accounts_that_signed_in_in_it(known, account):
    account("manager")
    failed("manager")
    assert sign_in(known, name="manager").status_code == 429
    FailedSignIn.objects.all().delete()
    assert sign_in(known, name="manager").status_code == 303
    known.post("/sign-out")
    for name in ("desk", "manager"):
        failed(name)
        assert sign_in(known, name=name).status_code == 303


def test_a_cookie_that_nobody_signed_opens_nothing(known):
    failed()
    known.cookies[known_browsers.COOKIE] = known.cookies[known_browsers.COOKIE].value[:-1] + "!"
    assert sign_in(known).status_code == 429


def test_a_browser_remembers_those_who_signed_in_last():
    request = RequestFactory().get("/")
    for n in range(known_browsers.MOST + 1):
        response = known_browsers.remember(request, HttpResponse(), Account(name=f"n{n}"))
        request.COOKIES[known_browsers.COOKIE] = response.cookies[known_browsers.COOKIE].value
    known = [
        name for name in (f"n{n}" for n in range(known_browsers.MOST + 1)) if known_browsers.counted_as(request, name)
    ]
    assert known == [f"n{n}" for n in range(1, known_browsers.MOST + 1)]


def test_signing_out_ends_the_session(browse):
    client = browse("desk")
    assert client.post("/sign-out").headers["Location"] == "/sign-in"
    assert client.get("/me").status_code == 303
    assert not SignIn.objects.exists()


def test_whoever_is_signed_in_is_not_asked_again(browse):
    assert browse("desk").get("/sign-in").headers["Location"] == "/"


def test_a_form_without_its_token_is_refused_with_what_to_do(account):
    client = Client(headers={"host": "localhost"}, SERVER_NAME="localhost", enforce_csrf_checks=True)
    response = sign_in(client)
    assert response.status_code == 403
    assert "reload the page" in response.content.decode()


def test_a_sign_in_keeps_address_and_browser(visitor, account):
    account("desk")
    visitor.post(
        "/sign-in", {"name": "desk", "password": PASSWORD}, headers={"user-agent": "Mozilla Firefox/1 (Linux)"}
    )
    row = SignIn.objects.get()
    assert (row.account.name, row.address, row.user_agent) == ("desk", "127.0.0.1", "Mozilla Firefox/1 (Linux)")


def test_of_many_passwords_that_come_at_once_no_more_are_looked_at(visitor, account, monkeypatch):
    account("desk")
    at_once = []

    def look(*_args, **_more):
        at_once.append(FailedSignIn.objects.filter(name="desk").count())

    monkeypatch.setattr(signing_in, "authenticate", look)
    for _ in range(accounts.MAX_FAILURES_OF_NAME + 3):
        sign_in(visitor)
    assert at_once == list(range(1, accounts.MAX_FAILURES_OF_NAME + 1))


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("fe80::1%eth0", "fe80::/64"),
        ("testclient", "testclient"),
    ],
)
def test_who_has_a_network_of_addresses_is_counted_once(address, expected):
    assert signing_in.counted_as(RequestFactory().get("/", REMOTE_ADDR=address)) == expected
