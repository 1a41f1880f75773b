"""Do the desk, accountants and members see and move credit as they may, and does nothing count twice?"""

from __future__ import annotations

import csv
import io
import re
from datetime import UTC, date, datetime, timedelta

import pytest
from pypdf import PdfReader

from fabgate.collector.ground.models import (
    BillingTerms,
    Change,
    Gate,
    Member,
    Payer,
    PrepaidChange,
    PrepaidEntry,
    UsageSession,
    Workshop,
)
from fabgate.collector.money.billing.charges import refresh
from fabgate.collector.money.billing.paying import payers
from fabgate.collector.money.billing.prepaid import balances, ledger, modes
from fabgate.collector.money.billing.prepaid.ledger import Paid
from fabgate.collector.money.paper.figures import MINUS
from fabgate.collector.recording.sessions import corrections
from tests.collector.faces.pages import billing
from tests.collector.faces.pages.billing import FIRST, NOON
from tests.collector.faces.pages.tables import rows
from tests.collector.faces.pages.used import Used, body, text

pytestmark = pytest.mark.usefixtures("env", "told")
PAGE = "/credit/m-1"


def today() -> date:
    """Of the moment: midnight may have passed since this file was read."""
    return datetime.now(UTC).date()


@pytest.fixture
def prepaid_shop(shop: Used) -> Used:
    """A session of €3.00 last month, of a member who prepays since then."""
    billing.start()
    billing.rule("price=0.10")
    modes.set_mode("m-1", FIRST, prepays=True, actor="maya")
    shop.session("s-1", "m-1", NOON, 30)
    refresh.refresh_all()  # as the worker does
    return shop


def paid(amount: str = "20", **more: str) -> dict[str, str]:
    return {"amount": amount, "method": "cash", "till_number": "", **more}


def form_of(client, address: str) -> dict[str, str]:
    """Return the number of the form, as a browser would send it back."""
    (found,) = re.findall(r'name="form_key" value="([^"]+)"', client.get(address).content.decode())
    return {"form_key": found}


def entries(page: str) -> list[list[str]]:
    """Return what, method, amount and balance of each row, also of months that are not closed."""
    return [row[1:5] for row in rows(page.replace('<tr class="provisional">', "<tr>"), "Entries")]


def pay(amount_minor: int, payer: str = "m-1", **more: str) -> PrepaidEntry:
    how = Paid(**{"method": "cash", **more})
    return ledger.credit(payer, amount_minor, how, author="kim", now=datetime.now(UTC), is_meant=True).entry


def test_from_a_person_to_their_credit_in_three_clicks_and_a_double_click_counts_once(desk, prepaid_shop):
    found = desk.get("/people?q=m-1")  # one
    person = text(desk.get(found.headers["Location"]))
    assert f'<strong class="number">{MINUS}€3.00</strong>' in person
    assert "Out of credit" in person
    assert f'href="{PAGE}/add"' in person
    sent = paid("20.00") | form_of(desk, f"{PAGE}/add")  # two
    for _click in range(2):  # three
        answer = desk.post(f"{PAGE}/add", sent)
        assert (answer.status_code, answer.headers["Location"]) == (303, PAGE)
    page = text(desk.get(PAGE))
    assert "€20.00 credited. The balance is €17.00." in page
    assert entries(page) == [
        [f"{FIRST:%B %Y}", "", f"{MINUS}€3.00", "€17.00"],
        ["Credit", "Cash", "+€20.00", "€20.00"],
    ]
    assert PrepaidEntry.objects.count() == 1


@pytest.mark.parametrize("act", ["add", "refund"])
def test_a_form_from_the_back_button_with_another_amount_is_refused_and_says_what_was_stored(
    accountant, prepaid_shop, act
):
    pay(5_000)
    sent = paid("20.00", reason="moves away") | form_of(accountant, f"{PAGE}/{act}")
    assert accountant.post(f"{PAGE}/{act}", sent).status_code == 303
    stored = PrepaidEntry.objects.latest("pk")
    answer = accountant.post(f"{PAGE}/{act}", {**sent, "amount": "30.00"})
    assert answer.status_code == 409
    page = text(answer)
    assert f"already sent, and added entry number {stored.pk}, {'+' if act == 'add' else MINUS}€20.00." in page
    assert "Nothing was added this time." in page
    assert "30.00" not in page
    assert sent["form_key"] not in answer.content.decode()
    assert PrepaidEntry.objects.count() == 2


def test_an_equal_credit_within_a_minute_is_asked_about(desk, prepaid_shop):
    pay(2_000)
    sent = paid("20") | form_of(desk, f"{PAGE}/add")
    asked = desk.post(f"{PAGE}/add", sent)
    assert asked.status_code == 409
    assert "An identical credit of €20.00 has already been added: number 1, by kim" in text(asked)
    assert sent["form_key"] in asked.content.decode()
    assert balances.of("m-1") == 1_700
    assert desk.post(f"{PAGE}/add", {**sent, "is_meant": "1"}).status_code == 303
    assert PrepaidEntry.objects.count() == 2


def test_a_credit_opens_the_machines_and_notifies_the_gates(desk, prepaid_shop, told):
    for member in Member.objects.all():
        member.machines.set([gate.machine for gate in Gate.objects.select_related("machine")])
    desk.post(f"{PAGE}/add", paid() | form_of(desk, f"{PAGE}/add"))
    assert {message.topic.split("/")[3] for message in told} == {"saw-1", "lathe-1"}


@pytest.mark.parametrize(
    ("typed", "wanted"),
    [
        (paid(""), "This field is required"),
        (paid("0"), "Enter an amount from €0.01 to €100,000.00."),
        (paid("-5"), "Enter an amount from €0.01 to"),
        (paid("1e9"), "Enter an amount from €0.01 to"),
        (paid("NaN"), "Enter an amount from €0.01 to"),
        (paid("1.005"), "Use at most 2 decimals."),
        (paid("a lot"), "Enter an amount such as 0.10."),
        (paid(method="shells"), "Select a valid choice"),
        (paid(till_number="9" * 41), "at most 40 characters"),
        (paid(form_key="x"), "The form is incomplete."),
    ],
)
def test_what_cannot_be_paid_is_refused_at_its_field(desk, prepaid_shop, typed, wanted):
    answer = desk.post(f"{PAGE}/add", form_of(desk, f"{PAGE}/add") | typed)
    assert answer.status_code == 400
    assert wanted in text(answer)
    assert not PrepaidEntry.objects.exists()


def test_no_account_credits_its_own_member_and_payers_by_statement_have_no_credit(browse, account, desk, prepaid_shop):
    school = payers.add_organisation(Payer(name="School"), actor="maya")
    Member.objects.filter(pk="m-2").update(payer=school)
    for payer in (school.pk, "m-2"):
        modes.set_mode(payer, FIRST, prepays=True, actor="maya")
    own = browse(account("desk", "bjorn", member=Member.objects.get(pk="m-2")))
    for payer in ("m-2", school.pk):
        answer = own.post(f"/credit/{payer}/add", paid() | form_of(own, f"{PAGE}/add"))
        assert answer.status_code == 403
        assert "This is about you" in text(own.get(f"/credit/{payer}"))
    assert desk.get("/credit/m-3/add").status_code == 409
    assert "does not prepay" in text(desk.post("/credit/m-3/add", paid()))
    assert "Billed by statement" in text(desk.get("/credit/m-3"))
    modes.set_mode("m-3", (today().replace(day=1) + timedelta(days=32)).replace(day=1), prepays=True, actor="maya")
    assert "Will prepay from a later month" in text(desk.get("/credit/m-3"))
    assert desk.get("/credit/m-99").status_code == 404
    assert not PrepaidEntry.objects.exists()


def test_at_most_the_balance_is_paid_back_and_a_wrong_credit_is_taken_back(accountant, desk, prepaid_shop):
    entry = pay(20_000)
    address = f"/credit/entry/{entry.pk}/take-back"
    for act in (f"{PAGE}/refund", address):
        assert desk.post(act, paid()).status_code == 403
    sent = paid("200", reason="left") | form_of(accountant, f"{PAGE}/refund")
    assert "You can refund at most the balance: €197.00." in text(accountant.post(f"{PAGE}/refund", sent))
    assert "This field is required" in text(accountant.post(f"{PAGE}/refund", sent | {"amount": "5", "reason": " "}))
    assert "200.00" in text(accountant.get(address))
    assert accountant.post(address, {"sure": "1", "reason": ""}).status_code == 400
    assert accountant.post(address, {"sure": "1", "reason": "typed 200 for 20"}).status_code == 303
    assert accountant.post(address, {"sure": "1", "reason": "again"}).status_code == 409
    pay(2_000)
    for _click in range(2):
        assert accountant.post(f"{PAGE}/refund", sent | {"amount": "5"}).status_code == 303
    assert balances.of("m-1") == 1_200
    assert "Reverse…" not in text(desk.get(PAGE))


def test_a_balance_is_shown_on_any_day_and_entries_by_the_page(desk, prepaid_shop):
    for number in range(60):
        pay(100 + number)
    page = text(desk.get(f"{PAGE}?at={NOON - timedelta(days=1):%Y-%m-%d}"))
    assert '<p class="big number">€0.00</p>' in page
    page = text(desk.get(f"{PAGE}?at={NOON:%Y-%m-%d}"))
    assert f'<p class="big number">{MINUS}€3.00</p>' in page
    first = desk.get(PAGE)
    assert entries(text(first))[1][2:] == ["+€1.59", "€77.70"]
    (after,) = re.findall(r'href="(\?after=\d+)"', first.content.decode())
    older = entries(text(desk.get(PAGE + after)))
    assert [row[2:] for row in (older[0], older[-1])] == [["+€1.09", "€10.45"], ["+€1.00", "€1.00"]]
    assert desk.get(f"{PAGE}?at=soon").status_code == 400


def test_the_credits_of_a_day_have_a_sum_by_method_and_a_file(accountant, prepaid_shop):
    pay(2_000, till_number="4711")
    pay(500, method="card")
    ledger.refund("m-1", 300, Paid("cash", reason="=left"), author="maya", now=datetime.now(UTC))
    page = text(accountant.get("/month/credits"))
    assert rows(page, "By method") == [
        ["Cash", "€20.00", f"{MINUS}€3.00", "€17.00"],
        ["Card", "€5.00", "€0.00", "€5.00"],
        ["Total", "€25.00", f"{MINUS}€3.00", "€22.00"],
    ]
    assert "Nothing was paid on this day" in text(accountant.get("/month/credits?at=2020-01-01"))
    file = body(accountant.get(f"/month/credits.csv?at={today():%Y-%m-%d}")).decode("utf-8-sig").splitlines()
    assert len(file) == 4
    assert ",m-1,Zoé Müller,Credit,Cash,4711,20.00,kim," in file[1]
    assert file[3].endswith(",-3.00,maya,'=left")


def test_the_file_of_a_day_opens_as_numbers_in_a_french_spreadsheet(browse, account, prepaid_shop):
    pay(123_456, till_number="=4711")
    ledger.refund("m-1", 300, Paid("cash", reason="=left"), author="maya", now=datetime.now(UTC))
    client = browse(account("accountant", name="tom", lang="fr"))
    file = body(client.get(f"/month/credits.csv?at={today():%Y-%m-%d}")).decode("utf-8-sig")
    head, credit, refund = csv.reader(io.StringIO(file), delimiter=";")
    first, second = (dict(zip(head, row, strict=True)) for row in (credit, refund))
    assert (first["Montant (EUR)"], second["Montant (EUR)"]) == ("1234,56", "-3,00")
    assert first["Numéro de ticket ou de chèque"] == "'=4711"
    assert datetime.strptime(first["Quand"], "%Y-%m-%d %H:%M:%S").date() == today()  # noqa: DTZ007 (of the workshop)


def test_credit_that_is_left_is_listed(accountant, browse, prepaid_shop):
    pay(2_000)
    assert "Credit €17.00" in text(browse("manager").get("/people/m-1/leave"))
    page = text(accountant.get("/month/credits/left"))
    assert "At the moment, no payer who left or stopped prepaying has credit to refund." in page
    Member.objects.filter(pk="m-1").update(left_on=today())
    page = text(accountant.get("/month/credits/left"))
    assert [row[:3] for row in rows(page, "Remaining credit")] == [["Zoé Müller", "Left", "€17.00"]]
    assert f'href="{PAGE}/refund"' in page


def test_settlements_and_the_warning_are_set(accountant, browse, account, prepaid_shop):
    this = f"{today():%Y-%m}"
    address = "/month/prepaid"
    assert accountant.post(address, {"who": "m-2", "prepays": "yes", "since": this}).status_code == 303
    assert accountant.post(address, {"who": "", "prepays": "yes", "since": this}).status_code == 303
    assert accountant.post(address, {"low": "12.50"}).status_code == 303
    assert BillingTerms.objects.get().low_credit_minor == 1_250
    page = text(accountant.get(address))
    assert [row[:2] for row in rows(page, "Payers with their own settlement")] == [
        ["Zoé Müller", "Prepays"],
        ["Bjørn Sørensen", "Prepays"],
    ]
    assert f"Prepaid from {today():%B %Y}" in page
    for typed, wanted in (
        ({"who": "Nobody", "prepays": "yes", "since": this}, "has the number or the name “Nobody”"),
        ({"who": "zoé", "prepays": "yes", "since": this}, "Several people"),
        ({"who": "m-2", "prepays": "yes", "since": "2020-01"}, "Select a valid choice"),
        ({"low": "-1"}, "Enter an amount from €0.00 to"),
    ):
        answer = accountant.post(address, typed)
        assert (answer.status_code, wanted in text(answer)) == (400, True), wanted
    own = browse(account("accountant", "zoe", member=Member.objects.get(pk="m-1")))
    assert own.post(address, {"who": "m-1", "prepays": "no", "since": this}).status_code == 403
    assert PrepaidChange.objects.count() == 3


def test_a_member_sees_only_their_own_credit(browse, account, prepaid_shop):
    member = browse(account("member", member=Member.objects.get(pk="m-1")))
    assert "refuse your badge until you add credit" in text(member.get("/my-minutes"))
    pay(500)
    BillingTerms.objects.update(low_credit_minor=500)
    page = text(member.get("/my-minutes"))
    assert '<strong class="number">€2.00</strong>' in page
    assert "Low credit" in page
    page = text(member.get("/my-minutes/credit"))
    assert entries(page)[1] == ["Credit", "Cash", "+€5.00", "€5.00"]
    assert "/credit/" not in page
    assert member.get(PAGE).status_code == 403
    school = payers.add_organisation(Payer(name="School"), actor="maya")
    Member.objects.filter(pk="m-1").update(payer=school)
    assert "My credit" not in text(member.get("/my-minutes"))


def test_an_acknowledgement_is_in_the_payers_language_and_denies_being_a_receipt(desk, prepaid_shop):
    Member.objects.filter(pk="m-1").update(lang="fr")
    entry = pay(2_000, method="cheque", till_number="BNP 7717")
    answer = desk.get(f"/credit/entry/{entry.pk}.pdf")
    assert answer.headers["Content-Type"] == "application/pdf"
    (page,) = PdfReader(io.BytesIO(answer.content)).pages
    found = " ".join(page.extract_text().split())
    for wanted in (
        "Attestation de crédit",
        "Numéro 1",
        "20,00 €",
        "Chèque",
        "BNP 7717",
        "Zoé Müller (m-1)",
        "ni une facture",
    ):
        assert wanted in found, found
    assert desk.get("/credit/entry/99.pdf").status_code == 404


def test_an_acknowledgement_is_headed_by_the_workshop_as_a_statement_is(desk, prepaid_shop):
    Workshop.objects.create(
        name="Association L'Établi", address="3 rue du Port\n69002 Lyon", registration_number="123 456 789"
    )
    entry = pay(2_000)
    (page,) = PdfReader(io.BytesIO(desk.get(f"/credit/entry/{entry.pk}.pdf").content)).pages
    head = page.extract_text().splitlines()[:3]
    assert head == ["Association L'Établi", "3 rue du Port, 69002 Lyon", "Registration number 123 456 789"]


def test_before_anybody_prepays_nothing_of_credit_is_shown(browse, account, desk, accountant):
    Used()
    billing.start()
    assert "credit-title" not in text(desk.get("/people/m-1"))
    assert desk.get(f"{PAGE}/add").status_code == 404
    member = browse(account("member", member=Member.objects.get(pk="m-1")))
    assert "My credit" not in text(member.get("/my-minutes"))
    assert member.get("/my-minutes/credit").status_code == 404
    assert "By statement" in text(accountant.get("/month/prepaid"))


def test_both_balances_are_shown_and_a_manager_admits_until_the_session_is_decided(
    desk, accountant, browse, prepaid_shop
):
    pay(100)
    corrections.contest(UsageSession.objects.get(pk="s-1"), "It was not me", author="m-1")
    refresh.refresh_all()
    page = text(desk.get(PAGE))
    assert "1.00" in page
    assert f"{MINUS}€2.00" in page or f"{MINUS}2.00" in page
    assert "This is the balance if the sessions in review are accepted." in page
    assert "Out of credit" in page
    answer = accountant.post(f"{PAGE}/refund", paid("0.50", reason="left", **form_of(accountant, f"{PAGE}/refund")))
    assert "You can refund at most" in text(answer)
    assert accountant.get(f"{PAGE}/admit").status_code == 403
    manager = browse("manager")
    assert "Admit until the decision" in text(manager.get(PAGE))
    assert manager.post(f"{PAGE}/admit", {"sure": "1", "reason": ""}).status_code == 400
    assert manager.post(f"{PAGE}/admit", {"sure": "1", "reason": "The badge was lost"}).status_code == 303
    (change,) = Change.objects.filter(verb="prepaid.admitted")
    assert (change.after["payer"], change.reason) == ("m-1", "The badge was lost")
    page = text(manager.get(PAGE))
    assert "A manager lets gates admit this payer until these sessions are decided." in page
    assert "Out of credit" not in page
    assert manager.get(f"{PAGE}/admit").status_code == 409
