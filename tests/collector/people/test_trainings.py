"""Granting and taking back trainings, from the command line and underneath the pages."""

from __future__ import annotations

import argparse
from datetime import date, timedelta

import pytest

from fabgate.collector.models import Change, Gate, Grant, Member, Training
from fabgate.collector.people import blocks, trainings
from fabgate.errors import UsageError
from tests.collector.access.test_eligibility import give_badge
from tests.collector.access.test_roster import (
    env,  # noqa: F401 (fixtures)
    gate,  # noqa: F401 (fixtures)
    served,
    told,  # noqa: F401 (fixtures)
)


@pytest.fixture
def laser(gate, told) -> Training:  # noqa: F811
    give_badge(Member.objects.create(id="m-1", name="Ada"))
    training = Training.objects.create(name="laser")
    training.machines.add(gate.machine)
    told.clear()
    return training


def args(**said) -> argparse.Namespace:
    usual = {"id": "m-1", "training": "laser", "stage": "autonomous", "since": None, "until": None, "trainer": None}
    usual |= {"lower": False}
    return argparse.Namespace(**{**usual, "actor": "eve", "reason": "Ran it alone", **said})


def test_what_is_granted_is_in_the_roster_told_and_written_down(laser, gate, told, capsys):  # noqa: F811
    trainings.grant_command(args(trainer="Ada"))
    assert [member.id for member in served(gate).members] == ["m-1"]
    assert [message.retain for message in told] == [True]
    assert "m-1 (Ada) has laser (autonomous)" in capsys.readouterr().out
    change = Change.objects.get(verb="grant.given")
    assert (change.actor, change.before, change.after["stage"]) == ("cli:eve", {}, "autonomous")
    assert change.rosters == {"laser-1": Gate.objects.get().roster_version}


def test_what_is_taken_back_stays_written_down(laser, gate, told):  # noqa: F811
    trainings.grant_command(args(stage="supervised"))
    trainings.grant_command(args())
    trainings.revoke_command(args())
    assert [refusal.reasons for refusal in served(gate).refusals] == [["training-missing"]]
    assert (
        list(Grant.objects.values_list("revoked_by", "reason", "revoked_on"))
        == [("cli:eve", "Ran it alone", blocks.today())] * 2
    )
    change = Change.objects.filter(verb="grant.revoked").latest("id")
    assert (change.reason, change.before["revoked_on"]) == ("Ran it alone", None)
    with pytest.raises(UsageError, match="there is nothing to revoke"):
        trainings.revoke_command(args())


@pytest.mark.parametrize(
    ("said", "wrong"),
    [
        ({"id": "m-11"}, "did you mean m-1"),
        ({"training": "lazer"}, "did you mean laser"),
        ({"training": "zzz"}, "wanted one of: laser"),
        ({"since": "1/3/2027"}, "--since: found '1/3/2027', wanted a date"),
        ({"until": "2020-01-01"}, "wanted .* or a later day"),
        ({"stage": "king"}, "wanted supervised, autonomous, instructor, suspended"),
        ({"trainer": "x" * 201}, "wanted at most 200"),
    ],
)
def test_nonsense_is_refused_and_grants_nothing(laser, said, wrong):
    with pytest.raises(UsageError, match=wrong):
        trainings.grant_command(args(**said))
    assert not Grant.objects.exists()
    assert not Change.objects.filter(verb="grant.given").exists()


def test_an_instructor_is_lowered_by_command_only_with_a_word_that_says_so(laser):
    trainings.grant_command(args(stage="instructor"))
    with pytest.raises(UsageError, match=r"m-1 \(Ada\) holds laser as instructor.*if that is intended, add --lower"):
        trainings.grant_command(args())
    assert [grant.stage for grant in Grant.objects.all()] == ["instructor"]
    trainings.grant_command(args(lower=True))
    assert [grant.stage for grant in Grant.objects.order_by("id")] == ["instructor", "autonomous"]


def test_nobody_is_granted_anything_after_they_left(laser):
    Member.objects.update(left_on=date(2020, 1, 1))
    with pytest.raises(UsageError, match="left on 2020-01-01"):
        trainings.grant_command(args())


def test_a_grant_is_taken_back_once_and_with_a_reason(laser):
    trainings.grant_command(args())
    given = Grant.objects.get()
    with pytest.raises(UsageError, match="that say why"):
        trainings.revoke(given, actor="eve", reason=" ")
    tomorrow = blocks.today() + timedelta(days=1)
    trainings.revoke(given, actor="eve", reason="moves away", on=tomorrow)
    assert given.revoked_on == tomorrow
    with pytest.raises(UsageError, match="revoked already"):
        trainings.revoke(given, actor="bob", reason="again")
