"""The record of each payer: who reads and changes it, what is checked, and how an organisation pays, ends and comes back."""

from __future__ import annotations

import pytest

from fabgate.collector.ground.models import Change, Group, Member, Payer
from fabgate.collector.members.people.blocks import today
from fabgate.collector.money.billing import terms
from tests.collector.faces.pages.counter import text
from tests.collector.paying import organisation, paying

pytestmark = pytest.mark.usefixtures("house")

UNIVERSITY = {
    "name": "Université Lumière",
    "address": "86 rue Pasteur  \n69007 Lyon\n",
    "email": "factures@example.org",
    "lang": "fr",
    "registration_number": "732 829 320",
    "vat_number": "fr 40 303 265 045",
    "references": "tryton: 4110042\n\nstripe:cus_9\n",
}


# --- an organisation --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["manager", "accountant"])
def test_an_organisation_is_added_with_what_a_statement_needs_and_is_in_the_log(browse, account, role):
    client = browse(role)
    response = client.post("/people/payers/new", UNIVERSITY)
    assert (response.status_code, response["Location"]) == (303, "/people/payers/payer:1")
    row = Payer.objects.get()
    assert (row.name, row.address, row.lang) == ("Université Lumière", "86 rue Pasteur\n69007 Lyon", "fr")
    assert (row.registration_number, row.vat_number) == ("732829320", "FR40303265045")
    assert {one.sink: one.reference for one in row.references.all()} == {"tryton": "4110042", "stripe": "cus_9"}
    added = Change.objects.get(verb="payer.added")
    assert (added.actor, added.key, added.after["name"]) == (role, "payer:1", "Université Lumière")
    page = text(client.get("/people/payers/payer:1"))
    for shown in ("Organisation · payer:1", "69007 Lyon", "FR40303265045", "4110042", "No people or groups."):
        assert shown in page
    log = text(browse(account("manager", "maya")).get("/log?what=universite"))
    assert "payer added" in log
    assert "tryton: 4110042" in log


@pytest.mark.parametrize(
    ("field", "typed", "error"),
    [
        ("name", "", "This field is required"),
        ("name", "x\u202ey", "invisible character"),
        ("email", "nobody", "valid e-mail"),
        ("lang", "xx", "not one of the available choices"),
        ("registration_number", "732 829 321", "Found 732829321, which is not a valid SIREN"),
        ("vat_number", "FR1", "Found FR1, which does not have the form of a VAT number of FR"),
        ("references", "Tryton 411", "Found “Tryton 411”, wanted a program"),
        ("references", "a: 1\na: 2", "“a” appears twice."),
        ("references", f"a: {'1' * 201}", "wanted a program"),
    ],
)
def test_a_wrong_value_is_named_and_nothing_is_added(accountant, field, typed, error):
    response = accountant.post("/people/payers/new", {**UNIVERSITY, field: typed})
    assert response.status_code == 400
    assert error in str(response.context["form"].errors[field])
    assert not Payer.objects.exists()
    assert not Change.objects.exists()


def test_an_organisation_pays_for_a_person_and_a_group_by_name_or_number(browse, accountant):
    organisation()
    group = Group.objects.create(name="2de B", kind="class")
    assert accountant.post("/people/m-1/payer", {"payer": "universite lumiere"}).status_code == 303
    assert accountant.post(f"/people/groups/{group.pk}/payer", {"payer": "payer:1"}).status_code == 303
    group.refresh_from_db()
    assert (Member.objects.get(pk="m-1").payer_id, group.payer_id) == ("payer:1", "payer:1")
    assert "Université Lumière (payer:1)" in text(accountant.get("/people/m-1/payer"))
    manager = browse("manager")
    person = {"name": "Ada", "lang": "en", "grace_days": "0", "level": "user"}
    assert manager.post("/people/m-2/edit", {**person, "payer": "Université Lumière (payer:1)"}).status_code == 303
    assert manager.post("/people/new", {**person, "id": "m-9", "name": "Ida", "payer": "payer:1"}).status_code == 303
    assert set(Member.objects.filter(payer="payer:1").values_list("pk", flat=True)) == {"m-1", "m-2", "m-9"}
    page = text(manager.get("/people/payers/payer:1"))
    for link in ("/people/m-1", "/people/m-9", f"/people/groups/{group.pk}", "/use?member=m-2"):
        assert f'href="{link}"' in page
    assert 'href="/people/payers/payer:1"' in text(manager.get("/people/m-1"))
    assert "Université Lumière" in text(manager.get("/people/groups"))
    listed = text(manager.get("/people/payers"))
    assert "3 people" in listed
    assert "1 group" in listed


@pytest.mark.parametrize(
    ("typed", "error"),
    [
        ("Lycée", "No member or organisation has the number or the name “Lycée”."),
        ("2de B", "“2de B” is a group, and a group pays only for itself. Enter a member or an organisation."),
        ("lumiere", "Several people match: "),
        ("Old", "Old was closed on"),
    ],
)
def test_what_is_no_payer_is_refused_with_what_was_found_and_wanted(accountant, typed, error):
    organisation()
    organisation("Institut Lumière", 2)
    organisation("Old", 3, ended_on=today())
    Group.objects.create(name="2de B", kind="class")
    response = accountant.post("/people/m-1/payer", {"payer": typed})
    assert response.status_code == 400
    assert error in str(response.context["form"].errors["payer"])
    assert Member.objects.get(pk="m-1").payer is None


def test_an_organisation_ends_when_nobody_is_left_for_whom_it_pays_and_is_reopened(accountant):
    university = organisation()
    Member.objects.filter(pk="m-1").update(payer=university)
    page = text(accountant.get("/people/payers/payer:1"))
    assert "Close organisation" not in page
    refused = accountant.post("/people/payers/payer:1/end", {"over": "1"})
    assert refused.status_code == 409
    assert "Université Lumière still pays for m-1 (Ada Lovelace)." in text(refused)
    Member.objects.update(payer=None)
    assert "Close organisation" in text(accountant.get("/people/payers/payer:1"))
    assert accountant.post("/people/payers/payer:1/end", {"over": "1"}).status_code == 303
    assert accountant.post("/people/payers/payer:1/end", {"over": "1"}).status_code == 409
    assert "Université Lumière" not in text(accountant.get("/people/payers"))
    assert "Université Lumière" in text(accountant.get("/people/payers?which=ended"))
    assert accountant.post("/people/payers/payer:1/end", {"over": "0"}).status_code == 303
    assert accountant.post("/people/m-1/payer", {"payer": "payer:1"}).status_code == 303


def test_only_an_organisation_ends(accountant):
    paying("m-1")
    for pk in ("m-1", "m-2", "payer:1"):
        assert accountant.post(f"/people/payers/{pk}/end", {"over": "1"}).status_code == 404


# --- a member or a group ----------------------------------------------------------------------------------------------


def test_the_record_of_a_person_or_a_group_is_added_when_it_is_first_saved(accountant):
    group = Group.objects.create(name="2de B", kind="class")
    for pk, name in (("m-1", "Ada Lovelace"), (group.roster_id, "2de B")):
        page = text(accountant.get(f"/people/payers/{pk}"))
        assert name in page
        assert "No address" in page
        assert f"Leave empty if this name is {name}." in text(accountant.get(f"/people/payers/{pk}/edit"))
        assert accountant.post(f"/people/payers/{pk}/edit", {"vat_number": "FR"}).status_code == 400
        assert not Payer.objects.filter(pk=pk).exists()
        assert accountant.post(f"/people/payers/{pk}/edit", {"address": "1 rue X"}).status_code == 303
        row = Payer.objects.get(pk=pk)
        assert (row.address, row.legal_name, row.name) == ("1 rue X", name, "")
    verbs = list(Change.objects.order_by("pk").values_list("verb", "key"))
    assert verbs == [(verb, pk) for pk in ("m-1", group.roster_id) for verb in ("payer.added", "payer.updated")]


def test_somebody_else_was_faster_to_change_a_record(accountant):
    paying("m-1")
    seen = accountant.get("/people/payers/m-1/edit").context["form"].seen
    Payer.objects.update(address="1 rue X")
    response = accountant.post("/people/payers/m-1/edit", {"address": "2 rue Y", "seen": seen})
    assert response.status_code == 409
    assert Payer.objects.get().address == "1 rue X"


def test_a_payer_that_does_not_exist_is_not_found(accountant):
    for pk in ("m-99", "group:9", "payer:9", "group:x"):
        assert accountant.get(f"/people/payers/{pk}").status_code == 404
        assert accountant.post(f"/people/payers/{pk}/edit", {}).status_code == 404


# --- the list ---------------------------------------------------------------------------------------------------------


def test_the_list_shows_who_has_no_address_and_is_searched_by_name_and_number(accountant):
    organisation(address="1 rue X\n69000 Lyon")
    organisation("Lycée Ampère", 2)
    organisation("Old", 3, ended_on=today())
    group = Group.objects.create(name="Acmé", kind="company")
    Payer.objects.create(id=group.roster_id, group=group, name="Acme Holding")
    paying("m-2")
    every = {"payer:1", "payer:2", group.roster_id, "m-2"}
    for query, found in (
        ("", every),
        ("?q=ZOE", {"m-2"}),
        ("?q=acme", {group.roster_id}),
        ("?q=holding", {group.roster_id}),
        ("?q=payer:", {"payer:1", "payer:2"}),
        ("?which=organisations", {"payer:1", "payer:2"}),
        ("?which=no-address", every - {"payer:1"}),
        ("?which=ended", {"payer:3"}),
        ("?q=nobody", set()),
    ):
        response = accountant.get(f"/people/payers{query}")
        assert {payer.pk for payer in response.context["page"].rows} == found
    page = text(accountant.get("/people/payers"))
    assert "1 rue X" in page
    assert page.count("No address") == 3


@pytest.mark.parametrize(
    ("sort", "order"),
    [
        ("", ["m-1", "payer:2", "payer:1"]),
        ("-name", ["payer:1", "payer:2", "m-1"]),
        ("kind", ["payer:2", "payer:1", "m-1"]),
        ("-people", ["payer:1", "m-1", "payer:2"]),
        ("address", ["payer:2", "payer:1", "m-1"]),
    ],
)
def test_the_list_is_sorted_by_its_headers(accountant, sort, order):
    university, _lycee = organisation(), organisation("Lycée", 2)
    Member.objects.filter(pk__in=["m-2", "m-3"]).update(payer=university)
    Payer.objects.filter(pk=paying("m-1").pk).update(address="1 rue X")
    Group.objects.create(name="2de B", kind="class", payer=paying("m-1"))
    response = accountant.get(f"/people/payers?sort={sort}")
    assert [payer.pk for payer in response.context["page"].rows] == order


# --- rights -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["desk", "trainer", "maintainer", "member"])
def test_other_roles_see_the_name_where_it_was_shown_and_neither_address_nor_record(browse, role):
    university = organisation(address="1 rue X")
    Member.objects.filter(pk="m-1").update(payer=university)
    client = browse(role)
    for path in ("/people/payers", "/people/payers/payer:1", "/people/payers/new", "/people/payers/payer:1/edit"):
        assert client.get(path).status_code == 403
    assert client.post("/people/payers/new", UNIVERSITY).status_code == 403
    assert client.post("/people/payers/payer:1/end", {"over": "1"}).status_code == 403
    if role in ("desk", "trainer"):
        page = text(client.get("/people/m-1"))
        assert "Université Lumière" in page
        assert "/people/payers/payer:1" not in page


def test_an_auditor_reads_records_and_changes_none(browse):
    organisation()
    client = browse("auditor")
    page = text(client.get("/people/payers/payer:1"))
    assert "/people/payers/payer:1/edit" not in page
    assert client.get("/people/payers").status_code == 200
    assert client.get("/people/payers/payer:1/edit").status_code == 403
    assert client.post("/people/payers/payer:1/edit", UNIVERSITY).status_code == 403


@pytest.fixture(params=["pays for them", "pays for their group"])
def employer(request, house) -> Payer:
    """An organisation to which the accountant Ada belongs, because it pays for her."""
    found = organisation()
    if request.param == "pays for them":
        Member.objects.filter(pk="m-1").update(payer=found)
    else:
        Group.objects.create(name="2de B", kind="class", payer=found).members.add("m-1")
    return found


def test_an_accountant_decides_nothing_about_an_organisation_that_pays_for_them(browse, account, employer):
    client = browse(account("accountant", "ada", member_id="m-1"))
    page = text(client.get("/people/payers/payer:1"))
    assert "A manager or another accountant must change this record." in page
    assert "/people/payers/payer:1/edit" not in page
    assert client.post("/people/payers/payer:1/edit", UNIVERSITY).status_code == 403
    assert client.post("/people/payers/payer:1/end", {"over": "1"}).status_code == 403
    assert client.post("/people/m-3/payer", {"payer": "payer:1"}).status_code == 403
    Member.objects.filter(pk="m-3").update(payer=employer)
    assert client.post("/people/m-3/payer", {"payer": ""}).status_code == 403
    assert client.post("/people/payers/m-1/edit", {"address": "1 rue X"}).status_code == 403  # nor about themselves
    assert Payer.objects.get().name == "Université Lumière"
    other = browse("accountant")
    assert other.post("/people/payers/payer:1/edit", {**UNIVERSITY, "name": "Lumière"}).status_code == 303
    assert other.post("/people/m-3/payer", {"payer": ""}).status_code == 303


def test_the_record_leads_to_what_the_payer_pays_this_month_once_billing_has_started(accountant):
    organisation()
    link = 'href="/month/payer/payer:1"'
    assert link not in text(accountant.get("/people/payers/payer:1"))
    terms.start("EUR", today().replace(day=1), "UTC", includes_vat=True, actor="maya")
    assert link in text(accountant.get("/people/payers/payer:1"))
    assert accountant.get("/month/payer/payer:1").status_code == 200


# --- in French --------------------------------------------------------------------------------------------------------


def test_a_french_accountant_reads_french(browse, account):
    client = browse(account("accountant", lang="fr"))
    organisation()
    group = Group.objects.create(name="2de B", kind="class")
    for path, words in (
        ("/people/payers", ("Payeurs", "Nouvel organisme", "Sans adresse")),
        ("/people/payers/people", ("Qui paie pour qui",)),
        ("/people/payers/payer:1", ("Organisme · payer:1", "Adresse postale", "Langue")),
        ("/people/payers/payer:1/edit", ("Raison sociale ou nom", "Numéro de TVA")),
        (f"/people/payers/{group.roster_id}/edit", ("est 2de B.",)),
    ):
        page = text(client.get(path))
        for word in words:
            assert word in page
    wrong = client.post("/people/m-1/payer", {"payer": "2de B"})
    assert "2de B\u00a0» est un groupe" in text(wrong)
