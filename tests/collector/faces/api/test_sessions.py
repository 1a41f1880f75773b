"""Does the API tell sessions in a stable order, to whoever has the right key, and is its description current?"""

from __future__ import annotations

import gzip
import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from fabgate import wire
from fabgate.collector.faces.api.programs import routes
from fabgate.collector.ground.models import (
    ApiKey,
    Gate,
    LedgerLine,
    Machine,
    Member,
    Plan,
    PlanChange,
    Review,
    UsageSession,
)
from fabgate.collector.money.billing import terms
from fabgate.collector.recording.intake.store import Store
from fabgate.collector.recording.sessions import corrections
from tests.collector.gates import NOON, Journal
from tests.collector.paying import organisation

pytestmark = pytest.mark.usefixtures("database")
DOCUMENT = Path(__file__).parents[4] / "docs" / "openapi.json"


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


def ask(token: str, query: str = "", *, method: str = "GET", **headers: str) -> Any:
    said = {"authorization": f"Bearer {token}", **headers}
    return Client().generic(method, f"/api/v1/sessions{query}", headers=said)


def read_all(token: str, after: str = "0", limit: int = 2) -> tuple[list[dict[str, Any]], str]:
    found: list[dict[str, Any]] = []
    while True:
        answer = ask(token, f"?after={after}&limit={limit}").json()
        found += answer["sessions"]
        after = answer["next"]
        if not answer["more"]:
            return found, after


def instant(moment: datetime) -> str:
    """Return a moment as the API writes it."""
    return moment.isoformat().replace("+00:00", "Z")


def test_a_page_takes_no_query_per_row(journal, token):
    corrections.correct("s-1", "time", "5", author="eve", reason="a test cut")
    corrections.correct("s-2", "time", "5", author="eve", reason="a test cut")
    ask(token)  # the key notes that it was used
    with CaptureQueriesContext(connection) as few:
        ask(token, "?limit=6")
    with CaptureQueriesContext(connection) as many:
        ask(token, "?limit=7")
    assert len(few) == len(many) <= 11


def test_every_session_appears_once_in_consecutive_pages(journal, token):
    rows, after = read_all(token)
    assert [(row["session"], row["counted_ms"]) for row in rows] == [(f"s-{n}", 1_001 + n) for n in range(5)]
    answer = ask(token, f"?after={after}").json()
    assert (answer["sessions"], answer["next"], answer["more"]) == ([], after, False)
    assert (rows[0]["used_by"], rows[0]["used_by_name"], rows[0]["machine"]) == ("m-1", "Zoé Müller", "laser-1")


def test_an_organisation_that_pays_has_its_number_and_its_name(journal, token):
    organisation()
    _, after = read_all(token)
    corrections.correct("s-2", "payer", "payer:1", author="eve", reason="a project")
    [row] = read_all(token, after)[0]
    assert (row["payer"], row["payer_name"], row["used_by"]) == ("payer:1", "Université Lumière", "m-1")


def test_corrections_come_as_new_rows_and_old_rows_stay(journal, token):
    before, after = read_all(token)
    corrections.correct("s-2", "time", "5", author="eve", reason="a test cut")
    rows, _ = read_all(token, after)
    assert [(row["session"], row["kind"], row["counted_ms"], row["author"], row["why"]) for row in rows] == [
        ("s-2", "corrected", 5, "eve", "a test cut")
    ]
    assert read_all(token)[0][:5] == before


def test_a_contest_and_its_end_come_as_new_rows(journal, token):
    _, after = read_all(token)
    corrections.contest(UsageSession.objects.get(pk="s-2"), "that was my twin", author="ada")
    corrections.accept(Review.objects.get(), author="eve", note="the camera shows you")
    rows, _ = read_all(token, after)
    assert [(row["session"], row["kind"], row["review"], row["author"], row["why"]) for row in rows] == [
        ("s-2", "reviewed", "contested", "ada", "that was my twin"),
        ("s-2", "reviewed", "", "eve", "the camera shows you"),
    ]


def test_a_row_has_what_billing_needs_of_its_session_beside_what_counts(journal, token):
    Machine.objects.create(name="laser", category="wood")
    Gate.objects.update(machine=Machine.objects.get())
    student, late = Plan.objects.create(name="student"), NOON.date() + timedelta(days=1)
    PlanChange.objects.create(member_id="m-1", since=NOON.date(), plan=student)
    PlanChange.objects.create(member_id="m-1", since=late, plan=None)
    alone = Journal(name="j-alone", boot="b-alone")
    alone.synced = False  # its clock is never set
    who = {"session": "s-helped", "member": "m-1", "badge": "d1", "supervisor": "m-2", "energised_from_ms": 0}
    alone.write("session.started", **who, basis=wire.Basis(kind="grant"), mode="tap")
    alone.end("s-helped", 60_000, running_ms=30_000, energy_wh=12)
    Store("lyon").store(alone.messages(), NOON)
    corrections.correct("s-helped", "time", "20000", author="eve", reason="a test cut")
    corrections.correct("s-helped", "purpose", "training", author="eve", reason="a course")
    rows = ask(token).json()["sessions"]
    row, plain = rows[-1], rows[0]
    assert (row["counted_ms"], row["running_ms"], row["recorded_ms"], row["recorded_running_ms"]) == (
        *(20_000, 20_000),
        *(60_000, 30_000),
    )
    assert (row["corrected"], row["basis"], row["supervisor"]) == (["purpose", "time"], "grant", "m-2")
    assert (row["machine"], row["machine_category"], row["plan"]) == ("laser", "wood", "student")
    assert row["not_before"] <= row["not_after"] == row["ended_at"]
    assert [one["corrected"] for one in rows if one["session"] == "s-helped"] == [[], ["time"], ["purpose", "time"]]
    assert (plain["corrected"], plain["supervisor"], plain["not_after"]) == ([], None, None)
    assert plain["recorded_ms"] == plain["counted_ms"]
    assert (row["energy_wh"], plain["energy_wh"]) == (12, None)


def test_the_plan_is_that_of_the_day_of_the_end_in_the_zone_of_billing(journal, token):
    terms.start("EUR", NOON.date(), "Pacific/Kiritimati", includes_vat=True, actor="eve")  # where it is tomorrow
    PlanChange.objects.create(
        member_id="m-1", since=NOON.date() + timedelta(days=1), plan=Plan.objects.create(name="student")
    )
    assert {row["plan"] for row in ask(token).json()["sessions"]} == {"student"}


def test_each_answer_has_the_time_up_to_which_records_are_complete(journal, token):
    """The gate has reported one entry more than have arrived."""
    Gate.objects.update(machine=Machine.objects.create(name="laser"))
    Store("lyon").store([journal.status(at=NOON)], NOON)
    answer = ask(token).json()
    assert answer["complete_until"] == instant(NOON)
    one = {"gate": "laser-1", "complete_until": answer["complete_until"], "behind": False, "counts": True}
    assert answer["gates"] == [one]
    message = journal.start("s-late")
    Store("lyon").store([journal.status(at=NOON + timedelta(hours=1))], NOON + timedelta(hours=1))
    answer = ask(token).json()
    assert answer["gates"][0]["behind"]
    assert answer["complete_until"] < instant(NOON + timedelta(hours=1))
    Store("lyon").store([message], NOON + timedelta(hours=1))
    assert ask(token).json()["complete_until"] == instant(NOON + timedelta(hours=1))


def test_sessions_stored_between_two_pages_follow_later_and_none_repeats(journal, token):
    found: list[tuple[str, int]] = []
    after = "0"
    for number in range(10):
        answer = ask(token, f"?after={after}&limit=2").json()
        found += [(row["session"], row["position"]) for row in answer["sessions"]]
        after = answer["next"]
        # They ended before what was told already: the list goes by when they were stored.
        earlier = Journal(name=f"j-{number}", gate=f"gate-{number}")
        early = [
            earlier.write("gate.started", version="1"),
            earlier.start(f"early-{number}"),
            earlier.end(f"early-{number}", 1),
        ]
        Store("lyon").store(early if number < 4 else [], NOON)
    assert not answer["more"]
    assert [name for name, _ in found] == [*(f"s-{n}" for n in range(5)), *(f"early-{n}" for n in range(4))]
    assert [position for _, position in found] == sorted({position for _, position in found})


def test_a_cursor_of_another_collector_is_refused(journal, token):
    _, after = read_all(token)
    position, _, moment = after.partition(".")
    for other in (f"{position}.{int(moment) + 1}", f"{int(position) + 1}.{moment}"):
        answer = ask(token, f"?after={other}")
        assert answer.status_code == 409
        assert "of another collector" in answer.json()["detail"]


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
    [
        *(
            "?after=x",
            "?after=-1",
            "?after=1.",
            "?after=1",
            "?after=",
            "?after=" + "9" * 40,
            "?after=0%00",
            "?after=0%0A",
        ),
        "?after=1%D9%A3.1",  # an Arabic digit
        *("?limit=0", "?limit=1001", "?limit=-1", "?limit=x", "?limit=1.5", "?limit=" + "9" * 5_000),
    ],
)
def test_invalid_parameters_are_named(journal, token, query):
    answer = ask(token, query)
    name, _, value = query[1:].partition("=")
    wanted = {"after": "0, or the `next` of an answer as it was", "limit": "a whole number from 1 to 1000"}[name]
    assert answer.status_code == 422
    assert answer.json() == {"detail": f"{name}: found {unquote(value)[:40]!r}, wanted {wanted}"}


@pytest.mark.parametrize("limit", [1, 4, 5, 6, 1_000])
def test_a_limit_is_kept_exactly_and_more_says_whether_there_is_more(journal, token, limit):
    answer = ask(token, f"?limit={limit}").json()
    assert (len(answer["sessions"]), answer["more"]) == (min(limit, 5), limit < 5)


def test_without_a_key_nothing_is_served(journal, token):
    assert Client().get("/api/v1/sessions").status_code == 401
    answer = ask("fg_wrong")
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"].startswith("Bearer")
    assert "make one under More" in answer.json()["detail"]


def test_an_expired_key_or_one_without_the_scope_is_refused(journal):
    over = ApiKey.make("a", ["sessions:read"], made_by=None, expires_at=timezone.now() - timedelta(seconds=1))[1]
    other = ApiKey.make("b", ["floor:read"], made_by=None, expires_at=None)[1]
    assert ask(over).status_code == 401
    answer = ask(other)
    assert answer.status_code == 403
    assert "sessions:read" in answer.json()["detail"]


def test_a_key_remembers_when_it_was_used(journal, token):
    ask(token)
    assert ApiKey.objects.get().last_used_at is not None


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "QUERY"])
def test_only_reading_is_possible_with_it(journal, token, method):
    answer = ask(token, method=method)
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, HEAD")
    assert answer.json()["detail"].endswith(f"Found {method}, wanted GET, HEAD")


def test_head_returns_the_headers_of_get(journal, token):
    for query in ("", "?limit=x"):
        whole, head = ask(token, query), ask(token, query, method="HEAD")
        assert (head.status_code, head.headers) == (whole.status_code, whole.headers)
    assert Client().head("/api/v1/sessions").status_code == 401


def test_clients_that_accept_gzip_get_it(journal, token):
    plain, small = ask(token), ask(token, **{"accept-encoding": "gzip"})
    assert "Content-Encoding" not in plain.headers
    assert small.headers["Content-Encoding"] == "gzip"
    assert len(small.content) == int(small.headers["Content-Length"]) < len(plain.content)
    assert json.loads(gzip.decompress(small.content)) == plain.json()
    assert plain.headers["Vary"] == small.headers["Vary"] == "Accept-Encoding"


def test_the_document_is_current():
    found = json.loads(DOCUMENT.read_text(encoding="utf-8"))
    assert found == json.loads(json.dumps(routes.document())), "run: python -m tools.openapi"


def test_the_document_can_be_asked_for():
    assert Client().get("/api/v1/openapi.json").json()["info"]["title"] == "fabgate"
