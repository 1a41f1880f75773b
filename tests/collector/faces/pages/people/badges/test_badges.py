"""Does a badge come into somebody's hands and out of them as the desk says: given, lent, enrolled at a gate, lost?"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from fabgate import badge
from fabgate.collector.ground.models import Badge, Change, Collector, Group
from fabgate.collector.members.access import roster
from fabgate.collector.members.people.blocks import today
from fabgate.collector.processes import worker
from tests.collector.faces.pages.counter import ADA, NEW, refused, said, served, tapped, text, trained
from tests.collector.faces.pages.people.badges.carried import carried, digest, of

pytestmark = pytest.mark.usefixtures("house")

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


def test_a_badge_of_each_kind_is_assigned_as_it_is_typed_and_the_page_says_what_it_is(desk):
    trained("m-3")
    typed = {
        "em-hex:0A00B1C2D3": "125 kHz badge",
        "w26:123,45678": "Wiegand badge",
        "w37-hex:7FFFFFFFF": "Wiegand badge",
        "number10-reversed:0012345678": "number that a reader has shortened",
    }
    for spelling in typed:
        assert desk.post("/people/m-3/give", {"typed": spelling}).status_code == 303
    assert carried("m-3") == [*typed]
    assert of("laser-1", "m-3") == [digest(spelling) for spelling in sorted(typed)]
    page = text(desk.get("/people/m-3"))
    assert all(f"· {kind}" in page for kind in typed.values())
    assert "em-hex:0011223344</code> · 125 kHz badge" in text(desk.get("/people/enrol?typed=em-hex:0011223344"))
    # What is in another order, or shortened, is another badge.
    assert desk.post("/people/m-1/give", {"typed": "em-hex-reversed:0A00B1C2D3"}).status_code == 303
    assert desk.post("/people/m-1/give", {"typed": "number10:0012345678"}).status_code == 303
    refused_as = desk.post("/people/m-1/give", {"typed": "em-dec:0042961322707"})
    assert "Élise Noël has had this badge" in str(refused_as.context["give_form"].errors["typed"])


def test_the_desk_reads_whose_badges_a_reader_that_shortens_cannot_tell_apart(desk):
    Collector.objects.update(badge_forms="em:number8")
    desk.post("/people/m-3/give", {"typed": "em-hex:0A00B1C2D3"})
    assert "Readers that shorten the badge's number give: number8:11649747<" in " ".join(
        text(desk.get("/people/m-3")).split()
    )
    assert desk.get("/people?q=11649747").headers["Location"] == "/people/m-3"  # as the reader at the desk may type it
    taken = desk.post("/people/m-1/give", {"typed": "number8:11649747"})
    assert "for a badge of Élise Noël, too" in str(taken.context["give_form"].errors["typed"])
    short = tapped("number8:11649747")
    assert "Already assigned to:" in text(desk.get(f"/people/enrol?badge={short}"))
    assert short not in text(desk.get("/people/enrol"))
    why = (
        "Gates refuse number8:11649747: a reader that gives this number cannot tell this badge from that of {}. Replace"
    )
    response = desk.post("/people/m-1/give", {"typed": "em-hex:0B00B1C2D3"})
    assert why.format("Élise Noël") in said(response)
    assert refused("laser-1")[short] == ["badge-shared"]
    assert why.format("Ada Lovelace") in text(desk.get("/people/m-3"))
    tapped("number8:11649747", reasons=("badge-shared",))
    floor = text(desk.get("/floor"))
    assert "Badge with a shared number" in floor
    assert "See whose badge it may be" in floor
    page = text(desk.get(f"/people/enrol?badge={short}"))
    assert "several badges (Élise Noël, Ada Lovelace), so gates refuse it." in page
    assert 'type="search" name="q" value' not in page


def test_ten_hex_digits_are_a_125_khz_badge_unless_they_can_be_a_card_with_its_check_byte(desk):
    assert desk.post("/people/m-3/give", {"typed": "0A00B1C2D3"}).status_code == 303
    form = desk.post("/people/m-3/give", {"typed": "04A1B2C3D4"}).context["give_form"]
    assert [value for value, _label in form.fields["reading"].choices] == ["em-hex:04A1B2C3D4", "hex:04A1B2C3"]
    assert carried("m-3") == ["em-hex:0A00B1C2D3"]


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("number10:345678", "Enter all its digits, as in number10:0012345678"),
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
    assert "Choose a format" in str(form.errors["reading"])
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
    assert error.startswith("No available loan badge has the number “L9”. The first time you lend a badge, click")
    assert "enter its printed number in the next field" in error
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


def test_a_group_carries_badges_that_it_hands_out_itself(desk):
    group = Group.objects.create(name="2de B", kind="class")
    response = desk.post(f"/people/groups/{group.pk}/badge", {"typed": NEW, "number": "C1"})
    assert (response.status_code, response.headers["Location"]) == (303, f"/people/groups/{group.pk}")
    row = Badge.objects.get(number="C1")
    assert (row.kind, row.holder) == ("class", f"group:{group.pk}")
    ended = desk.post(f"/people/badges/{row.pk}/end", {"reason": "returned"})
    assert ended.headers["Location"] == f"/people/groups/{group.pk}"
