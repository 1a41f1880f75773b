"""Do trainers grant what they train, not far back, to no instructor, and under a name that is on record, by every way in?"""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from fabgate.collector.ground.models import Account, Change, Grant, Member, Training
from fabgate.collector.members.people import many_grants, trainings
from fabgate.collector.members.people.blocks import today
from fabgate.errors import UsageError
from tests.collector.faces.pages.counter import text, trained

pytestmark = pytest.mark.usefixtures("house")

WAYS = ["one", "many"]


def long_ago() -> date:
    """Of the moment: midnight may have passed since this file was read."""
    return today() - timedelta(days=32)


@pytest.fixture
def bo(account) -> Account:
    return account("trainer", "bo", display_name="Bo Lind")


def laser() -> Training:
    return Training.objects.get(name="laser")


def send(client, way: str, **more):
    typed = {"training": laser().pk, "stage": "autonomous", "since": today().isoformat(), "trainer": "m-2", **more}
    if way == "one":
        return client.post("/people/m-1/grant", typed)
    return client.post("/people/trainings/who", {**typed, "member": ["m-1"]})


@pytest.mark.parametrize("way", WAYS)
def test_a_training_that_names_its_trainers_is_granted_by_these_and_by_managers(browse, account, bo, way):
    laser().trainers.add(account("trainer", "cy"))
    client = browse(bo)
    assert send(client, way).status_code == 400
    assert not Grant.objects.exists()
    laser().trainers.add(bo)
    assert send(client, way).status_code == 303
    Grant.objects.all().delete()
    assert send(browse("manager"), way).status_code == 303


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("stage", ["supervised", "autonomous", "suspended"])
def test_a_training_that_names_no_trainer_is_granted_by_each_trainer(browse, bo, way, stage):
    assert send(browse(bo), way, stage=stage).status_code == 303
    assert Grant.objects.get().stage == stage


def test_a_trainer_takes_back_only_what_they_train(browse, account, bo):
    held = trained("m-1")
    laser().trainers.add(account("trainer", "cy"))
    client = browse(bo)
    assert "Revoke…" not in text(client.get("/people/m-1"))
    response = client.post("/people/m-1/revoke", {"training": laser().pk, "reason": "x"})
    assert response.status_code == 400
    assert "only managers and the trainers of this training" in text(response)
    held.refresh_from_db()
    assert held.revoked_on is None


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("field", ["stage", "since"])
def test_instructors_and_days_long_past_are_a_managers(browse, bo, way, field):
    said = {"stage": "instructor"} if field == "stage" else {"since": long_ago().isoformat()}
    assert send(browse(bo), way, **said).status_code == 400
    assert not Grant.objects.exists()
    assert send(browse("manager"), way, **said).status_code == 303


@pytest.mark.parametrize("way", WAYS)
def test_a_day_a_month_back_is_still_a_trainers(browse, bo, way):
    assert send(browse(bo), way, since=(long_ago() + timedelta(days=1)).isoformat()).status_code == 303


@pytest.mark.parametrize("way", WAYS)
def test_the_trainer_who_is_named_is_a_person_on_record(browse, bo, way):
    client = browse(bo)
    response = send(client, way, trainer="Dr. Nobody")
    assert response.status_code == 400
    assert "Dr. Nobody" in text(response)
    assert not Grant.objects.exists()
    for typed, written in (
        ("zoe muller-østergard", "Zoé Müller-Østergård (m-2)"),
        ("bo", "Bo Lind"),
        ("BO LIND", "Bo Lind"),
    ):
        Grant.objects.all().delete()
        assert send(client, way, trainer=typed).status_code == 303
        assert Grant.objects.get().trainer == written


def test_a_name_of_two_people_asks_which_of_them(browse, bo):
    Member.objects.create(id="m-9", name="Ada Lovelace")
    response = send(browse(bo), "one", trainer="Ada Lovelace")
    assert "Ada Lovelace (m-1)" in str(response.context["grant_form"].errors["trainer"])
    assert send(browse(bo), "one", trainer="Ada Lovelace (m-9)").status_code == 303


def test_forms_offer_what_would_be_taken(browse, account, bo):
    laser().trainers.add(account("trainer", "cy"))
    form = browse(bo).get("/people/m-1").context["grant_form"]
    assert [one.name for one in form.fields["training"].queryset] == ["saw"]
    assert "instructor" not in dict(form.fields["stage"].choices)
    assert form.initial["trainer"] == "Bo Lind"
    Training.objects.get(name="saw").trainers.add(Account.objects.get(name="cy"))
    assert "You cannot grant any training" in text(browse(bo).get("/people/m-1"))


def test_underneath_the_pages_the_same_rules_hold_and_the_site_itself_is_free_of_them(account, bo):
    laser().trainers.add(account("trainer", "cy"))
    ada = Member.objects.get(pk="m-1")
    for who in (bo, account("desk")):
        for give in (
            trainings.grant_training,
            lambda one, *more, **said: many_grants.grant_to_many([one], *more, **said),
        ):
            with pytest.raises(UsageError, match="only managers and the trainers of this training"):
                give(ada, laser(), "autonomous", actor=who, since=today())
    laser().trainers.add(bo)
    for give in (trainings.grant_training, lambda one, *more, **said: many_grants.grant_to_many([one], *more, **said)):
        with pytest.raises(UsageError, match="Only a manager can make someone an instructor"):
            give(ada, laser(), "instructor", actor=bo, since=today())
        with pytest.raises(UsageError, match="Only a manager can choose a day more than a month ago"):
            give(ada, laser(), "autonomous", actor=bo, since=long_ago())
    assert not Grant.objects.exists()
    trainings.grant_training(ada, laser(), "supervised", actor=bo, since=long_ago() + timedelta(days=1))
    Grant.objects.all().delete()
    Change.objects.all().delete()
    trainings.grant_training(ada, laser(), "instructor", actor="cli:maya", since=long_ago())
    assert Change.objects.get().actor == "cli:maya"
    with pytest.raises(UsageError, match=r"Dr\. Nobody"):
        trainings.grant_training(ada, laser(), "autonomous", actor="cli:maya", since=today(), trainer="Dr. Nobody")


# --- who trains it ----------------------------------------------------------------------------------------------------


def test_a_manager_names_who_trains_it_and_it_is_read_and_logged(browse, account, bo):
    account("desk", "dee")
    manager = browse("manager")
    form = manager.get(f"/people/trainings/{laser().pk}/edit").context["form"]
    assert [one.name for one in form.fields["trainers"].queryset] == ["bo"]
    typed = {"title": "Laser training", "trainers": [bo.pk]}
    assert manager.post(f"/people/trainings/{laser().pk}/edit", typed).status_code == 303
    assert Change.objects.get().after["trainers"] == ["bo"]
    assert "Bo Lind" in text(manager.get(f"/people/trainings/{laser().pk}"))
    assert "Bo Lind" in text(manager.get("/log"))


def test_who_trains_it_and_cannot_sign_in_now_stays_named(browse, account, bo):
    laser().trainers.add(bo)
    Account.objects.filter(pk=bo.pk).update(is_active=False)
    manager = browse("manager")
    form = manager.get(f"/people/trainings/{laser().pk}/edit").context["form"]
    assert form["trainers"].value() == [bo.pk]
    assert send(browse(account("trainer", "cy")), "one").status_code == 400
