"""The guard of the stored roster: against one that shrinks, and one that says the same again."""

from __future__ import annotations

import msgspec
import pytest

from fabgate import wire
from fabgate.gate.roster.directory import drop_listed, looks_shrunk, store
from fabgate.gate.roster.source import replace_stored
from fabgate.rules import vocabulary
from tests.gate.roster.members import alter, digest, of, people

KEY = b"a badge key of some workshop...."


# --- the guard --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "kept", "refused", "shrunk"),
    [
        (40, 32, 0, False),  # a fifth may go
        (40, 31, 0, True),
        (25, 20, 0, False),
        (25, 19, 0, True),
        (10, 5, 0, False),  # a few may go, whatever their share
        (10, 4, 0, True),
        (10, 0, 10, False),  # all blocked: that is a word, and blocks always apply
        (10, 0, 0, True),
        (4, 3, 1, False),  # one of four blocked
        (4, 3, 0, False),  # one of four gone without a word
        (4, 1, 0, False),
        (4, 0, 0, True),  # nobody is left
        (4, 0, 1, True),
        (0, 0, 0, False),
        (1, 0, 0, True),
    ],
)
def test_members_who_vanish_without_a_word_look_like_a_broken_roster(before, kept, refused, shrunk):
    last = {f"m-{n}" for n in range(before)}
    refusals = [wire.Barred(badges=[], reasons=["x"], id=f"m-{n}") for n in range(kept, kept + refused)]
    fresh = of(people(kept), refusals)
    drop_listed(last, fresh)
    gone = len(last)
    assert gone == before - kept - refused
    assert looks_shrunk(gone, before, fresh) is shrunk


def test_one_of_four_members_blocked_is_blocked_at_once(path, opened):
    store(of(people(4)), path)
    blocked = wire.Barred(badges=[digest(3)], reasons=["suspended"], id="m-3")
    assert replace_stored(of(people(3), [blocked], version=2), path) == (True, None)
    assert opened().find(digest(3)) == vocabulary.Barred(("suspended",), "m-3")


def test_one_of_four_members_who_left_is_gone_at_once(path, opened):
    store(of(people(4)), path)
    assert replace_stored(of(people(3), version=2), path) == (True, None)
    assert opened().find(digest(3)) is None


def test_a_shrunken_roster_keeps_who_vanished_and_takes_its_blocks_and_its_machine(path, opened):
    store(of(people(10)), path)
    blocked = wire.Barred(badges=[digest(3)], reasons=["suspended"], id="m-3")
    fresh = of(people(3), [blocked], version=2, machine=wire.MachineRules(limit_s=60))
    changed, told = replace_stored(fresh, path, confirm_hint="remove at most {} at a time")
    assert changed
    assert told == (
        "6 of 10 members are missing without a reason (m-4, m-5, m-6…): they keep their grants of the last good roster, and"
        " everything else in version 2 is in force. If they really left, remove at most 5 at a time"
    )
    directory = opened()
    assert directory.find(digest(9)).id == "m-9"
    assert directory.find(digest(3)) == vocabulary.Barred(("suspended",), "m-3")
    assert (directory.machine.limit_s, directory.version, directory.members) == (60, 2, 9)
    assert replace_stored(fresh, path)[0] is False, "who was kept is kept, and nothing is new"


def test_a_damaged_stored_roster_is_no_measure_for_a_new_one(path, opened):
    path.write_bytes(b"broken")
    assert replace_stored(of(people(1)), path) == (True, None)
    assert opened().members == 1


# --- the same again ---------------------------------------------------------------------------------------------------


def test_a_roster_that_says_the_same_is_not_stored_again(path):
    fresh = of(people(3), [wire.Barred(badges=[digest(7)], reasons=["x"], id="m-7")])
    assert replace_stored(fresh, path).changed
    before = path.stat()
    assert replace_stored(fresh, path) == (False, None)
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


@pytest.mark.parametrize(
    "changes",
    [
        {"version": 2},
        {"tz": "Europe/Paris"},
        {"fresh_for_s": 5},
        {"badge_key_id": "k2"},
        {"machine": wire.MachineRules(limit_s=60)},
        {"members": people(2)},
        {"members": [*people(2), wire.Member(id="m-2", name="N2", badges=[digest(9)])]},
        {"members": [*people(2), wire.Member(id="m-2", name="X", badges=[digest(2)])]},
        {"members": [*people(2), wire.Member(id="m-2", name="N2", badges=[])]},
        {"refusals": [wire.Barred(badges=[], reasons=["x"], id="m-9")]},
        {"refusals": []},
    ],
)
def test_a_roster_that_says_anything_else_is_stored(path, changes):
    first = of(people(3), [wire.Barred(badges=[], reasons=["y"], id="m-9")])
    store(first, path)
    assert replace_stored(msgspec.structs.replace(first, **changes), path).changed
    assert replace_stored(msgspec.structs.replace(first, **changes), path).changed is False


def test_a_roster_that_another_version_stored_is_stored_again(path):
    store(of(people(3)), path)
    alter(path, "DELETE FROM meta WHERE key = 'content'")
    assert replace_stored(of(people(3)), path).changed
