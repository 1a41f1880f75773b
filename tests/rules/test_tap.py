"""One tap: the two rules, each way in which a start is cancelled, and what a late disk may not do."""

from __future__ import annotations

import pytest

from fabgate.rules import power, vocabulary
from fabgate.rules.machine import Phase
from tests.rules.world import MIN, S, World


def test_power_goes_on_only_after_the_start_is_on_disk():
    world = World()
    assert world.tap("ada") == ["record started s1", "show wait"]
    assert (world.power, world.gate.state, world.phase) == (False, "starting", "await-journal")
    assert world.commit() == ["on", "show go"]
    assert (world.power, world.gate.state, world.phase) == (True, "active", "active")


def test_power_goes_off_before_anything_is_recorded():
    world = World().start()
    world.after(5 * MIN)
    assert world.tap("ada") == ["off", "record ended s1 badge 300000", "signal ended", "show free"]
    assert world.gate.state == "idle"


def test_the_record_says_who_when_and_by_what_right():
    world = World()
    world.tap("ada")
    assert world.facts == [
        vocabulary.Started("s1", "m-ada", "ada", vocabulary.Basis("grant", grant="g-1"), vocabulary.Mode.TAP)
    ]
    assert world.waiting[0].at == world.now
    assert [(signal.kind, signal.name, signal.lang) for signal in world.signals] == [("wait", "Ada", "fr")]


def test_stop_ends_like_a_tap():
    world = World().start()
    assert world.stop() == ["off", "record ended s1 button 0", "signal ended", "show free"]


def test_a_manager_stops_remotely_and_the_record_names_them():
    world = World().start()
    assert world.stop("m-boss") == ["off", "record ended s1 remote 0", "signal ended", "show free"]
    assert world.last == vocabulary.Ended("s1", "m-ada", "ada", vocabulary.EndReason.REMOTE, 0, 0, "m-boss")


def test_a_second_badge_of_the_same_member_ends_the_session():
    world = World().start("ada")
    assert world.tap("ada's phone")[0] == "off"


def test_the_badge_that_began_a_session_ends_it_even_when_it_is_unknown_now():
    world = World().start("ada")
    del world.people["ada"]
    assert world.tap("ada") == ["off", "record ended s1 badge 0", "signal ended", "show free"]


def test_another_card_is_refused_while_the_machine_is_used():
    world = World().start("ada")
    assert world.tap("bob") == ["record refused in-use", "signal refused"]
    assert world.power


def test_a_card_that_is_not_read_is_shown():
    world = World()
    assert world.do(vocabulary.Misread("two cards")) == ["signal misread"]
    assert world.signals[-1].detail == "two cards"


def test_stop_on_a_free_machine_does_nothing():
    assert World().stop() == []


def test_more_time_for_a_free_machine_does_nothing():
    assert World().do(vocabulary.Extend(MIN, "boss")) == []


def test_a_step_that_the_table_lacks_is_an_error_that_names_phase_and_step(monkeypatch):
    lacking = {key: phase for key, phase in power.TABLE.items() if key != (Phase.AWAIT_JOURNAL, power.Step.COMMITTED)}
    monkeypatch.setattr(power, "TABLE", lacking)
    world = World()
    world.tap("ada")
    with pytest.raises(LookupError, match="found the step 'on disk' in the phase 'await-journal'"):
        world.commit()
    assert not world.gate.powered


# --- each way to cancel a start ---

CANCELS = {
    "a second tap": lambda world: world.tap("ada"),
    "a tap of another": lambda world: world.tap("bob"),
    "an unknown badge": lambda world: world.tap("stranger"),
    "stop": lambda world: world.stop(),
    "stop from afar": lambda world: world.stop("boss"),
    "a new cause": lambda world: world.happens(vocabulary.Cause.READER),
    "an emergency stop": lambda world: world.happens(vocabulary.Cause.ESTOP),
    "a lock": lambda world: world.roster(lock=vocabulary.Lock("l", now=False)),
    "the end of the daemon": lambda world: world.do(vocabulary.Stopping()),
}


@pytest.mark.parametrize("cancel", CANCELS.values(), ids=CANCELS)
def test_a_start_that_was_cancelled_never_gets_power_however_late_the_disk(cancel):
    world = World()
    world.tap("ada")
    out = cancel(world)
    assert "record ended s1 cancelled 0" in out
    assert world.phase == "free"
    assert world.commit() == []
    assert not world.power


@pytest.mark.parametrize("cancel", CANCELS.values(), ids=CANCELS)
def test_waiting_for_a_supervisor_is_cancelled_without_a_trace(cancel):
    world = World()
    world.tap("kid")
    cancel(world)
    assert world.phase == "free"
    assert not any(isinstance(fact, vocabulary.Started | vocabulary.Ended) for fact in world.facts)


def test_a_start_whose_disk_takes_three_seconds_is_cancelled_with_a_signal():
    world = World()
    world.tap("ada")
    assert world.after(2_999) == []
    assert world.after(1) == ["record ended s1 start-timeout 0", "signal refused", "show free"]
    assert world.signals[-2].reasons == ("start-timeout",)
    assert world.commit() == []


def test_a_confirmation_that_is_late_by_a_stalled_loop_never_sets_power():
    world = World()
    world.tap("ada")
    world.ms += 3_000
    assert world.do(vocabulary.Committed(1)) == ["record ended s1 start-timeout 0", "signal refused", "show free"]


def test_a_confirmation_in_the_last_millisecond_counts():
    world = World()
    world.tap("ada")
    world.after(2_999)
    assert world.commit() == ["on", "show go"]


def test_the_confirmation_of_a_cancelled_start_does_not_power_the_next_one():
    world = World()
    world.tap("ada")
    world.tap("ada")
    assert world.tap("bob") == ["record started s2", "show wait"]
    assert world.do(vocabulary.Committed(1)) == []
    assert world.do(vocabulary.Committed(2)) == []
    assert not world.power
    assert world.do(vocabulary.Committed(3)) == ["on", "show go"]


CHANGES = {
    "gone": (lambda people: people.pop("ada"), "unknown-badge"),
    "blocked": (lambda people: people.update(ada=vocabulary.Barred(("blocked",), "m-ada")), "blocked"),
    "needs a supervisor now": (
        lambda people: people.update(ada=vocabulary.Member("m-ada", grant="g-1", supervised=True)),
        "supervisor-needed",
    ),
    "the badge is another person's now": (
        lambda people: people.update(ada=vocabulary.Member("m-new")),
        "unknown-badge",
    ),
}


@pytest.mark.parametrize(("change", "reason"), CHANGES.values(), ids=CHANGES)
def test_everything_is_decided_again_when_the_start_is_on_disk(change, reason):
    world = World()
    world.tap("ada")
    change(world.people)
    assert world.commit() == ["record ended s1 cancelled 0", f"record refused {reason}", "signal refused", "show free"]
    assert not world.power


@pytest.mark.parametrize(("change", "reason"), CHANGES.values(), ids=CHANGES)
def test_everything_is_decided_again_when_a_roster_comes_while_the_disk_is_slow(change, reason):
    world = World()
    world.tap("ada")
    change(world.people)
    assert world.roster() == ["record ended s1 cancelled 0", f"record refused {reason}", "signal refused", "show free"]
    assert world.commit() == []


def test_a_start_by_another_right_than_the_recorded_one_has_to_be_tapped_for_again():
    world = World()
    world.tap("ada")
    world.people["ada"] = vocabulary.Member("m-ada", "Ada", "fr", grant="g-new")
    assert world.commit() == ["record ended s1 cancelled 0", "signal refused", "show free"]
    assert world.signals[-2].reasons == ("start-timeout",)
    world.tap("ada")
    assert isinstance(world.last, vocabulary.Started)
    assert world.last.basis == vocabulary.Basis("grant", grant="g-new")


@pytest.mark.parametrize(
    ("lower", "limit"),
    [
        (lambda world: world.roster(limit_ms=10 * MIN), 10),
        (lambda world: world.roster(max_ms=20 * MIN), 20),
        (lambda world: world.people.update(ada=vocabulary.Member("m-ada", grant="g-1", limit_ms=5 * MIN)), 5),
    ],
    ids=["the machine's limit", "the longest", "the member's limit"],
)
def test_a_limit_that_is_lowered_while_the_disk_is_slow_holds(lower, limit):
    world = World(limit_ms=60 * MIN)
    world.tap("ada")
    lower(world)
    world.commit()
    assert world.signals[-1].ms == limit * MIN
    world.after(limit * MIN)
    assert not world.power


def test_a_limit_that_is_raised_while_the_disk_is_slow_holds_from_the_next_session_on():
    world = World(limit_ms=10 * MIN, max_ms=20 * MIN)
    world.tap("ada")
    world.people["ada"] = vocabulary.Member("m-ada", grant="g-1", limit_ms=30 * MIN)
    world.roster(limit_ms=60 * MIN, max_ms=120 * MIN)
    world.commit()
    assert world.signals[-1].ms == 10 * MIN
    world.do(vocabulary.Extend(60 * MIN, "boss"))
    world.do(vocabulary.Extend(60 * MIN, "boss"))
    assert world.signals[-1].ms == 20 * MIN


@pytest.mark.parametrize("mode", [vocabulary.Mode.TAP, vocabulary.Mode.TIMED, vocabulary.Mode.AUDIT])
@pytest.mark.parametrize("handover", [False, True])
def test_only_in_hold_mode_a_card_that_leaves_cancels_a_start(mode, handover):
    world = World(mode=mode, handover=handover)
    world.tap("ada")
    assert world.lift("ada") == []
    world.commit()
    assert world.phase == "active"
    if handover:
        world.tap("bob")
        assert world.lift("bob") == []
        world.commit()
        assert world.gate.session.member == "m-bob"


def test_a_window_that_closed_while_the_disk_was_slow_is_seen():
    world = World()
    world.people["ada"] = vocabulary.Member("m-ada", windows=(vocabulary.Window(frozenset({2}), 0, 12 * 60 + 1),))
    world.after(59 * S)
    world.tap("ada")
    world.after(1 * S)
    out = world.commit()
    assert out == ["record ended s1 cancelled 0", "record refused outside-hours", "signal refused", "show free"]


# --- checkpoints and progress ---


def test_a_checkpoint_is_replaced_every_half_minute():
    world = World(run_sense=True).start()
    world.running(True)
    world.ms += 30 * S
    assert world.gate.handle(vocabulary.Tick(), world.now) == [vocabulary.Checkpoint("s1", 30_000, 30_000, world.now)]
    assert world.gate.deadline() == world.ms + 30 * S


def test_a_long_session_records_its_progress_every_quarter_of_an_hour():
    world = World().start()
    world.after(31 * MIN)
    assert [fact for fact in world.facts if isinstance(fact, vocabulary.Progress)] == [
        vocabulary.Progress("s1", "m-ada", "ada", 15 * MIN, 0),
        vocabulary.Progress("s1", "m-ada", "ada", 30 * MIN, 0),
    ]


def test_work_is_counted_apart_from_power():
    world = World(run_sense=True).start()
    world.after(10 * S)
    world.running(True)
    world.after(20 * S)
    world.running(False)
    world.after(5 * S)
    world.tap("ada")
    assert world.ends() == [("s1", "badge", 35_000, 20_000)]


# --- the end of the daemon ---


def test_the_end_of_the_daemon_puts_off_first_from_every_phase():
    for begin, ended in PHASES:
        world = begin()
        out = world.do(vocabulary.Stopping())
        assert out[0] == "off"
        assert (["off", *ended], world.phase) == (out, "free")


def _phase(*steps, **options):
    def begin():
        world = World(**options)
        for step in steps:
            step(world)
        return world

    return begin


PHASES = [
    (_phase(), []),
    (_phase(lambda world: world.tap("kid")), ["show free"]),
    (_phase(lambda world: world.tap("ada")), ["record ended s1 cancelled 0", "show free"]),
    (_phase(World.start), ["record ended s1 restart 0", "signal ended", "show free"]),
    (
        _phase(World.start, lambda world: world.tap("bob"), handover=True),
        ["record ended s2 cancelled 0 + started s3", "record ended s3 restart 0", "signal ended", "show free"],
    ),
    (
        _phase(World.start, lambda world: world.running(True), World.stop, run_sense=True),
        ["record ended s1 restart 0", "signal ended", "show free"],
    ),
    (
        _phase(World.start, lambda world: world.stop("boss"), run_on_ms=MIN),
        ["record ended s1 restart 0", "signal ended", "show free"],
    ),
]


def test_a_restart_has_no_actor():
    world = PHASES[-1][0]()
    world.do(vocabulary.Stopping())
    assert isinstance(world.last, vocabulary.Ended)
    assert world.last.actor is None
