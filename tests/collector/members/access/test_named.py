"""Does a roster name everybody whom a gate may have admitted before? The gate's guard keeps who is missing from it."""

from __future__ import annotations

import contextlib
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.conf import settings

from fabgate import wire
from fabgate.collector.ground.models import Badge, Gate, Group, Member, SpecialDay
from fabgate.collector.members.people import leaving
from fabgate.gate.roster.directory import Directory
from fabgate.gate.roster.source import replace_stored
from fabgate.rules import vocabulary
from tests.collector.grants import day, give_badge
from tests.collector.rosters import built

pytestmark = pytest.mark.usefixtures("env", "told")


class Beside:
    """A gate that takes each roster of its collector, under its guard."""

    def __init__(self, served: Gate, stored: Path) -> None:
        self._gate = served
        self._stored = stored

    def fetch(self, **more: Any) -> None:
        """Take what the collector serves now; the guard must not object."""
        assert replace_stored(built(self._gate), self._stored, **more).refusal is None

    def holder(self, row: Badge) -> vocabulary.Holder | None:
        """Return who holds a badge, as the gate decides."""
        with contextlib.closing(Directory(self._stored)) as directory:
            return directory.find(row.digest)


@pytest.fixture
def beside(gate, tmp_path) -> Beside:
    return Beside(gate, tmp_path / "roster.db")


def classes(gate: Gate, count: int) -> list[Badge]:
    """Return the badges of as many classes, which the gate's machine is open to."""
    rows = []
    for number in range(count):
        group = Group.objects.create(name=f"5-{number}", kind="class")
        group.machines.add(gate.machine)
        rows.append(give_badge(None, f"04A1B2{number:02}", group=group, kind="class"))
    return rows


def give_back(row: Badge) -> None:
    row.end(Badge.RETURNED, "eve", datetime.now(ZoneInfo(settings.ENVIRONMENT.tz)))


@pytest.mark.parametrize("count", [1, 20], ids=["the only one", "one of many"])
def test_a_returned_group_badge_opens_nothing_at_a_gate_that_admitted_it(gate, beside, count):
    rows = classes(gate, count)
    beside.fetch()
    assert all(beside.holder(row) for row in rows)
    for row in rows:
        give_back(row)
    beside.fetch()
    assert [beside.holder(row) for row in rows] == [None] * count


def test_a_group_badge_returned_after_the_group_ended_opens_nothing(gate, beside):
    rows = classes(gate, 20)
    beside.fetch()
    Group.objects.update(ended_on=day(0))
    for row in rows:
        give_back(row)
    beside.fetch()
    assert [beside.holder(row) for row in rows] == [None] * 20


def test_a_group_is_named_without_a_badge_as_a_member_is(gate):
    Member.objects.create(id="m-1")
    open_to, shut, over = (Group.objects.create(name=name, kind="company") for name in ("a", "b", "c"))
    open_to.machines.add(gate.machine)
    over.machines.add(gate.machine)
    Group.objects.filter(pk=over.pk).update(ended_on=day(-400))
    found = built(gate)
    assert [(one.id, one.badges) for one in found.members] == [(open_to.roster_id, [])]
    assert {one.id: (one.badges, one.reasons) for one in found.refusals} == {
        "m-1": ([], ["training-missing"]),
        shut.roster_id: ([], ["training-missing"]),
        over.roster_id: ([], ["no-access"]),
    }


def test_a_member_who_left_while_a_gate_was_off_is_refused_when_it_returns(gate, beside):
    rows = []
    for number in range(20):
        member = Member.objects.create(id=f"m-{number}")
        member.machines.add(gate.machine)
        rows.append(give_badge(member, f"04A1B2{number:02}"))
    beside.fetch()
    leaving.leave(*Member.objects.exclude(id="m-0"), actor="eve")
    Member.objects.exclude(id="m-0").update(left_on=day(-730))
    beside.fetch()
    assert [beside.holder(row) is not None for row in rows] == [True] + [False] * 19


def test_a_machine_closed_all_week_still_names_everybody(gate, beside):
    (row,) = classes(gate, 1)
    member = Member.objects.create(id="m-1")
    member.machines.add(gate.machine)
    beside.fetch()
    for ahead in range(7):
        SpecialDay.objects.create(day=day(ahead))
    beside.fetch()
    assert isinstance(beside.holder(row), vocabulary.Barred)
    assert {one.id for one in built(gate).refusals} == {"m-1", row.holder}


def test_a_gate_drops_groups_that_an_older_collector_no_longer_names(tmp_path):
    """An older collector names a group only as long as it has a badge: what is missing was given back."""
    stored = tmp_path / "roster.db"
    ada = wire.Member(id="m-1", badges=["11" * 32])
    groups = [wire.Member(id=f"group:{n}", badges=[f"{n:02}" * 32]) for n in range(20, 40)]

    def roster(version: int, *members: wire.Member) -> wire.Roster:
        return wire.Roster(version=version, site="lyon", gate="laser-1", members=list(members))

    replace_stored(roster(1, ada, *groups), stored)
    assert replace_stored(roster(2, ada), stored).refusal is None
    replace_stored(roster(3, *groups), stored)
    assert replace_stored(roster(4), stored).refusal is None
    with contextlib.closing(Directory(stored)) as directory:
        assert directory.member_ids() == set()
