"""Limit, warning, more time; idling; the running job that is never cut; the fan that runs on."""

from __future__ import annotations

import pytest

from fabgate.rules import vocabulary
from tests.rules.world import MIN, H, S, World


def test_a_session_is_warned_and_ends_at_its_limit():
    world = World(limit_ms=60 * MIN).start()
    assert world.after(58 * MIN) == ["show warning"]
    assert world.signals[-1].ms == 2 * MIN
    assert world.after(2 * MIN) == ["off", "record ended s1 limit 3600000", "signal ended", "show free"]


def test_a_tap_after_the_warning_extends_and_the_next_one_ends():
    world = World(limit_ms=60 * MIN).start()
    world.after(59 * MIN)
    assert world.tap("ada") == ["signal extended", "show go"]
    assert world.signals[-1].ms == 60 * MIN
    assert world.after(57 * MIN) == []
    assert world.tap("ada")[0] == "off"


def test_a_short_limit_warns_in_its_last_quarter_so_that_a_tap_can_still_end():
    world = World(limit_ms=MIN).start()
    assert world.after(44_999) == []
    assert world.after(1) == ["show warning"]


def test_a_members_own_limit_goes_before_the_machines():
    world = World(limit_ms=60 * MIN)
    world.people["ada"] = vocabulary.Member("m-ada", limit_ms=10 * MIN)
    world.start()
    assert world.after(10 * MIN) == ["show warning", "off", "record ended s1 limit 600000", "signal ended", "show free"]


def test_nothing_extends_beyond_the_longest_and_then_a_tap_ends():
    world = World(limit_ms=60 * MIN, max_ms=70 * MIN).start()
    world.after(59 * MIN)
    assert world.tap("ada") == ["signal extended", "show go"]
    assert world.signals[-1].ms == 11 * MIN
    world.after(9 * MIN)
    assert world.signals[-1].kind is vocabulary.SignalKind.WARNING
    assert world.tap("ada") == ["off", "record ended s1 badge 4080000", "signal ended", "show free"]


def test_at_the_longest_a_tap_ends_an_idle_machine_too():
    world = World(run_sense=True, limit_ms=60 * MIN, max_ms=60 * MIN, idle_off_ms=4 * H).start()
    world.after(59 * MIN)
    assert world.tap("ada")[0] == "off"


def test_a_limit_above_the_longest_is_the_longest():
    world = World(limit_ms=5 * H, max_ms=1 * H).start()
    assert "record ended s1 limit 3600000" in world.after(1 * H)


def test_a_warning_longer_than_the_idle_time_lets_a_tap_end_at_the_longest():
    world = World(run_sense=True, limit_ms=60 * MIN, max_ms=60 * MIN, warn_ms=10 * MIN, idle_off_ms=5 * MIN).start()
    for _ in range(12):
        world.after(4 * MIN)
        if world.signals[-1].kind is vocabulary.SignalKind.WARNING:
            world.tap("ada")
    world.after(3 * MIN)
    assert world.signals[-1].kind is vocabulary.SignalKind.WARNING
    assert world.tap("ada")[:2] == ["off", "record ended s1 badge 3060000"]


@pytest.mark.parametrize("max_ms", [60 * MIN, 61 * MIN, 90 * MIN, 24 * H])
@pytest.mark.parametrize("idle_off_ms", [None, 1 * MIN, 5 * MIN, 30 * MIN])
@pytest.mark.parametrize("warn_ms", [0, 2 * MIN, 10 * MIN, 2 * H])
def test_of_two_taps_in_a_row_the_second_ends_at_the_latest(max_ms, idle_off_ms, warn_ms):
    rules = {"limit_ms": 60 * MIN, "max_ms": max_ms, "idle_off_ms": idle_off_ms, "warn_ms": warn_ms}
    for minute in range(1, 62):
        world = World(run_sense=True, **rules).start()
        world.running(True)
        world.after(minute * MIN - 30 * S)
        world.running(False)
        world.after(45 * S)
        if world.power:
            world.tap("ada")
            world.after(5 * S)
        if world.power:
            world.tap("ada")
        assert not world.power, minute


def test_a_manager_gives_more_time_up_to_a_limit_at_once_and_the_longest_in_all():
    world = World(limit_ms=60 * MIN, max_ms=130 * MIN).start()
    world.after(30 * MIN)
    for by_ms, given, left in [(10 * MIN, 10, 40), (10 * H, 60, 100)]:
        assert world.gate.extension_ms(by_ms) == given * MIN
        assert world.do(vocabulary.Extend(by_ms, "boss")) == ["signal extended"]
        assert world.signals[-1].ms == left * MIN
    assert world.gate.extension_ms(MIN) == 0
    assert world.do(vocabulary.Extend(MIN, "boss")) == []
    assert "record ended s1 limit 7800000" in world.after(100 * MIN)


def test_a_short_extension_is_warned_of_at_once():
    world = World(limit_ms=60 * MIN).start()
    world.after(59 * MIN)
    assert world.do(vocabulary.Extend(30 * S, "boss")) == ["signal extended"]
    assert (world.signals[-1].kind, world.signals[-1].ms) == (vocabulary.SignalKind.WARNING, 90 * S)


# --- idling ---


def idler(**rules):
    return World(run_sense=True, idle_off_ms=15 * MIN, **rules).start()


def test_a_machine_that_idles_is_warned_of_and_switched_off():
    world = idler()
    assert world.after(13 * MIN) == ["show warning"]
    assert world.after(2 * MIN) == ["off", "record ended s1 idle 900000", "signal ended", "show free"]


def test_work_ends_the_idling_and_its_warning():
    world = idler()
    world.after(14 * MIN)
    world.running(True)
    assert world.after(60 * MIN) == []
    world.running(False)
    assert world.after(13 * MIN) == ["show warning"]


def test_a_tap_after_the_warning_restarts_the_idle_time():
    world = idler()
    world.after(14 * MIN)
    assert world.tap("ada") == ["signal extended", "show go"]
    assert world.after(13 * MIN - 1) == []
    assert world.after(1) == ["show warning"]


def test_a_machine_that_warms_up_does_not_idle():
    world = idler(warm_up_ms=20 * MIN)
    world.running(True)
    world.running(False)
    assert world.after(33 * MIN - 1) == []
    assert world.after(1) == ["show warning"]


def test_an_input_that_reports_the_same_twice_does_not_restart_the_idle_time():
    world = idler()
    for _ in range(14):
        world.after(MIN)
        assert world.running(False) == []
    assert world.after(MIN)[0] == "off"


def test_without_an_input_a_machine_never_counts_as_idle():
    world = World(idle_off_ms=MIN).start()
    assert world.after(60 * MIN) == []


def test_the_warning_of_a_limit_stays_when_work_begins():
    world = World(run_sense=True, limit_ms=60 * MIN).start()
    world.after(59 * MIN)
    world.running(True)
    assert world.after(30 * S) == []
    assert world.tap("ada") == ["signal extended", "show go"]


def test_an_idle_time_that_a_roster_shortens_counts_from_now():
    world = idler()
    world.after(10 * MIN)
    assert world.roster(idle_off_ms=5 * MIN) == []
    assert world.after(3 * MIN + 45 * S) == ["show warning"]
    assert world.roster(idle_off_ms=6 * MIN) == ["show go"]
    assert world.after(6 * MIN) == ["show warning", "off", "record ended s1 idle 1185000", "signal ended", "show free"]


# --- a running job is never cut ---


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (lambda world: world.tap("ada"), "badge"),
        (lambda world: world.stop(), "button"),
        (lambda world: world.stop("boss"), "remote"),
        (lambda world: world.after(12 * H), "limit"),
        (lambda world: world.roster(lock=vocabulary.Lock("l", now=False)), "lock"),
        (lambda world: world.do(vocabulary.CheckpointLate()), "fault"),
        (lambda world: (world.people.pop("ada"), world.roster())[1], "revoked"),
    ],
    ids=["tap", "stop", "remote stop", "limit", "lock", "journal", "revoked"],
)
def test_power_is_held_until_a_running_job_has_ended(end, reason):
    world = World(run_sense=True).start()
    world.running(True)
    assert end(world)[-1] == "show finishing"
    assert (world.power, world.gate.state) == (True, "finishing")
    assert world.tap("ada") == ["signal finishing"]
    assert world.stop() == ["signal finishing"]
    refusal = world.tap("bob")[0]
    assert refusal.startswith("record refused")
    assert refusal.endswith("in-use")
    world.after(MIN)
    assert world.running(False)[0] == "off"
    assert world.ends()[-1][1] == reason


def test_a_job_that_never_ends_has_power_for_four_hours_at_most():
    world = World(run_sense=True).start()
    world.running(True)
    world.stop()
    assert world.after(4 * H - 1) == []
    assert world.after(1) == ["off", "record ended s1 button 14400000", "signal ended", "show free"]


def test_a_machine_whose_rules_say_so_is_cut_in_its_job():
    world = World(run_sense=True, finishes_jobs=False).start()
    world.running(True)
    assert world.stop()[0] == "off"


@pytest.mark.parametrize("end", [lambda world: world.tap("ada"), lambda world: world.stop()], ids=["tap", "stop"])
def test_without_an_input_an_end_from_elsewhere_waits_for_the_members_word(end):
    world = World(run_on_ms=MIN).start()
    assert world.roster(lock=vocabulary.Lock("l", now=False)) == ["record blocked lock-idle", "show finishing"]
    assert end(world) == ["show run-on"]
    assert world.after(MIN) == ["off", "record ended s1 lock 60000", "signal ended", "show blocked"]


@pytest.mark.parametrize(
    "end",
    [
        lambda world: world.roster(lock=vocabulary.Lock("l", now=False)),
        lambda world: world.do(vocabulary.CheckpointLate()),
        lambda world: (world.people.update(ada=vocabulary.Barred(("payment-due",), "m-ada")), world.roster())[1],
    ],
    ids=["lock", "journal", "blocked"],
)
def test_without_an_input_no_end_from_elsewhere_makes_a_session_longer_than_its_limit(end):
    world = World(limit_ms=60 * MIN).start()
    world.after(20 * MIN)
    assert end(world)[-1] == "show finishing"
    assert (world.signals[-1].ms, world.signals[-1].detail) == (40 * MIN, vocabulary.UNFELT)
    assert world.after(40 * MIN - 1) == []
    assert world.after(1)[0] == "off"
    assert world.ends()[-1][2] == 60 * MIN


def test_without_an_input_a_long_limit_leaves_no_more_time_than_a_job_may_take():
    world = World(limit_ms=12 * H, max_ms=12 * H).start()
    world.roster(lock=vocabulary.Lock("l", now=False))
    assert world.signals[-1].ms == 4 * H
    assert world.after(4 * H)[0] == "off"


def test_without_an_input_the_members_own_end_means_that_no_job_runs():
    assert World().start().tap("ada")[0] == "off"


# --- the fan ---


def test_the_fan_runs_on_and_counts_as_power_but_never_as_work():
    world = World(run_sense=True, run_on_ms=30 * S).start()
    world.running(True)
    world.after(10 * S)
    world.stop()
    world.after(5 * S)
    assert world.running(False) == ["show run-on"]
    assert (world.phase, world.gate.state) == ("run-on", "finishing")
    assert world.after(30 * S) == ["off", "record ended s1 button 45000", "signal ended", "show free"]
    assert world.ends() == [("s1", "button", 45_000, 15_000)]


def test_stop_ends_the_fan():
    world = World(run_on_ms=30 * S).start()
    assert world.stop() == ["show run-on"]
    assert world.stop() == ["off", "record ended s1 button 0", "signal ended", "show free"]


@pytest.mark.parametrize("badge", ["ada", "bob"])
def test_the_next_member_does_not_wait_for_the_fan(badge):
    world = World(run_on_ms=30 * S).start()
    world.tap("ada")
    assert world.tap(badge) == ["off", "record ended s1 badge 0", "signal ended", "record started s2", "show wait"]
    assert world.commit() == ["on", "show go"]


def test_a_supervisor_ends_the_fan_for_a_guest():
    world = World(run_on_ms=30 * S, sponsor=True).start()
    world.tap("ada")
    world.tap("stranger")
    assert world.tap("sue")[-2:] == ["record started s2", "show wait"]
    assert isinstance(world.last, vocabulary.Started)
    assert world.last.badge == "stranger"


@pytest.mark.parametrize("badge", ["eve", "stranger", "kid"])
def test_a_member_who_may_not_start_alone_does_not_stop_the_fan(badge):
    world = World(run_on_ms=30 * S).start()
    world.tap("ada")
    refusal = world.tap(badge)[0]
    assert refusal.startswith("record refused")
    assert refusal.endswith("in-use")
    assert world.power


def test_a_job_that_begins_while_the_fan_runs_is_finished_too():
    world = World(run_sense=True, run_on_ms=30 * S, finish_max_ms=60 * S).start()
    world.stop()
    world.after(10 * S)
    assert world.running(True) == ["show finishing"]
    assert world.phase == "finishing-job"
    world.after(40 * S)
    assert world.running(False) == ["show run-on"]
    assert world.after(30 * S) == ["off", "record ended s1 button 80000", "signal ended", "show free"]
    assert world.ends() == [("s1", "button", 80_000, 40_000)]


def test_no_toggling_of_the_input_keeps_power_beyond_job_and_fan():
    world = World(run_sense=True, run_on_ms=30 * S, finish_max_ms=60 * S).start()
    world.stop()
    on = False
    for _ in range(200):
        on = not on
        world.running(on)
        world.after(1 * S)
    # The job counts as ended at 59 s; at 60 s it may not begin again; the fan has its 30 s.
    assert world.ends()[0][:3] == ("s1", "button", 89_000)


def test_a_job_that_begins_too_late_or_on_a_machine_that_cuts_does_not_count():
    world = World(run_sense=True, run_on_ms=30 * S, finishes_jobs=False).start()
    world.stop()
    assert world.running(True) == []
    assert world.phase == "run-on"
    world.after(30 * S)
    assert world.ends() == [("s1", "button", 30_000, 0)]


def test_power_always_has_a_deadline_even_if_the_member_never_comes_back():
    world = World(run_sense=True, run_on_ms=MIN).start()
    world.running(True)
    world.after(12 * H + 4 * H + MIN)
    assert world.ends() == [("s1", "limit", 16 * H + MIN, 16 * H)]


def test_a_stalled_loop_catches_up_at_the_next_event():
    world = World(run_sense=True, run_on_ms=MIN).start()
    world.running(True)
    world.ms += 13 * H
    assert world.do(vocabulary.Misread("torn"))[-1] == "show finishing"
    assert world.gate.deadline() > world.ms
    world.after(4 * H)
    assert world.ends() == [("s1", "limit", 16 * H + MIN, 16 * H)]


@pytest.mark.parametrize("run_sense", [True, False])
@pytest.mark.parametrize("ends", ["by itself", "by a lock"])
def test_a_loop_that_stalled_beyond_every_deadline_gives_no_more_time(run_sense: bool, ends: str):
    world = World(run_sense=run_sense, run_on_ms=MIN).start()
    world.running(run_sense)
    if ends == "by a lock":
        world.roster(lock=vocabulary.Lock("l", now=False))
    world.ms += 20 * H
    assert world.do(vocabulary.Misread("torn"))[0] == "off"
