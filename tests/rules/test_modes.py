"""The four ways in which a badge uses a machine."""

from __future__ import annotations

import pytest

from fabgate.rules import vocabulary
from tests.rules.world import MIN, S, World

OFF = "off"


# --- tap ---


def test_in_tap_mode_the_card_may_leave():
    world = World().start()
    assert world.lift("ada") == []
    assert world.power


# --- hold ---


def hold(**rules):
    return World(mode=vocabulary.Mode.HOLD, **rules)


def test_in_hold_mode_a_card_that_leaves_starts_a_grace_time():
    world = hold().start()
    assert world.lift("ada") == ["show grace"]
    assert world.after(9_999) == []
    assert world.after(1) == ["off", "record ended s1 removed 10000", "signal ended", "show free"]


def test_in_hold_mode_a_card_that_returns_in_time_goes_on():
    world = hold().start()
    world.lift("ada")
    world.after(9_999)
    assert world.tap("ada") == ["show go"]
    assert world.after(MIN) == []
    world.lift("bob")
    assert world.after(MIN) == []


def test_in_hold_mode_lifting_and_returning_extends_a_session_that_was_warned():
    world = hold(limit_ms=10 * MIN).start()
    assert world.after(8 * MIN) == ["show warning"]
    world.lift("ada")
    assert world.tap("ada") == ["signal extended", "show go"]


def test_in_hold_mode_a_card_lifted_before_the_start_is_on_disk_cancels_it():
    world = hold()
    world.tap("ada")
    assert world.lift("ada") == ["record ended s1 cancelled 0", "show free"]
    assert world.commit() == []


def test_in_hold_mode_another_card_of_the_member_ends_the_session():
    world = hold().start()
    world.lift("ada")
    assert world.tap("ada's phone") == ["off", "record ended s1 badge 0", "signal ended", "show free"]


def test_in_hold_mode_the_members_card_leaves_for_the_supervisors_and_must_come_back():
    world = hold()
    assert world.tap("kid") == ["show supervisor-needed"]
    assert world.lift("kid") == []
    assert world.tap("sue") == ["record started s1", "show wait"]
    world.lift("sue")
    assert world.commit() == ["on", "show grace"]
    assert world.tap("kid") == ["show go"]
    assert world.after(MIN) == []


def test_in_hold_mode_the_members_card_may_come_back_while_the_disk_is_slow_and_not_leave_again():
    world = hold()
    for badge in ("kid", "sue"):
        world.tap(badge)
        world.lift(badge)
    assert world.tap("kid") == []
    assert world.commit() == ["on", "show go"]
    world = hold()
    for badge in ("kid", "sue", "kid"):
        world.tap(badge)
        out = world.lift(badge)
    assert out == ["record ended s1 cancelled 0", "show free"]


def test_in_hold_mode_a_card_that_lies_there_again_takes_no_cancelled_start_back():
    world = hold()
    world.tap("ada")
    assert world.lift("ada") == ["record ended s1 cancelled 0", "show free"]
    assert world.do(vocabulary.Lying("ada")) == []
    assert world.commit() == []
    assert not world.power


@pytest.mark.parametrize("mode", list(vocabulary.Mode))
def test_a_supervisors_card_that_only_lies_there_gives_no_consent(mode: vocabulary.Mode) -> None:
    world = World(mode=mode)
    world.tap("kid")
    assert world.do(vocabulary.Lying("sue")) == []
    assert world.phase == "await-supervisor"
    world.do(vocabulary.Lying("stranger"))
    world.after(30_000)
    assert not world.power


def test_in_hold_mode_a_second_look_of_the_supervisor_cancels():
    world = hold()
    for badge in ("kid", "sue"):
        world.tap(badge)
        world.lift(badge)
    assert world.tap("sue") == ["record ended s1 cancelled 0", "show free"]


def test_in_hold_mode_a_dead_reader_ends_the_session_after_its_grace():
    world = hold().start()
    assert world.happens(vocabulary.Cause.READER, "no answer") == ["record blocked reader", "show grace"]
    assert world.after(10 * S) == ["off", "record ended s1 removed 10000", "signal ended", "show blocked"]


def test_in_hold_mode_a_reader_that_dies_after_the_card_left_gives_no_second_grace():
    world = hold().start()
    world.lift("ada")
    world.after(9 * S)
    world.happens(vocabulary.Cause.READER)
    assert world.after(1 * S)[0] == "off"


def test_in_hold_mode_a_running_job_is_finished_after_the_grace():
    world = hold(run_sense=True).start()
    world.running(True)
    world.lift("ada")
    assert world.after(10 * S) == ["show finishing"]
    assert world.lift("ada") == []
    assert world.running(False) == ["off", "record ended s1 removed 10000", "signal ended", "show free"]


def block_ada(world: World) -> list[str]:
    world.people["ada"] = vocabulary.Barred(("banned",), "m-ada")
    return world.roster()


@pytest.mark.parametrize("end", [lambda world: world.happens(vocabulary.Cause.LOCK_AFTER_JOB, "belt"), block_ada])
def test_in_hold_mode_taking_the_card_out_ends_a_job_that_no_input_reports(end):
    world = hold().start()
    assert end(world)[-1] == "show finishing"
    assert world.power
    assert world.lift("ada") == ["show grace"]
    assert world.after(10 * S)[0] == "off"
    assert not world.power


def test_in_hold_mode_a_card_that_was_out_when_the_lock_came_is_out_still():
    world = hold().start()
    world.lift("ada")
    world.after(4 * S)
    world.happens(vocabulary.Cause.LOCK_AFTER_JOB, "belt")
    assert world.power
    assert world.after(6 * S)[0] == "off"


def test_in_hold_mode_a_card_that_comes_back_in_time_lets_the_job_go_on():
    world = hold().start()
    world.happens(vocabulary.Cause.LOCK_AFTER_JOB, "belt")
    world.lift("ada")
    world.after(4 * S)
    assert world.tap("ada") == ["show finishing"]
    assert world.after(60 * S) == []
    assert world.power


def test_in_hold_mode_another_card_of_the_member_says_that_the_job_is_done():
    world = hold().start()
    world.happens(vocabulary.Cause.LOCK_AFTER_JOB, "belt")
    assert world.tap("ada's phone")[0] == "off"


def test_in_hold_mode_a_card_that_was_left_in_the_holder_starts_nothing():
    world = hold(limit_ms=MIN).start()
    world.after(MIN)
    assert not world.power
    assert world.after(60 * MIN) == []


def test_in_hold_mode_a_member_may_report_a_defect_with_their_own_card_and_put_it_back():
    world = hold().start()
    world.ask_flag()
    world.lift("ada")
    assert world.tap("ada") == ["record flagged report", "signal flagged", "show go"]
    assert world.after(60 * S) == []
    assert world.power


def test_in_hold_mode_a_report_while_a_job_is_finished_does_not_end_it_either():
    world = hold().start()
    world.happens(vocabulary.Cause.LOCK_AFTER_JOB, "belt")
    world.ask_flag()
    world.lift("ada")
    assert world.tap("ada")[-2:] == ["signal flagged", "show finishing"]
    world.after(60 * S)
    assert world.power


def test_in_hold_mode_the_first_card_that_comes_back_in_a_handover_ends_its_grace_and_the_handover():
    world = hold(handover=True).start("ada")
    world.lift("ada")
    world.tap("bob")
    assert world.tap("ada") == ["record ended s2 cancelled 0 + started s3", "show go"]
    assert world.after(60 * S) == []
    assert world.power


def test_in_hold_mode_a_reader_that_hung_and_never_lost_the_card_ends_no_session():
    world = hold().start()
    assert world.happens(vocabulary.Cause.READER, "no answer for 5 s") == ["record blocked reader", "show grace"]
    world.after(4 * S)
    assert world.is_over(vocabulary.Cause.READER) == ["record cleared reader", "show go"]
    assert world.after(60 * S) == []
    assert world.power


def test_in_hold_mode_a_reader_that_answers_again_and_sees_no_card_lets_the_grace_run():
    world = hold().start()
    world.lift("ada")
    world.happens(vocabulary.Cause.READER)
    assert world.is_over(vocabulary.Cause.READER) == ["record cleared reader"]
    assert world.after(10 * S)[:2] == ["off", "record ended s1 removed 10000"]


def test_in_hold_mode_the_members_card_that_is_swapped_back_in_while_the_disk_is_slow_counts():
    world = hold()
    for badge in ("kid", "sue"):
        world.tap(badge)
        world.lift(badge)
    assert world.do(vocabulary.Lying("kid")) == []
    assert world.commit() == ["on", "show go"]
    assert world.after(60 * S) == []
    assert world.power


# --- hold without any grace ---


def test_in_hold_mode_without_grace_a_start_that_needs_a_supervisor_is_refused():
    world = hold(grace_ms=0)
    assert world.tap("kid") == ["record refused supervisor-needed", "signal refused"]
    assert world.start("ada").power
    out = world.lift("ada")
    assert out[0] == "off"
    assert "record ended s1 removed 0" in out


def test_in_hold_mode_without_grace_no_guest_is_sponsored():
    world = hold(grace_ms=0, sponsor=True)
    world.tap("stranger")
    world.lift("stranger")
    world.tap("sue")
    assert isinstance(world.last, vocabulary.Started)
    assert (world.last.badge, world.last.basis.kind) == ("sue", "grant")


def test_in_hold_mode_a_grace_that_a_roster_takes_away_during_the_start_leaves_the_power_off():
    world = hold()
    world.tap("kid")
    world.lift("kid")
    world.tap("sue")
    assert world.roster(grace_ms=0)[0] == "record ended s1 cancelled 0"
    assert world.commit() == []


# --- timed ---


def test_in_timed_mode_each_tap_gives_the_full_time_from_now():
    world = World(mode=vocabulary.Mode.TIMED, limit_ms=20 * MIN).start()
    world.after(5 * MIN)
    assert world.tap("ada") == ["signal extended"]
    assert world.signals[-1].ms == 20 * MIN
    assert world.after(20 * MIN)[-4:] == ["off", "record ended s1 limit 1500000", "signal ended", "show free"]


def test_in_timed_mode_no_tap_gives_more_than_the_longest_time():
    world = World(mode=vocabulary.Mode.TIMED, limit_ms=20 * MIN, max_ms=30 * MIN).start()
    world.after(15 * MIN)
    assert world.tap("ada") == ["signal extended"]
    assert world.tap("ada") == ["signal warning"]
    assert world.signals[-1].ms == 15 * MIN
    out = world.after(15 * MIN)
    assert out == ["show warning", "off", "record ended s1 limit 1800000", "signal ended", "show free"]


def test_in_timed_mode_stop_and_another_card_of_the_member_end():
    assert World(mode=vocabulary.Mode.TIMED).start().stop()[0] == OFF
    assert World(mode=vocabulary.Mode.TIMED).start().tap("ada's phone")[0] == OFF


def test_in_timed_mode_a_tap_while_it_warms_up_does_not_shorten_the_idle_time():
    world = World(mode=vocabulary.Mode.TIMED, run_sense=True, idle_off_ms=5 * MIN, warm_up_ms=10 * MIN).start()
    world.after(MIN)
    world.tap("ada")
    world.after(13 * MIN)
    assert world.power


# --- audit ---


def test_in_audit_mode_nothing_is_switched_and_use_is_recorded():
    world = World(mode=vocabulary.Mode.AUDIT)
    assert world.tap("ada") == ["record started s1", "show wait"]
    assert world.commit() == ["show go"]
    assert (world.gate.state, world.gate.powered) == ("active", False)
    world.after(5 * S)
    assert world.tap("ada") == ["record ended s1 badge 5000", "signal ended", "show free"]


def test_in_audit_mode_there_is_no_power_to_hold_for_a_job_or_a_fan():
    world = World(mode=vocabulary.Mode.AUDIT, run_sense=True, run_on_ms=MIN).start()
    world.running(True)
    assert world.stop() == ["record ended s1 button 0", "signal ended", "show free"]


def test_in_audit_mode_causes_end_the_session_and_switch_nothing():
    world = World(mode=vocabulary.Mode.AUDIT).start()
    assert world.happens(vocabulary.Cause.ESTOP) == [
        "record ended s1 fault 0 + blocked estop",
        "signal ended",
        "show blocked",
    ]


def test_a_mode_that_comes_in_the_middle_waits_for_the_end_of_the_session():
    world = World().start()
    world.roster(mode=vocabulary.Mode.AUDIT)
    assert world.gate.rules.mode is vocabulary.Mode.TAP
    assert world.tap("ada")[0] == "off"
    assert world.gate.rules.mode is vocabulary.Mode.AUDIT
    world.tap("ada")
    assert world.commit() == ["show go"]
    world.roster(mode=vocabulary.Mode.TAP)
    assert world.stop() == ["record ended s2 button 0", "signal ended", "show free"]
    assert world.start().power


@pytest.mark.parametrize("mode", vocabulary.Mode)
def test_the_record_names_the_mode(mode):
    world = World(mode=mode)
    world.tap("ada")
    assert isinstance(world.last, vocabulary.Started)
    assert world.last.mode is mode


def test_a_card_that_still_lies_in_its_holder_after_a_fault_of_the_reader_ends_the_grace_time() -> None:
    world = World(mode=vocabulary.Mode.HOLD).start()
    world.happens(vocabulary.Cause.READER)
    world.lift("ada")
    assert world.gate.session is not None
    assert world.gate.session.term.grace_until is not None
    world.is_over(vocabulary.Cause.READER)
    world.do(vocabulary.Lying("ada"))
    assert world.gate.session.term.grace_until is None
    world.after(60_000)
    assert world.phase == "active"


def test_a_badge_that_was_tapped_before_the_reader_was_empty_has_to_be_lifted() -> None:
    lying = vocabulary.Lying("ada", before_empty=True)
    world = World()
    assert world.do(lying) == ["signal misread"]
    assert world.signals[-1].detail == vocabulary.LYING
    assert World().start().do(lying) == ["signal misread"], "it ends nothing either"
    world = World(mode=vocabulary.Mode.HOLD)
    assert world.do(lying) == ["signal misread"]
    assert world.start().do(lying) == [], "in its holder it has to stay"
    assert world.do(vocabulary.Lying("bob", before_empty=True)) == ["signal misread"]


@pytest.mark.parametrize("mode", list(vocabulary.Mode))
def test_a_card_that_was_not_tapped_starts_and_ends_nothing(mode: vocabulary.Mode) -> None:
    world = World(mode=mode)
    assert world.do(vocabulary.Lying("ada")) == []
    assert world.phase == "free"
    world.start()
    assert world.do(vocabulary.Lying("ada")) == []
    assert world.do(vocabulary.Lying("bob")) == []
    assert world.phase == "active"
