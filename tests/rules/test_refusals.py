"""What happens to a refused badge: unknown ones, their sponsors, and what is recorded."""

from __future__ import annotations

import pytest

from fabgate.rules import vocabulary
from fabgate.rules.reactions.refusals import Refusals
from tests.rules.world import MIN, S, World

REFUSED = ["record refused unknown-badge", "signal refused"]


def test_five_unknown_badges_in_a_minute_make_the_gate_ignore_unknown_badges_for_half_a_minute():
    world = World()
    for n in range(5):
        assert world.tap(f"x{n}") == REFUSED
        world.after(15 * S if n < 4 else 0)
    assert world.tap("x5") == []
    world.after(29_999)
    assert world.tap("x6") == []
    world.after(1)
    assert world.tap("x7") == REFUSED


def test_five_unknown_badges_in_more_than_a_minute_are_five_people():
    world = World()
    for n in range(10):
        assert world.tap(f"x{n}") == REFUSED
        world.after(15 * S + 1)


@pytest.mark.parametrize("badge", ["ada", "desk"])
def test_known_badges_work_during_the_pause(badge):
    world = World()
    for n in range(5):
        world.tap(f"x{n}")
    assert world.tap(badge) == ["record started s1", "show wait"]
    assert world.commit() == ["on", "show go"]
    assert world.tap(badge)[0] == "off"


def test_guessing_is_no_easier_during_a_session():
    world = World().start("ada")
    for n in range(5):
        assert world.tap(f"x{n}") == ["record refused unknown-badge,in-use", "signal refused"]
    assert world.tap("x5") == []
    assert world.tap("eve") == ["record refused training-missing,payment,in-use", "signal refused"]
    assert world.tap("ada")[0] == "off"


# --- the sponsor ---


def test_a_supervisor_opens_a_session_for_an_unknown_badge():
    world = World(sponsor=True)
    world.tap("stranger")
    world.after(29_999)
    assert world.tap("sue") == ["record started s1", "show wait"]
    started = world.last
    assert isinstance(started, vocabulary.Started)
    assert (started.member, started.badge, started.supervisor) == ("m-sue", "stranger", "m-sue")
    assert started.basis == vocabulary.Basis("sponsor", grant="g-4")
    assert world.commit() == ["on", "show go"]


@pytest.mark.parametrize("badge", ["stranger", "sue"])
def test_the_guest_and_the_sponsor_can_both_end_it(badge):
    world = World(sponsor=True)
    world.tap("stranger")
    world.start("sue").after(MIN)
    assert world.tap(badge) == ["off", "record ended s1 badge 60000", "signal ended", "show free"]


@pytest.mark.parametrize(
    ("before", "badge", "kind"),
    [
        (lambda world: world.after(30 * S), "sue", "grant"),
        (lambda world: world.tap("eve"), "sue", "grant"),
        (lambda world: None, "ada", "grant"),
        (lambda world: None, "desk", "emergency"),
        (lambda world: world.roster(sponsor=False), "sue", "grant"),
    ],
    ids=["too late", "another badge between", "no supervisor", "an emergency badge", "no sponsors here"],
)
def test_a_badge_that_sponsors_no_guest_starts_its_own_session(before, badge, kind):
    world = World(sponsor=True)
    world.tap("stranger")
    before(world)
    world.tap(badge)
    started = world.last
    assert isinstance(started, vocabulary.Started)
    assert (started.badge, started.supervisor, started.basis.kind) == (badge, None, kind)


def test_a_maintainer_cannot_sponsor_on_a_flagged_machine_but_may_work_there():
    world = World(sponsor=True, latched=["flag"])
    world.tap("stranger")
    world.tap("max")
    started = world.last
    assert isinstance(started, vocabulary.Started)
    assert (started.badge, started.basis.kind) == ("max", "maintainer")
    assert world.commit() == ["on", "show go"]


@pytest.mark.parametrize(
    "change",
    [
        lambda world: world.roster(sponsor=False),
        lambda world: (world.people.update(sue=vocabulary.Member("m-sue")), world.roster())[1],
        lambda world: (world.people.pop("sue"), world.roster())[1],
        lambda world: (world.people.update(sue=vocabulary.Member("m-sue")), world.commit())[1],
    ],
    ids=["no more sponsors", "no supervisor any more", "not known any more", "seen when it is on disk"],
)
def test_a_sponsored_start_is_decided_again_with_each_roster_and_when_it_is_on_disk(change):
    world = World(sponsor=True)
    world.tap("stranger")
    world.tap("sue")
    assert change(world) == [
        "record ended s1 cancelled 0",
        "record refused supervisor-needed",
        "signal refused",
        "show free",
    ]
    assert world.commit() == []


def test_a_sponsor_who_is_blocked_ends_the_guests_session():
    world = World(sponsor=True, run_sense=True)
    world.tap("stranger")
    world.start("sue")
    world.people["sue"] = vocabulary.Barred(("blocked",), "m-sue")
    assert world.roster() == ["off", "record ended s1 revoked 0", "signal ended", "show free"]


def test_a_guest_goes_on_after_a_handover_that_was_cancelled():
    world = World(sponsor=True, handover=True)
    world.tap("stranger")
    world.start("sue")
    world.tap("bob")
    world.after(3 * S)
    assert world.after(2 * MIN) == []
    assert world.power


def test_in_hold_mode_the_guests_card_must_come_back_into_the_holder():
    world = World(sponsor=True, mode=vocabulary.Mode.HOLD)
    for badge in ("stranger", "sue"):
        world.tap(badge)
        world.lift(badge)
    assert world.commit() == ["on", "show grace"]
    assert world.after(10 * S) == ["off", "record ended s1 removed 10000", "signal ended", "show free"]


BARRED_NOW = vocabulary.Barred(("banned",), "m-x")


@pytest.mark.parametrize(
    "holder", [BARRED_NOW, vocabulary.Member("m-new", "New", grant="g-9")], ids=["barred", "a member"]
)
def test_a_badge_that_a_new_roster_lists_cannot_be_sponsored_any_more(holder):
    world = World(sponsor=True)
    world.tap("stranger")
    world.people["stranger"] = holder
    world.roster()
    world.tap("sue")
    started = world.last
    assert isinstance(started, vocabulary.Started)
    assert (started.badge, started.supervisor, started.basis.kind) == ("sue", None, "grant")


def test_a_guest_who_is_barred_before_the_start_is_on_disk_does_not_start():
    world = World(sponsor=True)
    world.tap("stranger")
    world.tap("sue")
    world.people["stranger"] = BARRED_NOW
    assert world.roster() == ["record ended s1 cancelled 0", "record refused banned", "signal refused", "show free"]
    assert world.commit() == []


def test_a_guest_who_is_barred_in_mid_session_is_ended_as_a_member_would_be():
    world = World(sponsor=True, run_sense=True)
    world.tap("stranger")
    world.start("sue")
    world.people["stranger"] = BARRED_NOW
    assert world.roster() == ["off", "record ended s1 revoked 0", "signal ended", "show free"]


def test_a_guest_who_becomes_a_member_in_mid_session_goes_on():
    world = World(sponsor=True, run_sense=True)
    world.tap("stranger")
    world.start("sue")
    world.people["stranger"] = vocabulary.Member("m-new", "New", grant="g-9")
    assert world.roster() == []
    assert world.tap("stranger")[0] == "off"


def test_a_known_badge_is_refused_each_time_and_recorded_once_a_minute():
    world = World()
    full = ["record refused training-missing,payment", "signal refused"]
    for _ in range(3):
        assert world.tap("eve") == full
        world.after(MIN - 1)
        assert world.tap("eve") == ["signal refused"]
        world.after(1)


def test_other_reasons_and_other_badges_are_recorded_at_once():
    world = World()
    world.tap("eve")
    assert world.tap("lost") == ["record refused badge-lost", "signal refused"]
    world.people["eve"] = vocabulary.Barred(("payment",), "m-eve", "fr")
    assert world.tap("eve") == ["record refused payment", "signal refused"]


def test_of_the_known_badges_that_are_refused_the_last_sixty_four_are_remembered():
    refusals = Refusals()
    assert refusals.records("first", ("payment",), 0)
    for n in range(63):
        assert refusals.records(f"badge-{n}", ("payment",), 1)
    assert not refusals.records("first", ("payment",), 2)
    assert refusals.records("one more", ("payment",), 3)  # the oldest is forgotten: it is recorded again
    assert refusals.records("first", ("payment",), 4)
    assert not refusals.records("one more", ("payment",), 5)
