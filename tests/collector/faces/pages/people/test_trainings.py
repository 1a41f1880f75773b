"""Are trainings made and changed, seen by person, and granted to everybody who was there?"""

from __future__ import annotations

from datetime import timedelta

import pytest

from fabgate.collector.ground.models import Change, Grant, Group, Machine, Member, Training
from fabgate.collector.members.people.blocks import today
from tests.collector.faces.pages.counter import admitted, said, text, trained

pytestmark = pytest.mark.usefixtures("house")


def laser() -> Training:
    return Training.objects.get(name="laser")


def test_trainings_are_listed_with_how_many_hold_them(trainer):
    trained("m-1")
    trained("m-2", until=today() - timedelta(days=1))
    page = trainer.get("/people/trainings")
    assert {row["training"].name: row["held"] for row in page.context["rows"]} == {"laser": 1, "saw": 0}
    assert "/people/trainings/new" not in text(page)


def test_what_a_training_opens_is_listed_by_name_however_it_was_ticked(trainer):
    opens = [Machine.objects.create(name=f"m-{title}", title=title) for title in ("Drill", "Anvil", "Crane")]
    shop = Training.objects.create(name="shop")
    shop.machines.set(opens)
    rows = trainer.get("/people/trainings").context["rows"]
    (found,) = [row["machines"] for row in rows if row["training"] == shop]
    assert [machine.title for machine in found] == ["Anvil", "Crane", "Drill"]


def test_one_training_shows_who_has_it_and_who_had_it_for_too_long(trainer):
    trained("m-2", stage="supervised")
    trained("m-1", until=today() - timedelta(days=1))
    page = trainer.get(f"/people/trainings/{laser().pk}")
    assert [(one.member.pk, one.is_over) for one in page.context["holders"]] == [("m-2", False), ("m-1", True)]
    assert trainer.get("/people/trainings/999").status_code == 404


def test_a_new_training_opens_its_machines_for_who_has_it(manager):
    saw = Machine.objects.get(name="saw")
    typed = {
        "title": "Grande scie à ruban",
        "machines": [saw.pk],
        "expires_after_days": "365",
        "prerequisite": laser().pk,
    }
    response = manager.post("/people/trainings/new", typed)
    made = Training.objects.get(title="Grande scie à ruban")
    assert (response.status_code, response.headers["Location"]) == (303, f"/people/trainings/{made.pk}")
    assert (made.name, made.expires_after_days, made.prerequisite, list(made.machines.all())) == (
        *("grande-scie-a-ruban", 365, laser()),
        [saw],
    )
    trained("m-1", made.name)
    assert "m-1" not in admitted("saw-1")
    trained("m-1")
    assert "m-1" in admitted("saw-1")


def test_two_trainings_whose_titles_make_no_short_name_have_two_of_them(manager):
    for title in ("木工", "金工"):
        manager.post("/people/trainings/new", {"title": title})
    assert set(Training.objects.filter(title__endswith="工").values_list("name", flat=True)) == {
        "training",
        "training-2",
    }


@pytest.mark.parametrize("title", ["laser training", "LASER  Training", "Läser training", " Laser training "])
def test_a_title_that_is_taken_for_another_ones_is_refused(manager, title):
    saw = Training.objects.get(name="saw")
    for address in ("/people/trainings/new", f"/people/trainings/{saw.pk}/edit"):
        response = manager.post(address, {"title": title})
        assert response.status_code == 400
        assert "There is already a training “Laser training”." in str(response.context["form"].errors["title"])
    assert set(Training.objects.values_list("title", flat=True)) == {"Laser training", "Saw training"}


def test_a_training_may_change_how_its_own_title_is_written_and_one_of_two_of_old_its_machines(manager):
    saw = Training.objects.get(name="saw")
    assert manager.post(f"/people/trainings/{saw.pk}/edit", {"title": "SAW training"}).status_code == 303
    Training.objects.filter(pk=saw.pk).update(title="laser training")
    machines = [Machine.objects.get(name="laser").pk]
    response = manager.post(f"/people/trainings/{saw.pk}/edit", {"title": "laser training", "machines": machines})
    assert response.status_code == 303


def test_what_is_changed_is_what_the_gates_decide_by(manager, broker):
    trained("m-1")
    both = list(Machine.objects.values_list("pk", flat=True))
    assert manager.post(f"/people/trainings/{laser().pk}/edit", {"title": "Laser", "machines": both}).status_code == 303
    assert "m-1" in admitted("saw-1")
    assert "saw-1" in broker.told
    change = Change.objects.get(verb="training.updated")
    assert (change.before["machines"], change.after["machines"]) == (["laser"], ["laser", "saw"])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("title", ""),
        ("expires_after_days", "0"),
        ("expires_after_days", "-3"),
        ("machines", "99"),
        ("prerequisite", "99"),
    ],
)
def test_a_training_that_is_not_understood_is_said_at_its_field(manager, field, value):
    response = manager.post(f"/people/trainings/{laser().pk}/edit", {"title": "Laser", field: value})
    assert response.status_code == 400
    assert field in response.context["form"].errors
    assert laser().title == "Laser training"


def test_trainings_never_want_each_other_first(manager):
    saw = Training.objects.get(name="saw")
    Training.objects.filter(name="saw").update(prerequisite=laser())
    response = manager.post(f"/people/trainings/{laser().pk}/edit", {"title": "Laser", "prerequisite": saw.pk})
    assert "no one could complete either" in str(response.context["form"].errors["prerequisite"])


# --- several people ---------------------------------------------------------------------------------------------------


def test_the_matrix_shows_people_by_trainings(trainer):
    trained("m-1", stage="instructor")
    trained("m-2", "saw", until=today() - timedelta(days=1))
    page = trainer.get("/people/trainings/who")
    names = [training.name for training in page.context["columns"]]
    cells = {row["member"].pk: dict(zip(names, row["cells"], strict=True)) for row in page.context["rows"]}
    assert cells["m-1"]["laser"].word == "Instructor"
    assert cells["m-2"]["saw"].word == "Expired"
    assert cells["m-3"] == {"laser": None, "saw": None}


def test_every_sign_of_the_matrix_is_explained_above_it(trainer):
    for number, stage in enumerate(Grant.STAGES):
        Member.objects.create(id=f"n-{number}", name=f"Nadia {number}")
        trained(f"n-{number}", stage=stage)
    trained("m-2", until=today() - timedelta(days=1))
    page = trainer.get("/people/trainings/who")
    signs = {(cell.state, cell.word) for row in page.context["rows"] for cell in row["cells"] if cell}
    assert ("bad", "Expired") in signs
    assert len(signs) == len(Grant.STAGES) + 1
    assert signs == {(chip.state, chip.word) for chip in page.context["stages"]}


def test_the_matrix_is_narrowed_to_a_class(trainer):
    group = Group.objects.create(name="2de B", kind="class")
    group.members.add("m-3")
    rows = trainer.get("/people/trainings/who", {"group": group.pk}).context["rows"]
    assert [row["member"].pk for row in rows] == ["m-3"]
    assert len(trainer.get("/people/trainings/who", {"group": "x"}).context["rows"]) == 3


def attended(client, *members: str, **more):
    day = (today() - timedelta(days=2)).isoformat()
    typed = {"training": laser().pk, "stage": "supervised", "since": day, "trainer": "m-1", **more}
    return client.post("/people/trainings/who", {**typed, "member": list(members)})


def test_everybody_who_was_there_is_granted_it_at_once(trainer, broker):
    response = attended(trainer, "m-1", "m-2", "m-1")
    assert response.headers["Location"] == f"/people/trainings/{laser().pk}"
    assert "granted to 2 people" in said(response)
    assert admitted("laser-1") == {"m-1", "m-2"}
    assert broker.told == ["laser-1"]
    assert {grant.since for grant in Grant.objects.all()} == {today() - timedelta(days=2)}
    assert Change.objects.filter(verb="grant.given").count() == 2


def test_either_everybody_is_granted_it_or_nobody(trainer):
    assert attended(trainer).status_code == 400
    assert attended(trainer, "m-1", "m-99").status_code == 400
    assert attended(trainer, *(f"x-{n}" for n in range(201))).status_code == 400
    Member.objects.filter(pk="m-2").update(left_on=today() - timedelta(days=9))
    assert attended(trainer, "m-1", "m-2").status_code == 400
    assert not Grant.objects.exists()


def test_a_form_that_is_not_understood_keeps_who_was_ticked(trainer):
    response = attended(trainer, "m-2", trainer="")
    assert response.status_code == 400
    assert 'value="m-2" aria-label="Zoé Müller-Østergård m-2" checked' in text(response)


def test_the_desk_sees_the_matrix_and_ticks_nobody(browse):
    page = text(browse("desk").get("/people/trainings/who"))
    assert 'name="member"' not in page
    assert attended(browse("auditor"), "m-1").status_code == 403


@pytest.mark.parametrize("address", ["/people/m-1", "/people/trainings/who"])
@pytest.mark.parametrize(
    ("role", "says", "may_add"),
    [
        ("manager", "No training yet.", True),
        ("trainer", "A manager adds the first one under People, Trainings.", False),
    ],
)
def test_where_there_is_no_training_granting_says_who_adds_the_first(browse, role, says, may_add, address):
    client = browse(role)
    assert "No training yet" not in text(client.get(address))
    Training.objects.all().delete()
    page = text(client.get(address))
    assert says in page
    assert ('href="/people/trainings/new"' in page) == may_add
    assert '<select name="training"' not in page
