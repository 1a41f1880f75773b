"""Does a training that is granted to many leave everybody at least what they hold, and is one person lowered by intent only?"""

from __future__ import annotations

from datetime import timedelta

import pytest

from fabgate.collector.ground.models import Grant, Training
from fabgate.collector.members.people.blocks import today
from tests.collector.faces.pages.counter import admitted, refused, said, served, text, trained

pytestmark = pytest.mark.usefixtures("house")


def typed(**more) -> dict[str, object]:
    laser = Training.objects.get(name="laser").pk
    return {"training": laser, "stage": "autonomous", "since": today().isoformat(), "trainer": "m-1", **more}


def to_many(client, *members: str, **more):
    return client.post("/people/trainings/who", {**typed(**more), "member": list(members)})


def to_one(client, member: str, **more):
    return client.post(f"/people/{member}/grant", typed(**more))


def levels(gate: str = "laser-1") -> dict[str, str]:
    return {member.id: member.level for member in served(gate).members}


def kept(response) -> dict[str, list[str]]:
    """Return whom the answer lists, by the first words of why."""
    return {str(why).split(":")[0]: [one.pk for one in members] for why, members in response.context["kept"]}


def test_an_instructor_stays_one_and_a_suspension_holds_when_a_class_is_granted_its_training(manager):
    trained("m-1", stage="instructor")
    trained("m-2", stage="suspended")
    response = to_many(manager, "m-1", "m-2", "m-3")
    assert levels()["m-1"] == "supervisor"
    assert refused("laser-1")["m-2"] == ["suspended", "training-missing"]
    assert admitted("laser-1") == {"m-1", "m-3"}
    assert response.status_code == 200
    assert kept(response) == {"Suspended": ["m-2"], "Already at a higher stage": ["m-1"]}
    page = text(response)
    assert "granted to 1 person" in page
    assert "Ada Lovelace" in page
    assert Grant.objects.filter(since=today()).count() == 1


def test_who_holds_as_much_already_is_listed_and_who_gets_it_for_longer_is_granted_it(manager):
    Training.objects.filter(name="laser").update(expires_after_days=365)
    trained("m-1", since=today())
    trained("m-2", since=today() - timedelta(days=300))
    response = to_many(manager, "m-1", "m-2")
    assert kept(response) == {"Already granted.": ["m-1"]}
    assert Grant.objects.filter(member="m-2", since=today()).count() == 1


def test_a_shorter_grant_of_the_same_stage_takes_no_day_from_a_longer_one(manager):
    trained("m-1")
    response = to_many(manager, "m-1", "m-3", until=(today() + timedelta(days=3)).isoformat())
    assert kept(response) == {"Already granted.": ["m-1"]}
    assert set(Grant.objects.filter(since=today()).values_list("member", flat=True)) == {"m-3"}


def test_a_suspension_since_yesterday_is_not_passed_by_with_an_earlier_day(manager):
    trained("m-2", stage="suspended", since=today() - timedelta(days=1))
    response = to_many(manager, "m-2", since=(today() - timedelta(days=2)).isoformat())
    assert kept(response) == {"Suspended": ["m-2"]}
    assert to_one(manager, "m-2", since=(today() - timedelta(days=2)).isoformat()).status_code == 400


def test_many_are_suspended_at_once_and_once(manager):
    trained("m-1", stage="instructor")
    trained("m-2", stage="suspended")
    response = to_many(manager, "m-1", "m-2", stage="suspended")
    assert kept(response) == {"Already granted.": ["m-2"]}
    assert refused("laser-1")["m-1"] == ["suspended"]


def test_french_says_who_keeps_what_they_have(manager, browse):
    trained("m-1", stage="instructor")
    trained("m-2", stage="suspended")
    manager.cookies["fabgate_lang"] = "fr"
    page = text(manager.post("/people/trainings/who", {**typed(), "member": ["m-1", "m-2"]}, HTTP_ACCEPT_LANGUAGE="fr"))
    assert "Suspension en cours" in page


# --- one person -------------------------------------------------------------------------------------------------------


def test_one_person_is_lowered_only_by_a_tick_that_says_so(manager):
    trained("m-1", stage="instructor")
    response = to_one(manager, "m-1")
    assert response.status_code == 400
    error = str(response.context["grant_form"].errors["lower"])
    assert "Instructor" in error
    assert "Nothing has changed yet" in error
    assert levels()["m-1"] == "supervisor"
    page = text(response)
    laser = Training.objects.get(name="laser").pk
    assert f'name="lower" value="{laser}-autonomous"' in page
    assert to_one(manager, "m-1", lower=f"{laser}-autonomous").status_code == 303
    assert levels()["m-1"] == "user"


def test_a_tick_for_one_stage_lowers_to_no_other(manager):
    trained("m-1", stage="instructor")
    laser = Training.objects.get(name="laser").pk
    assert to_one(manager, "m-1", stage="supervised", lower=f"{laser}-autonomous").status_code == 400
    assert levels()["m-1"] == "supervisor"


def test_a_higher_stage_and_a_suspension_need_no_tick(manager):
    trained("m-1", stage="supervised")
    assert to_one(manager, "m-1").status_code == 303
    assert to_one(manager, "m-1", stage="suspended").status_code == 303
    assert "training granted" not in said(to_one(manager, "m-1", stage="suspended"))
