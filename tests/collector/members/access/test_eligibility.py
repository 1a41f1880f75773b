"""Who may use what: by hand, by training with its stages and what it wants first, by a group's badge; and why not."""

from __future__ import annotations

import contextlib
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from django.conf import settings
from django.db import transaction

from fabgate.collector.ground.models import Badge, Block, Gate, Grant, Group, Machine, Member, Training
from fabgate.collector.members.access import roster
from fabgate.collector.members.access.eligibility import People
from fabgate.collector.members.people import leaving
from fabgate.gate.roster.directory import Directory, store
from fabgate.gate.roster.source import replace_stored
from tests.collector.grants import day, give_badge, grant, today
from tests.collector.rosters import add, admitted, built, refused, served

pytestmark = pytest.mark.usefixtures("env", "told")


def test_a_member_without_training_is_refused(gate, ada, laser):
    assert refused(gate) == ["training-missing"]


def test_individual_access_needs_no_training(gate, ada, laser):
    ada.machines.add(gate.machine)
    assert (admitted(gate).id, admitted(gate).grant, admitted(gate).supervised) == ("m-1", None, False)


@pytest.mark.parametrize(
    ("stage", "level", "is_supervised"),
    [("supervised", "user", True), ("autonomous", "user", False), ("instructor", "supervisor", False)],
)
def test_the_stage_says_how_the_machine_may_be_used(gate, ada, laser, stage, level, is_supervised):
    given = grant(ada, laser, stage)
    found = admitted(gate)
    assert (found.level, found.supervised, found.grant) == (level, is_supervised, str(given.pk))


def test_the_newest_valid_stage_decides(gate, ada, laser):
    grant(ada, laser, "supervised", since=-9)
    grant(ada, laser, "autonomous", since=-5)
    ended = grant(ada, laser, "instructor", since=-4, until=day(-1))
    assert (admitted(gate).level, admitted(gate).supervised) == ("user", False)
    ended.until = day(0)
    ended.save()
    assert (admitted(gate).level, admitted(gate).valid_until) == ("supervisor", day(0).isoformat())


def test_a_suspension_closes_the_trainings_machines_even_with_individual_access(gate, ada, laser):
    ada.machines.add(gate.machine)
    grant(ada, laser)
    suspended = grant(ada, laser, "suspended", since=-1)
    assert refused(gate) == ["suspended"]
    suspended.revoked_on = today()
    suspended.save()
    assert admitted(gate).id == "m-1"


@pytest.mark.parametrize(
    ("more", "reasons"),
    [
        ({"until": -1}, ["training-expired"]),
        ({"revoked_on": 0}, ["training-missing"]),
        ({"revoked_on": 1}, []),
        ({"since": 1}, ["training-missing"]),
        ({"until": 0}, []),
    ],
)
def test_a_grant_counts_from_its_first_day_to_its_last(gate, ada, laser, more, reasons):
    said = {name: day(value) for name, value in more.items()}
    Grant.objects.create(member=ada, training=laser, stage="autonomous", **{"since": day(-5), **said})
    assert (refused(gate) if reasons else [m.id for m in built(gate).members]) == (reasons or ["m-1"])


def test_a_training_that_expires_names_its_last_day(gate, ada, laser):
    laser.expires_after_days = 30
    laser.save()
    given = grant(ada, laser, since=-5)
    assert admitted(gate).valid_until == day(25).isoformat()
    given.since = day(-31)
    given.save()
    assert refused(gate) == ["training-expired"]


def test_an_expired_training_and_its_missing_requirement_are_both_reasons(gate, ada, laser):
    laser.prerequisite = Training.objects.create(name="tour")
    laser.save()
    grant(ada, laser, until=day(-1))
    assert refused(gate) == ["training-expired", "training-missing"]


def test_of_two_trainings_for_a_machine_the_one_with_least_missing_gives_the_reasons(gate, ada, laser):
    other = Training.objects.create(name="course", prerequisite=Training.objects.create(name="tour"))
    other.machines.add(gate.machine)
    grant(ada, other, until=day(-1))
    assert refused(gate) == ["training-missing"]


def test_a_required_training_must_be_held_too(gate, ada, laser):
    tour = Training.objects.create(name="tour", expires_after_days=10)
    laser.prerequisite = tour
    laser.save()
    grant(ada, laser)
    assert refused(gate) == ["training-missing"]
    first = grant(ada, tour, since=-5)
    assert admitted(gate).valid_until == day(5).isoformat()
    first.since = day(-11)
    first.save()
    assert refused(gate) == ["training-expired"]


def test_trainings_that_require_each_other_are_held_by_nobody(gate, ada, laser):
    other = Training.objects.create(name="other", prerequisite=laser)
    laser.prerequisite = other
    laser.save()
    grant(ada, laser)
    grant(ada, other)
    assert refused(gate) == ["training-missing"]


def test_the_best_of_two_trainings_counts(gate, ada, laser):
    other = Training.objects.create(name="course")
    other.machines.add(gate.machine)
    grant(ada, laser, "supervised")
    best = grant(ada, other, "autonomous", until=day(3))
    assert (admitted(gate).grant, admitted(gate).supervised) == (str(best.pk), False)


def test_a_membership_keeps_its_grace_where_it_ends_before_the_training(gate, ada, laser):
    ada.valid_until, ada.grace_days = day(1), 3
    ada.save()
    given = grant(ada, laser, until=day(30))
    assert (admitted(gate).valid_until, admitted(gate).grace_days) == (day(1).isoformat(), 3)
    given.until = day(2)
    given.save()
    assert (admitted(gate).valid_until, admitted(gate).grace_days) == (day(2).isoformat(), 0)


def test_minors_are_always_supervised_and_supervise_nobody(gate, ada, laser):
    grant(ada, laser, "instructor")
    ada.minor = True
    ada.level = "supervisor"
    ada.save()
    assert (admitted(gate).supervised, admitted(gate).level) == (True, "user")


def test_a_former_member_is_refused_and_blocks_come_first(gate, ada, laser):
    grant(ada, laser)
    ada.left_on = day(0)
    ada.save()
    assert refused(gate) == ["no-access"]
    Block.objects.create(member=ada, reason="banned", actor="eve", at=datetime.now(ZoneInfo("UTC")))
    assert refused(gate) == ["banned", "no-access"]
    Grant.objects.update(revoked_on=day(0))
    assert refused(gate) == ["banned", "no-access", "training-missing"]


def test_a_lost_badge_is_refused_as_lost_until_it_is_assigned_again(gate, ada):
    ada.machines.add(gate.machine)
    row = Badge.objects.get()
    row.end(Badge.LOST, "eve", datetime.now(ZoneInfo("UTC")))
    found = built(gate)
    assert [(member.id, member.badges) for member in found.members] == [("m-1", [])]
    assert [(refusal.badges, refusal.reasons, refusal.id) for refusal in found.refusals] == [
        ([row.digest], ["badge-lost"], None)
    ]
    give_badge(ada)
    assert ([m.badges for m in built(gate).members], built(gate).refusals) == ([[row.digest]], [])


def test_a_badge_that_was_lost_twice_is_in_the_roster_once(gate, ada, tmp_path):
    mo = Member.objects.create(id="m-2", lang="fr")
    for holder, reason in ((ada, Badge.LOST), (mo, Badge.LOST)):
        row = Badge.objects.filter(ended_at=None).first() or give_badge(holder)
        row.end(reason, "eve", datetime.now(ZoneInfo("UTC")))
    found = built(gate)
    lost = [(refusal.badges, refusal.lang) for refusal in found.refusals if refusal.reasons == ["badge-lost"]]
    assert lost == [([row.digest], "fr")]
    store(found, tmp_path / "roster.db")


def test_a_badge_that_was_found_assigned_and_returned_is_not_lost(gate, ada):
    ada.machines.add(gate.machine)
    Badge.objects.get().end(Badge.LOST, "eve", datetime.now(ZoneInfo("UTC")))
    give_badge(ada).end(Badge.RETURNED, "eve", datetime.now(ZoneInfo("UTC")))
    assert built(gate).refusals == []


def test_many_members_who_leave_at_once_are_named_so_that_gates_let_them_go(gate, tmp_path):
    stored = tmp_path / "roster.db"
    for number in range(20):
        member = Member.objects.create(id=f"m-{number}")
        member.machines.add(gate.machine)
        give_badge(member, f"04A1B2{number:02}")
    replace_stored(built(gate), stored)
    with transaction.atomic():
        leaving.leave(*Member.objects.exclude(id="m-0"), actor="eve")
    assert replace_stored(served(gate), stored).refusal is None
    with contextlib.closing(Directory(stored)) as directory:
        assert directory.member_ids() == {"m-0"}


def test_a_supervisor_who_is_to_be_supervised_at_a_machine_supervises_nobody_there(gate, ada, laser):
    Member.objects.update(level="supervisor")
    grant(ada, laser, "supervised")
    assert (admitted(gate).level, admitted(gate).supervised) == ("user", True)
    grant(ada, laser, "autonomous", since=-1)
    assert (admitted(gate).level, admitted(gate).supervised) == ("supervisor", False)


def test_a_badge_that_was_returned_is_unknown(gate, ada):
    ada.machines.add(gate.machine)
    Badge.objects.get().end(Badge.RETURNED, "eve", datetime.now(ZoneInfo("UTC")))
    assert (admitted(gate).badges, built(gate).refusals) == ([], [])


def test_a_member_with_only_a_loan_is_in_the_roster_until_it_ends(gate, ada):
    ada.machines.add(gate.machine)
    zone = ZoneInfo(settings.ENVIRONMENT.tz)
    midnight = datetime.combine(day(1), datetime.min.time(), zone)
    Badge.objects.update(kind="loan", until=midnight)
    assert (admitted(gate).valid_until, admitted(gate).grace_days) == (today().isoformat(), 0)
    own = give_badge(ada, "04A1B2C4")
    rows = [(found.id, found.badges, found.valid_until) for found in built(gate).members]
    lent = Badge.objects.get(kind="loan")
    assert rows == [("m-1", [own.digest], None), ("m-1", [lent.digest], today().isoformat())]
    own.end(Badge.RETURNED, "eve", datetime.now(zone))
    Badge.objects.filter(kind="loan").update(until=datetime.now(zone))
    assert admitted(gate).badges == []


def test_a_badge_of_a_class_opens_its_machines_supervised_until_the_class_is_over(gate):
    group = Group.objects.create(name="5b", kind="class")
    row = give_badge(None, group=group, kind="class")
    assert refused(gate) == ["training-missing"]
    group.machines.add(gate.machine)
    found = admitted(gate)
    assert (found.id, found.name, found.badges, found.supervised) == (group.roster_id, "5b", [row.digest], True)
    group.ended_on = day(0)
    group.save()
    assert refused(gate) == ["no-access"]


def test_only_rosters_that_change_are_rebuilt(env, gate, ada, laser):
    add("saw-1", "saw")
    roster.rebuild()
    grant(ada, laser)
    assert [changed.name for changed in roster.rebuild(only_changed=True)] == ["laser-1"]
    assert roster.rebuild(only_changed=True) == []


def test_the_gates_that_apply_a_change_are_known(gate, ada):
    add("saw-1", "saw")
    gates = roster.rebuild()
    rosters = roster.versions(gates)
    Gate.objects.filter(name="saw-1").update(reported_roster=rosters["saw-1"])
    known = roster.applied(rosters)
    assert (known.count, [waiting.name for waiting in known.waiting]) == (1, ["laser-1"])
    roster.rebuild()  # a later one is no matter: what was built for this change has arrived
    assert roster.applied(rosters).count == 1


def test_one_members_eligibility_is_the_same_as_among_all(gate, ada, laser):
    grant(ada, laser, "supervised")
    now = datetime.now(ZoneInfo(settings.ENVIRONMENT.tz))
    alone = People(now, only=ada).eligibility(ada, gate.machine)
    assert alone == People(now).eligibility(ada, gate.machine)
    assert alone.is_supervised


def test_a_machine_without_training_needs_individual_access(gate, ada):
    grant(ada, Training.objects.create(name="elsewhere"))
    assert refused(gate) == ["training-missing"]
    assert Machine.objects.get() == gate.machine
