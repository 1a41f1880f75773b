"""Who leaves takes everything along, and the log tells it of each, however many leave at once."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from fabgate import badge
from fabgate.collector.ground.models import Account, ApiKey, Badge, Change, Member
from fabgate.collector.members.people import leaving
from fabgate.collector.members.people.badges import Card

pytestmark = pytest.mark.usefixtures("env")


def people(first: int, count: int) -> list[Member]:
    """Return members with a badge each; the first of them has an account and a key."""
    made = [Member.objects.create(id=f"m-{number:04}") for number in range(first, first + count)]
    for number, member in enumerate(made, first):
        card = Card.spelled(badge.parse(f"04A1B2C3{number:06X}"))
        Badge.objects.create(spelling=card.spelling, digest=card.digest, member=member)
    account = Account.objects.create(name=f"desk-{first}", role=Account.DESK, member=made[0])
    ApiKey.make(f"bills-{first}", [], made_by=account, expires_at=None)
    return made


def asked(members: list[Member]) -> int:
    with CaptureQueriesContext(connection) as queries:
        leaving.leave(*members, actor="eve", reason="import")
    return len(queries)


def test_a_hundred_who_leave_cost_few_more_questions_than_two_and_each_is_in_the_log(env):
    stays = Member.objects.create(id="m-9999")
    few, many = people(0, 2), people(100, 100)
    assert asked(many) <= asked(few) + 3
    told = Change.objects.filter(verb="member.left", reason="import")
    assert sorted(told.values_list("key", flat=True)) == sorted(member.pk for member in [*few, *many])
    assert Change.objects.filter(verb="badge.ended", reason="left").count() == 102
    assert set(Badge.objects.values_list("end_reason", "ended_by")) == {(Badge.LEFT, "eve")}
    assert not Account.objects.filter(is_active=True).exists()
    assert not ApiKey.valid().exists()
    stays.refresh_from_db()
    assert stays.left_on is None
    assert all(member.left_on is not None for member in many)
