"""WHO may use the machine: every reason at once, and who is admitted despite what."""
# ruff: noqa: DTZ001, DTZ901 - `Now.local` is a time of the site's zone, and these tests live in no zone

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone

import pytest

from fabgate.rules import vocabulary
from fabgate.rules.access import decide, may_supervise

TUESDAY = datetime(2026, 11, 24, 12, 0)
ADA = vocabulary.Member("m-ada", grant="g-1")
SUE = vocabulary.Member("m-sue", level=vocabulary.Level.SUPERVISOR)
MAX = vocabulary.Member("m-max", level=vocabulary.Level.MAINTAINER)
KID = vocabulary.Member("m-kid", supervised=True)
EVE = vocabulary.Barred(("training-missing", "payment"), "m-eve")
LOST = vocabulary.Barred(("badge-lost",))
DESK = vocabulary.Emergency("desk")


def ask(holder, *, causes=(), stale=False, local=TUESDAY, synced=True, **rules):
    return decide(
        holder,
        rules=vocabulary.MachineRules(**rules),
        causes=frozenset(causes),
        stale=stale,
        now=vocabulary.Now(0, local, synced),
    )


def test_a_member_of_the_roster_is_admitted_by_their_grant():
    assert ask(ADA).basis == vocabulary.Basis("grant", grant="g-1")


def test_an_admission_by_a_stale_roster_is_marked():
    assert ask(ADA, stale=True).basis == vocabulary.Basis("grant", grant="g-1", stale_roster=True)


def test_an_unknown_badge_is_refused():
    assert ask(None).reasons == ("unknown-badge",)


def test_the_rosters_own_reasons_are_all_given():
    assert ask(EVE).reasons == ("training-missing", "payment")


def test_every_reason_is_given_at_once_with_the_worst_first():
    holder = vocabulary.Member("m", valid_until=date(2026, 1, 1), windows=(vocabulary.Window(frozenset({1}), 0, 60),))
    decision = ask(
        holder,
        causes=[vocabulary.Cause.STALE, vocabulary.Cause.ESTOP, vocabulary.Cause.READER],
        stale=True,
        synced=False,
        refuses_when_stale=True,
    )
    assert decision.basis is None
    assert decision.reasons == (
        "blocked-estop",
        "blocked-reader",
        "blocked-stale",
        "clock-unknown",
        "expired",
        "outside-hours",
    )


@pytest.mark.parametrize("cause", vocabulary.Cause)
def test_each_cause_refuses_a_member(cause):
    assert ask(ADA, causes=[cause]).reasons == (f"blocked-{cause}",)


@pytest.mark.parametrize("cause", sorted(set(vocabulary.Cause) - {vocabulary.Cause.FLAG}))
def test_a_maintainer_is_stopped_by_every_cause_but_a_flag(cause):
    assert ask(MAX, causes=[cause]).basis is None
    assert ask(MAX, causes=[cause, vocabulary.Cause.FLAG]).reasons == (f"blocked-{cause}",)


def test_a_maintainer_runs_a_flagged_machine_and_the_record_says_as_what():
    assert ask(MAX, causes=[vocabulary.Cause.FLAG]).basis == vocabulary.Basis("maintainer")
    assert ask(SUE, causes=[vocabulary.Cause.FLAG]).reasons == ("blocked-flag",)


@pytest.mark.parametrize("cause", sorted(set(vocabulary.Cause) - {vocabulary.Cause.STALE}))
def test_an_emergency_badge_is_stopped_by_every_cause_but_an_old_roster(cause):
    assert ask(DESK, causes=[cause]).reasons == (f"blocked-{cause}",)


def test_an_emergency_badge_needs_no_roster_no_clock_and_no_supervisor():
    decision = ask(
        DESK,
        causes=[vocabulary.Cause.STALE],
        stale=True,
        local=None,
        synced=False,
        refuses_when_stale=True,
        supervision=vocabulary.Supervision.ALWAYS,
    )
    assert decision.basis == vocabulary.Basis("emergency", stale_roster=True)
    assert not decision.needs_supervisor


# --- time windows, expiry, clock ---


@pytest.mark.parametrize(
    ("day", "hour", "minute", "inside"),
    [
        (23, 21, 59, False),
        (23, 22, 0, True),
        (23, 23, 59, True),
        (24, 0, 0, True),
        (24, 1, 59, True),
        (24, 2, 0, False),
        (24, 22, 30, False),
        (25, 1, 0, False),
    ],
)
def test_a_window_over_midnight_belongs_to_the_day_on_which_it_opens(day, hour, minute, inside):
    monday_night = vocabulary.Window(frozenset({1}), 22 * 60, 2 * 60)
    holder = vocabulary.Member("m", windows=(monday_night,))
    assert (ask(holder, local=datetime(2026, 11, day, hour, minute)).basis is not None) is inside


def test_a_sunday_nights_window_reaches_into_monday():
    holder = vocabulary.Member("m", windows=(vocabulary.Window(frozenset({7}), 22 * 60, 60),))
    assert ask(holder, local=datetime(2026, 11, 23, 0, 30)).basis is not None
    assert ask(holder, local=datetime(2026, 11, 24, 0, 30)).reasons == ("outside-hours",)


def test_a_window_within_a_day_opens_at_its_first_minute_and_closes_at_its_last():
    holder = vocabulary.Member("m", windows=(vocabulary.Window(frozenset({2}), 8 * 60, 22 * 60),))
    assert [
        ask(holder, local=datetime(2026, 11, 24, *at)).basis is not None for at in [(7, 59), (8, 0), (21, 59), (22, 0)]
    ] == [
        False,
        True,
        True,
        False,
    ]
    assert ask(holder, local=datetime(2026, 11, 25, 12)).basis is None


def test_one_open_window_of_several_is_enough():
    closed, open_ = vocabulary.Window(frozenset({2}), 0, 60), vocabulary.Window(frozenset({2}), 600, 800)
    assert ask(vocabulary.Member("m", windows=(closed, open_))).basis is not None


def test_a_membership_ends_after_its_last_day_and_the_days_of_grace():
    holder = vocabulary.Member("m", valid_until=date(2026, 11, 20), grace_days=3)
    assert ask(holder, local=datetime(2026, 11, 23, 23, 59)).basis is not None
    assert ask(holder, local=datetime(2026, 11, 24, 0, 0)).reasons == ("expired",)


def test_a_membership_until_the_last_date_of_the_calendar_is_valid():
    assert ask(vocabulary.Member("m", valid_until=date.max, grace_days=3)).basis is not None
    holder = vocabulary.Member("m", windows=(vocabulary.Window(frozenset(range(1, 8)), 600, 500),))
    assert ask(holder, local=datetime.min).basis is not None


def test_without_a_known_time_dates_and_hours_are_not_checked():
    holder = vocabulary.Member("m", valid_until=date(2020, 1, 1), windows=(vocabulary.Window(frozenset(), 0, 1),))
    assert ask(holder, local=None, synced=False).basis is not None


def test_a_machine_that_is_strict_about_age_refuses_while_the_clock_is_unknown():
    assert ask(ADA, local=None, synced=False, refuses_when_stale=True).reasons == ("clock-unknown",)


# --- opening weeks ---

SOON = TUESDAY + timedelta(hours=1)


def test_in_the_opening_weeks_every_known_member_is_admitted_and_the_refusal_recorded():
    assert ask(EVE, observe_until=SOON).basis == vocabulary.Basis(
        "observe", would_refuse=("training-missing", "payment")
    )
    assert ask(KID, observe_until=SOON).basis == vocabulary.Basis("observe", would_refuse=("supervisor-needed",))
    assert ask(ADA, observe_until=SOON).basis == vocabulary.Basis("grant", grant="g-1")


def test_in_the_opening_weeks_unknown_badges_and_causes_still_refuse():
    assert ask(None, observe_until=SOON).reasons == ("unknown-badge",)
    assert ask(LOST, observe_until=SOON).reasons == ("badge-lost",)
    assert ask(EVE, observe_until=SOON, causes=[vocabulary.Cause.LOCK_AFTER_JOB]).reasons[0] == "blocked-lock-idle"


def test_the_opening_weeks_end_on_time_and_need_a_clock():
    assert ask(EVE, observe_until=TUESDAY).basis is None
    assert ask(EVE, observe_until=SOON, local=None).basis is None
    zone = timezone(timedelta(hours=1))
    aware = ask(EVE, observe_until=SOON.replace(tzinfo=zone), local=TUESDAY.replace(tzinfo=zone))
    assert aware.basis is not None
    assert ask(EVE, observe_until=SOON, local=TUESDAY.replace(tzinfo=zone)).basis is not None
    assert ask(EVE, observe_until=TUESDAY, local=TUESDAY.replace(tzinfo=zone)).basis is None


# --- supervisors ---


@pytest.mark.parametrize(
    ("supervision", "of_kid", "of_ada", "of_sue"),
    [
        (vocabulary.Supervision.NEVER, True, False, False),
        (vocabulary.Supervision.MINORS, True, False, False),
        (vocabulary.Supervision.ALWAYS, True, True, False),
    ],
)
def test_the_machines_rule_says_who_needs_a_supervisor(supervision, of_kid, of_ada, of_sue):
    needs = [ask(holder, supervision=supervision).needs_supervisor for holder in (KID, ADA, SUE)]
    assert needs == [of_kid, of_ada, of_sue]


@pytest.mark.parametrize("level", list(vocabulary.Level))
def test_a_supervised_member_needs_a_supervisor_at_every_level_and_has_no_rank(level):
    ward = vocabulary.Member("m-ward", level=level, supervised=True)
    now = vocabulary.Now(0, TUESDAY, True)
    assert ask(ward).needs_supervisor
    assert ask(ward, supervision=vocabulary.Supervision.ALWAYS).needs_supervisor
    assert not may_supervise(ward, rules=vocabulary.MachineRules(), causes=frozenset(), now=now)
    assert ask(ward, causes=[vocabulary.Cause.FLAG]).reasons == ("blocked-flag",)


def test_a_supervisor_must_be_allowed_to_use_the_machine_too():
    def may(holder, *causes):
        return may_supervise(
            holder, rules=vocabulary.MachineRules(), causes=frozenset(causes), now=vocabulary.Now(0, TUESDAY, True)
        )

    assert [may(holder) for holder in (SUE, MAX, ADA, EVE, DESK, None)] == [True, True, False, False, False, False]
    assert not may(SUE, vocabulary.Cause.FLAG)
    assert not may(vocabulary.Member("m", level=vocabulary.Level.SUPERVISOR, valid_until=date(2020, 1, 1)))


def test_a_refused_member_sees_the_hours_as_a_reason_too():
    eve = vocabulary.Barred(("payment",), "m-eve", windows=(vocabulary.Window(frozenset({1}), 0, 60),))
    assert ask(eve).reasons == ("payment", "outside-hours")
    assert ask(eve, local=None).reasons == ("payment",)
    assert ask(eve, observe_until=SOON).basis == vocabulary.Basis("observe", would_refuse=("payment", "outside-hours"))
