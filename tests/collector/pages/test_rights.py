"""Is every route in the table of rights, and does the door keep to it, for every role and method?"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.urls import URLPattern, URLResolver, get_resolver, path, reverse

from fabgate.collector import rights
from fabgate.collector.models import Account
from fabgate.collector.roles import ALL, OWN, Right, reads, writes

#: A value for each kind of place in a path.
SAMPLES = {
    "IntConverter": 999_999,
    "StringConverter": "x",
    "SlugConverter": "x",
    "PathConverter": "x",
    "MemberConverter": "x",
}


def walked(patterns=None) -> Iterator[URLPattern]:
    for found in get_resolver().url_patterns if patterns is None else patterns:
        if isinstance(found, URLResolver):
            yield from walked(found.url_patterns)
        else:
            yield found


ROUTES = {pattern.name: pattern for pattern in walked()}
DOORS = {name: right for name, right in rights.table().items() if not right.is_keyed}


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


@pytest.mark.parametrize("role", sorted(ALL))
def test_the_door_keeps_to_the_table(browse, account, role):
    who = account(role)
    wrong = []
    for name, right in DOORS.items():
        for method in ("GET", "POST"):
            client = browse(who)  # the one before may have signed out
            client.raise_request_exception = False
            response = client.generic(method, address(name))
            response.close()
            assert response.headers["Cache-Control"] == "private, no-store", name
            refused = response.status_code in (403, 405)
            if refused == right.may(role, method):
                wrong.append(f"{method} {name}: {response.status_code}")
    assert not wrong


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_nobody_passes_a_closed_door_without_signing_in(visitor, method):
    for name, right in DOORS.items():
        if right.is_open or not (right.get if method == "GET" else right.post):
            continue
        response = visitor.generic(method, address(name))
        assert response.status_code == 303, name
        assert response.headers["Cache-Control"] == "private, no-store", name
        assert response.headers["Location"].startswith("/sign-in"), name


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
def test_other_methods_are_refused_everywhere(browse, method):
    client = browse("manager")
    for name in DOORS:
        response = client.generic(method, address(name))
        assert response.status_code == 405, name
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
    }


def test_a_route_without_a_row_is_refused_even_to_a_manager(browse, monkeypatch, caplog):
    monkeypatch.setattr(rights, "table", dict)
    assert browse("manager").get("/accounts").status_code == 403
    assert "no row in the table of rights" in caplog.text


def test_two_areas_cannot_claim_one_route():
    with pytest.raises(ValueError, match="found rights for home in another area too"):
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
