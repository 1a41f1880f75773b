"""The notice of a lock "after the job", of closing time, and of a membership or training that ends (decision 52)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fabgate.rules import vocabulary
from fabgate.rules.access import OUTSIDE_HOURS, decide, times_end
from tests.rules.world import MIN, H, S, World

KIND = vocabulary.SignalKind
LOCK = vocabulary.Lock("l", now=False)
#: Every day until 12:05; each world begins at noon.
UNTIL_FIVE_PAST = (vocabulary.Window(frozenset(range(1, 8)), 0, 12 * 60 + 5),)


def lock(world: World) -> None:
    world.roster(lock=LOCK)


def close(world: World) -> None:
    """Let a roster close the workshop now."""
    hours = (vocabulary.Window(frozenset(range(1, 8)), 0, 60),)
    world.people["ada"] = vocabulary.Member("m-ada", "Ada", windows=hours)
    world.roster()


def lapse(world: World) -> None:
    world.people["ada"] = vocabulary.Barred(("training-expired",), "m-ada")
    world.roster()


def expire(world: World) -> None:
    world.people["ada"] = vocabulary.Member("m-ada", "Ada", valid_until=date(2026, 11, 23))
    world.roster()


def leave(world: World) -> None:
    """Let the day come that the roster named for a departure."""
    world.people["ada"] = vocabulary.Member("m-ada", "Ada", valid_until=date(2026, 11, 23), until_reason="no-access")
    world.roster()


def block(world: World) -> None:
    world.people["ada"] = vocabulary.Barred(("payment-due", "training-expired"), "m-ada")
    world.roster()


CAUSES = [lock, close, lapse, expire, leave]
each_cause = pytest.mark.parametrize("cause", CAUSES)
Cause = Callable[[World], None]


def still(**rules: object) -> World:
    """A session on a machine whose input reports that it stands still."""
    return World(run_sense=True, **rules).start()  # type: ignore[arg-type]


@each_cause
@pytest.mark.parametrize(("warn_ms", "notice_ms"), [(0, 30 * S), (45 * S, 45 * S), (2 * MIN, 2 * MIN), (H, 2 * MIN)])
def test_a_machine_that_stands_still_keeps_its_power_for_the_notice(cause: Cause, warn_ms: int, notice_ms: int) -> None:
    world = still(warn_ms=warn_ms)
    cause(world)
    assert world.power
    assert (world.panel.kind, world.panel.detail) == (KIND.WARNING, vocabulary.DEADLINE)
    assert world.signals[-1].ms == notice_ms
    assert world.after(notice_ms - 1) == []
    reason = "lock" if cause is lock else "revoked"
    assert world.after(1)[:2] == ["off", f"record ended s1 {reason} {notice_ms}"]


def test_the_notice_says_why() -> None:
    for cause, why in zip(
        CAUSES, ["lock-idle", "outside-hours", "training-expired", "expired", "no-access"], strict=True
    ):
        world = still()
        cause(world)
        assert world.panel.reasons == (why,)


@each_cause
def test_without_an_input_nothing_waits_for_a_notice(cause: Cause) -> None:
    world = World().start()
    cause(world)
    assert world.phase == "finishing-job"
    assert world.gate.session is not None
    assert world.gate.session.term.deadline_at is None
    world = World(finishes_jobs=False).start()
    cause(world)
    assert not world.power


@each_cause
def test_a_job_that_ran_when_the_cause_came_ends_at_its_standstill(cause: Cause) -> None:
    world = still()
    world.running(True)
    cause(world)
    assert world.phase == "finishing-job"
    assert world.panel.kind is KIND.FINISHING
    assert world.after(3 * H) == []
    assert world.running(False)[0] == "off"


@each_cause
def test_a_job_that_begins_after_the_cause_is_cut_at_the_deadline(cause: Cause) -> None:
    world = still(run_on_ms=MIN)
    cause(world)
    world.after(10 * S)
    world.running(True)
    assert world.after(2 * MIN - 10 * S - 1) == []
    assert world.after(1)[0] == "off"


@each_cause
def test_a_job_that_begins_after_the_cause_and_ends_before_the_deadline_is_not_spared(cause: Cause) -> None:
    world = still()
    cause(world)
    for on in (True, False, True):
        world.after(10 * S)
        world.running(on)
    assert world.after(90 * S - 1) == []
    assert world.after(1)[0] == "off"


@each_cause
def test_once_the_spared_job_stands_still_the_next_one_is_cut(cause: Cause) -> None:
    world = still(run_on_ms=5 * MIN)
    world.running(True)
    cause(world)
    world.after(10 * S)
    assert world.running(False) == ["show run-on"]
    world.running(True)
    assert world.after(110 * S - 1) == []
    assert world.after(1)[0] == "off"
    world = still(run_on_ms=5 * MIN)
    world.running(True)
    cause(world)
    world.after(H)
    world.running(False)
    assert world.running(True)[0] == "off", "the deadline has passed long ago"


def test_the_fan_runs_on_after_the_deadline_but_only_while_the_machine_stands_still() -> None:
    world = still(run_on_ms=5 * MIN)
    lock(world)
    assert world.after(2 * MIN) == ["show run-on"]
    assert world.after(5 * MIN)[0] == "off"
    world = still(run_on_ms=5 * MIN)
    lock(world)
    world.after(3 * MIN)
    assert world.running(True)[0] == "off"


def test_a_cause_that_comes_while_the_fan_runs_counts_for_a_job_that_begins_then() -> None:
    world = still(run_on_ms=5 * MIN)
    world.tap("ada")
    world.lift("ada")
    lock(world)
    world.after(MIN)
    assert world.running(True) == ["show warning"]
    assert world.after(MIN - 1) == []
    assert world.after(1)[0] == "off"
    world = still(run_on_ms=5 * MIN, finishes_jobs=False)
    world.stop()
    lock(world)
    world.running(True)
    assert (world.panel.kind, world.signals[-1].ms) == (KIND.RUN_ON, 2 * MIN)
    assert world.after(2 * MIN)[0] == "off"


@each_cause
@pytest.mark.parametrize("mode", [vocabulary.Mode.TAP, vocabulary.Mode.TIMED])
@pytest.mark.parametrize("end", ["tap", "another badge", "stop"])
def test_a_tap_or_the_stop_button_ends_at_once(cause: Cause, mode: vocabulary.Mode, end: str) -> None:
    world = still(mode=mode, limit_ms=10 * MIN)
    world.after(9 * MIN)  # the limit is near, so a tap would extend the session
    world.people["ada's phone"] = vocabulary.Member("m-ada", "Ada")
    cause(world)
    out = world.stop() if end == "stop" else world.tap("ada" if end == "tap" else "ada's phone")
    assert out[0] == "off"


@each_cause
def test_the_job_of_the_notice_that_a_tap_ends_is_cut_at_the_deadline_too(cause: Cause) -> None:
    world = still()
    cause(world)
    world.running(True)
    world.after(MIN)
    world.tap("ada")
    world.lift("ada")
    assert (world.phase, world.panel.kind, world.panel.detail) == ("finishing-job", KIND.WARNING, vocabulary.DEADLINE)
    assert world.after(MIN - 1) == []
    assert world.after(1)[:2] == ["off", "record ended s1 badge 120000"]


@each_cause
def test_in_hold_mode_a_card_that_is_put_back_postpones_nothing(cause: Cause) -> None:
    world = still(mode=vocabulary.Mode.HOLD)
    cause(world)
    world.after(MIN)
    world.lift("ada")
    world.after(5 * S)
    world.tap("ada")
    assert world.power
    assert world.after(55 * S)[0] == "off"


@each_cause
def test_no_remote_time_and_no_new_cause_postpones_the_deadline(cause: Cause) -> None:
    for other in CAUSES:
        world = still(limit_ms=H)
        cause(world)
        world.after(MIN)
        assert world.gate.extension_ms(H) == 0
        assert world.do(vocabulary.Extend(H, "boss")) == []
        other(world)
        world.roster(warn_ms=H, idle_off_ms=H, lock=world.rules.lock)
        assert world.after(MIN - 1) == []
        assert world.after(1)[0] == "off"


@each_cause
def test_a_new_cause_does_not_spare_a_job_of_the_notice(cause: Cause) -> None:
    for other in CAUSES:
        world = still()
        cause(world)
        world.running(True)
        other(world)
        world.after(2 * MIN)
        assert not world.power


@each_cause
def test_what_ends_a_session_earlier_still_does(cause: Cause) -> None:
    world = still(limit_ms=10 * MIN)
    world.after(9 * MIN)
    cause(world)
    assert world.signals[-1].ms == MIN
    assert world.after(MIN)[1] == "record ended s1 limit 600000"
    world = still(idle_off_ms=10 * MIN)
    world.after(9 * MIN)
    cause(world)
    assert world.after(MIN)[1] == "record ended s1 idle 600000"
    world = still(mode=vocabulary.Mode.HOLD)
    cause(world)
    world.lift("ada")
    assert world.panel.kind is KIND.GRACE
    assert world.after(10 * S)[1] == "record ended s1 removed 10000"


@each_cause
@pytest.mark.parametrize("cut", sorted(vocabulary.CUT))
def test_what_cuts_at_once_still_does(cause: Cause, cut: vocabulary.Cause) -> None:
    world = still()
    cause(world)
    assert world.happens(cut)[0] == "off"


@each_cause
@pytest.mark.parametrize(
    "end",
    [
        block,
        lambda world: (world.people.update(ada=vocabulary.Barred(("badge-lost",))), world.roster()),
        lambda world: (world.people.pop("ada"), world.roster()),
        lambda world: world.do(vocabulary.CheckpointLate()),
    ],
    ids=["blocked", "lost badge", "changed key", "journal"],
)
def test_a_block_a_lost_badge_a_changed_key_and_a_dead_disk_wait_for_no_notice(
    cause: Cause, end: Callable[[World], object]
) -> None:
    world = still()
    end(world)
    assert not world.power
    world = still()
    cause(world)
    end(world)
    assert not world.power


def test_a_lock_that_is_lifted_and_hours_that_are_longer_again_bring_no_session_back() -> None:
    world = still()
    lock(world)
    world.after(MIN)
    world.roster(lock=None)
    assert world.after(MIN)[0] == "off"


def test_a_handover_begins_a_session_with_a_right_of_its_own() -> None:
    world = still(handover=True)
    close(world)
    world.tap("bob")
    world.commit()
    assert world.after(10 * MIN) == []


def test_a_machine_that_observes_ends_nothing_at_closing_time() -> None:
    world = World(run_sense=True, observe_until=datetime(2026, 12, 24))  # noqa: DTZ001 - in the site's zone
    world.people["ada"] = vocabulary.Member("m-ada", windows=UNTIL_FIVE_PAST)
    world.start()
    assert world.after(10 * MIN) == []


def test_in_audit_mode_the_record_ends_with_the_notice() -> None:
    world = still(mode=vocabulary.Mode.AUDIT)
    lock(world)
    assert world.after(2 * MIN)[0] == "record ended s1 lock 120000"


# --- closing time -----------------------------------------------------------------------------------------------------


def until_five_past(**rules: object) -> World:
    world = World(run_sense=True, **rules)  # type: ignore[arg-type]
    world.people["ada"] = vocabulary.Member("m-ada", "Ada", windows=UNTIL_FIVE_PAST)
    return world.start()


def test_the_panel_counts_down_to_closing_and_then_to_the_deadline() -> None:
    world = until_five_past()
    assert (world.panel.kind, world.panel.at(world.ms).ms) == (KIND.GO, 5 * MIN)
    assert world.after(3 * MIN) == ["show warning"]
    assert (world.panel.detail, world.panel.reasons) == (vocabulary.CLOSING, ("outside-hours",))
    assert world.signals[-1].ms == 2 * MIN
    assert world.after(2 * MIN) == []
    assert (world.panel.detail, world.panel.reasons) == (vocabulary.DEADLINE, ("outside-hours",))
    assert world.signals[-1].ms == 2 * MIN
    assert world.after(2 * MIN) == ["off", "record ended s1 revoked 420000", "signal ended", "show free"]


def test_a_limit_before_closing_is_warned_of_and_extended_as_always() -> None:
    world = until_five_past(limit_ms=4 * MIN)
    world.after(3 * MIN + 30 * S)
    assert (world.panel.detail, world.panel.at(world.ms).ms) == ("", 30 * S)
    world.tap("ada")
    assert world.signals[-2].ms == 90 * S, "not more than until closing time"


def test_a_job_at_closing_time_is_finished() -> None:
    world = until_five_past()
    world.running(True)
    assert world.after(4 * MIN) == ["show warning"]
    assert world.after(MIN) == ["show finishing"]
    assert world.running(False)[0] == "off"


def test_closing_time_follows_the_wall_clock_and_the_roster() -> None:
    world = until_five_past()
    world.after(4 * MIN)
    world.noon -= timedelta(hours=1)
    world.do(vocabulary.Tick())
    assert (world.panel.kind, world.panel.at(world.ms).ms) == (KIND.GO, 61 * MIN)
    world.people["ada"] = vocabulary.Member("m-ada", "Ada", windows=(vocabulary.Window(frozenset({2}), 0, 1440),))
    world.roster()
    assert world.panel.until_ms == 1_000_000 + 12 * H
    world.people["ada"] = vocabulary.Member("m-ada", "Ada", windows=UNTIL_FIVE_PAST)
    world.roster()
    world.noon += timedelta(hours=3)
    assert world.do(vocabulary.Tick()) == ["show warning"]
    world.noon -= timedelta(hours=3)
    assert world.after(2 * MIN)[0] == "off", "no clock postpones what has begun"


def test_the_end_of_a_membership_is_counted_down_to_its_midnight() -> None:
    world = World(run_sense=True, limit_ms=20 * H)
    world.people["ada"] = vocabulary.Member("m-ada", valid_until=date(2026, 11, 23), grace_days=1)
    world.start()
    assert world.after(11 * H) == []
    assert world.after(H) == ["show warning"]
    assert world.panel.reasons == ("expired",)
    assert world.after(2 * MIN)[:2] == ["off", f"record ended s1 revoked {12 * H + 2 * MIN}"]


@pytest.mark.parametrize("reason", ["training-expired", "loan-over", "no-access"])
def test_the_right_that_ends_is_the_reason_before_and_after_its_midnight(reason: str) -> None:
    world = World(run_sense=True, limit_ms=20 * H)
    world.people["ada"] = vocabulary.Member("m-ada", valid_until=date(2026, 11, 24), until_reason=reason)
    world.start()
    assert world.after(12 * H) == ["show warning"]
    assert (world.panel.detail, world.panel.reasons) == ("deadline", (reason,))
    assert world.after(2 * MIN)[:2] == ["off", f"record ended s1 revoked {12 * H + 2 * MIN}"]
    assert world.tap("ada")[0] == f"record refused {reason}"


PARIS = ZoneInfo("Europe/Paris")


@pytest.mark.parametrize(
    ("windows", "valid_until", "local", "wanted"),
    [
        ([(1, 600, 720), (1, 700, 780)], None, "2026-11-23T11:00", ("2026-11-23T13:00", "outside-hours")),
        ([(1, 1200, 120)], None, "2026-11-24T01:00", ("2026-11-24T02:00", "outside-hours")),
        ([(1, 1200, 120)], None, "2026-11-23T21:00", ("2026-11-24T02:00", "outside-hours")),
        ([(1, 0, 1440), (2, 0, 60)], None, "2026-11-23T23:59:59.999", ("2026-11-24T01:00", "outside-hours")),
        ([(1, 600, 600)], None, "2026-11-23T10:00", ("2026-11-24T10:00", "outside-hours")),
        ([(day, 0, 1440) for day in range(1, 8)], None, "2026-11-23T21:00", None),
        ([(1, 600, 720)], None, "2026-11-23T12:00", ("2026-11-23T12:00", "outside-hours")),
        ([(1, 600, 1440)], date(2026, 11, 22), "2026-11-23T12:00", ("2026-11-23T12:00", "expired")),
        ([], date(2026, 11, 23), "2026-11-23T12:00", ("2026-11-24T00:00", "expired")),
        ([], date(2026, 11, 25), "2026-11-23T12:00", None),
        ([(7, 60, 240)], None, "2026-10-25T01:00", ("2026-10-25T04:00", "outside-hours")),
        ([(7, 60, 240)], None, "2027-03-28T01:00", ("2027-03-28T04:00", "outside-hours")),
        ([(5, 0, 1440)], date(9999, 12, 31), "9999-12-31T23:00", None),
    ],
)
def test_when_hours_and_dates_end(
    windows: list[tuple[int, int, int]], valid_until: date | None, local: str, wanted: tuple[str, str] | None
) -> None:
    open_at = tuple(vocabulary.Window(frozenset({day}), since, to) for day, since, to in windows)
    member = vocabulary.Member("m-1", windows=open_at, valid_until=valid_until)
    now = datetime.fromisoformat(local).replace(tzinfo=PARIS)
    found = times_end(member, vocabulary.MachineRules(), vocabulary.Now(0, now))
    if wanted is None:
        assert found is None
    else:
        end = datetime.fromisoformat(wanted[0]).replace(tzinfo=PARIS)
        passed = end.astimezone(UTC) - now.astimezone(UTC)  # three hours of the clock are four, or two, in real time
        assert found == (passed / timedelta(milliseconds=1), wanted[1])


@pytest.mark.parametrize(
    ("now", "fold", "closes_min", "wanted"),
    [
        ("2026-10-25T02:05", 0, 165, 40 * MIN),
        ("2026-10-25T02:05", 1, 165, 40 * MIN),
        ("2026-10-25T02:50", 0, 165, 0),
        ("2026-10-25T02:50", 1, 165, 0),
        ("2026-10-25T01:50", 0, 165, 55 * MIN),
        ("2026-10-25T01:50", 0, 185, 135 * MIN),
        ("2027-03-28T03:10", 0, 150, 0),
    ],
)
def test_hours_that_end_in_an_hour_that_comes_twice_or_never(now: str, fold: int, closes_min: int, wanted: int) -> None:
    member = vocabulary.Member("m-1", windows=(vocabulary.Window(frozenset(range(1, 8)), 0, closes_min),))
    local = datetime.fromisoformat(now).replace(tzinfo=PARIS, fold=fold)
    found = times_end(member, vocabulary.MachineRules(), vocabulary.Now(0, local))
    assert found == (wanted, "outside-hours")


@given(
    st.sampled_from(["2026-10-24T20:00", "2027-03-27T20:00", "2026-11-23T20:00"]),
    st.integers(0, 720),
    st.lists(st.tuples(st.integers(0, 1439), st.integers(0, 1439)), min_size=1, max_size=3),
)
@example("2026-10-24T20:00", 425, [(0, 165)])
def test_the_end_of_hours_is_the_first_minute_outside_of_them(
    evening: str, after_min: int, hours: list[tuple[int, int]]
) -> None:
    """Compare with a look at each minute of real time; in nights that change the clock, look for a step ahead at least."""
    windows = tuple(vocabulary.Window(frozenset(range(1, 8)), since, to) for since, to in hours)
    member, began = vocabulary.Member("m-1", windows=windows), datetime.fromisoformat(evening).replace(tzinfo=PARIS)
    at = began.astimezone(UTC) + timedelta(minutes=after_min)

    def is_open(passed_min: int) -> bool:
        now = vocabulary.Now(0, (at + timedelta(minutes=passed_min)).astimezone(PARIS), synced=True)
        found = decide(member, rules=vocabulary.MachineRules(), causes=frozenset(), stale=False, now=now)
        return OUTSIDE_HOURS not in found.reasons

    found = times_end(member, vocabulary.MachineRules(), vocabulary.Now(0, at.astimezone(PARIS)))
    assert found is None or found[0] % MIN == 0, "the loop would look again at once, without an end"
    assert (found is not None and found[0] == 0) is not is_open(0)
    if began.month != 11:
        return
    first = next((minute for minute in range(24 * 60) if not is_open(minute)), None)
    if first is None:
        assert found is None or found[0] >= 24 * H
        return
    assert found == (first * MIN, OUTSIDE_HOURS)


def test_without_a_time_no_end_is_known() -> None:
    assert (
        times_end(vocabulary.Member("m-1", windows=UNTIL_FIVE_PAST), vocabulary.MachineRules(), vocabulary.Now(0))
        is None
    )


@pytest.mark.parametrize("sponsor", [None, "training-expired", "expired"])
def test_a_guest_who_is_blocked_gets_no_notice_whatever_their_sponsor_has_lost(sponsor: str | None) -> None:
    world = World(run_sense=True, sponsor=True)
    world.tap("a guest's card")
    world.lift("a guest's card")
    world.tap("sue")
    world.commit()
    assert world.phase == "active"
    world.people["a guest's card"] = vocabulary.Barred(("blocked",), "m-guest")
    if sponsor is not None:
        world.people["sue"] = vocabulary.Barred((sponsor,), "m-sue")
    world.roster()
    assert not world.power
