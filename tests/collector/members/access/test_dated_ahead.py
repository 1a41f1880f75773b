"""What ends or begins on a later day: rosters carry it, and gates apply it offline."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.conf import settings

from fabgate.collector.ground.models import Grant, Machine, Member, Training
from fabgate.collector.members.access import roster
from fabgate.collector.members.access.eligibility import People
from fabgate.collector.processes.worker import Worker
from fabgate.gate.roster import people
from fabgate.rules import vocabulary
from fabgate.rules.access import decide
from tests.collector.grants import day, grant
from tests.collector.rosters import Clock, admitted, built, last_day, refused, served

pytestmark = pytest.mark.usefixtures("env", "told")


def test_a_member_who_leaves_on_friday_has_thursday_as_last_day_in_todays_roster(gate, ada, laser):
    grant(ada, laser)
    Member.objects.update(valid_until=day(30), grace_days=5, left_on=day(3))
    assert last_day(gate) == day(2).isoformat()
    Member.objects.update(left_on=day(0))
    assert refused(gate) == ["no-access"]


def test_a_membership_that_ends_before_somebody_leaves_keeps_its_end_and_its_grace(gate, ada, laser):
    grant(ada, laser)
    Member.objects.update(valid_until=day(1), grace_days=2, left_on=day(9))
    assert (admitted(gate).valid_until, admitted(gate).grace_days) == (day(1).isoformat(), 2)


@pytest.mark.parametrize("by_hand", [False, True])
def test_a_suspension_that_begins_tomorrow_ends_it_today(gate, ada, laser, by_hand):
    grant(ada, laser)
    if by_hand:
        ada.machines.add(gate.machine)
    assert last_day(gate) is None
    coming = grant(ada, laser, "suspended", since=1)
    assert last_day(gate) == day(0).isoformat()
    Grant.objects.filter(pk=coming.pk).update(since=day(0))
    assert refused(gate) == ["suspended"]


def test_a_suspension_from_another_training_of_the_machine_closes_it_too(gate, ada, laser):
    grant(ada, laser)
    other = Training.objects.create(name="engraving")
    other.machines.add(gate.machine)
    grant(ada, other, "suspended", since=4)
    assert last_day(gate) == day(3).isoformat()


def test_a_suspension_from_a_required_training_closes_the_machine_too(gate, ada, laser):
    laser.prerequisite = Training.objects.create(name="safety")
    laser.save()
    grant(ada, laser)
    grant(ada, laser.prerequisite)
    grant(ada, laser.prerequisite, "suspended", since=4)
    assert last_day(gate) == day(3).isoformat()


@pytest.mark.parametrize(
    ("more", "then"),
    [
        ({"revoked_on": 2}, None),  # taken back before it begins
        ({"until": 1}, None),  # over before it begins
    ],
)
def test_a_suspension_that_never_becomes_valid_ends_nothing(gate, ada, laser, more, then):
    grant(ada, laser)
    grant(ada, laser, "suspended", since=2, **{name: day(days) for name, days in more.items()})
    if then:
        grant(ada, laser, then, since=2)
    assert last_day(gate) is None


def test_a_training_that_is_revoked_on_a_day_ends_the_day_before(gate, ada, laser):
    grant(ada, laser, revoked_on=day(2))
    assert last_day(gate) == day(1).isoformat()
    ada.machines.add(gate.machine)
    assert last_day(gate) is None


def test_an_offline_gate_applies_ends_that_were_dated_ahead(gate, ada, laser):
    grant(ada, laser)
    grant(ada, laser, "suspended", since=3)
    (found,) = built(gate).members
    member = people.member(found)
    noon = datetime.now(ZoneInfo(settings.ENVIRONMENT.tz)).replace(hour=12)
    for days, reasons in ((2, ()), (3, ("suspended",))):
        now = vocabulary.Now(boot_ms=0, local=noon + timedelta(days=days), synced=True)
        said = decide(member, rules=vocabulary.MachineRules(), causes=set(), stale=False, now=now)
        assert said.reasons == reasons


@pytest.mark.parametrize(
    ("about", "before", "after"),
    [
        ({"minor": True}, "autonomous", "supervised"),
        ({"minor": True}, "instructor", "autonomous"),
        ({"supervised": True, "level": "maintainer"}, "instructor", "supervised"),
    ],
)
def test_a_supervised_member_loses_nothing_by_a_lower_stage(gate, ada, laser, about, before, after):
    Member.objects.update(**about)
    grant(ada, laser, before)
    grant(ada, laser, after, since=2)
    assert last_day(gate) is None
    assert admitted(gate).supervised


def test_where_everybody_needs_a_supervisor_only_who_supervises_loses_by_a_lower_stage(gate, ada, laser):
    gate.machine.rules = {"supervisor": "always"}
    gate.machine.save()
    grant(ada, laser, "autonomous")
    grant(ada, laser, "supervised", since=2)
    assert last_day(gate) is None
    grant(ada, laser, "instructor", since=-1)
    assert last_day(gate) == day(1).isoformat()


@pytest.mark.parametrize("first", ["laser-1", "plotter"])
def test_a_suspension_closes_dependent_trainings_in_whatever_order_machines_are_asked(gate, ada, laser, first):
    plotter = Machine.objects.create(name="plotter")
    other = Training.objects.create(name="other", prerequisite=laser)
    other.machines.add(plotter)
    laser.prerequisite = other
    laser.save()
    grant(ada, laser, "suspended")
    ada.machines.add(gate.machine, plotter)
    people = People(datetime.now(ZoneInfo(settings.ENVIRONMENT.tz)))
    asked = sorted([gate.machine, plotter], key=lambda machine: machine.name != first)
    assert [people.eligibility(ada, machine).reasons for machine in asked] == [("suspended",), ("suspended",)]


def test_rosters_that_are_planned_before_midnight_and_stored_after_it_are_those_of_the_new_day(
    gate,
    ada,
    laser,
    monkeypatch,
):
    clock = Clock(monkeypatch)
    grant(ada, laser, since=1)
    planned = roster.plan([gate])
    clock.at += timedelta(minutes=2)
    roster.rebuild(planned=planned)
    assert [member.id for member in served(gate).members] == ["m-1"]


def test_rosters_that_were_built_while_the_clock_was_wrong_are_those_of_today_a_minute_later(
    gate,
    ada,
    laser,
    monkeypatch,
):
    clock, worker = Clock(monkeypatch), Worker()
    clock.at = clock.at.replace(hour=12)
    grant(ada, laser, since=0)
    worker.turn(clock.at)
    assert [member.id for member in served(gate).members] == ["m-1"]
    clock.at -= timedelta(days=1)
    roster.rebuild()
    assert served(gate).members == []
    clock.at += timedelta(days=1, minutes=1)
    worker.turn(clock.at)
    assert [member.id for member in served(gate).members] == ["m-1"]
    version = served(gate).version
    worker.turn(clock.at)
    assert served(gate).version == version
