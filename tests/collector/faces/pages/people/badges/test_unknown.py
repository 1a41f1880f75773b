"""An unassigned badge is listed, assigned to a person, and awaited at a gate."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest

from fabgate import badge
from fabgate.collector.ground.base.key_files import new_key
from fabgate.collector.ground.models import Badge, Change, Gate, Group, Member, Refusal
from fabgate.collector.members.access import roster
from fabgate.collector.members.people.badges import Card, assign, end, end_of
from fabgate.collector.members.people.blocks import today
from fabgate.collector.members.people.import_list import file, store
from tests.collector.faces.pages.counter import ADA, NEW, refused, said, tapped, text, trained
from tests.collector.faces.pages.people.badges.carried import carried, digest, of

pytestmark = pytest.mark.usefixtures("house")

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


PERSON = {"id": "m-4", "name": "Noémie", "lang": "fr", "grace_days": "0"}


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
        assert (
            "It was reported lost by maya (command line): ask Ada Lovelace before you assign it to someone else."
            in text(response)
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
    assert "Ada Lovelace had this badge until" in page
    assert "It was reported lost by desk: ask Ada Lovelace before you assign it to someone else." in page
    assert '<a href="/people/m-1">Open the person\'s page</a>' in page


@pytest.mark.parametrize("address", GIVING)
def test_before_a_badge_that_was_given_back_is_given_the_page_says_whose_it_was(desk, address):
    page = text(desk.get(address.format(badge=found_again("returned"))))
    assert "Ada Lovelace had this badge until" in page
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
