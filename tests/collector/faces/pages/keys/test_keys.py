"""Is a key shown once, kept as a hash, and does it open nothing once it is revoked?"""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.utils import timezone

from fabgate.collector.ground.models import ApiKey, Change
from tests.collector.faces.pages import billing
from tests.collector.faces.pages.used import text

pytestmark = pytest.mark.usefixtures("database")
SENT = {"name": "Invoices", "scopes": ["sessions:read"], "lasts": "90"}


def test_a_key_is_shown_once_and_kept_as_a_hash(browse):
    client = browse("manager")
    response = client.post("/accounts/keys", SENT)
    token = re.search(r'value="(fg_[\w-]{40,})"', response.content.decode())
    assert token is not None
    key = ApiKey.objects.get()
    assert ApiKey.by_token(token[1]) == key
    assert token[1] not in str(ApiKey.objects.values().get())
    assert token[1] not in str(Change.objects.values().get())
    assert token[1] not in text(client.get("/accounts/keys"))
    assert timedelta(days=89) < key.expires_at - timezone.now() < timedelta(days=91)


def test_a_key_may_last_until_it_is_revoked(browse):
    browse("manager").post("/accounts/keys", {**SENT, "lasts": ""})
    assert ApiKey.objects.get().expires_at is None


def test_a_revoked_key_opens_nothing_any_more(browse):
    key, token = ApiKey.make("Invoices", ["sessions:read"], made_by=None, expires_at=None)
    client = browse("manager")
    assert client.post(f"/accounts/keys/{key.pk}/revoke").status_code == 303
    assert ApiKey.by_token(token) is None
    assert Change.objects.filter(verb="key.revoked", actor="manager").count() == 1
    shown = text(client.get("/accounts/keys"))
    assert "The key “Invoices” no longer works." in shown
    assert "Revoked" in shown
    assert client.post(f"/accounts/keys/{key.pk}/revoke").status_code == 409
    assert client.post("/accounts/keys/999/revoke").status_code == 404


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"name": " "}, "This field is required."),
        ({"name": "x" * 121}, "at most 120 characters"),
        ({"scopes": []}, "Choose at least one permission."),
        ({"scopes": ["all"]}, "Select a valid choice"),
        ({"lasts": "9999"}, "Select a valid choice"),
    ],
)
def test_a_mistake_is_said_and_no_key_is_made(browse, changed, told):
    response = browse("manager").post("/accounts/keys", {**SENT, **changed})
    assert response.status_code == 400
    assert told in text(response)
    assert not ApiKey.objects.exists()


def test_an_auditor_sees_the_keys_and_can_make_none(browse):
    client = browse("auditor")
    assert "New key" not in text(client.get("/accounts/keys"))
    assert client.post("/accounts/keys", SENT).status_code == 403


def test_money_is_offered_once_billing_was_started_and_never_chosen_beforehand(browse):
    client, money = browse("manager"), "Read charges and statements"
    assert money not in text(client.get("/accounts/keys"))
    assert client.post("/accounts/keys", {**SENT, "scopes": ["charges:read"]}).status_code == 400
    billing.start()
    page = client.get("/accounts/keys")
    assert money in text(page)
    assert re.findall(r'value="([a-z:]+)"[^>]* checked', page.content.decode()) == ["sessions:read"]
    made = client.post("/accounts/keys", {**SENT, "scopes": ["charges:read"]})
    assert "/api/v1/charges?after=0" in text(made)
    assert "/api/v1/sessions?after=0" not in text(made)
    assert ApiKey.objects.get().scopes == ["charges:read"]
