"""New people in a list: they are added once they are confirmed, and a mistyped number changes nobody else."""

from __future__ import annotations

import random

import pytest

from fabgate.collector.ground.models import Badge, Change, Member
from fabgate.collector.members.people.blocks import today
from tests.collector.faces.pages.counter import ADA, NEW, said, text
from tests.collector.faces.pages.people.imports.importing import ALL, look, take

pytestmark = pytest.mark.usefixtures("house")

#: A first list: the workshop's own three members are not in it.
FIRST = "N° adhérent;Nom;Prénom;E-mail\n20;Lovelace;Ada;ada@example.org\n21;Hopper;Grace;\n22;;Noémie;\n"
#: The three members without badges, and a newcomer.
MOST_KNOWN = "numéro,nom\nm-1,Ada King\nm-2,Zoé M.\nm-3,Élise N.\nm-30,Noémie\n"


def people() -> dict[str, str]:
    return dict(Member.objects.values_list("pk", "name"))


def post(client, page, **sent):
    return client.post(page.request["PATH_INFO"], {"seen": page.context["found"].fingerprint, **sent})


def test_a_first_list_without_badges_adds_everybody_once_they_are_confirmed(manager):
    page = look(manager, FIRST)
    assert page.context["lines"] == []
    assert "3 new people: add them all" in text(page)
    before = people()
    refused = post(manager, page)
    assert refused.status_code == 400
    assert "Tick the new people" in text(refused)
    assert people() == before
    assert said(post(manager, page, add="all")) == "Import complete: 3 new people, 0 changed."
    assert people() == before | {"20": "Ada Lovelace", "21": "Grace Hopper", "22": "Noémie"}
    assert Member.objects.get(pk="20").email == "ada@example.org"


@pytest.mark.parametrize(
    "title", ["numéro", "Numero", "N° adhérent", "n° d\u2019adhérent", "N°", "Membership number", "№"]
)
@pytest.mark.parametrize("names", ["Prénom;Nom", "first name;surname", "PRENOM;NOM DE FAMILLE"])
def test_numbers_and_given_names_are_understood_as_lists_call_them(manager, title, names):
    page = look(manager, f"{title};{names}\nm-1;Ada;King\n")
    assert page.context["lines"] == []
    take(manager, page)
    assert people()["m-1"] == "Ada King"


def test_where_most_are_known_each_new_person_is_ticked(manager):
    page = look(manager, MOST_KNOWN + "m-31,Bob\n")
    assert text(page).count('name="add"') == 2
    assert "add them all" not in text(page)
    assert said(post(manager, page, add="all")) == "Import complete: 0 new people, 3 changed."
    assert set(people()) == {"m-1", "m-2", "m-3"}
    page = look(manager, MOST_KNOWN + "m-31,Bob\n")
    assert said(post(manager, page, add=["m-30", "m-99"])) == "Import complete: 1 new person, 0 changed."
    assert people() == {"m-1": "Ada King", "m-2": "Zoé M.", "m-3": "Élise N.", "m-30": "Noémie"}


def test_new_people_with_badges_are_ticked_too_and_an_unticked_one_takes_no_badge(manager):
    page = look(manager, ALL + f"m-11,Ada Lovelace,{NEW}\n")
    assert post(manager, page).status_code == 400
    assert not Badge.objects.filter(spelling=NEW).exists()
    take(manager, page)
    assert Badge.objects.get(spelling=NEW).holder == "m-11"


def test_who_has_the_name_of_a_member_or_of_another_row_is_shown_in_any_order_of_words(manager):
    Member.objects.filter(pk="m-3").update(left_on=today())
    page = look(manager, MOST_KNOWN + "m-31,Lovelace ADA\nm-32,Elise Noel\nm-33,Bob\nm-34,bob\n")
    shown = {one.row.id: (list(one.namesakes), list(one.twins)) for one in page.context["found"].new}
    assert shown == {
        "m-30": ([], []),
        "m-31": (["m-1"], []),
        "m-32": (["m-3"], []),
        "m-33": ([], ["m-34"]),
        "m-34": ([], ["m-33"]),
    }
    assert "already a member with this name: m-1" in text(page)
    assert "the same name is also in the list under: m-34" in text(page)


def test_who_is_paid_for_by_an_unticked_person_is_not_imported_alone(manager):
    page = look(manager, "id,name,payer\nm-1,Ada,m-30\nm-2,Zoé,\nm-3,Élise,\nm-30,Mairie,\nm-31,Bob,m-30\n")
    for ticked in ([], ["m-31"]):
        refused = post(manager, page, add=ticked)
        assert refused.status_code == 400
        assert "m-30 is new, and pays for m-" in text(refused)
        assert ('value="m-31" checked' in text(refused)) == bool(ticked)
    assert people()["m-1"] == "Ada Lovelace"
    take(manager, page)
    assert dict(Member.objects.values_list("pk", "payer"))["m-31"] == "m-30"


def test_no_number_is_offered_that_differs_by_digits_and_a_row_without_a_name_adds_nobody(manager):
    page = look(manager, "id,name\nm-11,\nM-1,\nm-1,Ada\n")
    assert page.context["lines"] == [
        ("Row 2", "id: no member 'm-11'; to add this person, fill in the name"),
        ("Row 3", "id: no member 'M-1'; did you mean 'm-1'?"),
    ]


def test_a_column_that_names_nobody_new_is_refused_as_before(manager):
    page = look(manager, "id,email\nm-11,ada@example.org\nm-1,\n")
    assert [where for where, _what in page.context["lines"]] == ["Row 2"]


def test_somebody_else_adds_the_person_while_the_list_is_looked_at(manager):
    page = look(manager, MOST_KNOWN)
    Member.objects.create(id="m-30", name="Another")
    answer = take(manager, page)
    assert answer.status_code == 409
    assert people()["m-30"] == "Another"
    assert "<del>Another</del>" in text(answer)


@pytest.mark.parametrize("seed", range(12))
def test_whatever_is_in_a_list_only_ticked_people_are_added_and_only_listed_ones_changed(manager, seed):
    chance = random.Random(seed)
    for number in range(4, 4 + chance.randrange(6)):
        Member.objects.create(id=f"m-{number}", name=f"Person {number}")
    ids = chance.sample([f"m-{number}" for number in range(1, 30)], chance.randint(2, 12))
    rows = {pk: chance.choice(["", f"New {pk}"]) for pk in ids}
    before = people()
    page = look(manager, "id,name\n" + "".join(f"{pk},{name}\n" for pk, name in rows.items()))
    new = {pk for pk, name in rows.items() if pk not in before and name}
    assert {person.row.id for person in page.context["found"].new} == new
    is_each = len(new) < len(before.keys() & rows.keys())
    ticked = sorted(pk for pk in new if chance.random() < 0.5)
    sent = ticked if is_each else chance.choice([["all"], []])
    answer = post(manager, page, add=sent)
    added = set(ticked) if is_each else new if sent else set()
    changed = {pk: name for pk, name in rows.items() if pk in before and name != before[pk]}
    wanted = {pk: rows[pk] for pk in added} | changed
    assert answer.status_code == (303 if wanted else 400)
    assert people() == before | wanted
    assert set(Change.objects.filter(verb="member.imported").values_list("key", flat=True)) == set(wanted)
    assert Badge.objects.get(spelling=ADA).holder == "m-1"
