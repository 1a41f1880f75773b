"""A badge for a person who is not in the list yet: both are added in one go, or neither."""

from __future__ import annotations

import pytest

from fabgate.collector.ground.models import Badge, Change, Grant, Member, Training
from fabgate.collector.members.people.badges import Card, assign, end
from fabgate.collector.members.people.blocks import today
from tests.collector.faces.pages.counter import ADA, NEW, admitted, said, served, tapped, text

pytestmark = pytest.mark.usefixtures("house")


def test_a_person_who_is_not_written_down_yet_gets_the_badge_with_that(desk):
    found = tapped(NEW)
    page = desk.get(f"/people/new?badge={found}")
    assert page.context["form"].initial["id"] == "m-4"
    response = desk.post(f"/people/new?badge={found}", {"id": "m-4", "name": "Noémie", "lang": "fr", "grace_days": "0"})
    assert (response.status_code, response.headers["Location"]) == (303, "/people/m-4")
    assert Badge.objects.get(member="m-4").digest == found
    assert [change.verb for change in Change.objects.order_by("id")] == ["member.added", "badge.given"]


def test_a_new_person_is_let_in_with_badge_and_training_in_one_go(manager):
    found = tapped(NEW)
    ticked = {"level": "user", "trainings": [str(Training.objects.get(name="laser").pk)]}
    response = manager.post(f"/people/new?badge={found}", {**PERSON, **ticked})
    assert (response.status_code, response.headers["Location"]) == (303, "/people/m-4")
    assert [member.badges for member in served("laser-1").members if member.id == "m-4"] == [[found]]
    assert "m-4" not in admitted("saw-1")
    given = Grant.objects.get(member="m-4")
    assert (given.stage, given.since, given.trainer) == (Grant.AUTONOMOUS, today(), "manager")
    verbs = ["member.added", "grant.given", "badge.given"]
    assert [change.verb for change in Change.objects.order_by("id")] == verbs


def test_the_desk_that_grants_no_training_grants_none_to_somebody_new(desk):
    assert 'name="trainings"' not in text(desk.get("/people/new"))
    ticked = {"trainings": [str(Training.objects.get(name="laser").pk)]}
    assert desk.post("/people/new", {**PERSON, **ticked}).status_code == 303
    assert not Grant.objects.filter(member="m-4").exists()


def test_where_there_is_no_training_yet_machines_are_offered_in_its_place(manager):
    folded = '<details class="act" id="more"'
    unfolded, _, more = text(manager.get("/people/new")).partition(folded)
    assert ('name="trainings"' in unfolded, 'name="machines"' in unfolded) == (True, False)
    assert 'name="machines"' in more
    Training.objects.all().delete()
    unfolded, _, more = text(manager.get("/people/new")).partition(folded)
    assert 'name="machines"' in unfolded
    assert 'name="machines"' not in more


def test_a_new_person_is_not_half_written_down_when_the_badge_is_gone(manager):
    taken = tapped(NEW)
    assign(Card.tapped(taken), Member.objects.get(pk="m-1"), actor="maya")
    ticked = {"level": "user", "trainings": [str(Training.objects.get(name="laser").pk)]}
    assert manager.post(f"/people/new?badge={taken}", {**PERSON, **ticked}).status_code == 400
    assert not Grant.objects.filter(member="m-4").exists()
    assert not Member.objects.filter(pk="m-4").exists()


PERSON = {"id": "m-4", "name": "Noémie", "lang": "fr", "grace_days": "0"}


@pytest.mark.parametrize("typed", [NEW, "04:aa:bb:cc:dd:ee:ff", f"dec:{int(NEW, 16)}"])
def test_one_form_writes_a_person_down_with_the_badge_on_the_reader(desk, broker, typed):
    assert 'name="typed"' in text(desk.get("/people/new"))
    response = desk.post("/people/new", {**PERSON, "typed": typed, "number": "77"})
    assert (response.status_code, said(response)) == (303, "Noémie added with a badge.")
    row = Badge.objects.get(spelling=NEW)
    assert (row.holder, row.kind, row.number) == ("m-4", "personal", "77")
    assert [change.verb for change in Change.objects.order_by("id")] == ["member.added", "badge.given"]
    assert broker.told


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ({"typed": ADA}, "Ada Lovelace has had this badge, or one with this number, since"),
        ({"typed": NEW, "number": "11"}, "Ada Lovelace has had this badge, or one with this number, since"),
        ({"typed": "08A1B2C3"}, "sends a new number each time"),
        ({"typed": "0077705924"}, "These digits can stand for different badges"),
        ({"typed": "hello"}, "“hello” is not a badge"),
        ({"number": "77"}, "A printed number alone does not identify a badge"),
        ({"typed": "0402B2C3D4E580"}, "It was reported lost by Desk: ask Zoé Müller-Østergård before"),
    ],
)
def test_a_new_person_is_not_half_written_down_where_the_badge_is_none_of_theirs(browse, account, typed, expected):
    desk = browse(account("desk", name="guichet", display_name="Desk"))
    end(Badge.objects.get(member="m-2"), Badge.LOST, actor="guichet")
    response = desk.post("/people/new", {**PERSON, **typed})
    assert (response.status_code, expected in text(response)) == (400, True)
    assert response.context["badge_form"].errors
    assert not response.context["form"].errors
    assert not Member.objects.filter(pk="m-4").exists()


def test_what_is_wrong_with_the_person_is_said_with_what_is_wrong_with_the_badge(desk):
    response = desk.post("/people/new", {**PERSON, "name": "", "typed": "hello"})
    assert (response.status_code, set(response.context["form"].errors)) == (400, {"name"})
    assert set(response.context["badge_form"].errors) == {"typed"}
