"""Tables sort by their headers: all their rows, page after page, with the filters that are set."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from html import unescape
from itertools import chain
from typing import Any, Final
from urllib.parse import urljoin

import pytest
from django.http import QueryDict
from django.utils import translation

from fabgate.collector.faces.pages.lists import keyset
from fabgate.collector.faces.pages.lists.sorting import Sorting, sort_key
from fabgate.collector.faces.pages.log import labels as log_labels
from fabgate.collector.faces.pages.words import session_labels
from fabgate.collector.ground.models import (
    Account,
    ApiKey,
    Change,
    Gate,
    Grant,
    Group,
    Machine,
    Member,
    Payer,
    Refusal,
    Training,
    UsageSession,
)
from fabgate.collector.members.people.blocks import today
from tests.collector.faces.pages.used import MINUTE, NOON, Used
from tests.collector.paying import organisation, paying

REFUSALS, LOG, PEOPLE, PAID_FOR, PAYERS, SESSIONS, MINE = (
    "/use/refusals",
    "/log",
    "/people",
    "/people/payers/people",
    "/people/payers",
    "/use",
    "/my-minutes",
)
USAGE: Final = f"/use/usage?first={NOON:%Y-%m-%d}&last={NOON:%Y-%m-%d}"
#: The columns of each list that has pages.
PAGED: Final = {
    REFUSALS: ("when", "person", "machine", "reason"),
    LOG: ("when", "by", "what"),
    PEOPLE: ("name", "number", "membership", "category", "email"),
    PAID_FOR: ("name", "number", "payer"),
    PAYERS: ("name", "kind", "people", "address"),
    SESSIONS: ("person", "machine", "ended", "on", "running", "reason"),
    MINE: ("ended", "machine", "reason", "duration"),
}
#: The columns of each table that is shown as a whole.
WHOLE: Final = {
    "/floor/closing": ("machine", "state", "who", "since"),
    "/machines": ("machine", "now", "category", "kind", "gate"),
    "/gates": ("gate", "connection", "roster", "journal", "clock", "reader", "problems"),
    "/accounts": ("name", "role", "member", "signed_in", "state"),
    "/accounts/keys": ("program", "state", "until", "used", "created"),
    "/people/groups": ("name", "kind", "payer", "people", "badges", "state"),
    "/people/trainings": ("training", "requires", "valid", "people"),
    "/people/trainings/1": ("name", "stage", "since", "until", "trainer"),
    "/people/enrol": ("when", "where", "holder", "times"),
    "/use/complete": ("gate", "state", "last", "entries"),
    USAGE: ("title", "sessions", "counted_ms", "running_ms", "energy_wh", "uncertain"),
    "/me": ("browser", "address", "since", "used"),
}
STRANGERS: Final = ("a" * 64, "b" * 64)


@pytest.fixture
def used(database) -> Used:
    """Rows of which many share a value, or have none."""
    chance, used = random.Random(7), Used()
    for number in range(14):
        gate = chance.choice(["saw-1", "lathe-1"])
        who = ("m-1", "m-2", None, "m-77", None)[number % 5]
        why = chance.choice([["expired"], ["blocked-estop"], ["expired", "training-missing"], ["payment-due"]])
        badge = f"badge-{who}" if who else STRANGERS[number % 2]
        used.refuse(badge, who, NOON + number // 2 * MINUTE, *(why if who else ["unknown-badge"]), gate=gate)
    for number in range(9):
        reason, member = chance.choice(["badge", "button", "idle"]), ("m-1", "m-2", "m-1", "m-77")[number % 4]
        minutes, gate = chance.choice([5, 5, 12]), chance.choice(["saw-1", "lathe-1"])
        used.session(
            f"s-{number}", member, NOON + 30 * number * MINUTE, minutes, gate, reason=reason, energy_wh=minutes * 10
        )
    for number in range(15):
        Change.objects.create(
            at=NOON + number // 3 * MINUTE,
            actor=chance.choice(["maya", "cli:root", "bob"]),
            verb=chance.choice(["machine.updated", "member.added", "grant.given"]),
            kind="machine",
            key=str(number),
        )
    Account.objects.create(name="maya", display_name="Zoé", role="desk")
    for number in range(1, 7):
        name = chance.choice(["Lycée", "Université", "Zoé"])
        organisation(name, number, address=chance.choice(["", "1 rue de Lyon"]))
    for number, until in enumerate([0, 9, 9, None, None, 4, 0, 30]):
        day = None if until is None else today() + timedelta(days=until)
        Member.objects.create(
            id=f"m-{number + 5}",
            name=chance.choice(["Ada", "Élise", ""]),
            valid_until=day,
            category=chance.choice(["", "adult"]),
            email=chance.choice(["", "z@example.org", "a@example.org"]),
            payer=chance.choice([paying("m-1"), paying("m-2"), Payer.objects.get(pk="payer:1")]),
        )
    return used


@pytest.fixture
def manager(used, browse, account) -> Any:
    """A manager who is a member too, and so has minutes."""
    return browse(account("manager", member_id="m-1"))


@pytest.fixture
def others(used) -> None:
    """A row or two for each table that is shown as a whole."""
    laser = Training.objects.create(name="laser", title="Laser", expires_after_days=30)
    Training.objects.create(name="saws", title="Saws", prerequisite=laser)
    for pk, stage in (("m-1", Grant.INSTRUCTOR), ("m-2", Grant.SUPERVISED), ("m-3", Grant.AUTONOMOUS)):
        Grant.objects.create(member_id=pk, training=laser, stage=stage, since=today(), trainer=f"trainer of {pk}")
    Group.objects.create(name="École", kind=Group.CLASS, payer=paying("m-1"))
    Group.objects.create(name="Delta", kind=Group.COMPANY)
    ApiKey.make("Invoices 10", ["sessions:read"], made_by=None, expires_at=None)
    ApiKey.make("Invoices 9", ["sessions:read"], made_by=None, expires_at=datetime.now(UTC) + timedelta(days=1))
    for minutes, member in ((5, "m-2"), (4, "m-1")):
        used.refuse(STRANGERS[0], None, used.now - minutes * MINUTE, "unknown-badge")
        gate = Gate.objects.get(name="saw-1" if member == "m-1" else "lathe-1")
        using = {"state": "active", "online": True, "seen_at": used.now, "state_since": used.now - minutes * MINUTE}
        Gate.objects.filter(pk=gate.pk).update(session=f"now-{minutes}", session_member=member, **using)


def ids(response: Any) -> list[Any]:
    return [row.pk for row in response.context["page"].rows]


def as_one_page(client: Any, address: str, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    with monkeypatch.context() as patched:
        patched.setattr(keyset, "SIZE", 1000)
        return ids(client.get(address))


@pytest.mark.parametrize("path", PAGED)
def test_pages_of_a_sorted_list_follow_each_other_to_its_end_and_back(manager, monkeypatch, path):
    monkeypatch.setattr(keyset, "SIZE", 5)
    every = sorted(as_one_page(manager, path, monkeypatch))
    for sort in (f"{sign}{column}" for column in PAGED[path] for sign in ("", "-")):
        whole = as_one_page(manager, f"{path}?sort={sort}", monkeypatch)
        assert sorted(whole) == every
        response = manager.get(f"{path}?sort={sort}")
        assert response.context["page"].before == ""
        pages = [ids(response)]
        while after := response.context["page"].after:
            response = manager.get(path + after)
            pages.append(ids(response))
        assert list(chain(*pages)) == whole
        for page in reversed(pages[:-1]):
            response = manager.get(path + response.context["page"].before)
            assert ids(response) == page
        assert response.context["page"].before == ""


def check_order(rows: list[Any], name: Callable[[Any], str], sign: str) -> None:
    """Check that rows are ordered by a text, those of the same text newest first, and those without one last."""
    texts = [sort_key(name(row)) for row in rows]
    named = [text for text in texts if text is not None]
    assert named == sorted(named, reverse=sign == "-")
    assert texts == [*named, *[None] * (len(texts) - len(named))]
    for text in named:
        moments = [moment(row) for row, found in zip(rows, texts, strict=True) if found == text]
        assert moments == sorted(moments, reverse=True)


def moment(row: Any) -> datetime:
    found: datetime = next(getattr(row, name) for name in ("about", "ended_at", "at") if hasattr(row, name))
    return found


def person(row: Any) -> str:
    return Member.names().get(getattr(row, "used_by", "") or row.member, getattr(row, "used_by", "") or row.member)


#: Lists that are sorted by words: the page, the column, and what a row shows there.
WORDS: Final[list[tuple[str, str, Callable[[Any], str]]]] = [
    (REFUSALS, "person", person),
    (REFUSALS, "machine", lambda row: str(row.machine)),
    (REFUSALS, "reason", lambda row: session_labels.refused(row.reasons)),
    (LOG, "by", lambda row: {"maya": "Zoé", "bob": "bob"}.get(row.actor, "root (command line)")),
    (LOG, "what", lambda row: log_labels.verb(row.verb)),
    (SESSIONS, "person", person),
    (SESSIONS, "reason", lambda row: session_labels.ended(row.reason)),
]


@pytest.mark.parametrize("lang", ["en", "fr"])
def test_a_list_is_sorted_by_what_it_shows_in_the_language_of_its_reader(used, browse, account, lang):
    client = browse(account("manager", lang=lang))
    for path, column, name in WORDS:
        for sign in ("", "-"):
            rows = client.get(f"{path}?sort={sign}{column}").context["page"].rows
            with translation.override(lang):
                check_order(list(rows), name, sign)


@pytest.mark.parametrize("sign", ["", "-"])
def test_refusals_of_a_person_are_together_the_newest_first_and_unknown_badges_come_last(manager, sign):
    rows = manager.get(f"{REFUSALS}?sort={sign}person").context["page"].rows
    owners = [row.member or row.badge for row in rows]
    assert [owner for owner, before in zip(owners, [None, *owners], strict=False) if owner != before] == [
        *(["m-2", "m-77", "m-1"] if not sign else ["m-1", "m-77", "m-2"]),  # Bjørn, m-77, Zoé
        *STRANGERS,
    ]
    for owner in set(owners):
        mine = [(row.about, row.pk) for row in rows if (row.member or row.badge) == owner]
        assert mine == sorted(mine, reverse=True)


def test_a_refusal_at_a_gate_without_a_machine_is_sorted_by_the_gate(manager):
    Refusal.objects.filter(gate__name="saw-1").update(machine=None)
    rows = manager.get(f"{REFUSALS}?sort=-machine").context["page"].rows
    assert [str(row.where) for row in rows] == sorted((str(row.where) for row in rows), reverse=True, key=str.casefold)


def test_numbers_of_people_are_sorted_by_their_size(manager):
    rows = manager.get(f"{PEOPLE}?state=all&sort=number").context["page"].rows
    assert [row.pk for row in rows] == [f"m-{number}" for number in range(1, 13)]


@pytest.mark.parametrize("sign", ["", "-"])
def test_people_without_an_address_come_last_and_a_membership_without_an_end_lasts_longest(manager, sign):
    by_email = [row.email for row in manager.get(f"{PEOPLE}?state=all&sort={sign}email").context["page"].rows]
    filled = [email for email in by_email if email]
    assert by_email == [*sorted(filled, reverse=bool(sign)), *[""] * (len(by_email) - len(filled))]
    untils = [row.valid_until for row in manager.get(f"{PEOPLE}?state=all&sort={sign}membership").context["page"].rows]
    ends = sorted(filter(None, untils), reverse=bool(sign))
    endless = [None] * (len(untils) - len(ends))
    assert untils == ([*endless, *ends] if sign else [*ends, *endless])


@pytest.mark.sqlite
@pytest.mark.parametrize("columns_of", [PAGED, WHOLE], ids=["paged", "whole"])
def test_each_header_sorts_its_table_and_the_other_way_at_the_next_click(manager, others, columns_of):
    for path, columns in columns_of.items():
        first = manager.get(path).context["sorting"].headers
        assert tuple(first) == columns
        for column, header in first.items():
            seen = set()
            for _click in range(2):
                response = manager.get(urljoin(path, header.url))
                assert response.status_code == 200
                header = response.context["sorting"].headers[column]  # noqa: PLW2901 (as it is after the click)
                page = response.content.decode()
                assert set(re.findall(r'aria-sort="(\w+)"', page)) - {"none"} == {header.aria}
                assert f'<a href="{header.url.replace("&", "&amp;")}">' in page
                seen.add(header.aria)
            assert seen == {"ascending", "descending"}


@pytest.mark.sqlite
def test_an_order_that_does_not_exist_is_the_usual_one(manager, others):
    for path in (*PAGED, *WHOLE):
        usual = manager.get(path).context["sorting"]
        for query in ("sort=-", "sort=--name") if path in PAGED else ("sort=nothing", "sort=password"):
            response = manager.get(f"{path}{'&' if '?' in path else '?'}{query}")
            assert response.status_code == 200
            assert response.context["sorting"].order == usual.order


@pytest.mark.parametrize("path", PAGED)
def test_a_cursor_that_names_no_row_is_refused(used, manager, path):
    used.begin("s-open", "m-1", used.now - 5 * MINUTE)
    for column in PAGED[path]:
        for cursor in ("before=x", "after=x", f"after={'9' * 30}", "after=0", "before=' OR 1=1", "after=s-open"):
            response = manager.get(f"{path}?sort={column}&{cursor}")
            assert response.status_code == 400
            assert "Open the list again from its beginning" in response.content.decode()
        assert manager.get(f"{path}?sort={column}&after=%00").status_code == 400


def test_no_other_persons_session_is_a_cursor_on_my_minutes(manager):
    other = UsageSession.objects.filter(used_by="m-2").first()
    assert manager.get(f"{MINE}?after={other.pk}").status_code == 400
    assert manager.get(f"{MINE}?sort=-duration&after={other.pk}").status_code == 400


def test_a_page_goes_on_after_a_row_that_no_longer_matches_the_filters(manager, monkeypatch):
    monkeypatch.setattr(keyset, "SIZE", 4)
    for sort in ("name", "-number", "category"):
        first = manager.get(f"{PEOPLE}?sort={sort}")
        next_page = first.context["page"].after
        rest = ids(manager.get(PEOPLE + next_page))
        Member.objects.filter(pk=ids(first)[-1]).update(left_on=today())
        assert ids(manager.get(PEOPLE + next_page)) == rest
        Member.objects.update(left_on=None)
    first = manager.get(f"{REFUSALS}?reason=expired&sort=person").context["page"]
    Refusal.objects.filter(pk=first.rows[-1].pk).update(reasons=["payment-due"])
    assert manager.get(REFUSALS + first.after).status_code == 200


@pytest.mark.sqlite
@pytest.mark.parametrize(
    ("path", "filters"),
    [
        (REFUSALS, f"reason=expired&first={NOON:%Y-%m-%d}&last={NOON:%Y-%m-%d}"),
        (LOG, "actor=o&first=2020-01-01"),
        (PEOPLE, "q=m-&state=all"),
        (PAID_FOR, "q=m-"),
        (PAYERS, "q=e"),
        (SESSIONS, "machine=1&period=all"),
    ],
)
def test_headers_pages_and_the_form_keep_filters_and_order(manager, monkeypatch, path, filters):
    monkeypatch.setattr(keyset, "SIZE", 1)
    column = PAGED[path][1]
    response = manager.get(f"{path}?{filters}&sort=-{column}")
    page = response.content.decode()
    wanted = QueryDict(filters).dict()
    for header in response.context["sorting"].headers.values():
        query = QueryDict(header.url.partition("?")[2].partition("#")[0]).dict()
        assert {name: query.get(name) for name in wanted} == wanted
    after = QueryDict(unescape(re.search(r'href="\?([^"]*)" rel="next"', page)[1])).dict()
    assert {name: after.get(name) for name in wanted} == wanted
    assert after["sort"] == f"-{column}"
    assert f'<input type="hidden" name="sort" value="-{column}">' in page
    later = manager.get(f"{path}{response.context['page'].after}")
    for header in later.context["sorting"].headers.values():  # another order begins at its first page
        assert not {"before", "after"} & QueryDict(header.url.partition("?")[2]).keys()


@pytest.mark.sqlite
def test_an_export_of_a_sorted_list_logs_filters_and_no_order(manager):
    page = manager.get(f"{REFUSALS}?sort=person&reason=expired").content.decode()
    address = unescape(re.search(r'href="([^"]*export.csv[^"]*)"', page)[1])
    assert "reason=expired" in address
    assert "sort=" not in address


def rows_of(response: Any, name: str, value: Callable[[Any], Any]) -> list[Any]:
    return [value(row) for row in response.context[name]]


@pytest.mark.sqlite
def test_the_list_at_closing_time_is_sorted_and_stays_so_when_something_is_done(manager, others):
    def listed(sort: str) -> list[str]:
        response = manager.get(f"/floor/closing?sort={sort}")
        return rows_of(response, "still_on", lambda row: str(row["station"].who))

    assert listed("who") == ["Bjørn Sørensen", "Zoé Müller"]
    assert listed("-who") == ["Zoé Müller", "Bjørn Sørensen"]
    assert listed("since") == ["Bjørn Sørensen", "Zoé Müller"]
    assert listed("-since") == listed("machine") == ["Zoé Müller", "Bjørn Sørensen"]
    page = manager.get("/floor/closing?sort=-who").content.decode()
    assert '<input type="hidden" name="next" value="/floor/closing?sort=-who">' in page


@pytest.mark.sqlite
def test_offline_machines_are_sorted_by_when_their_gates_were_last_online(manager):
    now = datetime.now(UTC)
    for gate, hours in (("saw-1", 9), ("lathe-1", 3)):
        Gate.objects.filter(name=gate).update(seen_at=now - timedelta(hours=hours), online=False)
    for sort, wanted in (("since", ["Band saw", "Metal lathe"]), ("-since", ["Metal lathe", "Band saw"])):
        response = manager.get(f"/floor/closing?sort={sort}")
        assert rows_of(response, "offline", lambda station: str(station.machine)) == wanted


@pytest.mark.sqlite
@pytest.mark.parametrize(
    ("path", "name", "value", "orders"),
    [
        (
            "/machines",
            "rows",
            lambda row: str(row["machine"]),
            {"": ["Metal lathe", "Band saw"], "machine": ["Band saw", "Metal lathe"], "-category": ["Band saw", "Metal lathe"]},
        ),
        ("/accounts/keys", "keys", lambda row: row["key"].name, {"program": ["Invoices 9", "Invoices 10"], "-program": ["Invoices 10", "Invoices 9"], "until": ["Invoices 9", "Invoices 10"], "-until": ["Invoices 9", "Invoices 10"]}),
        ("/people/groups", "rows", lambda row: row["group"].name, {"": ["Delta", "École"], "-name": ["École", "Delta"], "payer": ["École", "Delta"], "-payer": ["École", "Delta"]}),
        ("/people/trainings", "rows", lambda row: str(row["training"]), {"": ["Laser", "Saws"], "-people": ["Laser", "Saws"], "people": ["Saws", "Laser"], "requires": ["Saws", "Laser"]}),
        ("/people/trainings/1", "holders", lambda row: row.member.pk, {"": ["m-2", "m-1", "m-3"], "stage": ["m-1", "m-3", "m-2"], "-trainer": ["m-3", "m-2", "m-1"]}),
        ("/gates", "found", lambda row: row.gate.name, {"-gate": ["saw-1", "lathe-1"], "gate": ["lathe-1", "saw-1"]}),
        ("/use/complete", "gates", lambda row: row.journal.gate.name, {"": ["lathe-1", "saw-1"], "-gate": ["saw-1", "lathe-1"]}),
    ],
)  # fmt: skip
def test_a_table_that_is_shown_as_a_whole_is_sorted(manager, others, path, name, value, orders):
    Machine.objects.filter(name="bandsaw").update(category="wood")
    Machine.objects.filter(name="lathe").update(category="metal")
    for sort, wanted in orders.items():
        assert rows_of(manager.get(f"{path}?sort={sort}"), name, value) == wanted, sort


@pytest.mark.sqlite
def test_unknown_badges_are_sorted_before_the_list_is_cut(used, browse):
    for number in range(40):
        used.refuse(f"{number:064x}", None, used.now - (80 - number) * MINUTE, "unknown-badge")
    for minutes in (90, 91, 92):
        used.refuse("f" * 64, None, used.now - minutes * MINUTE, "unknown-badge")
    for number in range(40):
        used.refuse(f"{number:064x}", None, used.now - (40 - number) * MINUTE, "unknown-badge")
    client = browse("desk")
    usual, by_times = (client.get(f"/people/enrol{query}").context["rows"] for query in ("", "?sort=-times"))
    assert len(usual) == len(by_times) == 30
    assert "f" * 64 not in {row["badge"] for row in usual}
    assert by_times[0]["badge"] == "f" * 64


@pytest.mark.sqlite
def test_accounts_are_still_sorted_from_the_page_that_shows_a_link(manager, others):
    pk = Account.objects.get(name="maya").pk
    page = manager.post(f"/accounts/{pk}/link").content.decode()
    assert '<a href="/accounts?sort=role">' in page


def test_text_is_sorted_without_case_and_accents_and_numbers_by_their_size():
    names = ["Zoé", "laser 10", "Émile", "Laser 9", "eva", "Øystein"]
    assert sorted(names, key=sort_key) == ["Émile", "eva", "Laser 9", "laser 10", "Øystein", "Zoé"]


def test_equal_rows_keep_their_order_and_rows_without_a_value_come_last_both_ways():
    rows = [("a", 1), ("b", None), ("c", 2), ("d", 1), ("e", None)]
    values: dict[str, Callable[[tuple[str, int | None]], Any]] = {"-size": lambda row: row[1]}

    def names(query: str) -> str:
        return "".join(row[0] for row in Sorting(QueryDict(query), values).sorted(rows, values))

    assert [names(query) for query in ("", "sort=size", "sort=-size")] == ["abcde", "adcbe", "cadbe"]
