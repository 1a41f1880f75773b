"""How a member reports that something is wrong, and who may withdraw the report."""

from __future__ import annotations

import pytest

from fabgate.rules import vocabulary
from tests.rules.world import S, World


def danger(world):
    """Ask, and choose danger by a short press."""
    world.ask_flag()
    out = world.do(vocabulary.FlagPressed(True))
    world.do(vocabulary.FlagPressed(False))
    return out


def test_the_button_for_three_seconds_asks_and_a_known_badge_reports():
    world = World()
    world.do(vocabulary.FlagPressed(True))
    assert world.after(2_999) == []
    assert world.after(1) == ["show flag-ask"]
    assert world.signals[-1].detail == "report"
    world.do(vocabulary.FlagPressed(False))
    assert world.tap("eve") == ["record flagged report", "signal flagged", "show free"]
    assert world.last == vocabulary.Flagged(vocabulary.FlagKind.REPORT, "m-eve", "eve")
    assert world.start("ada").power


def test_a_short_press_asks_nothing():
    world = World()
    world.do(vocabulary.FlagPressed(True))
    world.after(2_999)
    world.do(vocabulary.FlagPressed(False))
    assert world.after(60 * S) == []
    assert world.tap("ada") == ["record started s1", "show wait"]


def test_a_short_press_meanwhile_changes_between_report_and_danger():
    world = World()
    world.ask_flag()
    for kind in ("danger", "report", "danger"):
        assert world.do(vocabulary.FlagPressed(True)) == []
        assert world.signals[-1].detail == kind
        assert world.do(vocabulary.FlagPressed(False)) == []
    assert world.tap("ada") == ["record flagged danger + blocked flag", "signal flagged", "show blocked"]
    (flagged,) = (signal for signal in world.signals if signal.kind is vocabulary.SignalKind.FLAGGED)
    assert flagged.detail == vocabulary.FlagKind.DANGER
    assert world.gate.causes == [vocabulary.Cause.FLAG]
    assert world.tap("bob") == ["record refused blocked-flag", "signal refused"]


@pytest.mark.parametrize("badge", ["stranger", "lost"])
def test_a_badge_without_a_person_does_not_answer_the_question(badge):
    world = World()
    world.ask_flag()
    assert world.tap(badge)[0].startswith("record refused")
    assert world.tap("ada") == ["record flagged report", "signal flagged", "show free"]


def test_a_question_without_an_answer_expires():
    world = World()
    world.ask_flag()
    world.after(30 * S)
    assert world.tap("ada") == ["record started s1", "show wait"]


def test_the_badge_that_ended_a_session_held_for_five_seconds_asks_too():
    world = World().start()
    world.tap("ada")
    assert world.after(4_999) == []
    assert world.after(1) == ["show flag-ask"]
    world.lift("ada")
    assert world.tap("ada") == ["record flagged report", "signal flagged", "show free"]


def test_a_badge_that_leaves_before_asks_nothing():
    world = World().start()
    world.tap("ada")
    world.lift("ada")
    assert world.after(60 * S) == []


def test_another_badge_leaving_does_not_stop_the_count():
    world = World().start()
    world.tap("ada")
    world.lift("bob")
    assert world.after(5 * S) == ["show flag-ask"]


def test_a_reader_that_cannot_prove_presence_never_takes_a_badge_for_held():
    world = World(continuous=[False]).start()
    world.tap("ada")
    assert world.after(60 * S) == []


def test_a_danger_blocks_once_the_session_has_ended():
    world = World().start()
    danger(world)
    assert world.tap("bob") == ["record flagged danger + blocked flag", "signal flagged", "show go"]
    assert world.power
    assert world.tap("ada")[0] == "off"
    assert world.tap("ada") == ["record refused blocked-flag", "signal refused"]


@pytest.mark.parametrize("start", ["ada", "kid"])
def test_the_badge_that_answers_is_a_second_tap_for_a_start_that_waits(start):
    world = World()
    world.do(vocabulary.FlagPressed(True))
    world.after(2_999)
    world.tap(start)
    world.after(1)
    out = world.tap("bob")
    assert out[-3:] == ["record flagged report", "signal flagged", "show free"]
    assert world.phase == "free"
    assert world.commit() == []


def test_a_tap_that_could_clear_nothing_cancels_a_start_too():
    world = World(latched=["report"])
    world.do(vocabulary.FlagPressed(True))
    world.after(2_999)
    world.tap("ada")
    world.after(1)
    assert world.tap("bob") == ["record ended s1 cancelled 0", "signal flagged", "show free"]
    assert world.commit() == []


def test_a_danger_cancels_a_handover_and_the_first_goes_on():
    world = World(handover=True).start()
    danger(world)
    world.gate._flags._ask_until, until = None, world.gate._flags._ask_until
    world.tap("bob")
    world.gate._flags._ask_until = until
    assert world.tap("eve")[-3:] == ["record flagged danger + blocked flag", "signal flagged", "show go"]
    assert (world.phase, world.power) == ("active", True)
    assert world.tap("bob")[0] == "record refused blocked-flag,in-use"


# --- who takes it back ---

WHO = ["ada", "eve", "desk", "sue", "max"]


@pytest.mark.parametrize("badge", WHO)
def test_a_supervisor_withdraws_a_report(badge):
    world = World(latched=["report"])
    world.ask_flag()
    if badge in ("sue", "max"):
        assert world.tap(badge) == ["record cleared report", "signal unflagged", "show free"]
        assert isinstance(world.last, vocabulary.Cleared)
        assert world.last.member == f"m-{badge}"
        world.ask_flag()
        assert world.tap("ada") == ["record flagged report", "signal flagged", "show free"]
    else:
        assert world.tap(badge) == ["signal flagged", "show free"]


@pytest.mark.parametrize("kept", ["flag", "danger"])
@pytest.mark.parametrize("badge", WHO)
def test_a_maintainer_withdraws_a_danger_that_was_kept_over_a_restart_under_either_name(badge, kept):
    world = World(latched=iter([kept]))
    assert world.gate.causes == [vocabulary.Cause.FLAG]
    danger(world)
    if badge == "max":
        assert world.tap(badge) == ["record cleared flag", "signal unflagged", "show free"]
        assert world.gate.causes == []
        assert world.start("ada").power
    else:
        assert world.tap(badge) == ["signal flagged", "show blocked"]
        assert world.gate.causes == [vocabulary.Cause.FLAG]


@pytest.mark.parametrize("kept", ["report", "flag"])
def test_a_badge_on_a_reader_with_a_fault_withdraws_nothing(kept):
    """Noise makes a badge that is left there arrive again and again: with the button, anybody could clear a danger."""
    world = World(latched=[kept])
    world.do(vocabulary.ReaderFailed(0, "noise"))
    ask = danger if kept == "flag" else World.ask_flag
    ask(world)
    assert "signal flagged" in world.tap("max")
    assert not any(isinstance(fact, vocabulary.Cleared) for fact in world.facts)
    world.do(vocabulary.ReaderWorks(0))
    ask(world)
    assert "signal unflagged" in world.tap("max")


def test_a_badge_on_a_reader_with_a_fault_reports_a_defect():
    world = World()
    world.do(vocabulary.ReaderFailed(0, "noise"))
    world.ask_flag()
    assert world.tap("max")[:2] == ["record flagged report", "signal flagged"]


def test_a_supervisor_whom_the_roster_no_longer_admits_withdraws_nothing():
    world = World(latched=["report"])
    world.people["sue"] = vocabulary.Member(
        "m-sue", level=vocabulary.Level.SUPERVISOR, windows=(vocabulary.Window(frozenset(), 0, 1),)
    )
    world.ask_flag()
    assert world.tap("sue") == ["signal flagged", "show free"]


def test_a_danger_that_was_cleared_from_elsewhere_can_be_raised_again():
    world = World(latched=["flag"])
    assert world.is_over(vocabulary.Cause.FLAG) == ["record cleared flag", "show free"]
    danger(world)
    assert world.tap("ada") == ["record flagged danger + blocked flag", "signal flagged", "show blocked"]
