"""Is whoever stands at the desk found by name, number, e-mail or badge, and is one hit opened at once?"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from fabgate.collector.ground.models import Badge, Group, Member
from fabgate.collector.members.people.blocks import block_member, today
from tests.collector.faces.pages.counter import ADA, NEW, tapped, text

pytestmark = pytest.mark.usefixtures("house")


def names(response) -> list[str]:
    assert response.status_code == 200
    return [row["member"].name for row in response.context["rows"]]


def test_everybody_is_listed_by_name_whatever_their_accents(desk):
    assert names(desk.get("/people")) == ["Ada Lovelace", "Élise Noël", "Zoé Müller-Østergård"]


@pytest.mark.parametrize(
    "typed",
    ["zoe", "ØSTER", "muller zoe", "m-2", "M-2@example", "12", "0402B2C3D4E580", "04:02:b2:c3:d4:e5:80", " zoé  "],
)
def test_a_single_hit_is_opened_at_once_however_it_was_looked_for(desk, typed):
    response = desk.get("/people", {"q": typed})
    assert (response.status_code, response.headers.get("Location")) == (303, "/people/m-2")


def test_a_reader_that_types_decimals_finds_the_holder_although_digits_can_be_several_cards(desk):
    Badge.objects.filter(member="m-1").delete()
    from fabgate import badge
    from fabgate.collector.members.people.badges import Card, assign

    assign(Card.spelled(badge.parse("dec:0077705924")), Member.objects.get(pk="m-1"), actor="maya")
    assert desk.get("/people", {"q": "0077705924"}).headers["Location"] == "/people/m-1"


@pytest.mark.parametrize(("typed", "may_be_given"), [(ADA, True), ("11", False)])
def test_a_badge_that_was_somebodys_is_said_to_be_nobodys_now_and_whose_it_was(desk, browse, typed, may_be_given):
    Badge.objects.get(member="m-1").end(Badge.LOST, "maya", datetime.now(UTC))
    page = text(desk.get("/people", {"q": typed}))
    assert "This badge is not assigned" in page
    assert "Ada Lovelace had this badge until" in page
    assert "It was reported lost by maya" in page
    assert '<a href="/people/m-1">Open the person\'s page</a>' in page
    assert (f"/people/enrol?typed={ADA}" in page) == may_be_given
    assert "/people/enrol?typed" not in text(browse("auditor").get("/people", {"q": typed}))


def test_a_number_finds_who_has_the_badge_now_however_it_was_handed_on(desk):
    old = Badge.objects.get(member="m-1")
    old.end(Badge.RETURNED, "maya", datetime.now(UTC))
    handed_on = Badge.objects.create(spelling=ADA, digest=old.digest, member_id="m-2")  # as versions before this did
    assert desk.get("/people", {"q": "11"}).headers["Location"] == "/people/m-2"
    handed_on.end(Badge.RETURNED, "maya", datetime.now(UTC))
    assert "Zoé Müller-Østergård had this badge until" in text(desk.get("/people", {"q": "11"}))


def test_whose_id_is_the_number_of_a_badge_that_nobody_has_is_found_beside_it(desk):
    Badge.objects.filter(member="m-1").update(number="m-3")
    Badge.objects.get(member="m-1").end(Badge.LOST, "maya", datetime.now(UTC))
    page = desk.get("/people", {"q": "m-3"})
    assert names(page) == ["Élise Noël"]
    assert "This badge is not assigned" in text(page)


def test_a_badge_that_a_group_gave_back_is_the_groups_no_more(desk):
    group = Group.objects.create(name="2de B", kind="class")
    row = Badge.objects.create(spelling=NEW, digest=tapped(NEW), group=group, number="C1", kind="class")
    row.end(Badge.RETURNED, "maya", datetime.now(UTC))
    page = text(desk.get("/people", {"q": "C1"}))
    assert "2de B had this badge until" in page
    assert "This badge belongs to a group" not in page


def test_a_badge_of_nobody_is_offered_to_be_enrolled(desk, browse):
    page = text(desk.get("/people", {"q": NEW}))
    assert "Unknown badge" in page
    assert f"/people/enrol?typed={NEW}" in page
    assert "/people/enrol?typed" not in text(browse("auditor").get("/people", {"q": NEW}))


def test_a_badge_of_a_group_says_so(desk):
    group = Group.objects.create(name="2de B", kind="class")
    Badge.objects.create(spelling=NEW, digest=tapped(NEW), group=group, number="C1", kind="class")
    assert f"/people/groups/{group.pk}" in text(desk.get("/people", {"q": "C1"}))


def test_who_has_left_is_found_by_name_and_listed_only_when_asked_for(desk):
    Member.objects.filter(pk="m-1").update(left_on=today())
    assert "Ada Lovelace" not in names(desk.get("/people"))
    assert desk.get("/people", {"q": "ada"}).status_code == 303
    assert names(desk.get("/people", {"state": "left"})) == ["Ada Lovelace"]
    assert len(names(desk.get("/people", {"state": "all"}))) == 3


@pytest.mark.parametrize(
    ("ends_in", "grace_days", "is_over"),
    [(None, 0, False), (0, 0, False), (-1, 0, True), (-1, 30, True), (-900, 0, True)],
)
def test_members_now_are_those_whose_membership_is_not_over(desk, ends_in, grace_days, is_over):
    until = None if ends_in is None else today() + timedelta(days=ends_in)
    Member.objects.filter(pk="m-1").update(valid_until=until, grace_days=grace_days)
    assert ("Ada Lovelace" in names(desk.get("/people"))) == (not is_over)
    assert ("Ada Lovelace" in names(desk.get("/people", {"state": "over"}))) == is_over
    everybody = desk.get("/people")
    assert 'href="/people?state=all"' in text(everybody)
    assert "Ada Lovelace" in names(desk.get("/people", {"state": "all"}))
    assert "Show all" not in text(desk.get("/people", {"state": "all"}))


def test_a_name_is_looked_for_among_everybody_and_the_filter_says_so(desk):
    for pk in ("m-8", "m-9"):
        Member.objects.create(pk=pk, name="Ada Noël", valid_until=today() - timedelta(days=900))
    page = desk.get("/people", {"q": "noël", "state": "", "category": ""})
    assert names(page) == ["Ada Noël", "Ada Noël", "Élise Noël"]
    assert '<option value="all" selected>Everyone</option>' in text(page)
    nobody = text(desk.get("/people", {"q": "nobody at all"}))
    assert "Try part of the name, with or without accents." in nobody
    assert "search everyone" not in nobody
    assert names(desk.get("/people", {"q": "noël", "state": "over"})) == ["Ada Noël", "Ada Noël"]


def test_a_workshop_of_which_every_membership_is_over_is_not_called_empty(desk):
    Member.objects.update(valid_until=today() - timedelta(days=1))
    page = text(desk.get("/people"))
    assert "No people yet" not in page
    assert "search everyone" in page


def test_who_was_at_a_course_is_ticked_whether_or_not_the_membership_is_over(browse):
    Member.objects.filter(pk="m-1").update(valid_until=today() - timedelta(days=1))
    assert "Ada Lovelace" in text(browse("trainer").get("/people/trainings/who"))


def test_a_badge_on_which_nothing_is_printed_is_called_so_in_the_list(desk):
    Badge.objects.filter(member="m-1").update(number="")
    assert '<td data-label="Badges">a badge without a printed number</td>' in text(desk.get("/people"))


def test_lists_are_narrowed_by_state_and_category(desk):
    block_member(Member.objects.get(pk="m-2"), "payment-due", None, actor="maya")
    Member.objects.filter(pk="m-1").update(valid_until=today() - timedelta(days=1))
    assert names(desk.get("/people", {"state": "blocked"})) == ["Zoé Müller-Østergård"]
    assert names(desk.get("/people", {"state": "over"})) == ["Ada Lovelace"]
    assert names(desk.get("/people", {"state": "minor"})) == ["Élise Noël"]
    assert names(desk.get("/people", {"category": "adult"})) == ["Zoé Müller-Østergård"]
    everybody = {"category": "adult", "state": "all"}
    assert names(desk.get("/people", everybody)) == ["Ada Lovelace", "Zoé Müller-Østergård"]
    assert "Blocked: Payment due" in text(desk.get("/people", {"state": "blocked"}))


@pytest.mark.parametrize(("lang", "said"), [("en", "Any"), ("fr", "Toutes")])
def test_the_filter_by_category_agrees_with_what_it_leaves_none_of_out(browse, account, lang, said):
    page = browse(account("desk", name="guichet", lang=lang)).get("/people")
    assert f'<option value="" selected>{said}</option>' in page.content.decode()


def test_a_filter_that_does_not_exist_is_refused_with_a_word(desk):
    assert desk.get("/people", {"state": "dead"}).status_code == 400
    assert desk.get("/people", {"after": "nobody"}).status_code == 400


def test_pages_follow_each_other_by_name_and_come_back(desk):
    for number in range(120):
        Member.objects.create(id=f"x-{number}", name=f"Person {number:03}")
    first = desk.get("/people")
    seen = names(first)
    second = desk.get("/people" + first.context["page"].after)
    third = desk.get("/people" + second.context["page"].after)
    seen += names(second) + names(third)
    assert len(seen) == len(set(seen)) == 123
    assert seen == sorted(seen, key=lambda name: Member.objects.get(name=name).folded)
    assert third.context["page"].after == ""
    back = desk.get("/people" + third.context["page"].before)
    assert names(back) == names(second)
    assert names(desk.get("/people" + back.context["page"].before)) == names(first)


def test_an_empty_workshop_says_what_to_do(desk):
    Badge.objects.all().delete()
    Member.objects.all().delete()
    assert "Add the first person" in text(desk.get("/people"))


def test_an_id_that_an_address_would_take_for_something_else_has_its_own_page(desk):
    for pk in ("new", "a/b", "..", "~x", "50 % é", "import"):
        Member.objects.create(id=pk, name="Strange Id")
    for row in desk.get("/people", {"q": "strange"}).context["rows"]:
        from django.urls import reverse

        page = desk.get(reverse("people-one", args=[row["member"].pk]))
        assert page.context["member"].pk == row["member"].pk
