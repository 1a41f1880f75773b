"""When does it end? Loans at midnights that never were, instructors, suspensions dated ahead, retired machines, lists."""

from __future__ import annotations

import argparse
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.conf import settings
from django.utils import timezone

from fabgate.collector.cli import machines
from fabgate.collector.faces.pages.my import allowed
from fabgate.collector.faces.pages.people.person import page
from fabgate.collector.ground.models import Badge, Grant, Machine, Member
from fabgate.collector.members.access.eligibility import People
from fabgate.collector.members.machines import locks
from fabgate.collector.members.people import badges, many_grants, trainings
from fabgate.errors import UsageError
from tests.collector.grants import day, give_badge, grant
from tests.collector.members.people.lists import import_
from tests.collector.rosters import admitted, last_day, refused

pytestmark = pytest.mark.usefixtures("env", "told")


@pytest.mark.parametrize(
    ("tz", "eve"),
    [
        ("Africa/Cairo", date(2026, 4, 23)),
        ("Atlantic/Azores", date(2026, 3, 28)),
        ("America/Havana", date(2026, 3, 7)),
        ("America/Santiago", date(2026, 9, 5)),
        ("Europe/Paris", date(2026, 3, 28)),
    ],
)
def test_a_loan_until_the_eve_of_clocks_that_go_forward_ends_on_that_eve(env, ada, monkeypatch, tz, eve):
    monkeypatch.setattr(settings, "ENVIRONMENT", replace(settings.ENVIRONMENT, tz=tz))
    noon = datetime(eve.year, eve.month, eve.day, 12, tzinfo=ZoneInfo(tz))
    Badge.objects.update(kind="loan", until=badges.end_of(eve), since=noon - timedelta(days=1))
    people = People(noon)
    assert list(people.badges["m-1"]) == [eve]
    assert people.loans["m-1"] == eve
    midnight = datetime.combine(eve, datetime.max.time(), ZoneInfo(tz))
    assert not People(midnight + timedelta(hours=1)).badges["m-1"]


def shown(member: Member) -> tuple[str, date | None]:
    (row,) = page.machines(member, timezone.localtime())
    return row.chip.word, row.until


def test_an_instructors_last_day_over_an_endless_grant_is_no_last_day_on_a_page(gate, ada, laser):
    grant(ada, laser)
    given = grant(ada, laser, "instructor", since=-1, until=day(0))
    assert shown(ada) == ("Instructor", None)
    assert last_day(gate) == day(0).isoformat()  # a gate that hears nothing more does not know what begins tomorrow
    given.until = None
    given.save()
    assert last_day(gate) is None


def test_the_right_to_work_alone_ends_on_its_day_without_a_collector(gate, ada, laser):
    grant(ada, laser)
    grant(ada, laser, "supervised", since=3)
    assert last_day(gate) == day(2).isoformat()
    assert shown(ada) == ("Yes", None)


def test_an_instructor_with_individual_access_loses_that_stage_at_its_end(gate, ada, laser):
    ada.machines.add(gate.machine)
    grant(ada, laser, "instructor", until=day(2))
    assert (admitted(gate).level, last_day(gate)) == ("supervisor", day(2).isoformat())


def test_of_several_future_ends_the_first_one_is_the_last_day(gate, ada, laser):
    grant(ada, laser, until=day(2))
    grant(ada, laser, since=5, until=day(8))
    assert last_day(gate) == day(2).isoformat()


def test_a_grant_revoked_on_a_future_day_ends_before_it_despite_earlier_grants(gate, ada, laser):
    grant(ada, laser, since=-9, until=day(-6))
    grant(ada, laser, revoked_on=day(3))
    assert last_day(gate) == day(2).isoformat()


@pytest.mark.parametrize(("days", "until", "last"), [(7, 4, 2), (9, 3, 3), (9, 9, 4)])
def test_a_grant_ends_with_its_own_last_day_or_its_trainings_whichever_comes_first(
    gate,
    ada,
    laser,
    days,
    until,
    last,
):
    laser.expires_after_days = days
    laser.save()
    grant(ada, laser, until=day(until))
    assert last_day(gate) == day(last).isoformat()


def test_a_required_training_that_is_renewed_ahead_does_not_end_access(gate, ada, laser):
    laser.prerequisite = type(laser).objects.create(name="tour", expires_after_days=10)
    laser.save()
    grant(ada, laser)
    grant(ada, laser.prerequisite, since=-5)
    grant(ada, laser.prerequisite, since=4)
    assert shown(ada) == ("Yes", day(14))


def test_a_grant_is_valid_on_its_last_day_and_expired_on_the_next(gate, ada, laser):
    given = grant(ada, laser, until=day(0))
    assert shown(ada) == ("Yes", day(0))
    for chip in (lambda on: page.trainings(ada, on)[0].chip, lambda on: allowed.trainings(ada, on)[0]["chip"]):
        assert chip(day(0)).state != "bad"
        assert chip(day(1)).state == "bad"
    assert [Grant.applicable([given], on) for on in (day(0), day(1))] == [given, None]


@pytest.mark.parametrize(("grace_days", "found"), [(2, ("Yes", day(0))), (1, ("No", None))])
def test_a_membership_is_over_for_a_page_when_its_days_of_grace_are(gate, ada, laser, grace_days, found):
    grant(ada, laser)
    Member.objects.update(valid_until=day(-2), grace_days=grace_days)
    assert shown(Member.objects.get()) == found


def test_a_members_own_page_says_when_the_membership_ends(gate, ada, laser):
    grant(ada, laser)
    Member.objects.update(valid_until=day(3))
    (row,) = allowed.machines(Member.objects.get(), timezone.localtime())
    assert row.state == "ok"
    assert str(day(3).day) in row.why


def unlock(lock: str | None = None) -> None:
    machines.unlock(argparse.Namespace(gate="laser-1", lock=lock, actor="eve", json=False))


def test_no_command_opens_a_retired_machine(gate):
    machine = Machine.objects.get()
    locks.lock_machine(machine, "idle", "retired", "", actor="eve")
    Machine.objects.update(retired_at=datetime.now(UTC))
    lock_id = Machine.objects.get().lock_id
    for named in (None, lock_id):
        with pytest.raises(UsageError, match="is retired, and stays locked; bring it back on its page first"):
            unlock(named)
    assert Machine.objects.get().lock_id == lock_id
    unlock("ab12")  # one that this database has forgotten: the gate has it still, and the other one stays
    assert Machine.objects.get().lock_id == lock_id


def test_an_imported_loan_badge_becomes_the_members_own(env, gate, ada, tmp_path):
    lent = give_badge(ada, "04A1B2C4", kind="loan", until=badges.end_of(day(0)), number="17")
    import_(tmp_path / "m.csv", "id,badges\nm-1,04A1B2C3;04A1B2C4\n")
    theirs = Badge.objects.get(spelling="04A1B2C4", ended_at=None)
    assert (theirs.kind, theirs.until, theirs.member_id, theirs.number) == ("personal", None, "m-1", "17")
    lent.refresh_from_db()
    assert lent.end_reason == Badge.REPLACED
    assert Badge.objects.filter(spelling="04A1B2C3").count() == 1


# --- suspensions ------------------------------------------------------------------------------------------------------


def test_a_suspension_overrides_later_grants_until_it_is_revoked(gate, ada, laser):
    suspended = grant(ada, laser, "suspended", since=-3)
    grant(ada, laser, since=-1)
    assert refused(gate) == ["suspended"]
    suspended.revoked_on = day(0)
    suspended.save()
    assert last_day(gate) is None


def test_a_suspension_does_not_expire_with_its_training(gate, ada, laser):
    laser.expires_after_days = 30
    laser.save()
    grant(ada, laser, "suspended", since=-40)
    grant(ada, laser, since=-1)
    assert refused(gate) == ["suspended"]


def test_a_suspended_member_also_gets_the_other_reasons(gate, ada, laser):
    grant(ada, laser, "suspended", since=-3, until=day(2))
    assert refused(gate) == ["suspended", "training-missing"]


def test_every_page_shows_the_suspension_and_not_what_was_granted_after_it(gate, ada, laser):
    grant(ada, laser, "suspended", since=-3)
    grant(ada, laser, "instructor", since=-1)
    (row,) = page.trainings(ada, day(0))
    (own,) = allowed.trainings(ada, day(0))
    assert (row.chip.word, own["chip"].word) == ("Suspended", "Suspended")
    said = list(Grant.begun_by(day(0)))
    assert [Grant.applicable(said, on).stage for on in (day(-1), day(0))] == ["suspended"] * 2


def test_a_suspended_member_gets_no_grant_until_the_suspension_is_revoked(gate, ada, laser):
    held = grant(ada, laser, "suspended", since=-3, until=day(5))
    mo = Member.objects.create(id="m-2")
    for since in (day(0), day(-10)):  # dated back to before the suspension, it would hold today too
        with pytest.raises(
            UsageError, match=r"m-1.*has been suspended from laser since .*; revoke the suspension first"
        ):
            trainings.grant_training(ada, laser, "autonomous", actor="eve", since=since)
    given = many_grants.grant_to_many([mo, ada], laser, "autonomous", actor="eve", since=day(0))
    assert [(one.member, one.kept) for one in given] == [(mo, ""), (ada, many_grants.SUSPENDED)]
    trainings.revoke_training(mo, laser, actor="eve", reason="a mistake")
    assert not Grant.objects.filter(member=ada).exclude(stage="suspended").exists()
    trainings.grant_training(ada, laser, "autonomous", actor="eve", since=day(6))  # it is over by then
    trainings.grant_training(ada, laser, "suspended", actor="eve", since=day(0))
    trainings.revoke_training(ada, laser, actor="eve", reason="a mistake")
    held.refresh_from_db()
    assert held.revoked_on == day(0)
    trainings.grant_training(ada, laser, "autonomous", actor="eve", since=day(0))
    assert admitted(gate).id == "m-1"


def test_individual_access_overrides_a_missing_requirement_but_no_suspension(gate, ada, laser):
    laser.prerequisite = type(laser).objects.create(name="tour")
    laser.save()
    ada.machines.add(gate.machine)
    assert admitted(gate).id == "m-1"
    grant(ada, laser.prerequisite, "suspended")
    assert refused(gate) == ["suspended"]


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("nothing", "expired"),
        ("membership", "expired"),
        ("training", "training-expired"),
        ("revoked ahead", "training-missing"),
        ("suspended ahead", "suspended"),
        ("stage", "training-expired"),
        ("departure", "no-access"),
        ("loan", "loan-over"),
        ("training and membership", "expired"),
    ],
)
def test_a_roster_names_the_right_that_ends(gate, ada, laser, what, reason):
    given = grant(ada, laser)
    if what in ("membership", "training and membership"):
        Member.objects.update(valid_until=day(2))
    if what in ("training", "training and membership"):
        Grant.objects.update(until=day(2))
    elif what == "revoked ahead":
        Grant.objects.filter(pk=given.pk).update(revoked_on=day(3))
    elif what == "suspended ahead":
        grant(ada, laser, "suspended", since=3)
    elif what == "stage":
        grant(ada, laser, "supervised", since=3)
    elif what == "departure":
        Member.objects.update(left_on=day(3))
    elif what == "loan":
        Badge.objects.update(kind="loan", until=badges.end_of(day(2)))
    found = admitted(gate)
    assert (found.valid_until, found.until_reason) == (None if what == "nothing" else day(2).isoformat(), reason)
