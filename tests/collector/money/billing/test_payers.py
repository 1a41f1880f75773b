"""When is a payer added, under which id, and when may an organisation end?"""

from __future__ import annotations

from datetime import date

import pytest
from django.db import IntegrityError, connection, transaction

from fabgate.collector.ground.models import Change, Group, Member, Payer
from fabgate.collector.members.people.display_names import names_of
from fabgate.collector.money.billing.paying import payers
from fabgate.collector.processes import restored_database
from tests.collector.ground.db.together import together
from tests.collector.paying import organisation, paying

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def ada(database) -> Member:
    return Member.objects.create(id="m-1", name="Ada Lovelace", email="ada@example.org", lang="fr")


def test_a_member_gets_a_row_when_it_is_first_needed_and_keeps_it(ada):
    found = payers.get("m-1")
    assert found is not None
    assert (found.is_new, found.kind, str(found)) == (True, "member", "Ada Lovelace")
    assert payers.ensure(found, actor="eve").pk == "m-1"
    change = Change.objects.get()
    assert (change.actor, change.verb, change.kind, change.key) == ("eve", "payer.added", "payer", "m-1")
    assert payers.ensure(payers.of_member(ada), actor="bob").address == ""
    assert Change.objects.count() == 1


def test_what_a_member_has_of_their_own_is_not_copied(ada):
    row = paying("m-1")
    assert (row.legal_name, row.email_or_own, row.lang_or_own) == ("Ada Lovelace", "ada@example.org", "fr")
    Member.objects.update(name="Ada King", email="king@example.org", lang="en")
    row = Payer.objects.get()
    assert (row.legal_name, row.email_or_own, row.lang_or_own) == ("Ada King", "king@example.org", "en")
    row.name, row.email, row.lang = "Countess of Lovelace", "c@example.org", "fr"
    assert (str(row), row.legal_name) == ("Ada King", "Countess of Lovelace")
    assert (row.email_or_own, row.lang_or_own) == ("c@example.org", "fr")


def test_a_group_and_an_organisation_are_payers_and_nothing_else_is(ada):
    group = Group.objects.create(name="2de B", kind=Group.CLASS)
    university = organisation()
    kinds = {pk: found and found.kind for pk in (group.roster_id, university.pk) if (found := payers.get(pk))}
    assert kinds == {group.roster_id: "group", "payer:1": "organisation"}
    nothing = ("", "m-2", "group:", "group:x", "group:99", f"group:0{group.pk}", "group:٣", "payer:2", "emergency:1")
    assert [payers.get(pk) for pk in nothing] == [None] * len(nothing)


def test_organisations_are_numbered_and_no_number_is_used_again(ada):
    Member.objects.create(id="payer:6")  # of a list from before organisations
    assert [payers.add_organisation(Payer(name="Lycée"), actor="eve").pk for _ in range(6)] == [
        f"payer:{number}" for number in (1, 2, 3, 4, 5, 7)
    ]
    Payer.objects.filter(pk="payer:7").delete()
    assert payers.add_organisation(Payer(name="Lycée"), actor="eve").pk == "payer:8"
    assert {str(name) for name in names_of(["payer:8", "payer:9"]).values()} == {"Lycée", "payer:9"}


def test_after_a_restore_no_number_is_used_that_may_have_been_since_the_copy(ada, tmp_path):
    payers.add_organisation(Payer(name="Lycée"), actor="eve")
    restored_database.invalidate(tmp_path)
    found = payers.add_organisation(Payer(name="Université"), actor="eve").pk
    assert int(found.removeprefix("payer:")) > 1_700_000_000_000


@pytest.mark.skipif(connection.vendor == "sqlite", reason="one transaction at a time")
def test_organisations_and_members_that_are_added_at_once_are_each_added_once(ada):
    def add(number: int) -> None:
        with transaction.atomic():
            payers.ensure(payers.of_member(ada), actor=f"eve-{number}")
        payers.add_organisation(Payer(name=f"Lycée {number}"), actor=f"eve-{number}")

    together(*[lambda number=number: add(number) for number in range(3)])
    assert set(Payer.objects.values_list("pk", flat=True)) == {"m-1", "payer:1", "payer:2", "payer:3"}
    assert Change.objects.filter(verb="payer.added").count() == 4


def test_an_organisation_ends_only_when_it_pays_for_nobody(ada):
    university = organisation()
    Member.objects.filter(pk="m-1").update(payer=university, left_on=date(2026, 1, 1))
    group = Group.objects.create(name="2de B", kind=Group.CLASS, payer=university)
    with pytest.raises(payers.StillPays, match=r"Université Lumière still pays for 2de B, m-1 \(Ada Lovelace\)"):
        payers.end(university, actor="eve")
    assert not Change.objects.exists()
    Member.objects.update(payer=None)
    group.payer = None
    group.save()
    payers.end(university, actor="eve")
    with pytest.raises(payers.Ended, match="Université Lumière was closed on"):
        payers.choose(university, actor="eve")
    payers.reopen(university, actor="eve")
    assert payers.choose(university, actor="eve").ended_on is None
    assert list(Change.objects.order_by("pk").values_list("verb", flat=True)) == ["payer.ended", "payer.begun"]


def test_references_are_stored_changed_and_removed_with_their_rows_in_the_log(ada):
    university = organisation()
    payers.set_references(university, {"stripe": "cus_1", "tryton": "411"}, actor="eve")
    payers.set_references(university, {"stripe": "cus_2"}, actor="eve")
    payers.set_references(university, {"stripe": "cus_2"}, actor="eve")
    assert [str(row) for row in university.references.all()] == ["stripe: cus_2"]
    assert list(Change.objects.order_by("pk").values_list("verb", "key", "before", "after")) == [
        ("payer.updated", "payer:1", {"references": []}, {"references": ["stripe: cus_1", "tryton: 411"]}),
        (
            *("payer.updated", "payer:1", {"references": ["stripe: cus_1", "tryton: 411"]}),
            {"references": ["stripe: cus_2"]},
        ),
    ]


def test_a_row_that_is_two_payers_or_a_member_under_another_id_is_refused(ada):
    group = Group.objects.create(name="2de B", kind=Group.CLASS)
    for fields in ({"id": "m-1", "member": ada, "group": group}, {"id": "m-2", "member": ada}):
        with pytest.raises(IntegrityError), transaction.atomic():
            Payer.objects.create(**fields)
