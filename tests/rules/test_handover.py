"""A machine that changes hands without losing power."""

from __future__ import annotations

import pytest

from fabgate.rules import vocabulary
from tests.rules.world import MIN, S, World


def handing(**options):
    """Ada has worked for a minute; Bob tapped, and the disk is slow."""
    world = World(handover=True, **options).start("ada")
    world.after(MIN)
    world.tap("bob")
    assert world.phase == "handing-over"
    return world


def test_one_transaction_ends_one_session_and_starts_the_next_and_power_stays_on():
    world = World(handover=True).start("ada")
    world.after(MIN)
    assert world.tap("bob") == ["record ended s1 handover 60000 + started s2", "show wait"]
    assert isinstance(world.last, vocabulary.Started)
    assert world.last.energised_from_ms == world.ms
    assert world.gate.session is not None
    assert world.gate.session.member == "m-ada"
    world.after(2 * S)
    assert world.commit() == ["show go"]
    assert world.gate.session.member == "m-bob"
    world.after(MIN)
    assert world.tap("bob") == ["off", "record ended s2 badge 62000", "signal ended", "show free"]


def test_the_newcomer_gets_a_full_time_of_their_own():
    world = handing(limit_ms=10 * MIN)
    world.commit()
    assert world.after(10 * MIN) == ["show warning", "off", "record ended s2 limit 600000", "signal ended", "show free"]


def test_work_is_split_at_the_newcomers_tap():
    world = World(handover=True, run_sense=True).start("ada")
    world.running(True)
    world.after(10 * S)
    world.tap("bob")
    world.after(1 * S)
    world.running(False)
    world.after(1 * S)
    world.commit()
    world.tap("bob")
    assert world.ends() == [("s1", "handover", 10_000, 10_000), ("s2", "badge", 2_000, 1_000)]


CANCELS = {
    "too late": (lambda world: world.after(3 * S), "start-timeout"),
    "a third tap": (lambda world: world.tap("max"), "cancelled"),
    "the first member's tap": (lambda world: world.tap("ada"), "cancelled"),
    "a hold cause": (lambda world: world.happens(vocabulary.Cause.READER), "cancelled"),
    "refused at the last moment": (lambda world: (world.people.pop("bob"), world.commit())[1], "cancelled"),
    "no handovers any more": (lambda world: world.roster(handover=False), "cancelled"),
}


@pytest.mark.parametrize(("cancel", "reason"), CANCELS.values(), ids=CANCELS)
def test_a_handover_that_fails_leaves_the_first_in_charge_and_loses_no_millisecond(cancel, reason):
    world = handing()
    out = cancel(world)
    assert out[0] == f"record ended s2 {reason} 0 + started s3"
    assert "off" not in out
    started = next(fact for fact in world.facts if isinstance(fact, vocabulary.Started) and fact.session == "s3")
    assert (started.member, started.continues, started.basis.kind) == ("m-ada", "s1", "continued")
    assert (world.power, world.phase) == (True, "active")
    assert world.commit() == []
    world.after(MIN)
    world.stop()
    assert sum(end[2] for end in world.ends()) == world.ms - 1_000_000


def test_the_warning_and_the_limit_of_the_first_go_on():
    world = handing(limit_ms=10 * MIN)
    world.after(3 * S)
    out = world.after(9 * MIN - 3 * S)
    assert out == ["show warning", "off", "record ended s3 limit 540000", "signal ended", "show free"]


@pytest.mark.parametrize(
    ("event", "end"),
    [
        (lambda world: world.stop(), "record ended s3 button 1000"),
        (lambda world: world.happens(vocabulary.Cause.ESTOP), "record ended s3 fault 1000 + blocked estop"),
        (lambda world: world.happens(vocabulary.Cause.OUTPUT), "record ended s3 fault 1000 + blocked output"),
        (
            lambda world: world.roster(lock=vocabulary.Lock("l", now=True)),
            "record ended s3 lock 1000 + blocked lock-now",
        ),
    ],
    ids=["stop", "e-stop", "output fault", "lock now"],
)
def test_an_end_in_the_middle_is_off_first_and_the_first_members(event, end):
    world = handing()
    world.after(1 * S)
    out = event(world)
    assert out[:4] == ["off", "record ended s2 cancelled 0 + started s3", end, "signal ended"]
    assert "show go" not in out
    assert world.commit() == []
    assert sum(ended[2] for ended in world.ends()) == 61_000


def test_a_stop_in_the_middle_of_a_job_settles_the_handover_and_waits_for_the_job():
    world = handing(run_sense=True)
    world.running(True)
    assert world.stop() == ["record ended s2 cancelled 0 + started s3", "show finishing"]
    assert world.commit() == []
    assert world.running(False)[:2] == ["off", "record ended s3 button 0"]


def test_a_stop_in_the_middle_lets_the_fan_run_on():
    world = handing(run_on_ms=30 * S)
    assert world.stop() == ["record ended s2 cancelled 0 + started s3", "show run-on"]


def test_checkpoints_and_progress_wait_until_it_is_settled():
    world = World(handover=True, checkpoint_ms=1 * S).start("ada")
    world.after(15 * MIN - 1)
    world.tap("bob")
    world.ms += 2 * S
    assert world.do(vocabulary.Tick()) == []
    assert world.gate.deadline() == world.ms + 1 * S
    assert world.do(vocabulary.Committed(world.waiting.pop().token)) == ["show go"]


@pytest.mark.parametrize(
    ("badge", "reasons"),
    [
        ("eve", "training-missing,payment,in-use"),
        ("kid", "in-use"),
        ("stranger", "unknown-badge,in-use"),
    ],
)
def test_a_member_who_may_not_start_alone_takes_nothing_over(badge, reasons):
    world = World(handover=True).start("ada")
    assert world.tap(badge) == [f"record refused {reasons}", "signal refused"]


def test_nothing_is_handed_over_once_the_session_finishes():
    world = World(handover=True, run_sense=True).start("ada")
    world.running(True)
    world.stop()
    assert world.tap("bob")[0] == "record refused in-use"


def test_in_hold_mode_the_newcomers_card_must_stay():
    world = World(handover=True, mode=vocabulary.Mode.HOLD).start("ada")
    world.lift("ada")
    world.tap("bob")
    assert world.lift("bob")[0] == "record ended s2 cancelled 0 + started s3"
    assert world.after(10 * S)[:2] == ["off", "record ended s3 removed 10000"]


def test_in_hold_mode_the_first_members_card_may_leave_meanwhile():
    world = World(handover=True, mode=vocabulary.Mode.HOLD).start("ada")
    world.tap("bob")
    assert world.lift("ada") == []
    assert world.commit() == ["show go"]
    assert world.after(MIN) == []


def test_more_time_in_the_middle_is_the_first_members():
    world = handing(limit_ms=10 * MIN)
    assert world.do(vocabulary.Extend(MIN, "boss")) == ["signal extended"]
    assert world.signals[-1].ms == 10 * MIN


def test_each_of_two_sessions_has_the_energy_of_its_own_time_and_nothing_is_counted_twice():
    world = World(handover=True)
    world.do(vocabulary.EnergyCounted(1_000))
    world.start("ada")
    world.do(vocabulary.EnergyCounted(1_007))
    world.tap("bob")
    world.do(vocabulary.EnergyCounted(1_010))
    world.commit()
    world.do(vocabulary.EnergyCounted(1_012))
    world.tap("bob")
    world.commit()
    ended = [(fact.member, fact.energy_wh) for fact in world.facts if isinstance(fact, vocabulary.Ended)]
    assert ended == [("m-ada", 7), ("m-bob", 5)]
    world.start("ada")
    world.do(vocabulary.EnergyCounted(None))
    world.do(vocabulary.EnergyCounted(0))
    world.tap("ada")
    assert world.facts[-1].energy_wh is None, "what was interrupted is not known"


def test_a_handover_that_the_disk_delays_too_long_counts_no_energy_twice_and_loses_none():
    world = World(handover=True)
    world.do(vocabulary.EnergyCounted(0))
    world.start("ada")
    world.do(vocabulary.EnergyCounted(7))
    world.tap("bob")
    world.do(vocabulary.EnergyCounted(9))
    world.after(3 * S)  # the journal has not confirmed: Ada continues
    world.do(vocabulary.EnergyCounted(12))
    world.commit()
    world.tap("ada")
    ended = [(fact.member, fact.reason, fact.energy_wh) for fact in world.facts if isinstance(fact, vocabulary.Ended)]
    assert ended == [("m-ada", "handover", 7), ("m-bob", "start-timeout", None), ("m-ada", "badge", 5)]
