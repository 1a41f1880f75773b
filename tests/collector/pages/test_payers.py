"""Who says that somebody else pays for a group? A manager or an accountant, and no desk account, by any form."""

from __future__ import annotations

import pytest

from fabgate.collector.models import Change, Group, Machine

from .counter import a_broker, a_house, text  # noqa: F401 (fixtures)

CLASS = {"name": "2de B", "kind": "class", "people": "m-3"}


@pytest.fixture
def group() -> Group:
    found = Group.objects.create(name="2de B", kind="class", payer_id="m-2")
    found.machines.add(Machine.objects.get(name="laser"))
    return found


def test_the_desk_makes_a_class_and_nobody_else_pays_for_it(browse):
    desk = browse("desk")
    assert 'name="payer"' not in text(desk.get("/people/groups/new"))
    response = desk.post("/people/groups/new", {**CLASS, "payer": "m-2"})
    assert response.status_code == 400
    assert "A manager or an accountant chooses who pays" in str(response.context["form"].errors)
    assert not Group.objects.exists()
    assert desk.post("/people/groups/new", CLASS).status_code == 303
    assert Group.objects.get().payer is None


@pytest.mark.parametrize("payer", ["m-1", ""])
def test_the_desk_changes_a_group_and_leaves_who_pays_as_it_is(browse, group, payer):
    desk = browse("desk")
    assert "Zoé Müller-Østergård" in text(desk.get(f"/people/groups/{group.pk}/edit"))
    assert desk.post(f"/people/groups/{group.pk}/edit", {**CLASS, "payer": payer, "note": "x"}).status_code == 400
    assert desk.post(f"/people/groups/{group.pk}/payer", {"payer": payer}).status_code == 403
    assert desk.post(f"/people/groups/{group.pk}/edit", {**CLASS, "note": "Mondays"}).status_code == 303
    group.refresh_from_db()
    assert (group.payer_id, group.note) == ("m-2", "Mondays")


@pytest.mark.parametrize("role", ["manager", "accountant"])
def test_who_answers_for_the_money_chooses_who_pays(browse, group, role):
    client = browse(role)
    page = text(client.get(f"/people/groups/{group.pk}"))
    assert f'action="/people/groups/{group.pk}/payer"' in page
    assert client.post(f"/people/groups/{group.pk}/payer", {"payer": "Ada Lovelace"}).status_code == 303
    group.refresh_from_db()
    assert group.payer_id == "m-1"
    change = Change.objects.get()
    assert (change.verb, change.actor, change.before, change.after) == (
        *("group.updated", role, {"payer": "m-2"}),
        {"payer": "m-1"},
    )
    wrong = client.post(f"/people/groups/{group.pk}/payer", {"payer": "m-99"})
    assert wrong.status_code == 400
    assert "No member has the number or the name" in text(wrong)
    assert client.post(f"/people/groups/{group.pk}/payer", {"payer": ""}).status_code == 303
    group.refresh_from_db()
    assert group.payer is None


def test_an_accountant_who_is_a_member_does_not_choose_that_others_stop_to_pay_for_them_or_begin_to(
    browse, account, group
):
    client = browse(account("accountant", "ada", member_id="m-1"))
    assert client.post(f"/people/groups/{group.pk}/payer", {"payer": "m-3"}).status_code == 303
    group.members.add("m-1")
    assert client.post(f"/people/groups/{group.pk}/payer", {"payer": "m-2"}).status_code == 403
    group.members.clear()
    Group.objects.update(payer="m-1")
    assert client.post(f"/people/groups/{group.pk}/payer", {"payer": "m-2"}).status_code == 403
    group.refresh_from_db()
    assert group.payer_id == "m-1"


def test_an_accountant_finds_the_groups_in_the_menu_and_no_link_that_is_refused(browse, group):
    group.members.add("m-3")
    client = browse("accountant")
    assert 'href="/people/groups"' in text(client.get("/use"))
    for address in ("/people/groups", f"/people/groups/{group.pk}"):
        page = text(client.get(address))
        for shut in ('href="/people"', 'href="/people/trainings"', 'href="/people/m-', "/edit"):
            assert shut not in page
    assert 'href="/people/groups"' not in text(browse("manager").get("/use"))
