"""A roster is read in pieces: the same comes out as if it were read at once, and what is broken is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabgate import wire
from fabgate.errors import UsageError
from fabgate.gate.roster import lazy_roster
from fabgate.gate.roster.people import member as rules_member

HEAD: dict[str, Any] = {"version": 5, "site": "lyon", "gate": "saw"}


def same(body: bytes) -> None:
    """Assert that in pieces a body means what it means at once."""
    found, wanted = lazy_roster.decode(body), wire.decode(body, wire.Roster)
    for name in wire.Roster.__struct_fields__:
        value = getattr(found, name)
        assert (list(value) if name in ("members", "refusals") else value) == getattr(wanted, name), name
    assert (len(found.members), len(found.refusals)) == (len(wanted.members), len(wanted.refusals))


#: Signs that mean something to whoever looks for the end of a member, and letters of one to four bytes.
texts = st.text(st.sampled_from('{}[],:"\\ ab\n\té€😀\x80\u2028'), max_size=12)
members = st.fixed_dictionaries(
    {"id": texts, "badges": st.lists(texts, max_size=3)},
    optional={
        "name": texts,
        "grace_days": st.integers(0, 10**6),
        "windows": st.lists(st.just({"days": [1, 2], "from": "08:00", "to": "09:00"}), max_size=3),
        "limit_s": st.none() | st.integers(0, 10**6),
        "of a later version": st.recursive(
            st.none() | st.floats(allow_nan=False, allow_infinity=False) | texts,
            lambda some: st.lists(some, max_size=3),
        ),
    },
)
refusals = st.fixed_dictionaries({"badges": st.lists(texts, max_size=2), "reasons": st.lists(texts, max_size=2)})


@given(
    st.lists(members, max_size=5),
    st.lists(refusals, max_size=3),
    st.integers(1, 80),
    st.sampled_from([(",", ":"), (", ", ": "), (" ,\r\n\t", " :\n")]),
    st.booleans(),
    st.permutations(["members", "refusals", "version", "site", "gate", "machine", "x"]),
)
def test_in_pieces_a_roster_means_what_it_means_at_once(people, refused, window, separators, ascii_, order):
    everything = HEAD | {"members": people, "refusals": refused, "machine": {"limit_s": 5}, "x": [{"members": [{}]}]}
    chosen = {name: everything[name] for name in order}
    body = json.dumps(chosen, separators=separators, ensure_ascii=ascii_)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lazy_roster, "WINDOW_BYTES", window)
        same(f" {body}\n".encode())


@pytest.mark.parametrize(
    "text",
    [
        '{"version":5,"site":"lyon","gate":"saw"}',
        '{"version":5,"site":"lyon","gate":"saw","members":[],"refusals":[ ]}',
        '{"memb\\u0065rs":[{"id":"a","badges":[]}],"version":5,"site":"lyon","gate":"saw"}',
        '{"members":[{"id":"a","badges":[]}],"version":5,"site":"lyon","gate":"saw","members":[]}',
        '{"version":5,"site":"lyon","gate":"saw","x":123456789012345678901234567890}',
    ],
)
def test_what_is_seldom_written_means_the_same_too(text):
    same(text.encode())


def test_a_member_of_many_windows_is_found_whole(monkeypatch):
    monkeypatch.setattr(lazy_roster, "WINDOW_BYTES", 64)
    people = [{"id": "a", "name": "x" * 5_000, "badges": []}, {"id": "b", "badges": [], "grace_days": 12345678}]
    same(json.dumps(HEAD | {"members": people}).encode())


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "[]",
        "5",
        "{",
        "{}x",
        "{} {}",
        '{"version":5',
        '{"version":5,}',
        '{"version" 5}',
        '{"version":5 "site":""}',
        "{5:5}",
        '{"version":5,"site":"a","gate":"b"}]',
        '{"version":5,"site":"a","gate":"b","members":[}',
        '{"version":5,"site":"a","gate":"b","members":[,]}',
        '{"version":5,"site":"a","gate":"b","members":[{}{}]}',
        '{"version":5,"site":"a","gate":"b","members":[{"id":"x","badges":[]},]}',
        '{"version":5,"site":"a","gate":"b","members":[{"id":"x","badges":[]}',
        '{"version":5,"site":"a","gate":"b","members":{}}',
        '{"version":5,"site":"a","gate":"b","members":"x"}',
        '{"version":5,"site":"a","gate":"b","members":null}',
        '{"version":5,"site":"a","gate":"b","tz":NaN}',
        '{"version":"x"}',
        '{"version":5,"site":"\ud800","gate":"b"}',
        "[" * 100_000,
        '{"a":' * 100_000,
        '{"members":[' + "[" * 100_000,
    ],
)
def test_what_is_no_roster_is_refused(text):
    with pytest.raises(UsageError, match="found a message that is not a valid Roster: "):
        lazy_roster.decode(text.encode("utf-8", "surrogatepass"))


def test_a_collector_may_know_a_language_that_this_gate_does_not():
    member = {"id": "m-1", "badges": ["aa"], "lang": "de"}
    found = lazy_roster.decode(json.dumps(HEAD | {"members": [member]}).encode())
    assert rules_member(next(iter(found.members))).lang == "de"


@pytest.mark.parametrize(
    "one",
    ["5", "{}", '{"id":"x"}', '{"id":5,"badges":[]}', '{"id":"x","badges":[NaN]}', '{"id":"\udcff","badges":[]}'],
)
def test_a_member_who_means_nothing_is_refused_when_somebody_comes_to_them(one):
    people = f'{{"version":5,"site":"a","gate":"b","members":[{{"id":"a","badges":[]}},{one}]}}'
    found = lazy_roster.decode(people.encode("utf-8", "surrogateescape"))
    passed = iter(found.members)
    assert next(passed).id == "a"
    with pytest.raises(UsageError, match="found a message that is not a valid Member: "):
        next(passed)


@given(st.data())
def test_a_roster_that_is_damaged_anywhere_is_refused_or_means_the_same(data):
    whole = json.dumps(HEAD | {"members": [{"id": "é", "badges": ["x"]}], "refusals": []}, ensure_ascii=False).encode()
    at = data.draw(st.integers(0, len(whole) - 1))
    body = whole[:at] + data.draw(st.binary(max_size=2)) + whole[at + data.draw(st.integers(0, 3)) :]
    try:
        found = lazy_roster.decode(body)
        people = list(found.members), list(found.refusals)
    except UsageError:
        with pytest.raises(UsageError):
            wire.decode(body, wire.Roster)
        return
    wanted = wire.decode(body, wire.Roster)
    assert people == (wanted.members, wanted.refusals)


def test_a_value_that_would_stop_the_loop_is_refused():
    body = json.dumps(HEAD | {"members": [{"id": "x" * 2_000_000, "badges": []}]}).encode()
    with pytest.raises(UsageError, match=r"invalid JSON from byte \d+, or a value of more than 1048576 bytes"):
        lazy_roster.decode(body)


def test_people_of_several_lists_are_one_list():
    one, other = [wire.Barred(badges=[], reasons=[])], [wire.Barred(badges=[], reasons=["x"])] * 2
    joined = lazy_roster.JoinedLists(one, other)
    assert (len(joined), list(joined), list(joined)) == (3, one + other, one + other)
