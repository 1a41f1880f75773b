"""Granting and taking back trainings, from the command line and underneath the pages."""

from __future__ import annotations

import argparse
from datetime import date, timedelta

import pytest
from django.db import transaction

from fabgate.collector.cli import people
from fabgate.collector.ground.models import Change, Gate, Grant, Member, Training
from fabgate.collector.members.people import blocks, leaving, many_grants, trainings
from fabgate.errors import UsageError
from tests.collector.grants import give_badge
from tests.collector.rosters import served

pytestmark = pytest.mark.usefixtures("env")


@pytest.fixture
def laser(gate, told) -> Training:
    give_badge(Member.objects.create(id="m-1", name="Ada"))
    training = Training.objects.create(name="laser")
    training.machines.add(gate.machine)
    told.clear()
    return training


def args(**said) -> argparse.Namespace:
    usual = {"id": "m-1", "training": "laser", "stage": "autonomous", "since": None, "until": None, "trainer": None}
    usual |= {"lower": False}
    return argparse.Namespace(**{**usual, "actor": "eve", "reason": "Ran it alone", **said})


def test_what_is_granted_is_in_the_roster_told_and_written_down(laser, gate, told, capsys):
    people.grant(args(trainer="Ada"))
    assert [member.id for member in served(gate).members] == ["m-1"]
    assert [message.retain for message in told] == [True]
    assert "m-1 (Ada) has laser (autonomous)" in capsys.readouterr().out
    change = Change.objects.get(verb="grant.given")
    assert (change.actor, change.before, change.after["stage"]) == ("cli:eve", {}, "autonomous")
    assert change.rosters == {"laser-1": Gate.objects.get().roster_version}


def test_what_is_taken_back_stays_written_down(laser, gate, told):
    people.grant(args(stage="supervised"))
    people.grant(args())
    people.revoke(args())
    assert [refusal.reasons for refusal in served(gate).refusals] == [["training-missing"]]
    assert (
        list(Grant.objects.values_list("revoked_by", "reason", "revoked_on"))
        == [("cli:eve", "Ran it alone", blocks.today())] * 2
    )
    change = Change.objects.filter(verb="grant.revoked").latest("id")
    assert (change.reason, change.before["revoked_on"]) == ("Ran it alone", None)
    with pytest.raises(UsageError, match="there is nothing to revoke"):
        people.revoke(args())


@pytest.mark.parametrize(
    ("said", "wrong"),
    [
        ({"id": "M-1"}, "did you mean m-1"),
        ({"id": "m-11"}, "found no member 'm-11'; wanted the id of an imported member"),
        ({"training": "lazer"}, "did you mean laser"),
        ({"training": "zzz"}, "wanted one of: laser"),
        ({"since": "0026-12-31"}, "--since: found '0026-12-31', wanted a day .*; did you mean 2026-12-31"),
        ({"until": "2062-12-31"}, "--until: found '2062-12-31', wanted a day .*; did you mean 2026-12-31"),
        ({"since": "1/3/2027"}, "--since: found '1/3/2027', wanted a date"),
        ({"until": "2020-01-01"}, "wanted .* or a later day"),
        ({"stage": "king"}, "wanted supervised, autonomous, instructor, suspended"),
        ({"trainer": "x" * 201}, "wanted at most 200"),
    ],
)
def test_nonsense_is_refused_and_grants_nothing(laser, said, wrong):
    with pytest.raises(UsageError, match=wrong):
        people.grant(args(**said))
    assert not Grant.objects.exists()
    assert not Change.objects.filter(verb="grant.given").exists()


def test_an_instructor_is_lowered_by_command_only_with_a_word_that_says_so(laser):
    people.grant(args(stage="instructor"))
    with pytest.raises(
        UsageError, match=r"m-1 \(Ada\) already has laser at the stage 'instructor'.*if that is intended, add --lower"
    ):
        people.grant(args())
    assert [grant.stage for grant in Grant.objects.all()] == ["instructor"]
    people.grant(args(lower=True))
    assert [grant.stage for grant in Grant.objects.order_by("id")] == ["instructor", "autonomous"]


def test_nobody_is_granted_anything_after_they_left(laser):
    Member.objects.update(left_on=date(2020, 1, 1))
    with pytest.raises(UsageError, match="left on 2020-01-01"):
        people.grant(args())


def test_a_grant_is_taken_back_once_and_with_a_reason(laser):
    people.grant(args())
    given = Grant.objects.get()
    with pytest.raises(UsageError, match="that say why"):
        trainings.revoke(given, actor="eve", reason=" ")
    tomorrow = blocks.today() + timedelta(days=1)
    trainings.revoke(given, actor="eve", reason="moves away", on=tomorrow)
    assert given.revoked_on == tomorrow
    with pytest.raises(UsageError, match="already revoked"):
        trainings.revoke(given, actor="bob", reason="again")


def test_a_list_of_trainings_is_imported_with_its_days_and_names_whom_it_leaves_as_they_are(
    laser,
    gate,
    told,
    capsys,
    tmp_path,
):
    Member.objects.create(id="m-2", name="Zoé")
    Grant.objects.create(member_id="m-2", training=laser, stage="suspended", since=date(2025, 1, 1))
    file = tmp_path / "trainings.csv"
    file.write_text(
        "id;formation;depuis;niveau\nm-1;laser;03/09/2025;encadré\nm-1;laser;17/09/2025;\nm-1;laser;20/09/2025;référente\n"
        "m-2;laser;17/09/2025;\n"
    )
    people.import_trainings(argparse.Namespace(file=str(file), dates=""))
    printed = capsys.readouterr()
    assert printed.err == "note: m-2 (Zoé): laser from 2025-09-17 was not granted, because they are suspended\n"
    assert printed.out.startswith("3 grants imported, 1 unchanged; ")
    assert [(row.stage, str(row.since)) for row in Grant.objects.filter(member="m-1").order_by("since")] == [
        ("supervised", "2025-09-03"),
        ("autonomous", "2025-09-17"),
        ("instructor", "2025-09-20"),
    ]
    assert [member.id for member in served(gate).members] == ["m-1"]
    assert [message.retain for message in told] == [True]


def test_a_list_of_trainings_with_an_error_is_not_imported_at_all(laser, tmp_path):
    file = tmp_path / "trainings.csv"
    file.write_text("id,training,since\nm-1,laser,2025-09-03\nm-1,laser,soon\nm-7,laser,2025-09-03\n")
    with pytest.raises(UsageError) as error:
        people.import_trainings(argparse.Namespace(file=str(file), dates=""))
    assert str(error.value).splitlines() == [
        f"{file}, line 3: since: found 'soon', wanted a date such as 2026-12-31 or 31/12/2026",
        f"{file}, line 4: id: no member 'm-7'; add this person first",
    ]
    assert not Grant.objects.exists()


def listed(member: Member, training: Training, stage: str, *, actor: str, since: date) -> None:
    """Grant a training as a list does."""
    with transaction.atomic():
        planned = many_grants.plan([Grant(member=member, training=training, stage=stage, since=since)], locks=True)
        many_grants.store_imported(planned, actor=actor)


def to_many(member: Member, *args: object, **values: object) -> None:
    many_grants.grant_to_many([member], *args, **values)


@pytest.mark.parametrize("grant", [trainings.grant_training, to_many, listed])
def test_a_person_who_left_after_they_were_read_is_granted_nothing(laser, grant):
    read = Member.objects.get(pk="m-1")
    leaving.leave(Member.objects.get(pk="m-1"), actor="eve")
    with pytest.raises(UsageError, match=r"m-1 \(Ada\) left on"):
        grant(read, laser, Grant.AUTONOMOUS, actor="eve", since=blocks.today())
    assert not Grant.objects.exists()
