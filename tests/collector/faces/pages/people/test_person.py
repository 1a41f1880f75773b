"""Is a person written down and changed as typed, and does the desk write only what the desk may?"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.conf import settings
from django.core.exceptions import NON_FIELD_ERRORS

from fabgate.collector.faces.pages import people
from fabgate.collector.faces.pages.people.person.edit_forms import ALWAYS_SHOWN, PersonForm
from fabgate.collector.faces.pages.people.person.numbers import next_id
from fabgate.collector.ground.models import Account, ApiKey, Badge, Change, Group, Machine, Member, Plan, SignIn
from fabgate.collector.members.people import leaving
from fabgate.collector.members.people.blocks import today
from fabgate.collector.recording.intake.store import Store
from tests.collector.faces.pages.conftest import hashed
from tests.collector.faces.pages.counter import admitted, said, text, trained
from tests.collector.gates import NOON, Journal
from tests.collector.paying import paying

pytestmark = pytest.mark.usefixtures("house")

PLAIN = {"name": "Ada Lovelace", "lang": "en", "grace_days": "0"}


# --- written down, changed --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["ada LOVELACE", "Lovelace  Àda"])
def test_a_second_person_of_one_name_is_asked_about_before_they_are_added(desk, name):
    typed = {"id": "m-4", "name": name, "lang": "en", "grace_days": "0"}
    asked = desk.post("/people/new", typed)
    assert asked.status_code == 400
    assert "There is already a person with this name. Is it the same person?" in text(asked)
    assert 'value="is:m-1"' in text(asked)
    assert not Member.objects.filter(pk="m-4").exists()
    assert desk.post("/people/new", {**typed, "twin": "not:m-2"}).status_code == 400
    assert desk.post("/people/new", {**typed, "twin": "not:m-1"}).status_code == 303
    # The next one is another question.
    assert desk.post("/people/new", {**typed, "id": "m-5", "twin": "not:m-1"}).status_code == 400
    assert desk.post("/people/new", {**typed, "id": "m-5", "twin": "not:m-1 m-4"}).status_code == 303
    assert desk.post("/people/new", {**typed, "id": "m-6", "name": "Grace Hopper"}).status_code == 303


def test_the_badge_of_a_duplicate_is_given_to_the_person_who_is_there(desk):
    typed = {"id": "m-4", "name": "Élise Noel", "lang": "fr", "grace_days": "0", "typed": "04AABBCCDDEEFF"}
    assert "Assign the badge, or add the person" in text(desk.post("/people/new", typed))
    answer = desk.post("/people/new", {**typed, "twin": "is:m-3"})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/people/m-3")
    assert Badge.objects.get(member="m-3").spelling == "04AABBCCDDEEFF"
    assert not Member.objects.filter(pk="m-4").exists()
    again = desk.post("/people/new", {**typed, "twin": "is:m-2"})  # another desk was quicker
    assert again.status_code == 400
    assert "Élise Noël has had this badge" in text(again)
    # Without a badge, it opens the page of the person.
    answer = desk.post("/people/new", {**typed, "typed": "", "twin": "is:m-1"})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/people/m-1")
    assert desk.post("/people/new", {**typed, "typed": "nonsense", "twin": "is:m-1"}).status_code == 400


def test_who_left_is_asked_about_and_who_was_taken_back_is_not(desk):
    typed = {"id": "m-4", "name": "Ada Lovelace", "lang": "en", "grace_days": "0"}
    Member.objects.filter(pk="m-1").update(left_on=today())
    page = text(desk.post("/people/new", typed))
    assert "left on" in page
    assert 'value="is:' not in page
    desk.post("/people/new", {**typed, "twin": "not:m-1"})
    desk.post("/people/m-4/undo")
    assert desk.post("/people/new", {**typed, "id": "m-5"}).context["form"].asked_about == "m-1"


def test_a_person_is_written_down_under_the_next_number(desk):
    assert desk.get("/people/new").context["form"].initial["id"] == "m-4"
    typed = {"id": "m-4", "name": "  Noémie   Caron ", "lang": "fr", "grace_days": "0", "valid_until": "2030-03-01"}
    response = desk.post("/people/new", typed)
    assert (response.status_code, response.headers["Location"]) == (303, "/people/m-4")
    found = Member.objects.get(pk="m-4")
    assert (found.name, found.folded, str(found.valid_until)) == ("Noémie Caron", "noemie caron", "2030-03-01")
    assert Change.objects.get().verb == "member.added"


@pytest.mark.parametrize("lang", ["en", "fr"])
def test_the_machines_speak_to_somebody_new_as_the_page_speaks_to_whoever_writes_them_down(browse, account, lang):
    page = browse(account("desk", name="guichet", lang=lang)).get("/people/new")
    assert page.context["form"]["lang"].value() == lang


@pytest.mark.parametrize(
    ("ids", "expected"), [((), "m-4"), (("0099", "0007", "0100", "0101"), "0102"), (("ada",), "m-4")]
)
def test_the_next_number_is_spelled_like_most_others(ids, expected):
    for pk in ids:
        Member.objects.create(id=pk)
    assert next_id() == expected


def test_the_first_person_gets_a_number_too_unless_the_workshop_has_names(desk):
    Badge.objects.all().delete()
    Member.objects.all().delete()
    assert next_id() == "m-001"
    page = desk.get("/people/new")
    assert page.context["form"].initial["id"] == "m-001"
    Member.objects.create(id="m-001")
    assert next_id() == "m-002"
    Member.objects.all().update(id="ada")
    assert next_id() == ""


@pytest.fixture
def lost(house) -> None:
    """The sessions of people whom a restored copy does not know any more: gates filled the gap with them."""
    journal = Journal(site=settings.ENVIRONMENT.site)
    for session, member in (("s-1", "m-66"), ("s-2", "m-66"), ("s-3", "m-7"), ("s-4", "group:99")):
        journal.start(session, member)
        journal.end(session, 60_000, member)
    journal.start("s-5", "m-68")
    Store(settings.ENVIRONMENT.site).store(journal.messages(), NOON)


def test_a_number_that_only_sessions_name_is_not_offered(lost, desk):
    assert next_id() == "m-69"
    assert desk.get("/people/new").context["form"].initial["id"] == "m-69"


def test_nobody_is_written_down_under_a_number_of_sessions_without_being_asked(lost, desk):
    typed = {**PLAIN, "id": "m-66", "name": "Grace Hopper"}
    response = desk.post("/people/new", typed)
    assert response.status_code == 400
    page = text(response)
    assert "2 sessions of m-66 are already recorded, the last one on 24 Nov 2026. Is it the same person?" in page
    assert 'name="same" id="id_same" value="m-66"' in page
    assert not Member.objects.filter(pk="m-66").exists()
    other = desk.post("/people/new", {**typed, "id": "m-7", "same": "m-66"})
    assert (other.status_code, Member.objects.filter(pk="m-7").exists()) == (400, False)
    assert "1 session of m-7 is already recorded" in text(other)
    assert desk.post("/people/new", {**typed, "same": "m-66"}).status_code == 303
    assert Member.objects.get(pk="m-66").name == "Grace Hopper"


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("id", "m-1", "Ada Lovelace already has this number"),
        ("id", "group:1", "Use letters and digits"),
        ("id", "", "required"),
        ("id", "x" * 65, "at most 64"),
        ("name", "", "required"),
        ("name", "x" * 121, "at most 120"),
        ("email", "nowhere", "valid e-mail"),
        ("lang", "de", "French or English"),
        ("valid_until", "01/03/2027", "year-month-day"),
        ("payer", "m-99", "No member or organisation has the number or the name “m-99”"),
        ("grace_days", "-1", "greater than or equal"),
        ("grace_days", "367", "at most 366"),
    ],
)
def test_what_cannot_be_written_down_is_said_at_its_field(manager, field, value, expected):
    response = manager.post("/people/new", {**PLAIN, "level": "user", "id": "m-4", field: value})
    assert response.status_code == 400
    assert expected in str(response.context["form"].errors[field])
    assert Member.objects.count() == 3


@pytest.mark.parametrize(
    ("field", "value", "is_open"),
    [
        *(("plan", "999", True), ("joined_on", "31/02/2026", True), ("grace_days", "999", True)),
        *(("email", "ada", False), ("valid_until", "31/02/2026", False)),
    ],
)
def test_the_details_of_a_form_open_if_one_of_them_is_wrong(manager, field, value, is_open):
    Plan.objects.create(name="student")
    typed = {**PLAIN, "id": "m-4", "name": "Grace Hopper", "level": "user", field: value}
    response = manager.post("/people/new", typed)
    assert response.context["form"].errors.keys() == {field}
    assert ('<details class="act" id="more" open>' in text(response)) is is_open


def test_the_form_knows_which_of_its_fields_are_always_shown():
    template = Path(people.__file__).parents[3] / "templates" / "people" / "person_form.html"
    shown, folded = template.read_text(encoding="utf-8").split('<details class="act" id="more"')
    before, after = ({*re.findall(r"field=form\.(\w+)", part)} for part in (shown, folded))
    # those of a person who is there are shown at once, where there are no trainings to tick
    assert before - after == ALWAYS_SHOWN - {NON_FIELD_ERRORS}, (
        "compare ALWAYS_SHOWN of edit_forms.py with the template"
    )


def test_what_is_changed_is_what_the_gates_decide_by(desk, broker):
    trained("m-1")
    response = desk.post("/people/m-1/edit", {**PLAIN, "minor": "on", "category": "school"})
    assert response.status_code == 303
    found = Member.objects.get(pk="m-1")
    assert (found.minor, found.category) == (True, "school")
    change = Change.objects.get()
    assert (change.verb, change.before["minor"], change.after["minor"]) == ("member.updated", False, True)
    assert broker.told == ["laser-1"]


def test_the_desk_cannot_make_somebody_maintainer_nor_open_a_machine_by_hand(desk, manager):
    more = {"level": "maintainer", "machines": [str(Machine.objects.get(name="saw").pk)]}
    assert desk.post("/people/m-1/edit", {**PLAIN, **more}).status_code == 303
    assert (Member.objects.get(pk="m-1").level, admitted("saw-1")) == ("user", set())
    assert "id_level" not in text(desk.get("/people/m-1/edit"))
    assert manager.post("/people/m-1/edit", {**PLAIN, **more}).status_code == 303
    assert (Member.objects.get(pk="m-1").level, admitted("saw-1")) == ("maintainer", {"m-1"})


def test_what_the_desk_saves_leaves_alone_what_only_a_manager_sees(desk):
    Member.objects.filter(pk="m-1").update(level="supervisor")
    Member.objects.get(pk="m-1").machines.add(Machine.objects.get(name="saw"))
    desk.post("/people/m-1/edit", {**PLAIN, "name": "Ada King"})
    found = Member.objects.get(pk="m-1")
    assert (found.name, found.level, [machine.name for machine in found.machines.all()]) == (
        "Ada King",
        "supervisor",
        ["saw"],
    )


def test_whoever_pays_for_themselves_has_no_payer(manager):
    Member.objects.filter(pk="m-1").update(payer=paying("m-2"))
    assert manager.post("/people/m-1/edit", {**PLAIN, "level": "user", "payer": "m-1"}).status_code == 303
    assert Member.objects.get(pk="m-1").payer is None


# --- leaves -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def keeper() -> Account:
    """Somebody else who stays manager."""
    return Account.objects.create(name="keeper", role="manager", password=hashed())


def test_who_leaves_loses_badge_account_and_keys_at_once_and_keeps_what_was_granted(manager, keeper):
    trained("m-1")
    account = Account.objects.create(name="ada", role="manager", member_id="m-1", password=hashed())
    sign_in = SignIn.objects.create(account=account)
    _key, token = ApiKey.make("billing", [], made_by=account, expires_at=None)
    response = manager.post("/people/m-1/leave")
    assert (response.status_code, response.headers["Location"]) == (303, "/people/m-1")
    assert "Ada Lovelace is marked as left" in said(response)
    assert Badge.objects.get(member="m-1").end_reason == "left"
    account.refresh_from_db()
    assert not account.is_active
    assert not SignIn.is_valid(sign_in.pk)
    assert ApiKey.by_token(token) is None
    assert "m-1" not in admitted("laser-1")
    assert Member.objects.get(pk="m-1").grants.get().revoked_on is None
    verbs = list(Change.objects.order_by("id").values_list("verb", flat=True))
    assert verbs == ["key.revoked", "account.deactivated", "badge.ended", "member.left"]
    assert manager.post("/people/m-1/leave").status_code == 409


def test_what_somebody_else_must_take_over_is_listed_before(manager, keeper):
    trained("m-1", stage="instructor")
    Member.objects.filter(pk="m-3").update(payer=paying("m-1"))
    Group.objects.create(name="2de B", kind="class", payer=paying("m-1"))
    page = text(manager.get("/people/m-1/leave"))
    for expected in ("Élise Noël", "2de B", "no other instructor", "Badge 11", "door keys"):
        assert expected in page
    trained("m-2", stage="instructor")
    assert "no other instructor" not in text(manager.get("/people/m-1/leave"))
    assert Member.objects.get(pk="m-1").left_on is None


def test_the_last_manager_cannot_leave(manager):
    Account.objects.filter(name="manager").update(member="m-1")
    response = manager.post("/people/m-1/leave")
    assert response.status_code == 409
    assert Member.objects.get(pk="m-1").left_on is None
    assert Badge.objects.get(member="m-1").ended_at is None
    with pytest.raises(leaving.LastManager):
        leaving.leave(Member.objects.get(pk="m-1"), actor="maya")


def test_who_comes_back_is_a_member_again_without_a_badge(manager, keeper):
    trained("m-1")
    manager.post("/people/m-1/leave")
    assert "Readmit" in text(manager.get("/people/m-1"))
    assert manager.post("/people/m-1/back").status_code == 303
    assert manager.post("/people/m-1/back").status_code == 409
    assert Member.objects.get(pk="m-1").left_on is None
    assert "Assign a badge first" in text(manager.get("/people/m-1"))


def test_who_leaves_while_the_desk_saves_their_page_has_left(desk, manager, monkeypatch):
    is_valid = PersonForm.is_valid

    def slowly(form):
        found = is_valid(form)
        manager.post("/people/m-1/leave")
        return found

    monkeypatch.setattr(PersonForm, "is_valid", slowly)
    assert desk.post("/people/m-1/edit", {**PLAIN, "name": "Ada King"}).status_code == 303
    found = Member.objects.get(pk="m-1")
    assert (found.name, found.folded, found.left_on) == ("Ada King", "ada king", today())
