"""Are classes and companies written down with their people, payer and machines, and do they end without being deleted?"""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from fabgate.collector.faces.pages.people.groups import GroupForm
from fabgate.collector.faces.pages.words import formatting
from fabgate.collector.ground.models import Change, Group, Machine, Member
from fabgate.collector.members.people.blocks import today
from tests.collector.faces.pages.counter import NEW, refused, served, text
from tests.collector.paying import paying

pytestmark = pytest.mark.usefixtures("house")


@pytest.fixture
def group(desk) -> Group:
    laser = Machine.objects.get(name="laser").pk
    typed = {"name": "2de B", "kind": "class", "people": " m-3 \nm-1\nm-3\n", "machines": [laser]}
    assert desk.post("/people/groups/new", typed).status_code == 303
    Group.objects.update(payer=paying("m-2"))
    return Group.objects.get()


def test_a_class_is_written_down_and_listed(desk, group):
    assert {member.pk for member in group.members.all()} == {"m-1", "m-3"}
    assert (group.payer_id, group.kind) == ("m-2", "class")
    (row,) = desk.get("/people/groups").context["rows"]
    assert (row["people"], row["badges"], row["is_over"]) == (2, 0, False)
    change = Change.objects.get()
    assert (change.verb, change.after["members"]) == ("group.added", ["m-1", "m-3"])


def test_people_and_payer_may_be_typed_by_name(manager, group):
    typed = {
        "name": "2de B",
        "kind": "class",
        "people": "ada LOVELACE\nzoe muller\nm-1",
        "payer": "Zoé Müller-Østergård (m-2)",
    }
    assert manager.post(f"/people/groups/{group.pk}/edit", typed).status_code == 303
    assert {member.pk for member in group.members.all()} == {"m-1", "m-2"}
    group.refresh_from_db()
    assert group.payer_id == "m-2"


def test_the_form_names_who_is_in_it_and_what_it_shows_can_be_saved_as_it_is(manager, group):
    Member.objects.create(id="m-4", name="Ada Lovelace")
    Member.objects.create(id="m-5")
    group.members.add("m-4", "m-5")
    page = manager.get(f"/people/groups/{group.pk}/edit")
    form = page.context["form"]
    shown = {name: form[name].value() for name in ("name", "kind", "payer", "people")}
    assert shown["payer"] == "Zoé Müller-Østergård (m-2)"
    assert shown["people"].split("\n") == ["Ada Lovelace (m-1)", "Ada Lovelace (m-4)", "Élise Noël (m-3)", "m-5"]
    answer = manager.post(f"/people/groups/{group.pk}/edit", {**shown, "seen": form.seen})
    assert answer.status_code == 303
    assert {member.pk for member in group.members.all()} == {"m-1", "m-3", "m-4", "m-5"}
    group.refresh_from_db()
    assert group.payer_id == "m-2"


def test_who_was_renamed_while_the_form_was_open_stays_in_the_group(manager, group):
    form = manager.get(f"/people/groups/{group.pk}/edit").context["form"]
    typed = {name: form[name].value() for name in ("name", "kind", "payer", "people")}
    Member.objects.filter(pk="m-1").update(name="Ada King")
    answer = manager.post(f"/people/groups/{group.pk}/edit", {**typed, "seen": form.seen})
    assert answer.status_code == 409
    assert "Ada King (m-1)" in text(answer)
    again = answer.context["form"]
    typed["people"] = again["people"].value()
    assert manager.post(f"/people/groups/{group.pk}/edit", {**typed, "seen": again.seen}).status_code == 303
    assert {member.pk for member in group.members.all()} == {"m-1", "m-3"}


def test_a_school_of_hundreds_is_saved_as_it_is_shown_and_found_in_one_go(manager, group):
    pupils = [Member(id=f"m-{n}", name=f"Somebody whose name is quite a long one {n}") for n in range(100, 700)]
    for one in pupils:
        one.fold()
    group.members.set(Member.objects.bulk_create(pupils))
    form = manager.get(f"/people/groups/{group.pk}/edit").context["form"]
    typed = {name: form[name].value() for name in ("name", "kind", "payer", "people")}
    with CaptureQueriesContext(connection) as asked:
        assert manager.post(f"/people/groups/{group.pk}/edit", {**typed, "seen": form.seen}).status_code == 303
    assert group.members.count() == 600
    assert len(asked) < 100


def test_a_name_of_several_people_asks_which_of_them(desk, group):
    Member.objects.create(id="m-4", name="Adá Lovelace")
    typed = {"name": "2de B", "kind": "class", "people": "Ada Lovelace\nAda Lovelace (m-4)\nnobody (m-1)"}
    errors = desk.post(f"/people/groups/{group.pk}/edit", typed).context["form"].errors["people"]
    assert sorted(errors) == [
        "No member has the number or the name “nobody (m-1)”.",
        "Several people match: Ada Lovelace (m-1), Adá Lovelace (m-4).",
    ]


def test_what_opens_nothing_is_not_supervised_at_that(desk, group):
    assert "supervisor required" in text(desk.get(f"/people/groups/{group.pk}"))
    group.machines.clear()
    page = text(desk.get(f"/people/groups/{group.pk}"))
    assert ">nothing<" in page
    assert '<small class="soft">supervisor required</small>' not in page


def test_its_own_badge_opens_its_machines_until_it_ends(desk, group, broker):
    desk.post(f"/people/groups/{group.pk}/badge", {"typed": NEW})
    (found,) = [member for member in served("laser-1").members if member.id == group.roster_id]
    assert (found.name, found.supervised) == ("2de B", True)
    assert desk.post(f"/people/groups/{group.pk}/end", {"over": "1"}).status_code == 303
    assert refused("laser-1")[group.roster_id] == ["no-access"]
    assert "closed since" in text(desk.get(f"/people/groups/{group.pk}"))
    assert desk.post(f"/people/groups/{group.pk}/badge", {"typed": "04AABBCCDDEE00"}).status_code == 409
    assert desk.post(f"/people/groups/{group.pk}/end", {"over": "0"}).status_code == 303
    assert group.roster_id in {member.id for member in served("laser-1").members}


@pytest.mark.parametrize(("wanted", "button", "verb"), [("1", "Close group", "ended"), ("0", "Reopen", "begun")])
def test_two_who_press_the_same_button_at_once_do_not_undo_each_other(desk, browse, group, wanted, button, verb):
    end, other = f"/people/groups/{group.pk}/end", browse("manager")
    if wanted == "0":
        desk.post(end, {"over": "1"})
    page = desk.get(f"/people/groups/{group.pk}").content.decode()
    assert f'name="over" value="{wanted}"' in page
    assert button in page
    assert other.post(end, {"over": wanted}).status_code == 303
    response = desk.post(end, {"over": wanted})
    assert response.status_code == 409
    assert "Check the group and try again" in text(response)
    group.refresh_from_db()
    assert (group.ended_on is not None) == (wanted == "1")
    assert Change.objects.filter(verb=f"group.{verb}").count() == 1


def test_it_is_changed_and_what_its_list_does_not_name_belongs_to_it_no_more(desk, group):
    response = desk.post(f"/people/groups/{group.pk}/edit", {"name": "2de C", "kind": "company", "people": "m-2"})
    assert response.status_code == 303
    group.refresh_from_db()
    assert (group.name, group.kind, [member.pk for member in group.members.all()]) == ("2de C", "company", ["m-2"])
    assert group.machines.count() == 0


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "Other"),
        ("kind", "sect"),
        ("payer", "m-99"),
        ("people", "m-1\nm-98\nm-99"),
        ("machines", "99"),
    ],
)
def test_a_group_that_is_not_understood_is_said_at_its_field(manager, group, field, value):
    Group.objects.create(name="Other", kind="company")
    response = manager.post(f"/people/groups/{group.pk}/edit", {"name": "2de B", "kind": "class", field: value})
    assert response.status_code == 400
    assert field in response.context["form"].errors
    if field == "people":
        assert len(response.context["form"].errors["people"]) == 2
    assert group.members.count() == 2


def test_its_page_names_people_and_not_numbers(desk, group):
    page = text(desk.get(f"/people/groups/{group.pk}"))
    assert "Ada Lovelace" in page
    assert "Zoé Müller-Østergård" in page
    assert desk.get("/people/groups/999").status_code == 404
    assert Member.objects.count() == 3


def test_only_a_manager_opens_machines_to_a_company_whose_people_nobody_supervises(desk, browse):
    laser, saw = (str(Machine.objects.get(name=name).pk) for name in ("laser", "saw"))
    typed = {"name": "ACME", "kind": "company", "people": ""}
    response = desk.post("/people/groups/new", {**typed, "machines": [laser]})
    assert (response.status_code, list(response.context["form"].errors)) == (400, ["machines"])
    assert browse("manager").post("/people/groups/new", {**typed, "machines": [laser]}).status_code == 303
    page = f"/people/groups/{Group.objects.get().pk}/edit"
    assert desk.post(page, {**typed, "machines": [laser], "note": "Comes on Mondays"}).status_code == 303
    assert desk.post(page, {**typed, "machines": [laser, saw]}).status_code == 400
    assert [machine.name for machine in Group.objects.get().machines.all()] == ["laser"]


def test_the_desk_makes_no_company_of_a_class_that_opens_machines(desk, group):
    machines = [str(machine.pk) for machine in group.machines.all()]
    response = desk.post(f"/people/groups/{group.pk}/edit", {"name": "2de B", "kind": "company", "machines": machines})
    assert response.status_code == 400
    assert Group.objects.get().kind == "class"


def test_a_group_that_is_ended_while_the_desk_saves_it_has_ended(desk, group, monkeypatch):
    is_valid = GroupForm.is_valid

    def slowly(form):
        found = is_valid(form)
        Group.objects.update(ended_on=today())
        return found

    monkeypatch.setattr(GroupForm, "is_valid", slowly)
    assert desk.post(f"/people/groups/{group.pk}/edit", {"name": "2de C", "kind": "class"}).status_code == 303
    group.refresh_from_db()
    assert (group.name, group.ended_on) == ("2de C", today())


def test_a_groups_page_names_the_machines_that_are_open_to_all_and_until_when(desk, group):
    until = timezone.localtime() + timedelta(days=3)
    Machine.objects.create(name="lathe", title="Lathe", rules={"observe_until": until.isoformat()})
    expected = f"open to all members until {formatting.clock(until, 'SHORT_DATETIME_FORMAT')}"
    assert expected not in text(desk.get(f"/people/groups/{group.pk}"))
    desk.post(f"/people/groups/{group.pk}/badge", {"typed": NEW})
    assert expected in text(desk.get(f"/people/groups/{group.pk}"))
