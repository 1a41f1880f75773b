"""A meter that is known to be broken: limits and locks treat it as work, and a person at the machine is believed."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabgate.rules import vocabulary
from tests.rules.broken import beside, broken
from tests.rules.world import MIN, H, S, World

KIND = vocabulary.SignalKind


def test_a_tap_or_the_stop_button_ends_a_session_whose_meter_is_broken() -> None:
    assert broken().tap("ada")[:2] == ["off", "record ended s1 badge 0"]
    assert broken().stop()[:2] == ["off", "record ended s1 button 0"]
    world = broken(mode=vocabulary.Mode.HOLD)
    world.after(10 * S)
    assert world.ends()[0][1] == "removed"


def test_a_supervisors_tap_ends_it_too() -> None:
    world = World(run_sense=True)
    world.tap("kid")
    world.tap("sue")
    world.commit()
    world.breaks()
    assert world.tap("sue")[0] == "off"


@pytest.mark.parametrize(
    "end",
    [
        lambda world: world.after(12 * H),
        lambda world: world.roster(lock=vocabulary.Lock("l", now=False)),
        lambda world: (world.people.update(ada=vocabulary.Barred(("banned",), "m-ada")), world.roster()),
        lambda world: world.stop("boss"),
    ],
    ids=["limit", "lock", "block", "manager elsewhere"],
)
def test_what_is_not_at_the_machine_treats_a_broken_meter_as_work(end: Callable[[World], object]) -> None:
    for person in ("ada", "stop"):
        world = broken()
        end(world)
        assert (world.phase, world.panel.kind, world.panel.detail) == ("finishing-job", KIND.FINISHING, "unfelt")
        assert world.stop("boss") == ["signal finishing"]
        out = world.stop() if person == "stop" else world.tap("ada")
        assert out[0] == "off"
    world = broken()
    end(world)
    assert world.after(4 * H - 1) == []
    assert world.after(1)[0] == "off"


def test_in_hold_mode_a_card_that_is_removed_says_that_the_job_is_done() -> None:
    world = World(run_sense=True, mode=vocabulary.Mode.HOLD).start()
    world.breaks()
    world.roster(lock=vocabulary.Lock("l", now=False))
    assert world.lift("ada") == ["show grace"]
    assert world.after(10 * S)[0] == "off"


def test_a_meter_that_can_be_read_again_is_believed_again() -> None:
    world = broken()
    world.roster(lock=vocabulary.Lock("l", now=False))
    assert world.do(vocabulary.MeterWorks("meter")) == []
    assert world.panel.detail == ""
    assert world.tap("ada") == ["signal finishing"]
    assert world.running(False, "meter")[0] == "off"
    assert world.do(vocabulary.MeterWorks("meter")) == []


def test_the_running_time_while_the_meter_is_broken_is_unknown_and_not_counted() -> None:
    world = World(run_sense=True).start()
    world.running(True, "meter")
    world.after(10 * S)
    world.breaks()
    assert world.breaks() == []
    world.after(20 * S)
    world.do(vocabulary.MeterWorks("meter"))
    world.after(5 * S)
    world.running(False, "meter")
    world.after(2 * S)
    world.breaks()
    world.after(3 * S)
    world.stop()
    ended = world.last
    assert isinstance(ended, vocabulary.Ended)
    assert (ended.energised_ms, ended.running_ms, ended.running_unknown_ms) == (40 * S, 15 * S, 23 * S)


def test_progress_and_a_handover_say_it_too() -> None:
    world = broken(handover=True, limit_ms=H)
    world.do(vocabulary.Tick())
    for _ in range(31):
        world.after(30 * S)
    progress = [fact for fact in world.facts if isinstance(fact, vocabulary.Progress)]
    assert [fact.running_unknown_ms for fact in progress] == [15 * MIN]
    world.tap("bob")
    world.commit()
    world.after(MIN)
    world.do(vocabulary.Stopping())
    assert [fact.running_unknown_ms for fact in world.facts if isinstance(fact, vocabulary.Ended)] == [930 * S, MIN]


# --- an input that reports work beside the broken meter ---------------------------------------------------------------


def test_a_second_tap_switches_off() -> None:
    world = beside()
    assert world.tap("ada") == ["show finishing"]
    assert world.panel.detail == vocabulary.ASKS_AGAIN
    world.after(60 * S)
    assert world.panel.detail == vocabulary.ASKS_AGAIN, "the badge is still there: nobody can tap it again"
    world.lift("ada")
    world.after(10 * S)
    assert world.tap("ada")[0] == "off"
    assert world.ends()[0][1] == "badge"


def test_a_second_tap_that_is_late_asks_again() -> None:
    world = beside()
    world.tap("ada")
    world.lift("ada")
    world.after(10 * S + 1)
    assert world.panel.detail == ""
    assert world.tap("ada") == []
    assert world.panel.detail == vocabulary.ASKS_AGAIN
    world.lift("bob")
    world.lift("ada")
    assert world.tap("ada")[0] == "off"


def test_the_stop_button_asks_too_and_another_hand_does_not_answer() -> None:
    world = beside()
    assert world.stop() == ["show finishing"]
    assert world.stop("boss") == ["signal finishing"]
    assert world.tap("ada") == []
    assert world.stop() == []
    world.after(10 * S)
    assert world.stop()[0] == "off"
    world = beside()
    world.stop()
    world.after(10 * S + 1)
    assert world.stop() == []
    assert world.power


def test_a_second_tap_is_believed_after_a_limit_as_well() -> None:
    world = beside(limit_ms=H)
    world.after(H)
    assert (world.phase, world.panel.detail) == ("finishing-job", "")
    world.tap("ada")
    world.lift("ada")
    assert world.tap("ada")[0] == "off"


def test_a_supervisors_second_tap_switches_off() -> None:
    world = World(run_sense=True)
    world.tap("kid")
    world.tap("sue")
    world.commit()
    world.breaks()
    world.running(True)
    assert world.tap("sue") == ["show finishing"]
    world.lift("sue")
    assert world.tap("sue")[0] == "off"


def test_an_input_that_reports_standstill_beside_a_broken_meter_leaves_the_person_to_say_so() -> None:
    world = beside()
    world.roster(lock=vocabulary.Lock("l", now=False))
    assert world.running(False) == []
    assert world.panel.detail == "unfelt"
    assert world.tap("ada")[0] == "off"


def test_a_meter_that_only_counts_energy_is_broken_beside_an_input_too() -> None:
    world = World(run_sense=True).start()
    world.do(vocabulary.MeterFailed("meter"))
    assert world.tap("ada")[0] == "off", "the input says that no job runs"
    world = World(run_sense=True).start()
    world.do(vocabulary.MeterFailed("meter"))
    world.running(True)
    world.tap("ada")
    assert world.panel.detail == vocabulary.ASKS_AGAIN
    assert world.running(False)[0] == "off"


def test_an_input_without_a_broken_meter_is_believed_as_before() -> None:
    world = World(run_sense=True).start()
    world.running(True)
    for _ in range(3):
        world.tap("ada")
        world.lift("ada")
        world.stop()
    assert world.power
    assert world.panel.detail == ""
    world.do(vocabulary.MeterFailed("meter"))
    world.tap("ada")
    world.do(vocabulary.MeterWorks("meter"))
    world.lift("ada")
    assert world.panel.detail == ""
    world.tap("ada")
    assert world.power


def test_nothing_is_asked_where_the_rules_cut_a_job_or_nothing_is_switched() -> None:
    assert beside(finishes_jobs=False).tap("ada")[0] == "off"
    assert beside(mode=vocabulary.Mode.AUDIT).tap("ada")[0].startswith("record ended")


def test_a_roster_that_cuts_jobs_leaves_the_question_to_a_job_that_is_being_finished() -> None:
    for person in (lambda world: world.tap("ada"), lambda world: world.stop()):
        world = beside()
        world.roster(lock=vocabulary.Lock("l", now=False))
        world.roster(finishes_jobs=False)
        person(world)
        assert world.panel.detail == vocabulary.ASKS_AGAIN
        world.lift("ada")
        person(world)
        assert not world.power


def held(**rules: object) -> World:
    """A session in hold mode, with the card in its holder: the input reports work, and a meter is broken."""
    world = World(run_sense=True, mode=vocabulary.Mode.HOLD, **rules).start()  # type: ignore[arg-type]
    world.running(True)
    world.breaks()
    return world


@pytest.mark.parametrize("grace_ms", [0, 5 * S, 40 * S])
@pytest.mark.parametrize("begins", ["removed", "locked"])
def test_in_hold_mode_a_card_that_is_removed_twice_switches_off(grace_ms: int, begins: str) -> None:
    world = held(grace_ms=grace_ms)
    if begins == "locked":
        world.roster(lock=vocabulary.Lock("l", now=False))
        assert world.phase == "finishing-job"
    world.lift("ada")
    world.after(grace_ms)
    assert (world.phase, world.panel.detail) == ("finishing-job", vocabulary.ASKS_AGAIN)
    world.after(grace_ms)
    world.tap("ada")
    world.after(5 * S)
    assert world.power
    world.lift("ada")
    world.after(grace_ms)
    assert not world.power


def test_in_hold_mode_one_removal_switches_nothing_off_however_long_the_card_is_out() -> None:
    world = held()
    world.lift("ada")
    world.after(30 * S)
    assert world.panel.detail == vocabulary.ASKS_AGAIN
    world.after(1)
    assert world.panel.detail == ""
    world.after(H)
    world.tap("ada")
    world.lift("ada")
    world.after(10 * S)
    assert (world.phase, world.panel.detail) == ("finishing-job", vocabulary.ASKS_AGAIN), "late: it asks once more"


def test_in_hold_mode_the_grace_time_that_ran_before_a_lock_asks_for_an_end() -> None:
    world = held(continuous=(True, False))
    world.lift("ada")
    world.after(2 * S)
    world.roster(lock=vocabulary.Lock("l", now=False))
    world.after(H)
    world.tap("ada", reader=1)
    assert (world.phase, world.panel.detail) == ("finishing-job", vocabulary.ASKS_AGAIN)


@pytest.mark.parametrize("is_locked", [False, True])
def test_a_reader_that_hangs_and_comes_back_is_no_removal_of_the_card(is_locked: bool) -> None:
    world = held()
    for seconds in (11, 3, 11, 3):
        world.happens(vocabulary.Cause.READER, "hangs")
        if is_locked:
            world.roster(lock=vocabulary.Lock("l", now=False))
        world.after(seconds * S)
        world.is_over(vocabulary.Cause.READER)
    assert (world.phase, world.panel.detail) == ("finishing-job", "")


def test_a_badge_whose_reader_hangs_is_not_asked_for_ever() -> None:
    world = beside()
    world.tap("ada")
    world.after(2 * MIN)
    assert world.panel.detail == vocabulary.ASKS_AGAIN
    world.after(1)
    assert world.panel.detail == ""
    world.after(H)
    world.tap("ada")
    assert world.power


def test_a_meter_that_breaks_in_the_notice_saves_no_session() -> None:
    world = World(run_sense=True).start()
    world.lift("ada")
    world.roster(lock=vocabulary.Lock("l", now=False))
    world.breaks()
    assert world.after(2 * MIN)[0] == "off"


# --- the fan's run-on -------------------------------------------------------------------------------------------------


def tapped_off(**rules: object) -> World:
    """The fan runs on after a member has tapped off a machine that stands still, and has left."""
    world = World(run_sense=True, run_on_ms=MIN, **rules).start()  # type: ignore[arg-type]
    world.tap("ada")
    world.lift("ada")
    assert world.phase == "run-on"
    return world


#: What a part that cannot be read posts, or one that can be read again.
UNREAD = (
    vocabulary.MeterFailed("meter"),
    vocabulary.MeterWorks("meter"),
    vocabulary.Running(True, "meter", known=False),
    vocabulary.Running(False, "meter"),
    vocabulary.Running(True, "", known=False),
    vocabulary.Running(False, ""),
)


@given(st.lists(st.tuples(st.sampled_from(UNREAD), st.integers(0, 10 * S)), max_size=12))
def test_no_part_that_cannot_be_read_gives_power_back_in_the_run_on(events: list[tuple[vocabulary.Event, int]]) -> None:
    world = tapped_off()
    begun_ms = world.ms
    for event, ms in events:
        world.do(event)
        world.after(ms)
        assert world.phase == ("run-on" if world.ms < begun_ms + MIN else "free")
    world.after(max(0, begun_ms + MIN - world.ms))
    assert not world.power


def test_a_broken_meter_that_claims_to_be_read_gives_no_power_back_either() -> None:
    world = tapped_off()
    world.breaks()
    assert world.phase == "run-on"


@pytest.mark.parametrize("unread", [None, "", "meter"])
def test_a_real_job_in_the_run_on_goes_on_whatever_else_cannot_be_read(unread: str | None) -> None:
    world = tapped_off()
    if unread == "meter":
        world.breaks()
    elif unread == "":
        world.do(vocabulary.Running(True, known=False))
    assert world.running(True, "another") == ["show finishing"]
    assert world.power


def test_an_input_that_a_second_tap_overruled_gives_no_power_back() -> None:
    world = beside(run_on_ms=MIN)
    world.tap("ada")
    world.lift("ada")
    world.tap("ada")
    world.running(False)
    world.running(True)
    assert world.phase == "run-on"
    assert world.after(MIN)[0] == "off"
