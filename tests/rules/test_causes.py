"""What forbids use, and what it does in each phase; locks, rosters and people that change in mid-session."""

from __future__ import annotations

import pytest

from fabgate.rules import vocabulary
from tests.rules.world import MIN, S, World

CUT = sorted(vocabulary.CUT)
HOLD = sorted(set(vocabulary.Cause) - vocabulary.CUT)


def idle():
    return World()


def await_supervisor():
    world = World()
    world.tap("kid")
    return world


def await_journal():
    world = World()
    world.tap("ada")
    return world


def active():
    return World(run_sense=True).start()


def active_hold():
    return World(run_sense=True, mode=vocabulary.Mode.HOLD).start()


def handing_over():
    world = World(handover=True, run_sense=True).start()
    world.tap("bob")
    return world


def finishing_job():
    world = active()
    world.running(True)
    world.stop()
    return world


def run_on():
    world = World(run_on_ms=MIN).start()
    world.stop()
    return world


POWERED = [active, active_hold, handing_over, finishing_job, run_on]
UNPOWERED = [idle, await_supervisor, await_journal]


@pytest.mark.parametrize("begin", POWERED)
@pytest.mark.parametrize("cause", CUT)
def test_a_cut_puts_off_before_anything_else_from_every_phase_with_power(begin, cause):
    world = begin()
    out = world.happens(cause)
    assert out[0] == "off"
    assert out.count("off") == 1
    assert out[-3].endswith(f" 0 + blocked {cause}")
    assert out[-2:] == ["signal ended", "show blocked"]
    assert world.phase == "free"
    assert world.ends()[-1][1] == ("lock" if cause is vocabulary.Cause.LOCK_NOW else "fault")
    assert world.commit() == []
    assert world.tap("ada")[0].startswith(f"record refused blocked-{cause}")


@pytest.mark.parametrize("begin", UNPOWERED)
@pytest.mark.parametrize("cause", CUT)
def test_a_cut_orders_off_in_every_phase_without_power_too(begin, cause):
    world = begin()
    out = world.happens(cause)
    assert (out[0], out[-2:]) == ("off", [f"record blocked {cause}", "show blocked"])
    assert world.phase == "free"
    assert world.commit() == []


@pytest.mark.parametrize("begin", UNPOWERED)
@pytest.mark.parametrize("cause", HOLD)
def test_a_hold_cancels_what_starts_and_forbids_the_next(begin, cause):
    world = begin()
    out = world.happens(cause)
    assert out[-2:] == [f"record blocked {cause}", "show blocked"]
    assert world.phase == "free"
    assert world.commit() == []
    assert world.tap("ada") == [f"record refused blocked-{cause}", "signal refused"]


@pytest.mark.parametrize("begin", [active, active_hold, handing_over])
@pytest.mark.parametrize("cause", sorted(vocabulary.END_WITH_NOTICE))
def test_a_lock_after_the_job_ends_a_session_that_runs_no_job_after_a_notice(begin, cause):
    world = begin()
    assert f"record blocked {cause}" in world.happens(cause)
    assert (world.phase, world.power) == ("active", True)
    assert "off" in world.after(2 * MIN)
    assert world.phase == "free"
    assert world.ends()[-1][1] == "lock"


@pytest.mark.parametrize("begin", [active, active_hold, handing_over])
@pytest.mark.parametrize("sick_before", [False, True])
def test_a_session_without_a_checkpoint_ends_and_one_failed_write_alone_ends_none(begin, sick_before):
    world = begin()
    if sick_before:
        assert "off" not in world.happens(vocabulary.Cause.JOURNAL)
    out = world.do(vocabulary.CheckpointLate("the disk does not answer"))
    assert "off" in out
    assert ("record blocked journal" in out) is not sick_before
    assert world.phase == "free"
    assert world.ends()[-1][1] == "fault"
    assert world.tap("ada") == ["record refused blocked-journal", "signal refused"]
    assert world.do(vocabulary.CheckpointLate("the disk does not answer")) == []


@pytest.mark.parametrize("begin", [active, handing_over])
@pytest.mark.parametrize("cause", sorted(set(HOLD) - vocabulary.END_WITH_NOTICE))
def test_the_other_holds_leave_a_running_session_alone(begin, cause):
    world = begin()
    out = world.happens(cause)
    assert "off" not in out
    assert (world.power, world.phase) == (True, "active")
    assert world.tap("ada")[0] == "off"
    assert world.tap("ada") == [f"record refused blocked-{cause}", "signal refused"]


@pytest.mark.parametrize("begin", [finishing_job, run_on])
@pytest.mark.parametrize("cause", HOLD)
def test_a_hold_changes_nothing_for_what_is_ending_already(begin, cause):
    world = begin()
    phase = world.phase
    assert world.happens(cause) == [f"record blocked {cause}"]
    assert (world.phase, world.power) == (phase, True)


@pytest.mark.parametrize("cause", vocabulary.Cause)
def test_nothing_starts_when_a_cause_is_cleared(cause):
    world = World().start()
    world.happens(cause)
    world.stop()
    assert world.is_over(cause, "m-max") == [f"record cleared {cause}", "show free"]
    assert world.last == vocabulary.Cleared(cause, "m-max")
    assert world.after(60 * MIN) == []
    assert not world.power
    assert world.start().power


def test_a_cause_that_is_raised_or_cleared_twice_is_recorded_once():
    world = World()
    assert world.happens(vocabulary.Cause.READER, "no answer") == ["record blocked reader", "show blocked"]
    assert world.happens(vocabulary.Cause.READER, "wrong chip") == []
    assert world.is_over(vocabulary.Cause.READER) == ["record cleared reader", "show free"]
    assert world.is_over(vocabulary.Cause.READER) == []


def test_of_several_causes_the_worst_is_shown_with_its_latest_words():
    world = World()
    world.happens(vocabulary.Cause.READER, "no answer")
    world.happens(vocabulary.Cause.ESTOP, "pressed")
    world.happens(vocabulary.Cause.STALE)
    assert world.gate.causes == [vocabulary.Cause.ESTOP, vocabulary.Cause.READER, vocabulary.Cause.STALE]
    assert (world.signals[-1].reasons, world.signals[-1].detail) == (("estop",), "pressed")
    world.happens(vocabulary.Cause.READER, "wrong chip")
    world.is_over(vocabulary.Cause.ESTOP)
    assert (world.signals[-1].kind, world.signals[-1].reasons, world.signals[-1].detail) == (
        "blocked",
        ("reader",),
        "wrong chip",
    )


def test_a_cause_that_ends_during_a_session_is_only_recorded():
    world = World().start()
    world.happens(vocabulary.Cause.JOURNAL_FULL)
    assert world.is_over(vocabulary.Cause.JOURNAL_FULL) == ["record cleared journal-full"]


def test_an_emergency_stop_replaces_the_reason_of_a_remote_stop():
    world = active()
    world.running(True)
    world.stop("boss")
    world.happens(vocabulary.Cause.ESTOP)
    ended = world.facts[-2]
    assert isinstance(ended, vocabulary.Ended)
    assert (ended.reason, ended.actor) == (vocabulary.EndReason.FAULT, None)


def test_without_an_input_a_dead_reader_leaves_button_limit_and_more_time():
    world = World(limit_ms=60 * MIN).start()
    world.happens(vocabulary.Cause.READER)
    assert world.after(58 * MIN) == ["show warning"]
    world.do(vocabulary.Extend(MIN, "boss"))
    assert world.stop()[0] == "off"


# --- locks and rosters ---


def test_a_lock_now_cuts_and_shows_what_the_manager_typed():
    world = World().start()
    out = world.roster(lock=vocabulary.Lock("l", now=True, reason="belt broken"))
    assert out == ["off", "record ended s1 lock 0 + blocked lock-now", "signal ended", "show blocked"]
    assert world.signals[-1].detail == "belt broken"
    assert world.roster(lock=None) == ["record cleared lock-now", "show free"]


def test_a_lock_that_changes_its_kind_is_never_open_in_between():
    world = World()
    world.roster(lock=vocabulary.Lock("l", now=False))
    assert world.roster(lock=vocabulary.Lock("l", now=True)) == [
        "off",
        "record blocked lock-now",
        "record cleared lock-idle",
    ]
    assert world.gate.shown.reasons == (vocabulary.Cause.LOCK_NOW,)


def test_a_lock_after_the_job_holds_a_running_job_and_then_locks():
    world = active()
    world.running(True)
    assert world.roster(lock=vocabulary.Lock("l", now=False)) == ["record blocked lock-idle", "show finishing"]
    assert world.running(False) == ["off", "record ended s1 lock 0", "signal ended", "show blocked"]
    assert world.tap("ada") == ["record refused blocked-lock-idle", "signal refused"]


def test_an_old_roster_blocks_only_a_machine_that_is_strict_about_it():
    world = World()
    assert world.roster(stale=True) == []
    world.tap("ada")
    assert isinstance(world.last, vocabulary.Started)
    assert world.last.basis.stale_roster
    world.commit()
    assert world.roster(stale=True, refuses_when_stale=True) == ["record blocked stale"]
    assert world.power
    world.stop()
    assert world.tap("ada")[0] == "record refused blocked-stale"
    assert world.roster(stale=False) == ["record cleared stale", "show free"]


@pytest.mark.parametrize(
    "change",
    [
        lambda people: people.pop("ada"),
        lambda people: people.update(ada=vocabulary.Barred(("blocked",), "m-ada")),
        lambda people: people.update(ada=vocabulary.Member("m-new")),
    ],
    ids=["gone", "blocked", "the badge is another person's now"],
)
def test_a_member_who_is_blocked_in_mid_session_is_ended_once_the_job_is_done(change):
    world = active()
    world.running(True)
    change(world.people)
    assert world.roster() == ["show finishing"]
    assert world.roster() == []
    world.after(5 * S)
    assert world.running(False) == ["off", "record ended s1 revoked 5000", "signal ended", "show free"]


def test_without_an_input_a_window_that_closes_in_mid_session_is_seen_at_the_next_checkpoint():
    world = World()
    world.people["ada"] = vocabulary.Member("m-ada", windows=(vocabulary.Window(frozenset({2}), 0, 12 * 60 + 5),))
    world.start()
    world.after(10 * S)
    assert world.after(5 * MIN) == ["show finishing"]


def test_a_clock_that_is_lost_in_mid_session_ends_nothing():
    world = World(run_sense=True, refuses_when_stale=True).start()
    world.synced = False
    assert world.after(5 * MIN) == []
    world.stop()
    assert world.tap("ada")[0] == "record refused clock-unknown"


def test_a_maintainers_session_on_a_flagged_machine_is_not_revoked_by_the_flag():
    world = World(latched=["flag"]).start("max")
    assert world.roster() == []
    assert world.after(5 * MIN) == []


def test_new_rules_apply_to_a_running_session():
    world = active()
    world.running(True)
    world.roster(finishes_jobs=False)
    assert world.stop()[0] == "off"
    assert world.gate.rules.finishes_jobs is False


def test_a_roster_in_the_middle_of_a_start_does_not_stop_it():
    world = await_journal()
    assert world.roster(limit_ms=MIN) == []
    assert world.commit() == ["on", "show go"]
