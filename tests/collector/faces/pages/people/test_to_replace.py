"""Does the desk see which badges to replace after a theft, and nobody who may not see people?"""

from __future__ import annotations

import pytest

from fabgate.collector.ground.models import Badge, Gate, Group, Member
from fabgate.collector.members.machines.keys import revoke_gate

URL = "/people/badges/to-replace"


@pytest.fixture(autouse=True)
def badges(env) -> None:
    ada = Member.objects.create(id="m-1", name="Ada King")
    school = Group.objects.create(name="School", kind=Group.CLASS)
    Badge.objects.create(member=ada, digest="a", spelling="04A1B2C3", number="17")
    Badge.objects.create(member=ada, digest="b", spelling="04A1B2C3D4E5F6", number="18")
    Badge.objects.create(group=school, digest="c", key_id="b1", number="19")


@pytest.mark.parametrize("role", ["manager", "desk", "auditor"])
def test_they_are_listed_with_their_holders(browse, role):
    page = browse(role).get(URL).content.decode()
    short, _, unknown = page.partition("<h2>Badges whose number is not known</h2>")
    assert ("Ada King" in short, ">17<" in short, ">18<" in page, "card (13.56 MHz)" in short) == (
        True,
        True,
        False,
        True,
    )
    assert ("School" in unknown, ">19<" in unknown) == (True, True)


@pytest.mark.parametrize("role", ["maintainer", "trainer", "accountant", "member"])
def test_others_do_not_see_them(browse, role):
    assert browse(role).get(URL).status_code == 403


def test_without_badges_there_is_nothing_to_replace(browse):
    Badge.objects.all().delete()
    page = browse("desk").get(URL).content.decode()
    assert "No badge with a short number is assigned." in page
    assert "Badges whose number is not known" not in page


def test_the_page_of_a_gate_that_was_cut_off_says_what_to_do_after_a_theft(browse, account):
    Gate.objects.create(name="laser-1", token_hash="x" * 64)
    maintainer, manager = browse("maintainer"), browse("manager")
    assert "If it was stolen" not in manager.get("/gates/laser-1").content.decode()
    revoke_gate.revoke("laser-1", actor="eve")
    page = manager.get("/gates/laser-1").content.decode()
    for text in (
        "If it was stolen",
        "the token, the seal key and the password at the message broker",
        "1 assigned badge has so short a number",
        "Of 1 other badge the number is not known.",
        URL,
        "/joins/new?gate=laser-1",
    ):
        assert text in page
    page = maintainer.get("/gates/laser-1").content.decode()
    assert "1 assigned badge has so short a number" in page
    assert URL not in page
    assert "Ada King" not in page
