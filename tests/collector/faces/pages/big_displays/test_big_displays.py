"""Does a big display show the machines, without an account, a surname or a way to anything else, until it is revoked?"""

from __future__ import annotations

import logging
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from fabgate.collector.faces.pages.big_displays import display
from fabgate.collector.faces.pages.events import stream
from fabgate.collector.ground.base import logs
from fabgate.collector.ground.models import Account, ApiKey, Change, Gate, Machine, Member, SignIn
from tests.collector.faces.pages.used import text

pytestmark = pytest.mark.usefixtures("fresh_now")
NOW = datetime.now(UTC)
SENT = {"name": "Entrance", "lang": "fr", "names": "on"}


@pytest.fixture(autouse=True)
def workshop(database, fresh_now) -> None:
    Member.objects.create(id="m-17", name="Zoé Müller", level="supervisor")
    for name, state in (("saw", "idle"), ("laser", "active"), ("mill", "idle")):
        machine = Machine.objects.create(name=name, title=name.title(), category="wood")
        used = {"session": "s", "session_member": "m-17", "state_since": NOW} if state == "active" else {}
        Gate.objects.create(name=f"{name}-1", machine=machine, online=True, seen_at=NOW, boot="b", state=state, **used)


def link(*scopes: str) -> str:
    _key, token = ApiKey.make("Entrance", list(scopes or ApiKey.DISPLAY), made_by=None, expires_at=None)
    return f"/display/{token}"


def tiles(answer: Any) -> list[str]:
    return [
        re.sub(r"<[^>]+>|\s+", " ", tile)
        for tile in re.findall(r"<article.*?</article>", answer.content.decode(), re.DOTALL)
    ]


# --- what it shows ----------------------------------------------------------------------------------------------------


def test_it_shows_every_machine_the_used_ones_first_then_the_free_ones(visitor):
    Machine.objects.filter(name="mill").update(
        lock_id="l1", lock_reason="Blade ordered", locked_at=NOW, locked_by="maya"
    )
    Machine.objects.create(name="new", title="New", category="a first one")
    answer = visitor.get(link())
    assert answer.status_code == 200
    assert re.findall(r'<h2 id="name-[^"]+">(\w+)<', answer.content.decode()) == ["Laser", "Saw", "New", "Mill"]
    assert "1 in use" in text(answer)
    assert "1 free" in text(answer)
    assert "Blade ordered" in tiles(answer)[3]
    assert "Zoé since" in re.sub(r"\s+", " ", tiles(answer)[0])
    assert "Supervisors here: Zoé" in text(answer)


def test_no_surname_number_or_link_is_on_it_and_nothing_to_press(visitor):
    page = visitor.get(link()).content.decode()
    assert "Zoé" in page
    assert not re.search(r"Müller|m-17|<a[ >]|<button|<form|<input|csrf", page)
    addresses = re.findall(r'(?:href|src|data-events)="([^"]+)"', page)
    assert addresses
    assert all(address.startswith(("/static/", "/display/")) for address in addresses)


def test_a_link_may_leave_out_first_names(visitor):
    answer = visitor.get(link(ApiKey.MACHINES))
    assert "Zoé" not in answer.content.decode()
    assert "since" in tiles(answer)[0]


def test_it_names_nobody_of_whom_a_silent_gate_spoke(visitor):
    Gate.objects.filter(name="laser-1").update(online=False)
    page = text(visitor.get(link(ApiKey.MACHINES, ApiKey.FIRST_NAMES)))
    assert "Offline" in page
    assert "was using it" not in page


def test_an_empty_workshop_says_so(visitor):
    Gate.objects.all().delete()
    Machine.objects.all().delete()
    assert "No machine yet" in text(visitor.get(link()))


@pytest.mark.parametrize(
    ("query", "accepts", "lang"), [("?lang=fr", "en", "fr"), ("", "fr", "fr"), ("?lang=xx", "en", "en")]
)
def test_its_language_is_in_its_address_or_that_of_the_browser(visitor, query, accepts, lang):
    answer = visitor.get(link() + query, headers={"Accept-Language": accepts})
    assert f'<html lang="{lang}"' in answer.content.decode()
    assert answer.headers["Content-Language"] == lang


@pytest.mark.parametrize("region", ["display-head", "display-machines"])
def test_a_region_that_is_asked_for_comes_alone(visitor, region):
    page = visitor.get(link(), headers={"X-Live": region}).content.decode()
    assert re.findall(r'id="([^"]+)"[^>]* data-live=', page) == [region]
    assert "<html" not in page
    assert "</main>" not in page


def test_it_asks_the_database_for_no_more_where_there_are_more_machines(visitor):
    address = link()
    visitor.get(address)

    def asked() -> int:
        with CaptureQueriesContext(connection) as queries:
            visitor.get(address)
        return len(queries)

    few = asked()
    for number in range(40):
        machine = Machine.objects.create(name=f"m-{number}")
        used = {"state": "active", "session": f"s-{number}", "session_member": "m-17", "state_since": NOW}
        Gate.objects.create(name=f"g-{number}", machine=machine, online=True, seen_at=NOW, **used)
    assert asked() == few


# --- who may see it ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["", "/events"])
@pytest.mark.parametrize("kind", ["none", "revoked", "key of a program"])
def test_without_a_valid_link_nothing_is_shown(visitor, path, kind):
    scopes = ["sessions:read"] if kind == "key of a program" else ApiKey.DISPLAY
    key, token = ApiKey.make("x", scopes, made_by=None, expires_at=None)
    if kind == "revoked":
        ApiKey.objects.filter(pk=key.pk).update(revoked_at=NOW)
    answer = visitor.get(f"/display/{'y' if kind == 'none' else token}{path}")
    assert answer.status_code == 410
    assert "Laser" not in answer.content.decode()
    assert "no longer works" in answer.content.decode()
    assert not re.search(r"<a[ >]|<form", answer.content.decode())


def test_a_link_opens_nothing_else(visitor):
    token = link().rpartition("/")[2]
    for address in ("/api/v1/sessions", "/api/v1/charges"):
        assert visitor.get(address, headers={"Authorization": f"Bearer {token}"}).status_code == 403
    assert visitor.get("/floor", headers={"Authorization": f"Bearer {token}"}).status_code == 303


@pytest.mark.parametrize("path", ["", "/events"])
@pytest.mark.parametrize("working", [True, False])
def test_no_cookie_is_read_or_set_and_it_is_kept_out_of_caches_search_engines_and_referrers(browse, path, working):
    signed_in = browse("manager")
    address = link() if working else "/display/x"
    with CaptureQueriesContext(connection) as queries:
        answer = signed_in.get(address + path)
    asked = " ".join(query["sql"] for query in queries)
    for table in ("django_session", Account._meta.db_table, SignIn._meta.db_table):
        assert f'FROM "{table}"' not in asked
    assert not answer.cookies
    assert answer.headers["Cache-Control"] == "private, no-store"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["X-Robots-Tag"] == "noindex, nofollow"
    assert "'self'" in answer.headers["Content-Security-Policy"]
    assert "unsafe" not in answer.headers["Content-Security-Policy"]
    anonymous = Client(headers={"host": "localhost"}).get(address + path)
    if not path:
        cut = re.compile(r'<time class="number".*?</time>|data-pulse="\d+"|datetime="[^"]+"')
        assert cut.sub("", answer.content.decode()) == cut.sub("", anonymous.content.decode())


@pytest.mark.parametrize("method", ["post", "put", "delete", "patch", "options"])
def test_it_is_only_read(visitor, method):
    for path in ("", "/events"):
        assert getattr(visitor, method)(link_once() + path).status_code == 405


def link_once() -> str:
    ApiKey.objects.all().delete()
    return link()


def test_its_secret_is_in_no_log(visitor, caplog, monkeypatch):
    address = link()
    token = address.rpartition("/")[2]
    monkeypatch.setattr(display.stations, "now", lambda _at: 1 / 0)
    monkeypatch.setattr(visitor, "raise_request_exception", False)
    with caplog.at_level(logging.DEBUG):
        caplog.handler.addFilter(logs._without_link)
        for path in (address, f"{address}/events?after=x", f"{address}/other", "/display/wrong", f"/welcome/{token}/"):
            visitor.get(path)
            visitor.post(path)
    assert caplog.records
    assert token not in "".join(record.getMessage() for record in caplog.records)


def test_a_link_has_as_many_streams_as_there_are_screens_and_no_more(visitor, monkeypatch):
    counted = []
    monkeypatch.setattr(stream, "listeners", lambda listener: counted.append(listener) or display.MAX_STREAMS)
    assert visitor.get(f"{link()}/events").status_code == 429
    assert [(one.kind, one.pk, one.topics) for one in counted] == [(ApiKey, ApiKey.objects.get().pk, display.TOPICS)]


# --- making and revoking ----------------------------------------------------------------------------------------------


def test_a_link_is_shown_once_and_stored_as_a_hash(browse, visitor):
    client = browse("manager")
    address = re.search(
        r'value="(http://localhost/display/fg_[\w-]{40,}\?lang=fr)"',
        client.post("/floor/displays", SENT).content.decode(),
    )
    assert address is not None
    token = re.search(r"fg_[\w-]+", address[1])[0]
    assert token not in str(ApiKey.objects.values().get()) + str(Change.objects.values().get())
    assert token not in text(client.get("/floor/displays"))
    assert ApiKey.objects.get().expires_at is None
    assert tiles(visitor.get(address[1]))[0]
    assert Change.objects.get().verb == "key.made"
    assert "Entrance" in text(client.get("/floor/displays"))
    assert "Entrance" not in text(client.get("/accounts/keys"))


def test_first_names_are_shown_only_if_that_was_ticked(browse):
    client = browse("manager")
    client.post("/floor/displays", SENT)
    client.post("/floor/displays", {"name": "Street", "lang": "en"})
    assert {key.name: key.scopes for key in ApiKey.objects.all()} == {
        "Entrance": [ApiKey.MACHINES, ApiKey.FIRST_NAMES],
        "Street": [ApiKey.MACHINES],
    }


def test_a_revoked_link_shows_nothing_any_more(browse, visitor):
    address, client = link(), browse("manager")
    key = ApiKey.objects.get()
    assert client.post(f"/floor/displays/{key.pk}/revoke").status_code == 303
    assert visitor.get(address).status_code == 410
    assert Change.objects.filter(verb="key.revoked", actor="manager").count() == 1
    assert "The link “Entrance” no longer works." in text(client.get("/floor/displays"))
    assert client.post(f"/floor/displays/{key.pk}/revoke").status_code == 409
    program, _token = ApiKey.make("Invoices", ["sessions:read"], made_by=None, expires_at=None)
    assert client.post(f"/floor/displays/{program.pk}/revoke").status_code == 404
    assert client.post("/floor/displays/999/revoke").status_code == 404


def test_a_mistake_is_said_and_no_link_is_made(browse):
    client = browse("manager")
    for wrong in ({"name": " "}, {"lang": "xx"}):
        assert client.post("/floor/displays", {**SENT, **wrong}).status_code == 400
    assert not ApiKey.objects.exists()
    client.post("/floor/displays", SENT)
    again = client.post("/floor/displays", SENT)
    assert again.status_code == 409
    assert "A link or key with this name already exists and works." in text(again)


def test_an_auditor_sees_the_links_and_makes_none_and_the_desk_sees_none(browse):
    auditor = browse("auditor")
    assert "No big display yet" in text(auditor.get("/floor/displays"))
    assert auditor.post("/floor/displays", SENT).status_code == 403
    desk = browse("desk")
    assert desk.get("/floor/displays").status_code == 403
    assert "/floor/displays" not in desk.get("/floor").content.decode()
    assert "/floor/displays" in browse("manager").get("/floor").content.decode()


def test_when_it_was_last_used_is_shown(browse, visitor):
    visitor.get(link())
    used = ApiKey.objects.get().last_used_at
    assert NOW - timedelta(minutes=1) < used < NOW + timedelta(minutes=10)
    assert "not yet" not in text(browse("manager").get("/floor/displays"))
