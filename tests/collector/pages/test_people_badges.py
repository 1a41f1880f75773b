"""Does a badge come into somebody's hands and out of them as the desk says: given, lent, enrolled at a gate, lost?"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest

from fabgate import badge
from fabgate.collector.access import roster
from fabgate.collector.base.key_files import new_key
from fabgate.collector.models import Badge, Change, Gate, Grant, Group, Member, Refusal, Training
from fabgate.collector.people.badges import Card, assign, end, end_of
from fabgate.collector.people.blocks import today
from fabgate.collector.people.import_list import file, store
from fabgate.collector.processes import worker
from tests.collector.pages.counter import (
    ADA,
    NEW,
    a_broker,  # noqa: F401 (fixtures)
    a_house,  # noqa: F401
    admitted,
    refused,
    said,
    served,
    tapped,
    text,
    trained,
)


@pytest.fixture
def desk(browse):
    return browse("desk")


@pytest.fixture
def manager(browse):
    return browse("manager")


def digest(spelling: str) -> str:
    return Card.spelled(badge.parse(spelling)).digest


def carried(pk: str) -> list[str]:
    return list(Badge.objects.filter(member=pk, ended_at=None).values_list("spelling", flat=True))


def of(gate: str, pk: str) -> list[str]:
    """Return the badges with which a gate lets somebody in."""
    return next((member.badges for member in served(gate).members if member.id == pk), [])


# --- given ------------------------------------------------------------------------------------------------------------


def test_a_badge_that_is_typed_by_a_reader_is_theirs_at_once(desk, broker):
    trained("m-3")
    response = desk.post("/people/m-3/give", {"typed": "04:aa:bb:cc:dd:ee:ff", "number": "77"})
    assert (response.status_code, said(response)) == (303, "Badge assigned.")
    assert of("laser-1", "m-3") == [digest(NEW)]
    assert broker.told
    row = Badge.objects.get(spelling=NEW)
    assert (row.kind, row.number, row.holder) == ("personal", "77", "m-3")
    assert Change.objects.get(verb="badge.given").actor == "desk"


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("", "required"),
        ("hello", "is not a badge"),
        ("04A1B2C", "is not a badge"),
        ("08A1B2C3", "sends a new number each time"),
        ("dec:99999999999999999999999999", "is not a badge"),
        ("<script>", "is not a badge"),
    ],
)
def test_what_is_no_badge_is_said_so_and_nobody_gets_it(desk, typed, expected):
    response = desk.post("/people/m-3/give", {"typed": typed})
    assert response.status_code == 400
    assert expected in str(response.context["give_form"].errors["typed"])
    assert carried("m-3") == []


def test_digits_that_can_be_several_badges_are_asked_about(desk):
    response = desk.post("/people/m-3/give", {"typed": "0077705924"})
    assert response.status_code == 400
    form = response.context["give_form"]
    assert "Choose one" in str(form.errors["reading"])
    choices = [value for value, _label in form.fields["reading"].choices]
    assert "dec:0077705924" in choices
    response = desk.post("/people/m-3/give", {"typed": "0077705924", "reading": "dec:0077705924"})
    assert response.status_code == 303
    assert carried("m-3") == [str(badge.parse("dec:0077705924"))]


def test_digits_of_a_badge_that_a_gate_has_seen_are_that_one(desk):
    tapped("dec-reversed:0077705924")
    assert desk.post("/people/m-3/give", {"typed": "0077705924"}).status_code == 303
    assert carried("m-3") == [str(badge.parse("dec-reversed:0077705924"))]


def test_a_badge_or_a_number_that_somebody_has_is_not_given_twice(desk):
    response = desk.post("/people/m-3/give", {"typed": ADA})
    assert "Ada Lovelace has had this badge" in str(response.context["give_form"].errors["typed"])
    response = desk.post("/people/m-3/give", {"typed": NEW, "number": "11"})
    assert "Ada Lovelace has had this badge, or one with this number" in str(
        response.context["give_form"].errors["typed"]
    )
    assert carried("m-3") == []
    assert not Change.objects.exists()


# --- lent -------------------------------------------------------------------------------------------------------------


def test_a_loan_ends_tonight_by_itself_and_is_lent_by_its_number_the_next_time(desk):
    trained("m-3")
    trained("m-1")
    response = desk.post("/people/m-3/lend", {"typed": NEW, "number": "L3", "until": today().isoformat()})
    assert said(response) == "Lent until this evening."
    found = next(member for member in served("laser-1").members if member.id == "m-3")
    assert (found.badges, found.valid_until) == ([digest(NEW)], today().isoformat())
    row = Badge.objects.get(number="L3")
    assert row.until - datetime.now(UTC) <= timedelta(days=1)
    again = desk.post("/people/m-1/lend", {"typed": "L3", "until": today().isoformat()})
    assert "Élise Noël has had this badge" in str(again.context["lend_form"].errors["typed"])
    Badge.objects.filter(pk=row.pk).update(until=datetime.now(UTC) - timedelta(seconds=1))
    worker.end_loans(datetime.now(UTC))
    roster.rebuild(only_changed=True)
    assert of("laser-1", "m-3") == []
    tomorrow = (today() + timedelta(days=1)).isoformat()
    assert '<option value="L3">' in text(desk.get("/people/m-1"))
    assert desk.post("/people/m-1/lend", {"typed": "L3", "until": tomorrow}).status_code == 303
    assert sorted(carried("m-1")) == sorted([ADA, NEW])


def lent_and_over(desk, pk: str, typed: str, number: str = "") -> Badge:
    """Lend a badge and let its evening come."""
    asked = {"typed": typed, "number": number, "until": today().isoformat()}
    assert desk.post(f"/people/{pk}/lend", asked).status_code == 303
    Badge.objects.filter(member=pk, kind="loan", ended_at=None).update(until=datetime.now(UTC) - timedelta(seconds=1))
    worker.end_loans(datetime.now(UTC))
    return Badge.objects.filter(member=pk, kind="loan").latest("pk")


def test_a_badge_keeps_its_printed_number_however_it_is_handed_on(desk):
    lent_and_over(desk, "m-3", NEW, "L1")
    assert lent_and_over(desk, "m-2", NEW).number == "L1"
    assert lent_and_over(desk, "m-2", "L1").number == "L1"
    desk.post(f"/people/enrol?badge={tapped(NEW)}", {"member": "m-1", "kind": "loan"})
    assert Badge.objects.get(member="m-1", kind="loan").number == "L1"


def test_a_number_that_is_typed_takes_the_place_of_the_one_before(desk):
    lent_and_over(desk, "m-3", NEW, "L1")
    assert lent_and_over(desk, "m-2", NEW, "L2").number == "L2"
    assert lent_and_over(desk, "m-3", NEW).number == "L2"
    assert list(desk.get("/people/m-1").context["lend_form"].loans) == ["L2"]
    assert desk.post("/people/m-1/lend", {"typed": "L1", "until": today().isoformat()}).status_code == 400


def test_a_number_that_another_badge_bears_since_is_that_ones(desk):
    lent_and_over(desk, "m-3", NEW, "L1")
    desk.post("/people/m-2/lend", {"typed": "04AABBCCDDEE00", "number": "L1", "until": today().isoformat()})
    assert list(desk.get("/people/m-1").context["lend_form"].loans) == []
    assert lent_and_over(desk, "m-3", NEW).number == ""
    again = desk.post("/people/m-1/lend", {"typed": "L1", "until": today().isoformat()})
    assert "Zoé Müller-Østergård has had this badge" in str(again.context["lend_form"].errors["typed"])


def test_a_loan_badge_that_was_lost_by_whoever_had_it_last_is_not_at_hand(desk):
    lent_and_over(desk, "m-3", NEW, "L1")
    desk.post("/people/m-2/give", {"typed": NEW})
    row = Badge.objects.get(member="m-2", spelling=NEW)
    desk.post(f"/people/badges/{row.pk}/end", {"reason": "lost"})
    assert list(desk.get("/people/m-1").context["lend_form"].loans) == []


@pytest.mark.parametrize("written", ["", "L1"])
def test_a_loan_badge_that_is_out_is_said_to_be_whose_it_is_however_it_was_lent(desk, written):
    lent_and_over(desk, "m-3", NEW, "L1")
    desk.post("/people/m-2/lend", {"typed": NEW, "until": today().isoformat()})
    Badge.objects.filter(member="m-2", kind="loan").update(number=written)  # empty: as versions before this wrote it
    again = desk.post("/people/m-1/lend", {"typed": "L1", "until": today().isoformat()})
    assert "Zoé Müller-Østergård has had this badge" in str(again.context["lend_form"].errors["typed"])


def test_a_loan_whose_time_has_come_does_not_hold_a_badge_back(desk):
    desk.post("/people/m-3/lend", {"typed": NEW, "number": "L3", "until": today().isoformat()})
    Badge.objects.filter(number="L3").update(until=datetime.now(UTC) - timedelta(minutes=1))
    assert desk.post("/people/m-1/give", {"typed": NEW, "number": "L3"}).status_code == 303
    assert Badge.objects.get(member="m-3").end_reason == "over"


@pytest.mark.parametrize(
    ("typed", "until", "field"),
    [
        ("L9", None, "typed"),
        (NEW, "2020-01-01", "until"),
        (NEW, "", "until"),
        (NEW, "1/2/27", "until"),
        (NEW, "9999-12-31", "until"),
    ],
)
def test_a_loan_that_is_not_understood_is_said_at_its_field(desk, typed, until, field):
    response = desk.post("/people/m-3/lend", {"typed": typed, "until": today().isoformat() if until is None else until})
    assert response.status_code == 400
    assert field in response.context["lend_form"].errors
    assert carried("m-3") == []


def test_a_number_alone_is_no_badge_the_first_time_and_it_says_what_else_is_needed(desk):
    response = desk.post("/people/m-3/lend", {"typed": "L9", "until": today().isoformat()})
    (error,) = response.context["lend_form"].errors["typed"]
    assert error.startswith("No available loan badge has the number “L9”. The first time a badge is lent, hold it")
    assert "enter its number in the next one" in error
    phone = desk.post("/people/m-3/lend", {"typed": "08A1B2C3", "until": today().isoformat()})
    assert "sends a new number each time" in str(phone.context["lend_form"].errors["typed"])
    given = desk.post("/people/m-3/give", {"typed": "L9"})
    assert "“L9” is not a badge" in str(given.context["give_form"].errors["typed"])


# --- ended ------------------------------------------------------------------------------------------------------------


def test_a_lost_badge_opens_nothing_and_is_answered_lost(desk, broker):
    trained("m-1")
    row = Badge.objects.get(member="m-1")
    response = desk.post(f"/people/badges/{row.pk}/end", {"reason": "lost"})
    assert (response.status_code, response.headers["Location"]) == (303, "/people/m-1")
    assert of("laser-1", "m-1") == []
    assert refused("laser-1")[digest(ADA)] == ["badge-lost"]
    assert "laser-1" in broker.told
    again = desk.post(f"/people/badges/{row.pk}/end", {"reason": "lost"})
    assert again.status_code == 409
    assert "Earlier badges" in text(desk.get("/people/m-1"))


def test_a_badge_that_was_given_back_can_be_somebody_elses(desk):
    row = Badge.objects.get(member="m-1")
    desk.post(f"/people/badges/{row.pk}/end", {"reason": "returned"})
    assert desk.post("/people/m-3/give", {"typed": ADA, "number": "11"}).status_code == 303
    assert carried("m-3") == [ADA]


@pytest.mark.parametrize("reason", ["", "eaten", "left"])
def test_a_badge_ends_for_a_reason_that_the_desk_may_give(desk, reason):
    row = Badge.objects.get(member="m-1")
    assert desk.post(f"/people/badges/{row.pk}/end", {"reason": reason}).status_code == 400
    assert carried("m-1") == [ADA]


# --- whose is it? -----------------------------------------------------------------------------------------------------


def test_an_unknown_badge_is_listed_and_given_to_whoever_it_belongs_to(desk):
    trained("m-3")
    found = tapped(NEW)
    tapped(NEW, "saw-1")
    (row,) = desk.get("/people/enrol").context["rows"]
    assert (row["badge"], row["times"], str(row["where"])) == (found, 2, "Saw")
    page = desk.get("/people/enrol", {"badge": found, "q": "elise"})
    assert "Refused at <strong>Laser</strong>" in text(page)
    assert [row["member"].pk for row in page.context["offered"]] == ["m-3"]
    response = desk.post(f"/people/enrol?badge={found}", {"member": "m-3", "kind": "personal", "number": "77"})
    assert (response.status_code, response.headers["Location"]) == (303, "/people/m-3")
    assert of("laser-1", "m-3") == [found]
    held = Badge.objects.get(member="m-3")
    assert (held.spelling, held.digest, held.key_id) == ("", found, "b1")
    assert desk.get("/people/enrol").context["rows"] == []
    assert "enrolled at a gate" in text(desk.get("/people/m-3"))


@pytest.mark.parametrize("address", ["/people/enrol", "/people/m-3", "/floor", "/use/refusals"])
def test_a_refusal_of_which_nobody_knows_when_it_was_is_marked_alike_on_every_page(browse, address):
    tapped(NEW, member="" if address == "/people/enrol" else "m-3")
    manager = browse("manager")
    assert "≈" not in text(manager.get(address))
    Refusal.objects.update(is_timed=False)
    assert "≈ </span>" in text(manager.get(address))


def test_whose_badge_is_asked_says_where_nobody_knows_when_it_was_refused(desk):
    found = tapped(NEW)
    assert "clock was not set" not in text(desk.get("/people/enrol", {"badge": found}))
    Refusal.objects.update(is_timed=False)
    assert "clock was not set" in text(desk.get("/people/enrol", {"badge": found}))


def test_a_badge_that_is_found_by_its_spelling_later_is_the_one_that_was_tapped(desk, house):
    found = tapped(NEW)
    desk.post(f"/people/enrol?badge={found}", {"member": "m-3", "kind": "personal"})
    assert desk.get("/people", {"q": NEW}).headers["Location"] == "/people/m-3"
    store.write(store.prepare(file.parse(f"id,badges\nm-3,{NEW}\n".encode())), actor="cli:ada")
    (held,) = Badge.objects.filter(member="m-3")
    assert (held.spelling, held.digest, held.key_id, held.ended_at) == (NEW, found, "", None)
    change = Change.objects.get(verb="badge.spelled")
    assert (change.actor, change.before, change.after) == (
        "cli:ada",
        {"spelling": "", "key_id": "b1"},
        {"spelling": NEW, "key_id": ""},
    )


def test_two_badges_without_a_spelling_are_two_badges(desk):
    for spelling, member in ((NEW, "m-3"), ("04AABBCCDDEE00", "m-1")):
        desk.post(f"/people/enrol?badge={tapped(spelling)}", {"member": member, "kind": "personal"})
    assert Badge.objects.filter(spelling="", ended_at=None).count() == 2


def test_after_a_change_of_the_badge_key_the_page_says_that_it_must_be_tapped_again(desk, house):
    desk.post(f"/people/enrol?badge={tapped(NEW)}", {"member": "m-3", "kind": "personal"})
    assert "badge key was changed" not in text(desk.get("/people/m-3"))
    old = house.badge_key_file.read_text()
    house.badge_key_file.write_text(new_key("b2") + old)
    roster.rebuild()
    assert Badge.objects.get(member="m-1").digest == digest(ADA)
    assert "badge key was changed" in text(desk.get("/people/m-3"))
    assert "badge key was changed" not in text(desk.get("/people/m-1"))


def test_a_lost_badge_of_which_only_the_digest_is_known_is_answered_lost(desk):
    found = tapped(NEW)
    desk.post(f"/people/enrol?badge={found}", {"member": "m-3", "kind": "personal"})
    desk.post(f"/people/badges/{Badge.objects.get(member='m-3').pk}/end", {"reason": "lost"})
    assert refused("laser-1")[found] == ["badge-lost"]


def test_it_can_be_lent_until_this_evening_too(desk):
    desk.post(f"/people/enrol?badge={tapped(NEW)}", {"member": "m-3", "kind": "loan"})
    held = Badge.objects.get(member="m-3")
    assert (held.kind, held.until is not None) == ("loan", True)


@pytest.mark.parametrize(
    "query", ["badge=abc", f"badge={'0' * 64}", "typed=hello", "typed=08A1B2C3", "typed=0077705924"]
)
def test_a_badge_that_no_gate_has_refused_and_what_is_none_are_said_so(desk, query):
    assert desk.get(f"/people/enrol?{query}").status_code == 400
    assert desk.post(f"/people/enrol?{query}", {"member": "m-3", "kind": "personal"}).status_code == 400
    assert carried("m-3") == []


@pytest.mark.parametrize("typed", [{}, {"member": "m-99", "kind": "personal"}, {"member": "m-3", "kind": "stolen"}])
def test_enrolling_needs_a_person_and_a_kind(desk, typed):
    assert desk.post(f"/people/enrol?badge={tapped(NEW)}", typed).status_code == 400
    assert not Badge.objects.filter(spelling="").exists()


def test_somebody_was_quicker(desk):
    found = tapped(NEW)
    assign(Card.tapped(found), Member.objects.get(pk="m-1"), actor="maya")
    response = desk.post(f"/people/enrol?badge={found}", {"member": "m-3", "kind": "personal"})
    assert response.status_code == 400
    assert 'Already assigned to: <a href="/people/m-1">' in text(response)


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
        ({"typed": "0077705924"}, "These digits can be read as several badges"),
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


@pytest.mark.parametrize(
    "address", ["/people/m-3/give", "/people/m-3/lend", "/people/groups/{group}/badge", "/people/new"]
)
def test_a_lost_badge_on_the_reader_is_said_to_be_lost_and_given_once_somebody_says_that_it_was_found(desk, address):
    group = Group.objects.create(name="5b", kind="class")
    end(Badge.objects.get(member="m-1"), Badge.LOST, actor="cli:maya")
    end(Badge.objects.get(member="m-2"), Badge.LOST, actor="cli:maya")
    typed = {**PERSON, "typed": ADA, "until": f"{today()}"}
    found, other = {"found": ADA}, {"found": "0402B2C3D4E580"}
    for more in ({}, other):
        response = desk.post(address.format(group=group.pk), {**typed, **more})
        assert response.status_code == 400
        assert "It was reported lost by maya (command line): ask Ada Lovelace before somebody else gets it." in text(
            response
        )
        assert f'value="{ADA}"' in text(response)
        assert not Badge.objects.filter(ended_at=None).exists()
    assert desk.post(address.format(group=group.pk), {**typed, **found}).status_code == 303
    assert Badge.objects.get(ended_at=None).spelling == ADA


def test_whoever_lost_a_badge_gets_it_back_without_a_question(desk):
    end(Badge.objects.get(member="m-1"), Badge.LOST, actor="cli:maya")
    assert desk.post("/people/m-1/give", {"typed": ADA}).status_code == 303
    assert carried("m-1") == [ADA]


def test_a_lost_badge_whose_digits_can_be_several_is_asked_about_once_it_is_known_which(desk):
    one, another = badge.parse("dec:0077705924"), badge.parse("dec-reversed:0077705924")
    for found in (one, another):
        row, _change = assign(Card.spelled(found), Member.objects.get(pk="m-1"), actor="cli:maya")
        end(row, Badge.LOST, actor="cli:maya")
    typed = {"typed": "0077705924", "reading": "dec:0077705924"}
    assert "ask Ada Lovelace before" not in text(desk.post("/people/m-3/give", {"typed": "0077705924"}))
    assert "ask Ada Lovelace before" in text(desk.post("/people/m-3/give", typed))
    assert desk.post("/people/m-3/give", {**typed, "found": str(another)}).status_code == 400
    assert desk.post("/people/m-3/give", {**typed, "found": str(one)}).status_code == 303
    assert carried("m-3") == [str(one)]


@pytest.mark.parametrize("address", ["/people/m-3/give", "/people/m-3/lend", "/people/enrol?typed={badge}"])
def test_who_has_left_gets_no_badge(desk, address):
    Member.objects.filter(pk="m-3").update(left_on=today())
    typed = {"typed": NEW, "until": f"{today()}", "member": "m-3", "kind": "personal"}
    response = desk.post(address.format(badge=NEW), typed)
    assert (response.status_code, "readmit them first" in text(response)) == (400, True)
    assert not Badge.objects.filter(spelling=NEW).exists()


def found_again(reason: str = "lost") -> str:
    """Let Ada's badge be reported lost, or given back, and turn up at a gate; return its digest."""
    end(Badge.objects.get(member="m-1"), reason, actor="desk")
    return tapped(ADA, reasons=("badge-lost",) if reason == "lost" else ("unknown-badge",))


#: Where a badge is about to be given: to whoever is looked for, to who is not written down yet, and at the next tap.
GIVING = ("/people/enrol?badge={badge}", "/people/new?badge={badge}", "/people/m-3/tap?gate=laser-1&after=0")


@pytest.mark.parametrize("address", GIVING)
def test_before_a_lost_badge_is_given_the_page_says_whose_it_was_and_who_reported_it(desk, address):
    page = text(desk.get(address.format(badge=found_again())))
    assert "Ada Lovelace had it until" in page
    assert "It was reported lost by desk: ask Ada Lovelace before somebody else gets it." in page
    assert '<a href="/people/m-1">Open their page</a>' in page


@pytest.mark.parametrize("address", GIVING)
def test_before_a_badge_that_was_given_back_is_given_the_page_says_whose_it_was(desk, address):
    page = text(desk.get(address.format(badge=found_again("returned"))))
    assert "Ada Lovelace had it until" in page
    assert "(returned)" in page
    assert "reported lost" not in page


def test_a_lost_badge_that_turns_up_is_among_those_that_nobody_has(desk):
    found = found_again()
    (row,) = desk.get("/people/enrol").context["rows"]
    assert row["badge"] == found
    assert "(reported lost)" in text(desk.get("/people/enrol"))


# --- the next tap -----------------------------------------------------------------------------------------------------


def test_the_page_waits_for_the_next_unknown_badge_at_a_gate_and_for_no_other(desk):
    tapped("04AABBCCDDEE00")
    start = desk.get("/people/m-3/tap?gate=laser-1")
    assert start.status_code == 303
    address = start.headers["Location"]
    assert "Tap the new badge on <strong>Laser</strong>" in text(desk.get(address))
    assert 'data-live="refusal"' in text(desk.get(address))
    tapped(NEW, "saw-1")
    assert desk.get(address).context["found"] is None
    found = tapped(NEW)
    assert f"/people/enrol?badge={found}" in text(desk.get(address))


def test_the_next_unknown_badge_at_a_gate_is_lent_too_where_the_desk_has_no_reader(desk):
    page = text(desk.get("/people/m-3"))
    ways = re.findall(r'<form method="get" action="/people/m-3/tap".*?name="kind" value="(\w+)"', page, re.DOTALL)
    assert ways == ["personal", "loan"]
    address = desk.get("/people/m-3/tap?kind=loan&gate=laser-1").headers["Location"]
    found = tapped(NEW)
    page = text(desk.get(address))
    assert "Lend it to Élise Noël until this evening" in page
    typed = dict(re.findall(r'<input type="hidden" name="(member|kind)" value="([^"]*)"', page))
    response = desk.post(f"/people/enrol?badge={found}", {**typed, "number": "L3"})
    assert said(response) == "Lent until this evening."
    row = Badge.objects.get(member="m-3")
    assert (row.kind, row.number, row.until) == ("loan", "L3", end_of(today()))
    end(row, "returned", actor="desk")
    tapped(NEW)
    assert 'value="L3"' in text(desk.get(address))  # printed on it, whoever has it next


def test_what_is_no_kind_of_badge_to_wait_for_is_one_of_their_own(desk):
    tapped(NEW)
    page = text(desk.get("/people/m-3/tap?gate=laser-1&after=0&kind=stolen"))
    assert 'name="kind" value="personal"' in page
    assert "Assign it to Élise Noël" in page


def test_a_badge_that_is_somebodys_is_named_while_the_page_waits(desk):
    address = desk.get("/people/m-3/tap?gate=laser-1").headers["Location"]
    tapped(ADA, member="m-1", reasons=("training-missing",))
    assert "belongs to Ada Lovelace" in text(desk.get(address))


@pytest.mark.parametrize(("minutes_ago", "is_silent"), [(1, False), (10, True)])
def test_a_gate_that_missed_its_heartbeats_is_called_silent_while_the_page_waits(desk, minutes_ago, is_silent):
    Gate.objects.update(online=True, seen_at=datetime.now(UTC) - timedelta(minutes=minutes_ago))
    page = text(desk.get(desk.get("/people/m-3/tap?gate=laser-1").headers["Location"]))
    assert ("This gate is offline" in page) == is_silent


def test_a_gate_that_is_not_there_is_said_so(desk):
    assert desk.get("/people/m-3/tap?gate=nowhere").status_code == 404
    assert desk.get("/people/m-3/tap").status_code == 404


def test_a_group_carries_badges_that_it_hands_out_itself(desk):
    group = Group.objects.create(name="2de B", kind="class")
    response = desk.post(f"/people/groups/{group.pk}/badge", {"typed": NEW, "number": "C1"})
    assert (response.status_code, response.headers["Location"]) == (303, f"/people/groups/{group.pk}")
    row = Badge.objects.get(number="C1")
    assert (row.kind, row.holder) == ("class", f"group:{group.pk}")
    ended = desk.post(f"/people/badges/{row.pk}/end", {"reason": "returned"})
    assert ended.headers["Location"] == f"/people/groups/{group.pk}"
