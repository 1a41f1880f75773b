"""Who is not in an imported list: they leave only where the list is complete, and nobody is deleted."""

from __future__ import annotations

import pytest

from fabgate.collector.ground.models import Account, Badge, Change, Member
from fabgate.collector.members.people.blocks import today
from tests.collector.faces.pages.conftest import hashed
from tests.collector.faces.pages.counter import ADA, admitted, said, text, trained
from tests.collector.faces.pages.people.imports.importing import ALL, look, take

pytestmark = pytest.mark.usefixtures("house")

#: A class of seven.
NEWCOMERS = "".join(f"c-{number},Pupil {number},\n" for number in range(7))


# --- who is not in it -------------------------------------------------------------------------------------------------


@pytest.fixture
def many(house) -> list[str]:
    Account.objects.create(name="keeper", role="manager", password=hashed())
    for number in range(10, 20):
        Member.objects.create(id=f"m-{number}", name=f"Person {number}")
    return [f"m-{number},Person {number},\n" for number in range(10, 20)]


def test_who_is_not_in_a_complete_list_leaves_and_is_not_deleted(manager, many, broker):
    trained("m-1")
    page = look(manager, ALL.replace(f"m-1,Ada Lovelace,{ADA}\n", "") + "".join(many))
    assert [member.pk for member in page.context["found"].vanished] == ["m-1"]
    response = take(manager, page, complete="yes")
    assert "1 has left" in said(response)
    assert Member.objects.get(pk="m-1").left_on == today()
    assert Badge.objects.get(member="m-1").end_reason == "left"
    assert "m-1" not in admitted("laser-1")
    assert broker.told


def test_nobody_leaves_unless_the_list_is_said_to_be_complete(manager, many):
    page = look(manager, ALL.replace("Ada Lovelace", "Ada King") + "".join(many[:-1]))
    take(manager, page)
    assert not Member.objects.exclude(left_on=None).exists()


def test_a_list_from_which_more_than_a_fifth_vanish_ends_nobody(manager, many):
    page = look(manager, ALL + "".join(many[:-3]))
    assert "it seems to be incomplete" in text(page)
    assert 'name="complete"' not in text(page)
    assert take(manager, page, complete="yes").status_code == 400
    assert not Member.objects.exclude(left_on=None).exists()


@pytest.mark.parametrize("wrong", ["4", "yes", "03", "٣"])
def test_whoever_says_how_many_of_more_than_a_fifth_have_left_ends_them_and_a_wrong_number_changes_nothing(
    manager, many, broker, wrong
):
    whole = ALL.replace("Ada Lovelace", "Ada King") + "".join(many[:-3])
    page = look(manager, whole)
    assert 'name="left"' in text(page)
    refused = take(manager, page, left=wrong)
    assert refused.status_code == 400
    assert f"You entered “{wrong}”, but 3 people are not in the list" in text(refused)
    assert not Member.objects.exclude(left_on=None).exists()
    assert Member.objects.get(pk="m-1").name == "Ada Lovelace"
    assert "3 have left" in said(take(manager, page, left=" 3 "))
    assert set(Member.objects.filter(left_on=today()).values_list("pk", flat=True)) == {"m-17", "m-18", "m-19"}
    assert set(Change.objects.filter(verb="member.left").values_list("key", flat=True)) == {"m-17", "m-18", "m-19"}


def test_a_whole_list_with_nothing_but_newcomers_and_people_who_left_can_be_counted_too(manager, many):
    page = look(manager, ALL + "".join(many[:-3]) + "m-30,Newcomer,\n")
    assert "this list only adds people" in text(page)
    assert "1 new person, 0 changed, 3 have left" in said(take(manager, page, left="3"))


def test_who_counts_those_who_left_is_asked_again_where_it_is_not_the_same_any_more(manager, many):
    page = look(manager, ALL + "".join(many[:-3]))
    Member.objects.create(id="m-40", name="Meanwhile")
    assert take(manager, page, left="3").status_code == 409
    assert not Member.objects.exclude(left_on=None).exists()


def test_a_list_that_names_nobody_who_is_there_ends_nobody(manager, many):
    page = look(manager, f"id,name,badges\n{NEWCOMERS}")
    assert 'name="left"' not in text(page)
    assert take(manager, page, left=str(len(page.context["found"].vanished))).status_code == 400
    assert not Member.objects.exclude(left_on=None).exists()


def test_a_class_that_is_added_to_a_workshop_is_no_half_of_a_list(manager, many):
    page = look(manager, f"id,name,badges\nm-1,Ada Lovelace,{ADA}\n{NEWCOMERS}")
    assert "it seems to be incomplete" not in text(page)
    assert 'class="message warning"' not in text(page)
    assert "this list only adds people" in text(page)
    assert 'name="complete"' not in text(page)
    assert said(take(manager, page)) == "Import complete: 7 new people, 0 changed."
    assert not Member.objects.exclude(left_on=None).exists()


def test_half_of_a_list_that_changes_people_too_is_called_so(manager, many):
    page = look(manager, f"id,name,badges\nm-1,Ada King,{ADA}\n{NEWCOMERS}")
    assert "it seems to be incomplete" in text(page)


def test_while_a_line_is_broken_nobody_is_ended_by_a_list(manager, many):
    page = look(manager, ALL + "".join(many[:-1]) + "m-19x,,08A1B2C3\n")
    assert 'name="complete"' not in text(page)
    assert take(manager, page, complete="yes").status_code == 400


def test_the_last_manager_does_not_vanish(manager, many):
    Account.objects.filter(name="keeper").update(is_active=False)
    Account.objects.filter(name="manager").update(member="m-19")
    page = look(manager, ALL.replace("Ada Lovelace", "Ada King") + "".join(many[:-1]))
    assert take(manager, page, complete="yes").status_code == 409
    assert Member.objects.get(pk="m-1").name == "Ada Lovelace"
