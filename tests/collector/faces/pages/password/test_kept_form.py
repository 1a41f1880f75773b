"""Does what was typed survive a sign-in that has ended, for the person who typed it, and for nobody else?"""

from __future__ import annotations

from typing import Any

import pytest
from django import forms
from django.conf import settings
from django.core import signing
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone

from fabgate.collector.faces import urls
from fabgate.collector.faces.pages.password import kept_form
from fabgate.collector.faces.pages.password.password_again import OF_THE_PAGE
from fabgate.collector.ground.models import Account, FailedSignIn, Member, SignIn
from tests.collector.faces.pages.conftest import PASSWORD
from tests.collector.faces.pages.password.question import hidden
from tests.collector.faces.pages.tabs import sent_by
from tests.collector.faces.pages.used import Used, text

AGAIN = "Sign in again"
OTHER_PASSWORD = "seven small boats"


@pytest.fixture
def people(database, env) -> Used:
    return Used()


def typed(client: Client, **changed: str) -> dict[str, Any]:
    """What a browser sends of the form of a person, after `changed` was typed."""
    of_the_page = {name: sent_by(client.get("/people/m-1/edit"), "note")[name] for name in OF_THE_PAGE}
    return {**of_the_page, "name": "Zoé Müller", "lang": "fr", "grace_days": "3", "level": "user", **changed}


def end_sign_in(client: Client, how: str) -> None:
    """End the sign-in of the browser as a manager, another tab, or time does."""
    if how == "revoked":
        SignIn.objects.update(revoked_at=timezone.now())
    elif how == "signed out":
        assert client.post("/sign-out").status_code == 303
    else:
        client.session.flush()


@pytest.mark.parametrize("how", ["revoked", "signed out", "expired"])
def test_what_was_typed_is_sent_once_the_same_person_has_signed_in_again(people, browse, how):
    client = browse("desk")
    sent = typed(client, name="Zoé Maître", note="two\nlines")
    end_sign_in(client, how)
    page = client.post("/people/m-1/edit", sent)
    assert (page.status_code, AGAIN in text(page)) == (403, True)
    assert 'autocomplete="current-password"' in text(page)

    again = sent_by(page, "note")
    wrong = client.post("/people/m-1/edit", {**again, "password_again": "three green tables"})
    assert (wrong.status_code, "This password is wrong" in text(wrong)) == (400, True)
    assert "three green tables" not in text(wrong)
    assert FailedSignIn.objects.count() == 1
    assert Member.objects.get(pk="m-1").note == ""

    right = client.post("/people/m-1/edit", {**sent_by(wrong, "note"), "password_again": PASSWORD})
    assert (right.status_code, right.headers["Location"]) == (303, "/people/m-1")
    found = Member.objects.get(pk="m-1")
    assert (found.name, found.note) == ("Zoé Maître", "two\nlines")
    assert client.get("/people/m-1").status_code == 200


def test_what_was_typed_is_kept_after_too_many_wrong_passwords(people, browse, monkeypatch):
    client = browse("desk")
    sent = typed(client, note="two\nlines")
    end_sign_in(client, "expired")
    again = sent_by(client.post("/people/m-1/edit", sent), "note")
    with monkeypatch.context() as patched:
        patched.setattr(FailedSignIn, "is_too_many", classmethod(lambda *_args: True))
        refused = client.post("/people/m-1/edit", {**again, "password_again": PASSWORD})
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "900")
    assert "Too many wrong passwords. Wait a quarter of an hour" in text(refused)
    later = client.post("/people/m-1/edit", {**sent_by(refused, "note"), "password_again": PASSWORD})
    assert (later.status_code, Member.objects.get(pk="m-1").note) == (303, "two\nlines")


def test_in_french_too(people, browse, account):
    client = browse(account("desk", lang="fr"))
    sent = typed(client, note="ici")
    end_sign_in(client, "revoked")
    page = text(client.post("/people/m-1/edit", sent))
    assert "Se reconnecter et envoyer" in page
    assert "Votre saisie est conservée" in page


def test_nobody_else_sends_what_was_typed(people, browse, account):
    """The password of another account opens nothing, nor does a form that another account's page has made."""
    other = account("manager")
    other.set_password(OTHER_PASSWORD)
    other.save()
    client = browse("desk")
    sent = typed(client, note="of the desk")
    end_sign_in(client, "revoked")
    answer = client.post("/people/m-1/edit", {**sent, "password_again": OTHER_PASSWORD})
    assert answer.status_code == 400
    Account.objects.filter(name="desk").update(is_active=False)
    assert client.post("/people/m-1/edit", {**sent, "password_again": PASSWORD}).headers["Location"] == "/sign-in"
    assert Member.objects.get(pk="m-1").note == ""


def test_the_right_to_send_it_is_asked_after_the_sign_in(people, browse):
    client = browse("desk")
    sent = typed(client, note="of the desk")
    end_sign_in(client, "revoked")
    Account.objects.filter(name="desk").update(role="member")
    assert client.post("/people/m-1/edit", {**sent, "password_again": PASSWORD}).status_code == 403
    assert Member.objects.get(pk="m-1").note == ""


@pytest.mark.parametrize(
    "made_for",
    [
        pytest.param(lambda _pk: "", id="a form of another site"),
        pytest.param(str, id="unsigned"),
        pytest.param(lambda pk: signing.dumps(pk, salt="other"), id="signed for something else"),
    ],
)
def test_what_no_page_of_ours_has_made_leads_to_the_sign_in(people, browse, account, made_for):
    client = browse(account("desk"))
    sent = typed(client, note="typed elsewhere")
    end_sign_in(client, "expired")
    sent["made_for"] = made_for(Account.objects.get().pk)
    answer = client.post("/people/m-1/edit", {**sent, "password_again": PASSWORD})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/sign-in")
    assert Member.objects.get(pk="m-1").note == ""


def test_a_day_later_nothing_is_kept(people, browse, monkeypatch):
    client = browse("desk")
    sent = typed(client, note="yesterday")
    end_sign_in(client, "expired")
    now = signing.time.time()
    monkeypatch.setattr(signing.time, "time", lambda: now + kept_form.LASTS.total_seconds() - 60)
    assert AGAIN in text(client.post("/people/m-1/edit", sent))
    monkeypatch.setattr(signing.time, "time", lambda: now + kept_form.LASTS.total_seconds() + 60)
    assert client.post("/people/m-1/edit", sent).headers["Location"] == "/sign-in"


def test_too_much_is_not_kept(people, browse):
    client = browse("desk")
    sent = typed(client, note="x" * kept_form.MOST)
    end_sign_in(client, "expired")
    assert client.post("/people/m-1/edit", sent).headers["Location"] == "/sign-in"


def test_a_button_alone_has_nothing_to_keep(people, browse):
    client = browse("desk")
    sent = {name: typed(client)[name] for name in OF_THE_PAGE}
    end_sign_in(client, "expired")
    assert client.post("/sign-out", sent).headers["Location"] == "/sign-in"


def test_neither_a_password_nor_a_file_is_repeated(people, browse):
    client = browse("desk")
    typed_into_page = typed(client)
    end_sign_in(client, "expired")
    for secret in (
        {"old": PASSWORD, "password": "four red doors"},
        {"token": "of a one-time link"},
        {"list": SimpleUploadedFile("list.csv", b"id;name")},
    ):
        answer = client.post("/people/m-1/edit", {**typed_into_page, **secret})
        assert (answer.status_code, answer.content) == (303, b"")


@pytest.mark.sqlite
def test_each_field_for_a_password_is_known_as_secret():
    assert urls.urlpatterns  # with all forms

    def kinds(of: type[forms.BaseForm]) -> list[type[forms.BaseForm]]:
        return [of, *(deeper for kind in of.__subclasses__() for deeper in kinds(kind))]

    found = {
        name
        for kind in kinds(forms.BaseForm)
        if kind.__module__.startswith("fabgate.")
        for name, field in getattr(kind, "base_fields", {}).items()
        if isinstance(field.widget, forms.PasswordInput)
    }
    assert {"old", "password", "password_again"} <= found
    assert found - kept_form.SECRETS == {"password_again"}


# --- after CSRF ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def checked(browse) -> Client:
    """The browser of the desk, with the check of the CSRF token."""
    client: Client = browse("desk", enforce_csrf_checks=True)
    return client


def forget_token(client: Client) -> None:
    """Drop the cookie that the token of a form must match."""
    del client.cookies[settings.CSRF_COOKIE_NAME]


def sign_in_anew(client: Client, account: Account) -> None:
    """Sign in in another tab: the token of all forms that are open changes."""
    client.force_login(account)
    forget_token(client)
    client.get("/me")


def test_a_form_from_before_the_last_sign_in_is_sent_again(people, checked):
    sent = typed(checked, note="typed before")
    sign_in_anew(checked, Account.objects.get())
    page = checked.post("/people/m-1/edit", sent)
    assert (page.status_code, "What you typed is kept" in text(page)) == (403, True)
    assert "current-password" not in text(page)
    assert Member.objects.get(pk="m-1").note == ""
    assert dict(hidden(text(page)))["note"] == "typed before"
    assert checked.post("/people/m-1/edit", sent_by(page, "note")).status_code == 303
    assert Member.objects.get(pk="m-1").note == "typed before"


def test_a_form_from_before_the_last_sign_out_asks_who_it_is_before_any_password_counts(people, checked):
    sent = typed(checked, note="typed before")
    end_sign_in(checked, "expired")
    forget_token(checked)
    page = checked.post("/people/m-1/edit", {**sent, "password_again": PASSWORD})
    assert (page.status_code, AGAIN in text(page)) == (403, True)
    assert Member.objects.get(pk="m-1").note == ""
    assert checked.post("/people/m-1/edit", {**sent_by(page, "note"), "password_again": PASSWORD}).status_code == 303
    assert Member.objects.get(pk="m-1").note == "typed before"


def test_a_form_of_another_person_or_another_site_is_refused_as_before(people, checked, account):
    sent = typed(checked, note="of the desk")
    sign_in_anew(checked, account("manager"))
    refused = [
        checked.post("/people/m-1/edit", sent),
        checked.post("/people/m-1/edit", {**sent, "made_for": ""}),
        checked.post("/people/m-1/edit", sent, headers={"origin": "https://evil.example"}),
    ]
    for page in refused:
        assert page.status_code == 403
        assert "The form could not be checked" in text(page)
        assert "of the desk" not in text(page)
    assert Member.objects.get(pk="m-1").note == ""
