"""Does a plan change from a day on: on a person's page, for a new person, and by a list?"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from fabgate.collector.ground.models import Account, Change, Member, Plan
from fabgate.collector.members.people.blocks import today
from fabgate.collector.members.people.import_list import file
from fabgate.collector.money.billing import closing, member_plans
from tests.collector.faces.pages import billing
from tests.collector.faces.pages.counter import ADA, NEW, ZOE, said, text
from tests.collector.faces.pages.people.imports.importing import look, take
from tests.collector.faces.pages.workshop import account

pytestmark = pytest.mark.usefixtures("house")

LONG_AGO = date(2026, 1, 1)
TOMORROW = timedelta(days=1)


@pytest.fixture
def plans(house) -> dict[str, Plan]:
    return {name: Plan.objects.create(name=name) for name in ("Pro", "Student")}


@pytest.fixture
def manager(browse, plans):
    return browse("manager")


@pytest.fixture
def desk(browse, plans):
    return browse("desk")


def history(member: str = "m-1") -> list[tuple[date, str]]:
    return [tuple(change) for change in member_plans.history(Member.objects.get(pk=member))]


def change(client, plan: Plan | None, since: date, member: str = "m-1"):
    return client.post(f"/people/{member}/plan", {"plan": plan.pk if plan else "", "since": str(since)})


# --- on a person's page -----------------------------------------------------------------------------------------------


def test_without_plans_no_page_speaks_of_them(browse, house):
    client = browse("manager")
    assert "Plan" not in text(client.get("/people/m-1"))
    assert "Plan" not in text(client.get("/people/new"))


def test_a_plan_begins_on_a_day_and_another_one_follows(desk, plans):
    assert said(change(desk, plans["Student"], today())).startswith("Student from ")
    change(desk, plans["Pro"], today() + TOMORROW)
    assert history() == [(today(), "Student"), (today() + TOMORROW, "Pro")]
    page = desk.get("/people/m-1")
    assert (page.context["plans"].now, page.context["plans"].since) == ("Student", today())
    assert [coming.plan for coming in page.context["plans"].coming] == ["Pro"]
    assert "Cancel this change" in text(page)


def test_a_change_to_come_is_cancelled_by_its_button(desk, plans):
    change(desk, plans["Student"], today())
    for plan in (plans["Pro"], None):
        change(desk, plan, today() + TOMORROW)
        (coming,) = desk.get("/people/m-1").context["plans"].coming
        desk.post("/people/m-1/plan", {"cancelled": str(coming.since)})
        assert history() == [(today(), "Student")]


def test_a_plan_ends(desk, plans):
    change(desk, plans["Student"], today())
    assert "No plan from " in said(change(desk, None, today() + TOMORROW))
    assert history() == [(today(), "Student"), (today() + TOMORROW, "")]


def test_what_changes_nothing_says_so(desk, plans):
    change(desk, plans["Student"], today())
    assert "Nothing has changed" in said(change(desk, plans["Student"], today()))
    assert Change.objects.filter(verb="member.plan").count() == 1


def test_only_a_manager_changes_days_that_have_passed(desk, manager, plans):
    refused = change(desk, plans["Student"], today() - TOMORROW)
    assert (refused.status_code, history()) == (400, [])
    assert "Only a manager may change a plan for days that have passed." in text(refused)
    change(manager, plans["Student"], LONG_AGO)
    change(manager, plans["Pro"], today())
    assert history() == [(LONG_AGO, "Student"), (today(), "Pro")]
    assert [earlier.plan for earlier in desk.get("/people/m-1").context["plans"].earlier] == ["Student"]


@pytest.mark.parametrize("since", ["", "01/02/2027", "1999-12-31", "9999-01-01"])
def test_a_day_that_cannot_be_is_refused_at_its_field(manager, plans, since):
    answer = manager.post("/people/m-1/plan", {"plan": plans["Pro"].pk, "since": since})
    assert answer.status_code == 400
    assert "since" in answer.context["plan_form"].errors
    assert history() == []


def test_a_plan_that_no_longer_exists_is_refused(manager, plans):
    answer = manager.post("/people/m-1/plan", {"plan": "999", "since": str(today())})
    assert "This plan no longer exists. Choose another." in text(answer)


@pytest.mark.parametrize("role", [role for role, _label in Account.ROLES if role not in ("manager", "desk")])
def test_other_roles_change_no_plan(browse, plans, role):
    assert change(browse(role), plans["Pro"], today()).status_code == 403
    assert history() == []


def test_the_desk_does_not_change_its_own_plan(browse, plans):
    client = browse(account("desk", name="ada", member="m-1"))
    assert change(client, plans["Pro"], today()).status_code == 403
    assert "/people/m-1/plan" not in text(client.get("/people/m-1"))
    assert history() == []


def test_a_new_person_has_the_chosen_plan_from_today(desk, plans):
    typed = {"id": "m-4", "name": "Noémie", "lang": "fr", "grace_days": "0", "plan": plans["Pro"].pk}
    assert desk.post("/people/new", typed).status_code == 303
    assert history("m-4") == [(today(), "Pro")]
    desk.post("/people/new", {**typed, "id": "m-5", "name": "Noé", "plan": ""})
    assert history("m-5") == []


def test_who_leaves_and_comes_back_keeps_the_plan(manager, plans):
    change(manager, plans["Student"], LONG_AGO)
    manager.post("/people/m-1/leave", {})
    assert Member.objects.get(pk="m-1").left_on == today()
    manager.post("/people/m-1/back", {})
    assert history() == [(LONG_AGO, "Student")]


# --- by a list --------------------------------------------------------------------------------------------------------

LIST = f"id,name,badges,plan\nm-1,Ada Lovelace,{ADA},student\nm-2,Zoé Müller-Østergård,{ZOE},\nm-9,Noémie,{NEW},Pro\n"


def test_a_list_shows_which_plans_change_and_from_which_day(manager, plans):
    change(manager, plans["Pro"], LONG_AGO)
    page = look(manager, LIST)
    assert [
        (person.row.id, [(field.name, field.before, field.after) for field in person.fields])
        for person in page.context["found"].changed
    ] == [("m-1", [("plan", "Pro", "Student")])]
    assert f'name="plans_from" required value="{today()}"' in text(page)
    assert history() == [(LONG_AGO, "Pro")]
    take(manager, page)
    assert history() == [(LONG_AGO, "Pro"), (today(), "Student")]
    assert history("m-9") == [(today(), "Pro")]
    assert look(manager, LIST).context["found"].unchanged == 3


def test_the_first_plans_of_a_list_apply_from_the_start_of_billing(manager, plans):
    billing.start()
    page = look(manager, LIST)
    assert f'name="plans_from" required value="{billing.FIRST}"' in text(page)
    take(manager, page)
    assert history() == [(billing.FIRST, "Student")]
    page = look(manager, LIST.replace("student", "Pro"))
    assert f'name="plans_from" required value="{today()}"' in text(page)


def test_once_a_month_was_closed_plans_of_a_list_apply_from_today(manager, plans):
    billing.start()
    closing.close(billing.FIRST, datetime.now(UTC) + timedelta(days=60), actor="maya", reason="-")
    assert f'name="plans_from" required value="{today()}"' in text(look(manager, LIST))


def test_a_list_changes_plans_from_the_day_that_was_chosen(manager, plans):
    change(manager, plans["Student"], today())
    page = look(manager, LIST)
    assert page.context["found"].changed == []
    day = today() - timedelta(days=9)
    page = manager.get(page.request["PATH_INFO"], {"plans_from": str(day)})
    assert [person.row.id for person in page.context["found"].changed] == ["m-1"]
    take(manager, page, plans_from=str(day))
    assert history() == [(day, "Student"), (today(), "Student")]


def test_a_day_of_plans_that_cannot_be_is_refused(manager):
    page = look(manager, LIST)
    answer = manager.get(page.request["PATH_INFO"], {"plans_from": "1999-01-01"})
    assert answer.status_code == 400
    assert "found 1999-01-01, wanted a day from 2000-01-01" in text(answer)


def test_a_plan_that_was_changed_meanwhile_is_shown_again(manager, plans):
    page = look(manager, LIST)
    change(manager, plans["Student"], today())
    answer = take(manager, page)
    assert answer.status_code == 409
    assert not Member.objects.filter(pk="m-9").exists()
    take(manager, answer)
    assert history() == [(today(), "Student")]


@pytest.mark.parametrize(
    ("typed", "mistake"),
    [
        ("Studnet", "line 2: plan: no plan 'Studnet'; did you mean 'Student'?"),
        ("gold", "line 2: plan: found 'gold', wanted one of: Pro, Student"),
    ],
)
def test_a_list_makes_no_plan(plans, typed, mistake):
    found = file.parse(f"id,plan\nm-1,{typed}\n".encode())
    assert [str(one) for one in found.mistakes] == [mistake]
    assert Plan.objects.count() == 2


def test_a_list_names_a_plan_where_there_is_none_yet(house):
    found = file.parse(b"id,plan\nm-1,gold\n")
    assert [str(one) for one in found.mistakes] == [
        "line 2: plan: found 'gold', wanted one of: (none yet: add a plan first)"
    ]


def test_a_list_without_the_column_changes_no_plan_and_an_empty_cell_ends_it(manager, plans):
    change(manager, plans["Student"], LONG_AGO)
    take(manager, look(manager, "id,name\nm-1,Ada King\n"))
    assert history() == [(LONG_AGO, "Student")]
    take(manager, look(manager, "id,plan\nm-1,\n"))
    assert history() == [(LONG_AGO, "Student"), (today(), "")]
