"""Does the list show the sessions that are asked for, and say what cannot be asked?"""

from __future__ import annotations

import html
import re
from datetime import UTC, datetime, timedelta
from html import unescape
from urllib.parse import urljoin
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone

from fabgate.collector.faces.pages.ids import SESSION, TAKEN_OF_SESSIONS
from fabgate.collector.faces.pages.lists import keyset
from fabgate.collector.faces.pages.use import urls
from fabgate.collector.ground.models import Member, Refusal, UsageSession
from tests.collector.faces.pages.used import MINUTE, NOON, Used, machine, text

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def used(database) -> Used:
    used = Used()
    used.session("s-1", "m-1", NOON, 30)
    used.session("s-2", "m-2", NOON + 60 * MINUTE, 20, gate="lathe-1", reason="idle")
    used.session("s-3", "m-1", NOON + 120 * MINUTE, 10, reason="power-loss", uncertainty_ms=900_000)
    used.session("s-old", "m-1", NOON - timedelta(days=60), 5)
    return used


def listed(response) -> list[str]:
    return re.findall(r'<th scope="row"><a href="/use/([^"]+)"', response.content.decode())


def test_sessions_are_listed_by_their_end_with_names_and_the_newest_first(used, browse):
    response = browse("accountant").get("/use")
    assert listed(response) == ["s-3", "s-2", "s-1"]
    assert "Zoé Müller" in text(response)
    assert "0:30:00" in text(response)


@pytest.mark.parametrize("called", ["a\nb", "2026/11/12 #3?", "usage", "export.csv", "..", "~0A", "<b>{url}</b>%s"])
def test_a_session_is_listed_and_its_link_opens_it_whatever_its_gate_calls_it(used, browse, called):
    used.session(called, "m-2", NOON + 180 * MINUTE, 7, uncertainty_ms=900_000)
    client = browse("accountant")
    first = re.findall(r'<th scope="row"><a href="([^"]+)"', client.get("/use").content.decode())[0]
    page = client.get(urljoin("http://localhost/use", html.unescape(first)))
    assert page.context["one"].pk == called
    assert "Bjørn Sørensen" in text(client.get("/use/review"))
    assert client.get(f"/use/moment?machine={machine()}&day={NOON:%Y-%m-%d}&time=15:03").status_code == 200


def test_no_session_stands_where_a_page_of_its_own_is():
    beside = {re.sub("^use/", "", str(one.pattern)) for one in urls.urlpatterns} - {"use", f"<{SESSION}:pk>"}
    assert {path for path in beside if "/" not in path} == TAKEN_OF_SESSIONS  # an id of a session has no slash


def test_an_uncertain_end_is_flagged_in_the_list(used, browse):
    response = browse("accountant").get("/use?uncertain=on")
    assert listed(response) == ["s-3"]
    assert "uncertain, up to 0:15:00 more" in text(response)


def test_a_session_whose_meter_was_broken_says_how_much_of_its_running_time_is_not_known(used, browse):
    client = browse("accountant")
    assert "meter broken" not in text(client.get("/use/s-1"))
    UsageSession.objects.filter(pk="s-1").update(running_unknown_ms=900_000)
    assert "meter broken: the real value may be up to 0:15:00 higher" in text(client.get("/use/s-1"))


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("member=m-2", ["s-2"]),
        ("member=bjorn", ["s-2"]),
        ("member=Zoé Müller&period=all", ["s-3", "s-1", "s-old"]),
        ("reason=idle", ["s-2"]),
        ("period=today", []),
        (f"first={NOON:%Y-%m-%d}&last={NOON:%Y-%m-%d}", ["s-3", "s-2", "s-1"]),
        (f"last={NOON:%Y-%m-%d}&member=m-1", ["s-3", "s-1", "s-old"]),
    ],
)
def test_a_filter_shows_what_fits_it(used, browse, query, wanted):
    assert listed(browse("accountant").get(f"/use?{query}")) == wanted


def test_a_machine_can_be_chosen_at_any_time(used, browse):
    assert listed(browse("accountant").get(f"/use?period=all&machine={machine()}")) == ["s-3", "s-1", "s-old"]


def test_more_than_a_month_of_everybody_is_refused_with_what_to_do(used, browse):
    client = browse("accountant")
    for query in ("period=all", "first=2020-01-01&last=2020-03-01"):
        response = client.get(f"/use?{query}")
        assert response.status_code == 400
        assert "choose a person or a machine" in text(response)


@pytest.mark.parametrize("path", ["/use", "/use/refusals"])
def test_all_time_is_offered_only_where_it_is_not_refused(used, browse, path):
    client = browse("accountant")
    for query, is_offered in (("", False), ("?member=m-1", True), (f"?machine={machine()}", True)):
        assert ('<option value="all"' in text(client.get(path + query))) is is_offered, query


def test_a_name_that_fits_several_people_offers_them(used, browse):
    response = browse("accountant").get("/use?member=zoe")
    assert response.status_code == 400
    assert "Which person?" in text(response)
    assert "?member=m-1" in text(response)
    assert "?member=m-3" in text(response)
    assert response.context["form"].several == [("m-1", "Zoé Müller"), ("m-3", "Zoé Petit")]


def test_those_of_one_name_are_offered_with_their_numbers(used, browse):
    Member.objects.create(id="m-5", name="Zoe Müller")
    response = browse("accountant").get("/use?member=zoe")
    assert set(response.context["form"].several) == {
        *(("m-1", "Zoé Müller (m-1)"), ("m-3", "Zoé Petit"), ("m-5", "Zoe Müller (m-5)")),
    }


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("member=nobody", "No one is called “nobody”."),
        ("machine=99", "Select a valid choice"),
        ("reason=fun", "Select a valid choice"),
        ("period=own", "Choose a first or a last day."),
        ("first=2026-13-01", "Enter the day as year-month-day"),
        ("first=2026-02-02&last=2026-02-01", "The last day is before the first."),
        ("first=1026-02-02&last=2026-02-01", "in the year 1026: did you mean"),
        ("before=x", "Open the list again from its beginning"),
    ],
)
def test_what_cannot_be_looked_for_is_said(used, browse, query, told):
    response = browse("accountant").get(f"/use?{query}")
    assert response.status_code == 400
    assert told in text(response)


def test_open_sessions_stand_apart_and_are_not_on_later_pages(used, browse):
    used.begin("s-open", "m-3", used.now - 5 * MINUTE)
    client = browse("accountant")
    response = client.get("/use")
    assert listed(response)[0] == "s-open"
    assert "Open now" in text(response)
    assert "data-since=" in text(response)
    assert "s-open" not in listed(client.get("/use?uncertain=on"))
    assert "s-open" not in listed(client.get("/use?after=s-2"))


def test_pages_follow_each_other_without_a_gap(used, browse):
    for number in range(60):
        used.session(f"n-{number:02}", "m-2", NOON + (200 + 2 * number) * MINUTE, 1)
    client = browse("accountant")
    first = client.get("/use?member=m-2")
    older = re.search(r'href="(\?[^"]*after=[^"]*)"', first.content.decode())
    assert older is not None
    second = client.get(f"/use{older[1].replace('&amp;', '&')}")
    assert listed(first) + listed(second) == [*(f"n-{number:02}" for number in reversed(range(60))), "s-2"]


def test_an_empty_list_says_what_to_do(browse):
    client = browse("accountant")
    assert "as soon as someone taps a badge" in text(client.get("/use"))
    assert "Show the last 31 days" in text(client.get("/use?period=today"))


def test_in_the_night_in_which_the_clocks_go_back_every_list_says_which_hour_it_was(used, browse, account):
    """Of an hour that came twice a session seems to end before it began."""
    began, ended = (datetime(2025, 10, 26, hour, minute, tzinfo=UTC) for hour, minute in ((0, 50), (1, 10)))
    UsageSession.objects.filter(pk="s-1").update(started_at=began, ended_at=ended)
    used.refuse("badge-m-1", "m-1", NOON + 300 * MINUTE, "expired")
    Refusal.objects.update(at=ended)
    zoe = browse(account("manager", member_id="m-1"))
    first, second = "(UTC+02:00)", "(UTC+01:00)"
    with timezone.override(ZoneInfo("Europe/Paris")):
        day = "first=2025-10-26&last=2025-10-26"
        (row,) = zoe.get(f"/use?{day}").context["rows"]
        assert row["span"] == f"26 Oct 2025 02:50 {first} \N{EN DASH} 02:10 {second}"
        assert f"02:10</time> {second}" in text(zoe.get(f"/use/refusals?{day}"))
        own = text(zoe.get("/my-minutes/sessions/s-1"))
        assert f"02:50 {first}" in own
        assert f"02:10 {second}" in own


@pytest.mark.parametrize(
    ("sort", "wanted"),
    [
        ("", ["s-3", "s-2", "s-1"]),
        ("-ended", ["s-3", "s-2", "s-1"]),
        ("ended", ["s-1", "s-2", "s-3"]),
        ("on", ["s-3", "s-2", "s-1"]),
        ("-on", ["s-1", "s-2", "s-3"]),
        ("machine", ["s-3", "s-1", "s-2"]),
        ("-machine", ["s-2", "s-3", "s-1"]),
        ("nonsense", ["s-3", "s-2", "s-1"]),
    ],
)
def test_the_list_sorts_by_its_headers_both_ways(browse, sort, wanted):
    used = Used()
    used.session("s-1", "m-1", NOON, 30)
    used.session("s-2", "m-2", NOON + 60 * MINUTE, 20, gate="lathe-1")
    used.session("s-3", "m-1", NOON + 90 * MINUTE, 10)
    response = browse("accountant").get(f"/use?sort={sort}")
    assert [row["url"].rpartition("/")[2] for row in response.context["rows"]] == wanted
    page = response.content.decode()
    assert page.count('aria-sort="ascending"') + page.count('aria-sort="descending"') == 1


def test_a_sorted_list_has_pages_too(browse, monkeypatch):
    monkeypatch.setattr(keyset, "SIZE", 2)
    used = Used()
    for number in range(5):
        used.session(f"s-{number}", "m-1", NOON + number * 20 * MINUTE, 10 + number)
    client, seen, page = browse("accountant"), [], "/use?sort=on"
    while page:
        response = client.get(page)
        seen.append([row["url"].rpartition("/")[2] for row in response.context["rows"]])
        found = re.search(r'href="([^"]*)" rel="next"', response.content.decode())
        page = f"/use{unescape(found[1])}" if found else ""
    assert seen == [["s-0", "s-1"], ["s-2", "s-3"], ["s-4"]]
