"""Who says that somebody else pays for a group or a person? A manager or an accountant, and no desk account, by any form."""

from __future__ import annotations

import pytest

from fabgate.collector.ground.models import Change, Group, Machine, Member
from tests.collector.faces.pages.counter import text
from tests.collector.paying import paying

pytestmark = pytest.mark.usefixtures("house")

CLASS = {"name": "2de B", "kind": "class", "people": "m-3"}


@pytest.fixture
def group() -> Group:
    found = Group.objects.create(name="2de B", kind="class", payer=paying("m-2"))
    found.machines.add(Machine.objects.get(name="laser"))
    return found


def test_the_desk_makes_a_class_and_nobody_else_pays_for_it(browse):
    desk = browse("desk")
    assert 'name="payer"' not in text(desk.get("/people/groups/new"))
    response = desk.post("/people/groups/new", {**CLASS, "payer": "m-2"})
    assert response.status_code == 400
    assert "Only a manager or an accountant may choose the payer" in str(response.context["form"].errors)
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
    change = Change.objects.get(verb="group.updated")
    assert (change.actor, change.before, change.after) == (role, {"payer": "m-2"}, {"payer": "m-1"})
    assert Change.objects.get(verb="payer.added").key == "m-1"
    wrong = client.post(f"/people/groups/{group.pk}/payer", {"payer": "m-99"})
    assert wrong.status_code == 400
    assert "No member or organisation has the number or the name" in text(wrong)
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
    Group.objects.update(payer=paying("m-1"))
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


# --- one person -------------------------------------------------------------------------------------------------------

GRACE = {"id": "m-9", "name": "Grace Hopper", "lang": "en", "grace_days": "0"}


def payer_of(pk: str) -> str | None:
    return Member.objects.get(pk=pk).payer_id


@pytest.mark.parametrize("payer", ["m-2", ""])
def test_the_desk_writes_a_person_down_and_nobody_else_pays_for_them(browse, payer):
    desk = browse("desk")
    page = text(desk.get("/people/new"))
    assert 'name="payer"' not in page
    assert "This person pays for themselves. A manager or an accountant can choose another payer." in page
    response = desk.post("/people/new", {**GRACE, "payer": payer})
    assert response.status_code == 400
    assert "Only a manager or an accountant may choose the payer" in text(response)
    assert not Member.objects.filter(pk="m-9").exists()
    assert desk.post("/people/new", GRACE).status_code == 303
    assert payer_of("m-9") is None


@pytest.mark.parametrize("payer", ["m-3", ""])
def test_the_desk_changes_a_person_and_leaves_who_pays_as_it_is(browse, payer):
    Member.objects.filter(pk="m-1").update(payer=paying("m-2"))
    desk, typed = browse("desk"), {"name": "Ada King", "lang": "en", "grace_days": "0"}
    page = text(desk.get("/people/m-1/edit"))
    assert "Zoé Müller-Østergård pays. A manager or an accountant can choose another payer." in page
    response = desk.post("/people/m-1/edit", {**typed, "payer": payer})
    assert response.status_code == 400
    assert "Only a manager or an accountant may choose the payer" in text(response)
    assert desk.post("/people/m-1/payer", {"payer": payer}).status_code == 403
    assert desk.post("/people/m-1/edit", {**typed, "note": "Mondays"}).status_code == 303
    found = Member.objects.get(pk="m-1")
    assert (found.name, found.note, found.payer_id) == ("Ada King", "Mondays", "m-2")


@pytest.mark.parametrize("role", ["manager", "accountant"])
def test_who_answers_for_the_money_chooses_who_pays_for_a_person(browse, role):
    client = browse(role)
    page = text(client.get("/people/m-1/payer"))
    assert "Payer for Ada Lovelace" in page
    assert 'name="payer"' in page
    assert client.post("/people/m-1/payer", {"payer": "Zoé Müller-Østergård"}).status_code == 303
    assert payer_of("m-1") == "m-2"
    change = Change.objects.get(verb="member.updated")
    assert (change.actor, change.before, change.after) == (role, {"payer": None}, {"payer": "m-2"})
    wrong = client.post("/people/m-1/payer", {"payer": "m-99"})
    assert wrong.status_code == 400
    assert "No member or organisation has the number or the name" in text(wrong)
    assert client.post("/people/m-1/payer", {"payer": "m-1"}).status_code == 303
    assert payer_of("m-1") is None  # themselves


@pytest.mark.parametrize("role", ["desk", "trainer", "maintainer", "auditor", "member"])
def test_no_other_role_chooses_who_pays_for_a_person(browse, role):
    client = browse(role)
    assert client.post("/people/m-1/payer", {"payer": "m-2"}).status_code == 403
    assert client.get("/people/m-1/payer").status_code == (200 if role == "auditor" else 403)
    assert payer_of("m-1") is None


def test_an_auditor_reads_who_pays_and_sees_no_form(browse):
    Member.objects.filter(pk="m-1").update(payer=paying("m-2"))
    page = text(browse("auditor").get("/people/m-1/payer"))
    assert "Zoé Müller-Østergård" in page
    assert 'name="payer"' not in page


def test_somebody_else_was_faster_to_choose_who_pays_for_a_person(browse):
    client = browse("accountant")
    seen = client.get("/people/m-1/payer").context["form"].seen
    Member.objects.filter(pk="m-1").update(payer=paying("m-3"))
    assert client.post("/people/m-1/payer", {"payer": "m-2", "seen": seen}).status_code == 409
    assert payer_of("m-1") == "m-3"


def test_an_accountant_who_is_a_member_neither_gets_rid_of_a_bill_nor_gets_another_one(browse, account):
    client = browse(account("accountant", "ada", member_id="m-1"))
    assert client.post("/people/m-1/payer", {"payer": "m-2"}).status_code == 403
    assert client.post("/people/m-3/payer", {"payer": "m-1"}).status_code == 403
    Member.objects.filter(pk="m-3").update(payer=paying("m-1"))
    assert client.post("/people/m-3/payer", {"payer": "m-2"}).status_code == 403
    assert (payer_of("m-1"), payer_of("m-3")) == (None, "m-1")
    assert client.post("/people/m-2/payer", {"payer": "m-3"}).status_code == 303
    for address in ("/people/m-1/payer", "/people/m-3/payer"):
        page = text(client.get(address))
        assert 'name="payer"' not in page
        assert "A manager or another accountant must choose the payer here." in page


def test_an_accountant_finds_the_person_for_whom_somebody_else_is_to_pay(browse):
    Member.objects.filter(pk="m-3").update(payer=paying("m-2"))
    client = browse("accountant")
    assert 'href="/people/payers"' in text(client.get("/use"))
    paid_for = text(client.get("/people/payers/people"))
    assert 'href="/people/m-3/payer"' in paid_for
    assert 'href="/people/m-1/payer"' not in paid_for
    assert 'href="/people/m-1/payer"' in text(client.get("/people/payers/people?q=lovelace"))
    for page in (paid_for, text(client.get("/people/m-3/payer"))):
        for shut in ('href="/people"', 'href="/people/trainings"', 'href="/people/m-3"', "/edit"):
            assert shut not in page
    for role in ("desk", "trainer"):
        assert browse(role).get("/people/payers/people").status_code == 403
