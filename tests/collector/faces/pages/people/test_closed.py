"""Does "may X use Y?" say that the machine is closed now, and until when, on the person's page and on their own?"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.conf import settings
from django.utils import timezone, translation

from fabgate.collector.faces.pages.my import allowed
from fabgate.collector.faces.pages.people.person import page
from fabgate.collector.ground.models import Machine, Member, Opening, SpecialDay, Training
from tests.collector.faces.pages.counter import text

#: A Sunday, 18:00.
AT = datetime(2026, 11, 29, 18, 0, tzinfo=ZoneInfo(settings.TIME_ZONE))


@pytest.fixture
def ada(database) -> Member:
    saw = Machine.objects.create(name="saw", title="Saw")
    member = Member.objects.create(id="m-1", name="Ada Lovelace")
    member.machines.add(saw)
    return member


def said(member: Member, at: datetime = AT) -> set[str]:
    """What both pages say of the machine."""
    return {page.machines(member, at)[0].chip.word, allowed.machines(member, at)[0].word}


@pytest.mark.parametrize(
    ("lang", "at", "expected"),
    [
        ("en", AT, "Yes, closed until Tuesday 14:00"),
        ("fr", AT, "Oui, fermée jusqu\N{RIGHT SINGLE QUOTATION MARK}à mardi 14:00"),
        ("en", AT + timedelta(days=2, hours=-5), "Yes, closed until 14:00"),
        ("en", AT + timedelta(days=2), "Yes"),
        ("en", AT + timedelta(days=2, hours=4), "Yes, closed until Thursday 09:30"),
    ],
)
def test_yes_for_a_machine_that_is_closed_says_until_when(ada, lang, at, expected):
    Opening.objects.create(days=[2], start="14:00", to="22:00")
    Opening.objects.create(days=[4], start="09:30", to="12:00")
    with translation.override(lang):
        assert said(ada, at) == {expected}


def test_other_answers_than_yes_say_it_too_but_a_no_and_a_maintainer_do_not(ada):
    Opening.objects.create(days=[2], start="14:00", to="22:00")
    Member.objects.update(supervised=True)
    assert said(Member.objects.get()) == {"With a supervisor, closed until Tuesday 14:00"}
    Member.objects.update(supervised=False, level="maintainer")
    assert said(Member.objects.get()) == {"Yes"}
    training = Training.objects.create(name="saw", title="Sawing")
    training.machines.add(Machine.objects.get())
    ada.grants.create(training=training, stage="instructor", since=date(2026, 1, 1))
    Member.objects.update(level="user")
    assert page.machines(Member.objects.get(), AT)[0].chip.word == "Instructor, closed until Tuesday 14:00"
    ada.machines.clear()
    ada.grants.all().delete()
    assert said(Member.objects.get()) == {"No"}


OPEN = "Yes, open to all members until "
OUVERTE = "Oui, ouverte à tous les membres jusqu\N{RIGHT SINGLE QUOTATION MARK}"


@pytest.mark.parametrize(
    ("lang", "until", "expected"),
    [
        ("en", AT + timedelta(days=3), f"{OPEN}2 Dec 2026, 18:00"),
        ("en", AT + timedelta(hours=2), f"{OPEN}20:00"),
        ("fr", AT + timedelta(hours=2), f"{OUVERTE}à 20:00"),
        ("fr", (AT + timedelta(days=3)).astimezone(UTC), f"{OUVERTE}au 02/12/2026 18:00"),
        ("en", (AT + timedelta(days=3)).replace(tzinfo=None), f"{OPEN}2 Dec 2026, 18:00"),
    ],
)
def test_a_machine_that_is_open_to_all_says_yes_until_when(ada, lang, until, expected):
    ada.machines.clear()
    Machine.objects.update(rules={"observe_until": until.isoformat()})
    with translation.override(lang):
        assert said(ada) == {expected}


def test_it_says_so_to_who_is_banned_or_minor_or_comes_outside_hours_and_what_is_true_after_that(ada):
    def whys() -> set[str]:
        member = Member.objects.get()
        return {", ".join(page.machines(member, AT)[0].why), allowed.machines(member, AT)[0].why}

    Machine.objects.update(rules={"observe_until": (AT + timedelta(hours=2)).isoformat()})
    opened = {f"{OPEN}20:00"}
    assert said(Member.objects.get()) == {"Yes"}
    Member.objects.update(minor=True)
    assert (said(Member.objects.get()), whys()) == (opened, {"after that: With a supervisor"})
    Member.objects.update(minor=False, valid_until=date(2026, 1, 1))
    ada.blocks.create(reason="banned", actor="desk", at=AT)
    assert (said(Member.objects.get()), whys()) == (opened, {"after that: banned, membership expired"})
    ada.blocks.all().delete()
    Member.objects.update(valid_until=None)
    Opening.objects.create(days=[2], start="14:00", to="22:00")
    assert (said(Member.objects.get()), whys()) == (opened, {""})
    Machine.objects.update(rules={"observe_until": AT.isoformat()})
    assert said(Member.objects.get()) == {"Yes, closed until Tuesday 14:00"}


def test_a_right_that_ends_before_that_is_not_the_end(ada):
    Member.objects.update(valid_until=AT.date())
    Machine.objects.update(rules={"observe_until": (AT + timedelta(days=3)).isoformat()})
    member = Member.objects.get()
    assert said(member) == {f"{OPEN}2 Dec 2026, 18:00"}
    assert page.machines(member, AT)[0].until is None
    Machine.objects.update(rules={"observe_until": (AT + timedelta(hours=2)).isoformat()})
    assert (said(member), page.machines(member, AT)[0].until) == ({"Yes"}, AT.date())


def test_who_has_left_and_has_no_badge_reads_no(ada):
    Member.objects.update(left_on=AT.date())
    Machine.objects.update(rules={"observe_until": (AT + timedelta(days=3)).isoformat()})
    assert said(Member.objects.get()) == {"No"}


def test_both_pages_ask_the_hours_of_now(ada, browse, account):
    SpecialDay.objects.bulk_create(
        SpecialDay(day=timezone.localdate() + timedelta(days=ahead)) for ahead in range(-1, 9)
    )
    expected = "Yes, but closed for at least a week"
    assert expected in text(browse("desk").get("/people/m-1"))
    assert expected in text(browse(account("member", name="ada", member=ada)).get("/my-minutes"))
