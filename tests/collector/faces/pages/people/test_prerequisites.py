"""A training without the one that it requires: it says so at once, by name, and people of one name are told apart."""

from __future__ import annotations

import argparse
import html
import random
from datetime import timedelta

import pytest

from fabgate.collector.cli import people as verbs
from fabgate.collector.ground.models import Account, Grant, Machine, Member, Training
from fabgate.collector.members.access import roster
from fabgate.collector.members.people import trainings
from fabgate.collector.members.people.blocks import today
from tests.collector.faces.pages.counter import admitted, said, text, trained
from tests.collector.faces.pages.people.imports.importing import look

pytestmark = pytest.mark.usefixtures("house")


@pytest.fixture(autouse=True)
def chain(house) -> None:
    """The laser requires the safety tour, which requires the fire drill."""
    fire = Training.objects.create(name="fire", title="Fire drill")
    tour = Training.objects.create(name="safety", title="Safety tour", prerequisite=fire)
    Training.objects.filter(name="laser").update(prerequisite=tour)


def laser() -> Training:
    return Training.objects.get(name="laser")


def answer(client, path: str, typed: dict[str, object]) -> str:
    """Return what the next page says after a form was sent."""
    sent = said(client.post(path, typed))
    client.get("/people")  # shows it
    return sent


def granting(**more: object) -> dict[str, object]:
    return {"training": str(laser().pk), "stage": "autonomous", "since": str(today()), "trainer": "m-1", **more}


MISSING = "Laser training gives no access yet. Also required, and missing: "


def test_a_grant_says_at_once_what_else_is_required(browse):
    trainer = browse("trainer")
    assert f"{MISSING}Fire drill and Safety tour." in answer(trainer, "/people/m-1/grant", granting())
    trained("m-2", "fire")
    assert f"{MISSING}Safety tour." in answer(trainer, "/people/m-2/grant", granting())
    trained("m-3", "fire")
    trained("m-3", "safety")
    assert "no access yet" not in answer(trainer, "/people/m-3/grant", granting())
    assert admitted("laser-1") == {"m-3"}
    assert "no access yet" not in answer(trainer, "/people/m-1/grant", granting(stage="suspended"))


def test_a_requirement_that_ends_before_the_first_day_is_missing(browse):
    trained("m-1", "fire")
    trained("m-1", "safety", until=today() + timedelta(days=3))
    trainer = browse("trainer")
    assert MISSING not in answer(trainer, "/people/m-1/grant", granting())
    later = str(today() + timedelta(days=4))
    assert f"{MISSING}Safety tour." in answer(trainer, "/people/m-1/grant", granting(since=later))


def test_a_new_person_and_several_people_hear_of_it_too(browse):
    manager = browse("manager")
    tour = Training.objects.get(name="safety")
    new = {"id": "m-4", "name": "Grace", "lang": "en", "grace_days": "0", "level": "user"}
    heard = answer(manager, "/people/new", {**new, "trainings": [str(laser().pk), str(tour.pk)]})
    assert f"{MISSING}Fire drill." in heard
    assert "Safety tour gives no access yet. Also required, and missing: Fire drill." in heard
    trained("m-2", "fire")
    trained("m-2", "safety")
    page = text(manager.post("/people/trainings/who", granting(member=["m-1", "m-2"])))
    assert "Granted, but it gives no access yet" in page
    assert "missing: Fire drill and Safety tour" in page
    assert "Zoé" not in page.partition("<main")[2]


def test_a_list_of_trainings_counts_what_it_grants_itself(browse):
    head = "id,training,since\n"
    day = today().isoformat()
    page = look(
        browse("manager"),
        f"{head}m-1,laser,{day}\nm-1,safety,{day}\nm-2,laser,{day}\nm-2,safety,{day}\nm-2,fire,{day}\n",
    )
    assert [(grant.member_id, str(grant.training), missing) for grant, missing in page.context["without"]] == [
        ("m-1", "Laser training", "Fire drill"),
        ("m-1", "Safety tour", "Fire drill"),
    ]
    assert "No access yet: a required training is missing" in text(page)


def test_the_command_says_so_as_well(capsys):
    args = {"id": "m-1", "training": "laser", "stage": "autonomous", "since": None, "until": None}
    verbs.grant(argparse.Namespace(**args, trainer=None, actor="eve", lower=False))
    assert (
        "Laser training gives no access yet; also required, and missing: Fire drill, Safety tour"
        in capsys.readouterr().err
    )


def revoking(name: str) -> dict[str, object]:
    return {"training": str(Training.objects.get(name=name).pk), "reason": "unsafe"}


def test_who_loses_a_required_training_loses_by_name_what_builds_on_it(browse):
    trainer = browse("trainer")
    for name in ("fire", "safety", "laser"):
        trained("m-1", name)
    said = answer(trainer, "/people/m-1/revoke", revoking("fire"))
    assert "Without the revoked training, Laser training and Safety tour give no access any more." in said
    assert "any more" not in answer(trainer, "/people/m-1/revoke", revoking("safety"))  # it gave none before
    assert "m-1" not in admitted("laser-1")
    for name in ("fire", "safety"):
        trained("m-2", name)
    assert "Without the revoked training, Safety tour gives no access any more." in answer(
        trainer, "/people/m-2/revoke", revoking("fire")
    )
    assert "any more" not in answer(trainer, "/people/m-2/revoke", revoking("safety"))


def test_at_most_five_names_are_said(browse):
    fire = Training.objects.get(name="fire")
    trained("m-1", "fire")
    for number in range(1, 8):
        Training.objects.create(name=f"t-{number}", title=f"Course {number}", prerequisite=fire)
        trained("m-1", f"t-{number}")
    said = answer(browse("trainer"), "/people/m-1/revoke", revoking("fire"))
    names = ", ".join(f"Course {number}" for number in range(1, 6))
    assert f"Without the revoked training, {names} and 2 more give no access any more." in said


def test_revoking_by_command_says_so_as_well(capsys):
    for name in ("fire", "safety"):
        trained("m-1", name)
    verbs.revoke(argparse.Namespace(id="m-1", training="fire", actor="eve", reason="unsafe"))
    assert "Safety tour gives no access any more; it requires Fire drill" in capsys.readouterr().err


def test_a_new_requirement_names_who_lacks_it(browse):
    first = Training.objects.create(name="first-aid", title="First aid")
    fire = Training.objects.get(name="fire")
    for name in ("fire", "safety"):
        trained("m-1", name)
        trained("m-2", name)
    trained("m-2", "first-aid")
    manager, address = browse("manager"), f"/people/trainings/{fire.pk}/edit"
    form = manager.get(address).context["form"]
    typed = {"title": "Fire drill", "prerequisite": str(first.pk), "seen": form.seen}
    lost = (
        "1 person lacks the training that Fire drill now requires, and loses the access that Fire drill gave:"
        " m-1 (Ada Lovelace)."
    )
    assert lost in answer(manager, address, typed)
    form = manager.get(address).context["form"]
    assert "lacks the training" not in answer(manager, address, {**typed, "title": "Fire", "seen": form.seen})


def test_members_read_all_that_they_lack(browse, account):
    Account.objects.all().delete()
    member = browse(account("member", name="ada", member=Member.objects.get(pk="m-1")))
    page = html.unescape(text(member.get("/my-minutes")))
    assert "training missing: Fire drill, Safety tour and Laser training" in page


@pytest.mark.parametrize("seed", range(15))
def test_whatever_is_granted_the_warning_agrees_with_the_roster(seed):
    """Who lacks nothing of a training and what it requires is admitted; who does not is named with what is missing."""
    chance = random.Random(seed)
    names = ["fire", "safety", "laser"]
    for _turn in range(chance.randint(1, 7)):
        first = today() + timedelta(days=chance.randint(-20, 0))
        until = chance.choice([None, first + timedelta(days=chance.randint(0, 25))])
        stage = chance.choice(["supervised", "autonomous", "instructor", "suspended"])
        revoked = chance.choice([None, None, today()])
        trained("m-1", chance.choice(names), since=first, until=until, stage=stage, revoked_on=revoked)
    Machine.objects.get(name="laser").members.clear()
    fresh = Grant(member_id="m-1", training=laser(), stage="autonomous", since=today())
    lacking = trainings.without_prerequisites([fresh])
    fresh.save()
    roster.rebuild()
    own = Grant.objects.filter(member="m-1", training=laser(), stage="suspended", revoked_on=None)
    is_suspended = any(grant.holds_on(today()) for grant in own)
    assert ("m-1" in admitted("laser-1")) == (not lacking and not is_suspended)


# --- namesakes --------------------------------------------------------------------------------------------------------


def test_people_of_one_name_are_told_apart_where_they_are_ticked(browse, account):
    Member.objects.create(id="m-9", name="Ada Lovelace")
    for name in ("kim", "kim2"):
        account("trainer", name=name, display_name="Kim")
    manager = browse("manager")
    page = text(manager.get("/people/trainings/who"))
    for number in ("m-1", "m-9"):
        assert f'aria-label="Ada Lovelace {number}"' in page
        assert f'<small class="soft">{number}</small>' in page
    page = text(manager.get("/people/trainings/new"))
    assert "Kim (kim)" in page
    assert "Kim (kim2)" in page
    preview = look(manager, "id,name\nm-1,Ada Lovelace\nm-2,Z\nm-3,É\nm-50,ada lovelace\n")
    assert "already a member with this name: m-1, m-9" in text(preview)
