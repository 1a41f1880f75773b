"""Two tabs, one row: does the form that was opened before somebody else saved overwrite nothing, and say what is new?"""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import Any

import pytest

from fabgate.collector.ground.models import (
    Account,
    Group,
    Machine,
    Member,
    Opening,
    SpecialDay,
    Training,
)
from fabgate.collector.members.machines import presets
from fabgate.collector.members.people.blocks import today
from fabgate.collector.money.paper.figures import NOTHING
from tests.collector.faces.pages.tabs import sent_by

pytestmark = pytest.mark.usefixtures("house")


@dataclass(frozen=True)
class Case:
    """A form: on which page it stands, where it goes; what two people type there, each in a field of their own."""

    page: str
    post: str
    first: dict[str, Any]
    second: dict[str, Any]
    #: What the page that is shown again tells of the first.
    told: str

    def stored(self) -> Any:
        rows = (*Member.objects.order_by("pk"), *Group.objects.all(), *Training.objects.all(), *Machine.objects.all())
        plain = [
            {k: v for k, v in vars(row).items() if k != "_state"} for row in (*rows, *Account.objects.order_by("pk"))
        ]
        many = [
            sorted(row.machines.values_list("name", flat=True))
            for row in (*Group.objects.all(), *Training.objects.all())
        ]
        return repr((plain, many, sorted(Machine.trainings.through.objects.values_list("machine", "training"))))


CASES = {
    "person": Case("/people/m-1/edit", "/people/m-1/edit", {"email": "new@example.org"}, {"name": "Ada King"}, "new@example.org"),
    "person's flag": Case("/people/m-1/edit", "/people/m-1/edit", {"minor": "on"}, {"note": "a note"}, "<strong>yes</strong>"),
    "group": Case("/people/groups/1/edit", "/people/groups/1/edit", {"people": "m-1\nm-2"}, {"name": "2de C"}, "(m-1) Zoé Müller-Østergård (m-2)"),
    "training": Case("/people/trainings/1/edit", "/people/trainings/1/edit", {"description": "Read it"}, {"expires_after_days": "9"}, "Read it"),
    "account": Case("/accounts/{account}", "/accounts/{account}", {"role": "trainer"}, {"display_name": "Theo"}, "Trainer"),
    "machine": Case("/machines/saw", "/machines/saw", {"title": "Big saw"}, {"note": "oil it"}, "Big saw"),
    "rules": Case("/machines/saw", "/machines/saw/rules", {"limit_s": "90"}, {"warn_s": "30 s"}, "<strong>90 min</strong>"),
    "trainings": Case("/machines/saw", "/machines/saw/trainings", {"trainings": []}, {"trainings": ["1", "2"]}, NOTHING),
}  # fmt: skip


@pytest.fixture
def saw(house) -> Machine:
    saw = Machine.objects.get(name="saw")
    presets.apply(saw, "saw")
    saw.save()
    return saw


@pytest.fixture
def manager(browse, saw):
    Group.objects.create(id=1, name="2de B", kind=Group.CLASS)
    assert list(Training.objects.order_by("pk").values_list("pk", flat=True)) == [1, 2]
    return browse("manager")


@pytest.fixture
def case(request, manager, account) -> Case:
    found = CASES[request.param]
    address = {"account": account("desk", "theo").pk}
    return Case(found.page.format(**address), found.post.format(**address), found.first, found.second, found.told)


@pytest.mark.parametrize("case", list(CASES), indirect=True)
def test_the_older_tab_overwrites_nothing_says_what_is_new_and_saves_when_it_is_sent_once_more(manager, case):
    older = sent_by(manager.get(case.page), next(iter(case.second)))
    assert manager.post(case.post, older | case.first).status_code == 303
    written = case.stored()
    again = manager.post(case.post, older | case.second)
    assert (again.status_code, case.stored()) == (409, written)
    shown = html.unescape(again.content.decode())
    assert "Someone else changed this" in shown
    assert case.told in shown
    renewed = sent_by(again, next(iter(case.second)))
    wanted = {name: value if isinstance(value, list) else [value] for name, value in case.second.items()}
    assert {name: renewed[name] for name in wanted} == wanted
    assert manager.post(case.post, renewed).status_code == 303
    assert case.stored() != written
    assert manager.get(case.page).status_code == 200


def test_both_changes_are_there_in_the_end(manager):
    older = sent_by(manager.get("/people/m-1/edit"), "email")
    manager.post("/people/m-1/edit", older | {"email": "new@example.org"})
    again = manager.post("/people/m-1/edit", older | {"name": "Ada King"})
    manager.post("/people/m-1/edit", sent_by(again, "email"))
    ada = Member.objects.get(pk="m-1")
    assert (ada.email, ada.name) == ("new@example.org", "Ada King")


def test_who_wrote_in_the_same_field_keeps_their_words_and_reads_the_others(manager):
    older = sent_by(manager.get("/people/m-1/edit"), "email")
    manager.post("/people/m-1/edit", older | {"email": "new@example.org"})
    again = manager.post("/people/m-1/edit", older | {"email": "other@example.org"})
    assert "your value is below" in again.content.decode()
    assert sent_by(again, "email")["email"] == ["other@example.org"]


def test_a_mistake_in_between_does_not_hide_what_somebody_else_wrote(manager):
    older = sent_by(manager.get("/people/m-1/edit"), "email")
    wrong = manager.post("/people/m-1/edit", older | {"name": ""})
    assert wrong.status_code == 400
    manager.post("/people/m-1/edit", older | {"email": "new@example.org"})
    assert manager.post("/people/m-1/edit", sent_by(wrong, "email") | {"name": ["Ada King"]}).status_code == 409
    assert Member.objects.get(pk="m-1").email == "new@example.org"


def test_nobody_is_overtaken_by_what_the_form_does_not_write_or_by_the_very_same(manager):
    older = sent_by(manager.get("/people/m-1/edit"), "email")
    Member.objects.filter(pk="m-1").update(left_on=today(), email="new@example.org")
    assert manager.post("/people/m-1/edit", older | {"email": "new@example.org"}).status_code == 303


def test_a_seal_that_cannot_be_read_is_one_of_another_row(manager):
    older = sent_by(manager.get("/people/m-1/edit"), "email")
    assert manager.post("/people/m-1/edit", older | {"seen": "name=1 =x", "name": "Ada King"}).status_code == 409
    assert Member.objects.get(pk="m-1").name == "Ada Lovelace"


def test_rules_that_somebody_changed_are_not_set_to_those_of_a_kind_unseen(manager, saw):
    older = sent_by(manager.get("/machines/saw"), "limit_s")
    manager.post("/machines/saw/rules", older | {"limit_s": "90"})
    assert manager.post("/machines/saw/preset", {"preset": "laser", "seen": older["seen"]}).status_code == 409
    saw.refresh_from_db()
    assert saw.rules["limit_s"] == 5400
    fresh = sent_by(manager.get("/machines/saw"), "limit_s")
    assert manager.post("/machines/saw/preset", {"preset": "laser", "seen": fresh["seen"]}).status_code == 303


def test_a_lock_takes_the_place_of_no_lock_that_its_form_did_not_show(manager, browse):
    page, broken = "/floor/machines/saw/lock", {"why": "0", "when": "idle", "back": ""}
    older = sent_by(manager.get(page), "seen")
    assert browse("maintainer").post(page, broken | {"why": "own", "words": "Blade off"}).status_code == 303
    again = manager.post(page, older | broken)
    assert again.status_code == 409
    assert "<strong>Blade off (maintainer)</strong>" in again.content.decode()
    assert Machine.objects.get(name="saw").lock_reason == "Blade off"
    assert manager.post(page, sent_by(again, "seen")).status_code == 303
    assert Machine.objects.get(name="saw").lock_reason == "Something is broken"


@pytest.mark.usefixtures("at_six")  # in the small hours "tonight" is the day before
def test_a_day_that_somebody_closed_is_not_open_late(manager):
    Opening.objects.create(days=[1, 2, 3, 4, 5, 6, 7], start="09:00", to="18:00")
    older = sent_by(manager.get("/machines/calendar"), "seen")
    closed = SpecialDay.objects.create(day=today(), note="Strike")
    again = manager.post("/machines/calendar/tonight", older | {"to": "00:00"})
    assert again.status_code == 409
    assert "<strong>closed · Strike</strong>" in again.content.decode()
    assert list(SpecialDay.objects.all()) == [closed]
    assert manager.post("/machines/calendar/tonight", sent_by(again, "seen") | {"to": "00:00"}).status_code == 303
