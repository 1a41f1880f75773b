"""Do the table of rights and the door itself say what a manager reads in who_may_do_what.md, for every route, role and method?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

import pytest
from django.conf import settings
from django.http import HttpResponse
from django.urls import URLPattern, URLResolver, get_resolver, path, reverse

from fabgate.collector.faces.pages import errors, rights
from fabgate.collector.faces.pages.roles import ALL, OWN, Right, reads, writes
from fabgate.collector.ground.models import Account
from tests.collector.faces.pages.every_page.doors import DOORS

#: A value for each kind of place in a path.
SAMPLES = {
    "IntConverter": 999_999,
    "StringConverter": "x",
    "SlugConverter": "x",
    "SessionConverter": "x",
    "MemberConverter": "x",
}
#: Who is not signed in, and what is not decided by a role.
NOBODY, KEY = "nobody", "key"
WAYS = ("GET", "POST")
#: What a cell of the manager's table means.
MEANS = {"-": frozenset(), "reads": frozenset({"GET"}), "changes": frozenset({"POST"}), "both": frozenset(WAYS)}


@dataclass(frozen=True)
class Row:
    """A line of the manager's table."""

    what: str
    route: str
    cells: dict[str, str]


def wanted() -> Iterator[Row]:
    """Read the manager's table; a cell that is no word of it ends the reading."""
    columns: list[str] = []
    for line in Path(__file__).parents[1].joinpath("who_may_do_what.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")] if line.startswith("|") else []
        if cells[:1] == ["what"]:
            columns = cells[2:]
            assert set(columns) == {*ALL, NOBODY}
        elif cells and set(cells) != {"---"}:
            assert len(cells) == 2 + len(columns), line
            assert set(cells[2:]) <= {*MEANS, KEY}, line
            yield Row(cells[0], cells[1].strip("`"), dict(zip(columns, cells[2:], strict=True)))


WANTED = list(wanted())


def walked(patterns=None) -> Iterator[URLPattern]:
    for found in get_resolver().url_patterns if patterns is None else patterns:
        if isinstance(found, URLResolver):
            yield from walked(found.url_patterns)
        else:
            yield found


ROUTES = {pattern.name: pattern for pattern in walked()}


def address(name: str) -> str:
    places = ROUTES[name].pattern.converters
    return reverse(name, kwargs={place: SAMPLES[type(kind).__name__] for place, kind in places.items()})


def test_every_route_has_a_name_and_a_row_and_every_row_a_route():
    unnamed = [str(pattern.pattern) for pattern in walked() if pattern.name is None]
    assert not unnamed
    assert ROUTES.keys() == {name for name in rights.table() if ":" not in name}


def test_no_two_routes_share_a_name():
    names = [pattern.name for pattern in walked()]
    assert len(names) == len(set(names))


def test_every_route_is_in_the_managers_table_once():
    routes = [row.route for row in WANTED]
    assert sorted(routes) == sorted(ROUTES)
    assert all(row.what for row in WANTED)


def test_the_table_of_rights_says_what_the_managers_table_says():
    for row in WANTED:
        right = rights.table()[row.route]
        is_keyed = {cell == KEY for cell in row.cells.values()}
        assert is_keyed == {right.is_keyed}, row.route
        if not right.is_keyed:
            said = {role: frozenset(way for way in WAYS if right.may(role, way)) for role in sorted(ALL)}
            open_to = {way for way in WAYS if right.is_open and (right.get if way == "GET" else right.post)}
            assert {**said, NOBODY: frozenset(open_to)} == {who: MEANS[cell] for who, cell in row.cells.items()}, (
                row.route
            )


def is_signed_in(client) -> bool:
    cookie = client.cookies.get(settings.SESSION_COOKIE_NAME)
    return cookie is not None and cookie.value != ""


@pytest.mark.sqlite  # the pages behind the door have tests of their own
@pytest.mark.parametrize("who", [*sorted(ALL), NOBODY])
def test_the_door_lets_through_whom_the_managers_table_lets_through(browse, visitor, account, monkeypatch, who):
    monkeypatch.setattr(errors, "page", lambda _request, status, _title, _text: HttpResponse(status=status))
    signed_in = None if who == NOBODY else account(who)
    wrong = []
    client = visitor
    for row in WANTED:
        if row.cells[who] == KEY:
            continue
        for way in WAYS:
            if signed_in and not is_signed_in(client):  # a way of before may have signed out
                client = browse(signed_in)
            client.raise_request_exception = False
            response = client.generic(way, address(row.route))
            if response.streaming:
                response.close()
            assert response.headers["Cache-Control"] == "private, no-store", row.route
            leads_away = signed_in is not None and row.route == "sign-out"  # which is what it is for
            is_sent_away = response.headers.get("Location", "").startswith("/sign-in") and not leads_away
            is_refused = response.status_code in (403, 405) or is_sent_away
            if is_refused == (way in MEANS[row.cells[who]]):
                wrong.append(f"{way} {row.route}: {response.status_code}")
    assert not wrong


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("route", sorted(row.route for row in WANTED if KEY in row.cells.values()))
def test_what_programs_ask_goes_by_no_role(browse, visitor, route, method):
    answers = {client.generic(method, address(route)).status_code for client in (browse("manager"), visitor)}
    assert len(answers) == 1


@pytest.mark.sqlite  # what refuses them asks nothing of the database
def test_other_methods_are_refused_everywhere(browse):
    """One of them at each route: which one is refused depends on no route."""
    client = browse("manager")
    for name, method in zip(DOORS, cycle(["PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])):
        response = client.generic(method, address(name))
        assert response.status_code == 405, (method, name)
        assert response.headers["Allow"].startswith("GET, HEAD")


def test_a_manager_may_do_everything_that_anybody_may():
    for name, right in DOORS.items():
        assert right.may(Account.MANAGER, "GET") or not right.get or right.get == {Account.MEMBER}, name
        assert right.may(Account.MANAGER, "POST") or not right.post or right.post == {Account.MEMBER}, name


def test_an_auditor_reads_what_others_read_and_changes_only_what_is_their_own():
    for name, right in DOORS.items():
        if right.post and right.post != ALL:
            assert not right.may(Account.AUDITOR, "POST"), name
        # A form to fill in is nothing to read.
        if right.get and not right.post:
            assert right.may(Account.AUDITOR, "GET") or right.get == {Account.MEMBER}, name


def test_what_everybody_may_send_is_their_own():
    everybodys = {name for name, right in DOORS.items() if right.post == ALL}
    assert everybodys <= {"sign-in", "sign-out", "welcome", "theme", "language", "me-password", "me-revoke"}


def test_a_member_opens_only_what_is_their_own():
    opened = {name for name, right in DOORS.items() if right.may(Account.MEMBER, "GET")}
    assert opened <= {
        "home",
        "sign-in",
        "welcome",
        "me",
        "me-password",
        "floor-events",
        "my-minutes",
        "my-minutes-contest",
        "my-contest",
        "my-minutes-credit",
        "my-statements",
        "my-statement",
        "my-statement-pdf",
        "my-statement-csv",
    }


def test_a_route_without_a_row_is_refused_even_to_a_manager(browse, monkeypatch, caplog):
    monkeypatch.setattr(rights, "table", dict)
    assert browse("manager").get("/accounts").status_code == 403
    assert "no row in the table of rights" in caplog.text


def test_two_areas_cannot_claim_one_route():
    with pytest.raises(ValueError, match="another area already has rights for home"):
        rights.merged([("a", {"home": OWN}), ("b", {"home": OWN})])


def test_nobody_can_write_an_auditor_into_those_who_change():
    with pytest.raises(AssertionError):
        writes(Account.AUDITOR)


def test_a_right_names_a_role_for_a_method():
    right = Right(get=reads(Account.DESK), post=writes(Account.DESK))
    assert [right.may(role, "GET") for role in ("manager", "auditor", "desk", "member")] == [True, True, True, False]
    assert [right.may(role, "POST") for role in ("manager", "auditor", "desk", "member")] == [True, False, True, False]


def test_the_walk_sees_a_route_that_is_nested():
    inner = path("b", lambda _request: None, name="inner")
    assert [found.name for found in walked([inner])] == ["inner"]
