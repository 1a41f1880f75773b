"""Does the API tell sessions in a stable order, to whoever has the right key, and is its description current?"""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from fabgate.collector import api, corrections
from fabgate.collector.models import ApiKey, LedgerLine, Member
from fabgate.collector.store import Store

from .gates import NOON, Journal

pytestmark = pytest.mark.usefixtures("database")
DOCUMENT = Path(__file__).parents[2] / "docs" / "openapi.json"


@pytest.fixture
def journal(database) -> Journal:
    Member.objects.create(id="m-1", name="Zoé Müller")
    journal = Journal()
    journal.write("gate.started", version="1")
    for number in range(5):
        journal.start(f"s-{number}")
        journal.end(f"s-{number}", 1_001 + number)
    Store("lyon").store(journal.messages(), NOON)
    return journal


@pytest.fixture
def token(database) -> str:
    return ApiKey.make("Invoices", ["sessions:read"], made_by=None, expires_at=None)[1]


def ask(token: str, query: str = "") -> Any:
    return Client().get(f"/api/v1/sessions{query}", headers={"authorization": f"Bearer {token}"})


def read_all(token: str, after: str = "0", limit: int = 2) -> tuple[list[dict[str, Any]], str]:
    found: list[dict[str, Any]] = []
    while True:
        answer = ask(token, f"?after={after}&limit={limit}").json()
        found += answer["sessions"]
        after = answer["next"]
        if not answer["more"]:
            return found, after


def test_every_session_is_told_once_in_pages_that_follow_each_other(journal, token):
    rows, after = read_all(token)
    assert [(row["session"], row["time_ms"]) for row in rows] == [(f"s-{n}", 1_001 + n) for n in range(5)]
    assert ask(token, f"?after={after}").json() == {"sessions": [], "next": after, "more": False}
    assert (rows[0]["member"], rows[0]["member_name"], rows[0]["machine"]) == ("m-1", "Zoé Müller", "laser-1")


def test_corrections_come_as_new_rows_and_old_rows_stay(journal, token):
    before, after = read_all(token)
    corrections.correct("s-2", "time", "5", author="eve", reason="a test cut")
    rows, _ = read_all(token, after)
    assert [(row["session"], row["kind"], row["time_ms"], row["author"], row["why"]) for row in rows] == [
        ("s-2", "corrected", 5, "eve", "a test cut")
    ]
    assert read_all(token)[0][:5] == before


def test_a_cursor_from_before_a_restore_is_refused_rather_than_lose_rows(journal, token):
    _, after = read_all(token)
    LedgerLine.objects.update(at=NOON + timedelta(days=1))
    answer = ask(token, f"?after={after}")
    assert answer.status_code == 409
    assert "restored" in answer.json()["detail"]
    LedgerLine.objects.all().delete()
    assert ask(token, f"?after={after}").status_code == 409


@pytest.mark.parametrize(
    "query",
    ["?after=x", "?after=-1", "?after=1.", "?after=1", "?limit=0", "?limit=1001", "?limit=x", "?after=" + "9" * 40],
)
def test_what_is_not_understood_is_said(journal, token, query):
    answer = ask(token, query)
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith(query[1:].partition("=")[0])


def test_without_a_key_nothing_is_told(journal, token):
    assert Client().get("/api/v1/sessions").status_code == 401
    answer = ask("fg_wrong")
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"].startswith("Bearer")
    assert "wanted one from More" in answer.json()["detail"]


def test_a_key_that_is_over_or_for_something_else_opens_nothing(journal):
    over = ApiKey.make("a", ["sessions:read"], made_by=None, expires_at=timezone.now() - timedelta(seconds=1))[1]
    other = ApiKey.make("b", ["floor:read"], made_by=None, expires_at=None)[1]
    assert ask(over).status_code == 401
    answer = ask(other)
    assert answer.status_code == 403
    assert "sessions:read" in answer.json()["detail"]


def test_a_key_remembers_when_it_was_used(journal, token):
    ask(token)
    assert ApiKey.objects.get().last_used_at is not None


def test_nothing_can_be_written(journal, token):
    assert Client().post("/api/v1/sessions", headers={"authorization": f"Bearer {token}"}).status_code == 405


def test_the_document_is_current():
    found = json.loads(DOCUMENT.read_text(encoding="utf-8"))
    assert found == json.loads(json.dumps(api.document())), "run: python -m tools.openapi"


def test_the_document_can_be_asked_for():
    assert Client().get("/api/v1/openapi.json").json()["info"]["title"] == "fabgate"
