"""Which badges can be copied by somebody who has a gate's SD card?"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from fabgate import badge
from fabgate.collector.ground.models import Badge, BadgeForm, Group, Member
from fabgate.collector.members.people import computable_badges

NOW = datetime.now(UTC)


@pytest.mark.parametrize(
    ("spelling", "is_short"),
    [
        ("04A1B2C3", True),
        ("12:34:56:78", True),
        ("04A1B2C3D4E5F6", False),
        ("04A1B2C3D4E5F6A7B8C9", False),
        ("w26:123,45678", True),
        ("w34-hex:007BB26E", True),
        ("em-hex:0A00B1C2D3", True),
        ("number10:0012345678", True),
    ],
)
def test_a_number_can_be_computed_unless_it_has_seven_bytes_or_more(spelling, is_short):
    assert str(badge.parse(spelling)) == spelling
    assert computable_badges.is_short(spelling) is is_short


@pytest.fixture
def people(database) -> None:
    ada, bob = Member.objects.create(id="m-1", name="Ada"), Member.objects.create(id="m-2", name="Bob")
    school = Group.objects.create(name="School", kind=Group.CLASS)
    for digest, more in {
        "bob's": {"member": bob, "spelling": "04A1B2C3"},
        "ada's": {"member": ada, "spelling": "em-hex:0A00B1C2D3"},
        "the school's": {"group": school, "spelling": "w26:123,45678"},
        "long": {"member": ada, "spelling": "04A1B2C3D4E5F6"},
        "tapped": {"member": ada, "key_id": "b1"},
        "ended": {"member": ada, "spelling": "04A1B2C4", "ended_at": NOW},
        "a loan that is over": {"member": ada, "spelling": "04A1B2C5", "until": NOW - timedelta(days=1)},
    }.items():
        Badge.objects.create(digest=digest, **more)


def digests(rows: list[Badge]) -> set[str]:
    return {row.digest for row in rows}


def test_badges_that_somebody_has_are_sorted_into_short_and_unknown_ones(people):
    found = computable_badges.find(NOW)
    assert digests(found.short) == {"bob's", "ada's", "the school's"}
    assert [row.digest for row in found.short if row.member] == ["ada's", "bob's"]
    assert digests(found.unknown) == {"tapped"}


def test_a_long_number_of_which_gates_accept_a_short_form_is_short(people):
    form = BadgeForm.objects.create(badge=Badge.objects.get(digest="long"), form="uid:number8", state=BadgeForm.SHARED)
    assert "long" not in digests(computable_badges.find(NOW).short)
    form.state = BadgeForm.ACCEPTED
    form.save()
    assert "long" in digests(computable_badges.find(NOW).short)
