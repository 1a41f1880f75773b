"""A supervisor who taps before the member whom they want to supervise."""

from __future__ import annotations

import random
from datetime import date, timedelta

import pytest

from fabgate.rules import vocabulary
from tests.rules.world import NOON, S, World


@pytest.mark.parametrize("supervision", list(vocabulary.Supervision))
@pytest.mark.parametrize("badge", ["sue", "max"])
def test_a_learners_tap_neither_cancels_nor_ends_what_a_supervisor_began_for_themselves(supervision, badge):
    world = World(supervision=supervision)
    assert world.tap(badge) == ["record started s1", "show wait"], "there is no waiting for a member"
    assert world.tap("kid") == ["record refused member-first", "signal refused"]
    assert world.commit() == ["on", "show go"]
    assert world.tap("kid") == ["signal refused"], "it is recorded once a minute"
    assert world.power
    assert world.tap(badge)[0] == "off"
    assert world.tap("kid") == ["show supervisor-needed"]
    assert world.start(badge).power


def test_where_all_members_need_a_supervisor_the_panel_says_that_the_member_comes_first():
    for badge, supervision, detail in [
        ("sue", vocabulary.Supervision.ALWAYS, vocabulary.MEMBER_FIRST),
        ("sue", vocabulary.Supervision.MINORS, ""),
        ("desk", vocabulary.Supervision.ALWAYS, ""),
    ]:
        assert World(supervision=supervision).start(badge).gate.shown.detail == detail
    world = World(supervision=vocabulary.Supervision.ALWAYS)
    world.tap("ada")
    assert world.start("sue").gate.shown.detail == "", "the session is Ada's"
    world = World(supervision=vocabulary.Supervision.ALWAYS, observe_until=NOON + timedelta(hours=1))
    assert world.start("sue").gate.shown.detail == "", "everybody may begin alone until then"
    world = World(supervision=vocabulary.Supervision.ALWAYS, mode=vocabulary.Mode.HOLD, grace_ms=0)
    assert world.start("sue").gate.shown.detail == "", "no second card is possible"
    assert world.tap("kid") == ["record refused in-use", "signal refused"]


def test_a_learner_with_other_reasons_sees_those_first():
    world = World()
    world.people["kid"] = vocabulary.Member("m-kid", supervised=True, valid_until=date(2026, 11, 1))
    world.tap("sue")
    assert world.tap("kid") == ["record refused expired,member-first", "signal refused"]
    assert world.commit() == ["on", "show go"]


def test_a_learner_answers_the_question_of_the_flag_without_cancelling_a_supervisors_start():
    world = World()
    world.do(vocabulary.FlagPressed(True))
    world.after(2 * S)
    world.tap("sue")
    world.after(1 * S)
    world.do(vocabulary.FlagPressed(False))
    assert world.panel.kind is vocabulary.SignalKind.FLAG_ASK
    assert "ended" not in " ".join(world.tap("kid"))
    assert (world.last.member, world.phase) == ("m-kid", "await-journal")
    world.commit()
    assert world.power


def test_who_does_not_need_a_supervisor_still_cancels_a_start_by_a_second_tap():
    for badge in ("ada", "bob", "eve", "stranger", "desk", "sue", "max"):
        world = World()
        world.tap("sue")
        assert world.tap(badge)[0] == "record ended s1 cancelled 0"


def test_the_learner_who_has_the_machine_cancels_a_supervisors_takeover():
    world = World(handover=True)
    world.tap("kid")
    world.start("sue")
    world.tap("max")
    assert world.phase == "handing-over"
    world.tap("kid")
    assert (world.phase, world.gate.session.member) == ("active", "m-kid")


def _own_supervisor(world: World) -> str | None:
    """Return the member who begins or has a session of their own as a supervisor, found from facts and people alone."""
    started = [fact for fact in world.facts if isinstance(fact, vocabulary.Started)]
    over = {fact.session for fact in world.facts if isinstance(fact, vocabulary.Ended)}
    if not started or started[-1].session in over or started[-1].supervisor is not None:
        return None
    holder = world.people.get(started[-1].badge)
    supervises = isinstance(holder, vocabulary.Member) and holder.level.supervises and not holder.supervised
    return started[-1].member if supervises else None


@pytest.mark.parametrize("seed", range(60))
def test_in_any_order_a_learner_takes_nothing_from_a_supervisor_and_no_earlier_tap_is_consent(seed):
    luck = random.Random(seed)
    world = World(
        supervision=luck.choice(list(vocabulary.Supervision)),
        handover=luck.random() < 0.5,
        sponsor=luck.random() < 0.5,
        run_sense=luck.random() < 0.3,
        mode=luck.choice([vocabulary.Mode.TAP, vocabulary.Mode.TIMED, vocabulary.Mode.HOLD]),
        run_on_ms=luck.choice([0, 15 * S]),
        latched=luck.choice([[], [], [], ["danger"]]),
    )
    met, taps = 0, ["kid", "kid", "sue", "sue", "max", "ada", "bob", "desk", "stranger", "eve"]
    asked: str | None = None
    for _ in range(300):
        act = luck.randrange(8)
        if act == 0:
            world.after(luck.choice([20, 1 * S, 2_999, 5 * S, 40 * S]))
        elif act == 1:
            world.commit()
        elif act == 2:
            world.stop()
        elif act == 3:
            world.do(vocabulary.FlagPressed(luck.random() < 0.5))
        else:
            badge = luck.choice(taps)
            holder = world.people.get(badge)
            is_learner = badge == "kid" or (
                badge in ("ada", "bob") and world.rules.supervision is vocabulary.Supervision.ALWAYS
            )
            before, owner, known = world.phase, _own_supervisor(world), len(world.facts)
            running = world.gate.session
            is_running = (
                running is not None and holder is not None and holder.id in (running.member, running.supervisor)
            )
            world.tap(badge)
            started = [fact for fact in world.facts[known:] if isinstance(fact, vocabulary.Started)]
            if owner is not None and is_learner and not is_running:
                assert world.phase == before, "a learner's tap changed a supervisor's own start or session"
                if world.signals[-1].kind is vocabulary.SignalKind.REFUSED and before in ("await-journal", "active"):
                    assert world.signals[-1].reasons[-1] == "member-first"
                    met += 1
            for fact in started:
                starter = world.people.get(fact.badge)
                if fact.supervisor not in (None, fact.member) and fact.continues is None:
                    assert isinstance(starter, vocabulary.Member)
                    assert asked == starter.name, "the supervisor tapped before the member"
        asked = world.panel.name if world.phase == "await-supervisor" else None
    assert met or world.rules.mode is vocabulary.Mode.HOLD, "the case never came"
