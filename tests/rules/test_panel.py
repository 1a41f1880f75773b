"""What the panel shows after what has led there; ``panel_oracle`` and ``test_any_order`` hold it over random sequences."""

from __future__ import annotations

import pytest

from fabgate.rules import vocabulary
from tests.rules.world import MIN, S, World

KIND = vocabulary.SignalKind


def shows(world: World) -> vocabulary.SignalKind:
    return world.gate.shown.kind


def test_a_start_that_was_given_up_does_not_go_on_asking_for_a_supervisor() -> None:
    world = World()
    world.tap("kid")
    assert shows(world) is KIND.SUPERVISOR
    world.tap("sue")
    world.after(3 * S)
    assert shows(world) is KIND.FREE


@pytest.mark.parametrize("latched", [["danger"], ["output"]])
def test_a_latched_cause_is_shown_from_the_start(latched: list[str]) -> None:
    world = World(latched=latched)
    assert (shows(world), world.gate.shown.reasons) == (KIND.BLOCKED, tuple(world.gate.causes))


@pytest.mark.parametrize("cause", sorted(set(vocabulary.Cause) - vocabulary.CUT - vocabulary.END_WITH_NOTICE))
def test_a_cause_that_came_during_a_session_is_shown_after_its_end(cause: vocabulary.Cause) -> None:
    world = World().start()
    world.happens(cause, "its words")
    assert shows(world) is KIND.GO
    world.stop()
    assert world.gate.shown == vocabulary.Shown(KIND.BLOCKED, reasons=(cause,), detail="its words")


def test_a_danger_that_is_flagged_on_a_free_machine_is_shown() -> None:
    world = World()
    world.ask_flag()
    world.do(vocabulary.FlagPressed(True))
    world.tap("ada")
    assert world.gate.shown.reasons == (vocabulary.Cause.FLAG,)


def test_a_cancelled_start_of_a_maintainer_leaves_the_danger_shown() -> None:
    world = World(latched=["danger"])
    world.tap("max")
    assert shows(world) is KIND.WAIT
    world.tap("max")
    assert shows(world) is KIND.BLOCKED


def test_a_card_that_lies_there_while_the_fan_runs_on_shows_no_session() -> None:
    world = World(mode=vocabulary.Mode.HOLD, run_on_ms=MIN).start()
    world.lift("ada")
    world.stop()
    world.do(vocabulary.Lying("ada"))
    assert shows(world) is KIND.RUN_ON


def test_a_handover_that_is_cancelled_shows_the_warning_of_the_first_again() -> None:
    world = World(handover=True, limit_ms=10 * MIN).start()
    world.after(9 * MIN)
    assert shows(world) is KIND.WARNING
    world.tap("bob")
    assert shows(world) is KIND.WAIT
    world.tap("bob")
    assert (shows(world), world.signals[-1].ms) == (KIND.WARNING, MIN)


def test_a_warning_that_begins_in_a_handover_is_shown_once_that_is_cancelled() -> None:
    world = World(handover=True, limit_ms=10 * MIN).start()
    world.after(8 * MIN - 1 * S)
    world.tap("bob")
    assert world.after(3 * S)[-1] == "show warning"


def test_a_job_that_begins_while_the_fan_runs_on_is_shown_as_a_job() -> None:
    world = World(run_sense=True, run_on_ms=MIN).start()
    world.stop()
    assert shows(world) is KIND.RUN_ON
    world.running(True)
    assert (shows(world), world.gate.shown.detail) == (KIND.FINISHING, "")


def test_at_the_longest_a_manager_extends_nothing_and_no_signal_claims_it() -> None:
    world = World(limit_ms=60 * MIN, max_ms=60 * MIN).start()
    world.after(30 * MIN)
    assert world.gate.extension_ms(10 * MIN) == 0
    assert world.do(vocabulary.Extend(10 * MIN, "boss")) == []
    assert world.gate.shown.until_ms == world.ms + 30 * MIN


def test_a_machine_that_is_not_in_use_cannot_be_extended() -> None:
    assert World().gate.extension_ms(10 * MIN) is None


@pytest.mark.parametrize(("max_ms", "detail"), [(60 * MIN, vocabulary.LAST), (61 * MIN, "")])
def test_a_warning_says_whether_a_tap_gives_more_time(max_ms: int, detail: str) -> None:
    world = World(limit_ms=60 * MIN, max_ms=max_ms).start()
    world.after(59 * MIN)
    assert (shows(world), world.gate.shown.detail) == (KIND.WARNING, detail)
    world.tap("ada")
    assert world.power is (detail != vocabulary.LAST)


def test_a_question_is_shown_first_and_then_the_state_again() -> None:
    world = World(limit_ms=60 * MIN).start()
    world.after(59 * MIN)
    world.ask_flag()
    assert world.gate.shown == vocabulary.Shown(KIND.FLAG_ASK, detail="report")
    world.do(vocabulary.FlagPressed(True))
    assert world.gate.shown == vocabulary.Shown(KIND.FLAG_ASK, detail="danger")
    world.tap("bob")
    assert shows(world) is KIND.WARNING


def test_a_job_that_an_input_reports_shows_no_grace_for_a_card_that_is_out() -> None:
    world = World(mode=vocabulary.Mode.HOLD, run_sense=True, limit_ms=MIN).start()
    world.running(True)
    world.after(MIN - 1 * S)
    world.lift("ada")
    world.after(1 * S)
    assert (world.phase, shows(world)) == ("finishing-job", KIND.FINISHING)
