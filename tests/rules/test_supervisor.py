"""A session that needs a second person."""

from __future__ import annotations

from datetime import date

import pytest

from fabgate.rules import vocabulary
from tests.rules.world import MIN, S, World


def test_a_supervisors_badge_within_half_a_minute_opens_the_session():
    world = World()
    assert world.tap("kid") == ["show supervisor-needed"]
    assert (world.gate.state, world.signals[-1].ms) == ("starting", 30 * S)
    world.after(29_999)
    assert world.tap("sue") == ["record started s1", "show wait"]
    assert isinstance(world.last, vocabulary.Started)
    assert (world.last.member, world.last.supervisor) == ("m-kid", "m-sue")
    world.after(2_999)
    assert world.commit() == ["on", "show go"]


def test_waiting_writes_nothing_and_ends_after_half_a_minute_with_the_reason():
    world = World()
    world.tap("kid")
    assert world.after(30 * S) == ["record refused supervisor-needed", "signal refused", "show free"]


def test_the_members_second_tap_only_cancels():
    world = World()
    world.tap("kid")
    assert world.tap("kid") == ["show free"]


def test_any_other_badge_of_the_member_only_cancels_too():
    world = World(supervision=vocabulary.Supervision.ALWAYS)
    world.tap("ada")
    assert world.tap("ada's phone") == ["show free"]


@pytest.mark.parametrize(
    ("badge", "reasons"),
    [
        ("ada", "supervisor-needed"),
        ("late", "expired,supervisor-needed"),
        ("late sue", "expired"),
        ("eve", "training-missing,payment"),
        ("desk", "supervisor-needed"),
        ("stranger", "unknown-badge"),
    ],
)
def test_any_other_badge_ends_the_waiting_and_is_refused_with_all_its_reasons(badge, reasons):
    world = World()
    world.people["late"] = vocabulary.Member("m-late", valid_until=date(2026, 11, 1))
    world.people["late sue"] = vocabulary.Member(
        "m-late-sue", level=vocabulary.Level.SUPERVISOR, valid_until=date(2026, 11, 1)
    )
    world.tap("kid")
    assert world.tap(badge) == [f"record refused {reasons}", "signal refused", "show free"]
    assert world.last.badge == badge
    assert world.gate.state == "idle"
    assert world.tap("kid") == ["show supervisor-needed"], "the member may begin again"


def test_guessing_badges_is_no_easier_while_a_supervisor_is_waited_for():
    world = World()
    for n in range(5):
        world.tap("kid")
        assert world.tap(f"x{n}") == ["record refused unknown-badge", "signal refused", "show free"]
    world.tap("kid")
    assert world.tap("x5") == ["show free"]


def test_a_card_that_is_handed_to_a_supervisor_meanwhile_only_cancels():
    world = World()
    world.tap("kid")
    world.people["kid"] = vocabulary.Member("m-sue", level=vocabulary.Level.SUPERVISOR)
    assert world.tap("kid") == ["show free"], "one card is not two people"


def test_a_supervisor_cannot_supervise_themselves():
    world = World(supervision=vocabulary.Supervision.ALWAYS)
    world.people["kid"] = vocabulary.Member("m-sue", supervised=True)
    world.tap("kid")
    assert world.tap("sue") == ["show free"]


@pytest.mark.parametrize("badge", ["kid", "sue", "sue's key"])
def test_the_member_and_the_supervisor_who_opened_the_session_may_end_it(badge):
    world = World()
    world.people["sue's key"] = world.people["sue"]
    world.tap("kid")
    world.start("sue")
    assert world.tap(badge) == ["off", "record ended s1 badge 0", "signal ended", "show free"]
    assert isinstance(world.last, vocabulary.Ended)
    assert world.last.actor == (None if badge == "kid" else "m-sue")


def test_another_supervisor_does_not_end_it():
    world = World()
    world.tap("kid")
    world.start("sue")
    assert world.tap("max")[0] == "record refused in-use"
    assert world.power


def test_the_supervisors_badge_ends_although_they_left_the_roster():
    world = World()
    world.tap("kid")
    world.start("sue")
    del world.people["sue"]
    assert world.tap("sue")[0] == "off"


def test_the_supervisors_badge_ends_what_the_members_would_extend():
    world = World(limit_ms=60 * MIN)
    world.tap("kid")
    world.start("sue")
    world.after(59 * MIN)
    assert world.tap("sue")[0] == "off"
    world = World(limit_ms=60 * MIN, mode=vocabulary.Mode.TIMED)
    world.tap("kid")
    world.start("sue")
    assert world.tap("sue")[0] == "off"


def test_the_supervisors_badge_takes_nothing_over_where_handovers_are_allowed():
    world = World(handover=True)
    world.tap("kid")
    world.start("sue")
    assert world.tap("sue") == ["off", "record ended s1 badge 0", "signal ended", "show free"]


def test_the_supervisors_badge_lets_a_running_job_end_as_the_members_does():
    world = World(run_sense=True)
    world.tap("kid")
    world.start("sue")
    world.running(True)
    assert world.tap("sue") == ["show finishing"]
    assert world.tap("sue") == ["signal finishing"]
    assert world.running(False)[:2] == ["off", "record ended s1 badge 0"]


def test_the_supervisor_may_say_that_a_job_is_done_where_no_input_reports_it():
    world = World()
    world.tap("kid")
    world.start("sue")
    world.happens(vocabulary.Cause.LOCK_AFTER_JOB)
    assert world.tap("sue")[0] == "off"


# --- a roster that comes while a supervisor is awaited ---


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda people: people.pop("kid"), "unknown-badge"),
        (lambda people: people.update(kid=vocabulary.Barred(("payment-due",), "m-kid")), "payment-due"),
        (lambda people: people.update(kid=vocabulary.Member("m-other", supervised=True)), "unknown-badge"),
    ],
    ids=["unlisted", "barred", "another person's badge now"],
)
def test_a_member_who_may_no_longer_start_sees_why_while_a_supervisor_is_awaited(change, reason):
    world = World(sponsor=True)
    world.tap("kid")
    change(world.people)
    assert world.roster() == [f"record refused {reason}", "signal refused", "show free"]
    assert world.phase == "free"
    world.tap("sue")
    assert isinstance(world.last, vocabulary.Started)
    assert (world.last.badge, world.last.basis.kind) == ("sue", "grant"), "that badge was not tapped as an unknown one"


def test_a_window_that_closes_while_a_supervisor_is_awaited_is_the_reason():
    world = World()
    world.people["kid"] = vocabulary.Member(
        "m-kid", supervised=True, windows=(vocabulary.Window(frozenset({2}), 0, 12 * 60 + 1),)
    )
    world.after(50 * S)
    world.tap("kid")
    world.after(20 * S)
    assert world.tap("sue") == ["record refused outside-hours", "signal refused", "show free"]
    world = World()
    world.people["kid"] = vocabulary.Member(
        "m-kid", supervised=True, windows=(vocabulary.Window(frozenset({2}), 0, 12 * 60 + 1),)
    )
    world.after(50 * S)
    world.tap("kid")
    assert world.after(30 * S) == ["record refused outside-hours", "signal refused", "show free"]


def test_the_session_that_a_supervisor_opens_uses_the_rules_of_that_moment():
    world = World(limit_ms=60 * MIN)
    world.tap("kid")
    world.people["kid"] = vocabulary.Member("m-kid", "Kid", supervised=True, grant="g-9", limit_ms=5 * MIN)
    world.roster()
    world.tap("sue")
    assert isinstance(world.last, vocabulary.Started)
    assert world.last.basis.grant == "g-9"
    world.commit()
    assert (world.power, world.signals[-1].ms) == (True, 5 * MIN)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda people: people.pop("sue"), "supervisor-needed"),
        (lambda people: people.update(sue=vocabulary.Member("m-sue")), "supervisor-needed"),
        (
            lambda people: people.update(sue=vocabulary.Member("m-other", level=vocabulary.Level.SUPERVISOR)),
            "supervisor-needed",
        ),
        (lambda people: people.pop("kid"), "unknown-badge"),
    ],
    ids=["supervisor gone", "no supervisor any more", "another supervisor's badge now", "member gone"],
)
def test_both_are_decided_again_when_the_start_is_on_disk(change, reason):
    world = World()
    world.tap("kid")
    world.tap("sue")
    change(world.people)
    assert world.commit() == ["record ended s1 cancelled 0", f"record refused {reason}", "signal refused", "show free"]


def test_a_supervisor_who_leaves_the_roster_later_does_not_end_the_session():
    world = World()
    world.tap("kid")
    world.start("sue")
    del world.people["sue"]
    assert world.roster() == []
    assert world.after(10 * MIN) == []


# --- the maintainer and the emergency badge ---


def test_a_maintainer_works_on_a_flagged_machine_without_clearing_it():
    world = World(latched=["flag"])
    assert world.tap("ada") == ["record refused blocked-flag", "signal refused"]
    world.start("max")
    assert world.power
    world.tap("max")
    assert world.gate.causes == [vocabulary.Cause.FLAG]


def test_a_maintainers_tap_asks_the_hardware_to_clear_an_output_fault():
    world = World(latched=["output"])
    assert world.tap("sue") == ["record refused blocked-output", "signal refused"]
    assert world.tap("max") == ["clear-fault m-max"]
    assert world.is_over(vocabulary.Cause.OUTPUT, "m-max") == ["record cleared output", "show free"]
    assert world.start("max").power


def test_a_maintainer_whom_the_roster_no_longer_admits_clears_nothing():
    world = World(latched=["output"])
    world.people["max"] = vocabulary.Member(
        "m-max", level=vocabulary.Level.MAINTAINER, windows=(vocabulary.Window(frozenset(), 0, 1),)
    )
    assert world.tap("max") == ["record refused blocked-output,outside-hours", "signal refused"]


def test_a_maintainer_clears_a_fault_while_the_clock_is_unknown():
    world = World(latched=["output"], refuses_when_stale=True)
    world.synced = False
    assert world.tap("max") == ["clear-fault m-max"]


def test_an_emergency_badge_works_without_any_roster():
    world = World(refuses_when_stale=True)
    assert world.roster(stale=True) == ["record blocked stale", "show blocked"]
    assert world.tap("ada")[0] == "record refused blocked-stale"
    world.tap("desk")
    assert isinstance(world.last, vocabulary.Started)
    assert (world.last.member, world.last.basis) == ("emergency:desk", vocabulary.Basis("emergency", stale_roster=True))
    assert world.commit() == ["on", "show go"]
    assert world.tap("desk")[0] == "off"


def test_an_emergency_badge_clears_and_opens_nothing_for_others():
    world = World(latched=["output", "danger", "report"])
    assert world.tap("desk")[0] == "record refused blocked-output,blocked-flag"
    world.ask_flag()
    assert world.tap("desk") == ["signal flagged", "show blocked"]
