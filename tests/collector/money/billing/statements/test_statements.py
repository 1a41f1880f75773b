"""Does a statement add up to the charges and lines of its payer, and does a closed one never change?"""

from __future__ import annotations

import io
import json
from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import translation
from pypdf import PdfReader

from fabgate.collector.ground.models import (
    BillingTerms,
    Change,
    Charge,
    ClosedMonth,
    Contest,
    Group,
    IssuedStatement,
    Machine,
    ManualLine,
    Member,
    Payer,
    UsageSession,
    Workshop,
)
from fabgate.collector.money.billing import closing, contests, terms
from fabgate.collector.money.billing.charges import decisions, refresh
from fabgate.collector.money.billing.prepaid import balances, ledger, modes
from fabgate.collector.money.billing.prepaid.ledger import Paid
from fabgate.collector.money.billing.statements import archive, issue, read, values
from fabgate.collector.money.billing.vat import rates
from fabgate.collector.money.paper.statements import csv_file, language, pdf, rows, vat
from fabgate.collector.recording.sessions import corrections
from tests.collector.faces.pages import billing
from tests.collector.faces.pages.billing import FIRST, NOON
from tests.collector.faces.pages.used import Used

pytestmark = pytest.mark.usefixtures("database")
NEXT = terms.next_month(FIRST)
DASH, MINUS, TIMES = "\N{EN DASH}", "\N{MINUS SIGN}", "\N{MULTIPLICATION SIGN}"
LATER = NOON + timedelta(days=60)


def close(first=FIRST) -> ClosedMonth:
    return closing.close(first, LATER + timedelta(days=40), actor="maya", reason="a test")


@pytest.fixture
def shop_of_one_payer(shop: Used) -> Used:
    """m-1 and m-3 at two machines, all paid by m-1; a waived session, a free one, and a line."""
    billing.start()
    billing.rule("price=0.10 grace_s=60 vat_code=V20")
    Payer.objects.create(id="m-1", member_id="m-1", name="Müller & Söhne", address="1 quai de Saône\n69001 Lyon")
    Member.objects.filter(pk="m-3").update(payer="m-1")
    shop.session("s-1", "m-1", NOON, 30)
    shop.session("s-2", "m-3", NOON + timedelta(hours=1), 45)
    shop.session("s-3", "m-1", NOON + timedelta(hours=3), 60, gate="lathe-1")
    shop.session("s-4", "m-1", NOON + timedelta(hours=5), 1)
    decisions.waive("s-3", author="maya", reason="The lathe stopped twice")
    decisions.add_line("m-1", "Plywood, 9 mm", 1_250, day=FIRST, author="maya", vat_code="V5")
    return shop


def written(statement) -> list[tuple[str, ...]]:
    """Return the rows as people read them: kind, text, span, billed time, amount, steps and note."""
    with translation.override(language.of(statement)):
        found = list(rows.of(statement))
    return [
        (row.kind, row.text, row.span, row.time, row.amount, " · ".join(filter(None, [*row.steps, row.note])))
        for row in found
    ]


def test_a_statement_without_vat_says_so_in_the_words_of_the_law_and_sums_no_codes(shop_of_one_payer):
    assert "V20" in vat.note(read.of(FIRST, "m-1"))
    BillingTerms.objects.update(includes_vat=None)
    statement = read.of(FIRST, "m-1")
    assert vat.note(statement) == ""
    assert values.of(statement)["includes_vat"] is None
    assert "EUR, VAT not applicable, art. 293 B of the French tax code (CGI)" in dict(rows.facts(statement)).values()
    with translation.override("fr"):
        assert "EUR, TVA non applicable, art. 293 B du CGI" in dict(rows.facts(statement)).values()
    Payer.objects.filter(pk="m-1").update(lang="fr")
    assert "TVA non applicable, art. 293 B du CGI" in " ".join(pages(read.of(FIRST, "m-1")).split())


def pages(statement) -> str:
    return "\n".join(page.extract_text() for page in PdfReader(io.BytesIO(pdf.of(statement))).pages)


def test_a_statement_reads_like_a_telephone_bill(shop_of_one_payer):
    statement = read.of(FIRST, "m-1")
    assert written(statement) == [
        ("person", "Zoé Müller", "", "", "", ""),
        ("machine", "Band saw", "", "", "", ""),
        ("session", f"{TIMES} €0.10/min", f"12:00{DASH}12:30", "0:30:00", "€3.00", ""),
        (
            *("session", "Too short", f"17:00{DASH}17:01", DASH, "€0.00"),
            "0:01:00, not longer than the grace time of 0:01:00",
        ),
        ("machine-sum", "Band saw", "2 sessions", "0:30:00", "€3.00", ""),
        ("machine", "Metal lathe", "", "", "", ""),
        (
            *("session", "Waived", f"15:00{DASH}16:00", DASH, ""),
            "machine on for 1:00:00 · “The lathe stopped twice”",
        ),
        ("machine-sum", "Metal lathe", "1 session", "0:00:00", "€0.00", ""),
        ("person-sum", "Zoé Müller", "3 sessions", "0:30:00", "€3.00", ""),
        ("person", "Zoé Petit", "", "", "", ""),
        ("machine", "Band saw", "", "", "", ""),
        ("session", f"{TIMES} €0.10/min", f"13:00{DASH}13:45", "0:45:00", "€4.50", ""),
        ("machine-sum", "Band saw", "1 session", "0:45:00", "€4.50", ""),
        ("person", "Other charges and reductions", "", "", "", ""),
        ("line", "Plywood, 9 mm", "", "", "€12.50", ""),
        ("person-sum", "Other charges and reductions", "", "", "€12.50", ""),
        ("whole", "Total with VAT", "", "1:15:00", "€20.00", ""),
    ]
    assert statement.by_vat_code == {"V20": 750, "V5": 1_250}
    rates.set_rate("V20", Decimal(20), actor="maya")
    found = values.of(read.of(FIRST, "m-1"))
    assert [list(part.values()) for part in found["by_vat_code"]] == [
        ["receivable", "V20", "20", 625, 125, 750],
        ["receivable", "V5", None, None, None, 1_250],
    ]
    assert [found[name] for name in ("net_minor", "vat_minor", "gross_minor", "to_pay_minor")] == [
        None,
        None,
        2_000,
        2_000,
    ]
    # what the other person used is on the statement of who pays for it alone
    assert not read.of(FIRST, "m-3").persons
    assert "m-3" not in [person.id for person in read.of(FIRST, "m-2").persons]


def test_the_times_of_the_lines_add_up_to_the_times_that_are_printed_below_them(shop_of_one_payer):
    """Two sessions of 30.6 seconds were printed as 30 and 30, and together as 61."""
    for number in range(2):
        at = NOON + timedelta(hours=6 + number)
        shop_of_one_payer.begin(f"t-{number}", "m-3", at, "lathe-1")
        shop_of_one_payer.end(f"t-{number}", "m-3", at + timedelta(milliseconds=90_600), 90_600, "lathe-1")
    refresh.refresh_all()
    table = [row for row in written(read.of(FIRST, "m-1")) if row[0] in {"session", "machine-sum", "whole"}]
    times = {kind: [row[3] for row in table if row[0] == kind] for kind, *_rest in table}
    assert times["session"][-2:] == ["0:01:31", "0:01:31"]
    assert times["machine-sum"][-1] == "0:03:02"
    assert times["whole"] == ["1:18:02"]


def test_a_correction_and_a_contest_are_marked_and_stay_as_they_were_when_the_month_was_closed(shop_of_one_payer):
    corrections.correct("s-2", "time", str(20 * 60_000), author="maya", reason="Left on by the one before")
    corrections.contest(UsageSession.objects.get(pk="s-1"), "Not mine", author="zoe")
    line = ManualLine.objects.get()
    one = contests.contest(Contest.LINE, str(line.pk), "Too much", Member.objects.get(pk="m-1"), author="zoe")
    refresh.refresh_all()
    marked = {
        (f"{TIMES} €0.10/min", "corrected: “Left on by the one before”"),
        (
            "In review",
            "machine on for 0:30:00 · not charged yet; once checked, it may be charged in a later month · contested",
        ),
        ("Plywood, 9 mm", "contested"),
    }
    assert marked <= {(row[1], row[5]) for row in written(read.of(FIRST, "m-1"))}
    close()
    before = pdf.of(read.of(FIRST, "m-1"))
    assert marked <= {(row[1], row[5]) for row in written(read.of(FIRST, "m-1"))}
    contests.answer(one.pk, Contest.KEPT, "It was 9 mm", author="maya")
    corrections.correct("s-2", "time", str(10 * 60_000), author="maya", reason="Another reason")
    assert pdf.of(read.of(FIRST, "m-1")) == before


def test_a_closed_statement_stays_as_it_was_printed(shop_of_one_payer):
    Workshop.objects.create(name="Atelier des Deux-Rives", address="12 rue de la Charité\n69002 Lyon")
    open_one = read.of(FIRST, "m-1")
    close()
    final = read.of(FIRST, "m-1")
    assert written(final) == written(open_one)
    before = pdf.of(final)
    assert "Provisional" in pages(open_one)
    assert "Final" in pages(final)
    Member.objects.filter(pk="m-3").update(name="Zoé Legrand")
    Payer.objects.filter(pk="m-1").update(name="Other", address="Elsewhere", lang="fr")
    Machine.objects.update(title="Another machine")
    Workshop.objects.update(name="Another workshop")
    decisions.withdraw("s-3", author="maya", reason="It worked")
    corrections.correct("s-2", "payer", "m-2", author="maya", reason="Wrong payer")
    assert pdf.of(read.of(FIRST, "m-1")) == before


def test_what_changed_after_closing_names_its_month_and_reason(shop_of_one_payer):
    close()
    decisions.withdraw("s-3", author="maya", reason="It worked")
    corrections.correct("s-2", "payer", "m-2", author="maya", reason="Wrong payer")
    shop_of_one_payer.session("s-9", "m-1", NOON + timedelta(hours=8), 10)
    refresh.refresh_all()
    month = f"{FIRST:%B %Y}"
    assert [row[1:] for row in written(read.of(NEXT, "m-1")) if row[0] == "session"] == [
        (
            f"{TIMES} €0.10/min",
            f"20:00{DASH}20:10",
            "0:10:00",
            "€1.00",
            f"session of {month}, reported or changed after that month was closed",
        ),
        (
            *("Reversal", f"15:00{DASH}16:00", DASH, ""),
            f"machine on for 1:00:00 · reverses a charge of {month} · “It worked”",
        ),
        (
            *(f"{TIMES} €0.10/min", f"15:00{DASH}16:00", "1:00:00", "€6.00"),
            f"session of {month}, reported or changed after that month was closed · “It worked”",
        ),
        (
            *("Reversal", f"13:00{DASH}13:45", f"{MINUS}0:45:00", f"{MINUS}€4.50"),
            f"0:45:00 {TIMES} €0.10/min · reverses a charge of {month} · “Wrong payer”",
        ),
    ]
    assert read.of(NEXT, "m-1").amount_minor == 250
    # who pays now sees the session, and of the other payer nothing
    (row,) = [row for row in written(read.of(NEXT, "m-2")) if row[0] == "session"]
    assert row[4:] == ("€4.50", f"session of {month}, reported or changed after that month was closed · “Wrong payer”")


@pytest.mark.parametrize("lang", ["en", "fr"])
def test_page_pdf_and_csv_say_the_same_in_the_language_of_the_payer(shop_of_one_payer, lang):
    Payer.objects.filter(pk="m-1").update(lang=lang)
    shop_of_one_payer.session("s-9", "m-1", NOON + timedelta(days=1), 29 * 60)  # over midnight
    close()
    decisions.add_line("m-1", "Σχέδιο", -1_000, day=FIRST, author="maya")
    for month in (FIRST, NEXT):
        statement = read.of(month, "m-1")
        text = pages(statement)
        with translation.override(lang):
            title = rows.title()
            for row in rows.of(statement):
                for cell in (row.text, row.day, row.span, row.time, row.amount, *row.steps, row.note, row.vat_code):
                    assert cell in text or " ".join(cell.split()) in " ".join(text.split()), cell
        assert {"en": "Statement, not an invoice", "fr": "Relevé ne valant pas facture"}[lang] == title
        assert title in text
        assert "1 quai de Saône" in text
        table = csv_file.of(statement).decode("utf-8-sig").splitlines()
        cells = [line.split(";" if lang == "fr" else ",") for line in table[1:]]
        amounts = [line[-3].replace(",", ".") for line in cells]
        assert sum(int(amount.replace(".", "")) for amount in amounts) == statement.amount_minor
        assert len(cells) == len(list(statement.items)) + len(statement.lines)


def test_a_payer_without_charges_has_an_empty_statement(shop_of_one_payer):
    close()
    for month in (FIRST, NEXT):
        statement = read.of(month, "m-2")
        assert written(statement) == [("whole", "Total with VAT", "", "", "€0.00", "")]
        assert "Nothing is charged in this month." in pages(statement)


def test_the_statements_of_a_month_add_up_to_its_total(shop_of_one_payer):
    group = Group.objects.create(name="Class 4b")
    shop_of_one_payer.session("s-8", group.roster_id, NOON + timedelta(days=2), 20)
    shop_of_one_payer.session("s-9", "m-2", NOON + timedelta(days=3), 20)
    decisions.add_line("m-3", "Course", 5_000, day=FIRST, author="maya")
    closed = close()
    issued = {row.payer: row for row in IssuedStatement.objects.all()}
    assert set(issued) == {"m-1", "m-2", "m-3", group.roster_id}
    assert sum(row.amount_minor for row in issued.values()) == closed.amount_minor
    for payer, row in issued.items():
        statement = read.of(FIRST, payer)
        assert (
            statement.amount_minor
            == row.amount_minor
            == sum(
                [
                    *Charge.objects.filter(month=FIRST, payer=payer).values_list("amount_minor", flat=True),
                    *ManualLine.objects.filter(month=FIRST, payer=payer).values_list("amount_minor", flat=True),
                ]
            )
        )
    assert read.of(FIRST, group.roster_id).payer_name == "Class 4b"
    IssuedStatement.objects.filter(payer="m-2").delete()
    ((_month, _sha256, (wrong,)),) = closing.verify()
    assert "the statement of m-2" in wrong


def test_erased_words_leave_ids_and_sums_and_are_in_no_log(shop_of_one_payer):
    close()
    amount = read.of(FIRST, "m-1").amount_minor
    assert issue.erase_words(NEXT, actor="maya", at=LATER) == 1
    assert issue.erase_words(NEXT, actor="maya", at=LATER) == 0
    statement = read.of(FIRST, "m-1")
    assert statement.amount_minor == amount
    text = pages(statement)
    assert "m-3" in text
    for gone in ("Müller", "Petit", "quai de Saône", "stopped twice"):
        assert gone not in text
    assert "Müller" not in b"".join(archive.names(FIRST)).decode()
    log = json.dumps(
        [(row.before, row.after) for row in Change.objects.filter(kind="issuedstatement")], ensure_ascii=False
    )
    assert "erased_at" in log
    assert "Müller" not in log


def test_the_files_of_an_archive_are_always_the_same_and_have_no_names(shop_of_one_payer):
    decisions.add_line("m-2", "=1+2", 300, day=FIRST, author="maya")
    closed = close()
    assert set(closed.archive) == {f"{FIRST:%Y-%m}{end}" for end in ("-charges.csv", "-lines.csv", ".json")}
    Member.objects.update(name="Somebody")
    corrections.correct("s-2", "payer", "m-2", author="maya", reason="Wrong payer")
    refresh.refresh_all()
    assert archive.digests(FIRST) == closed.archive == ClosedMonth.objects.get().archive
    made = {name: b"".join(make()).decode() for name, make in archive.files(FIRST).items()}
    assert not [name for name, text in made.items() if "Petit" in text or "Söhne" in text]
    assert "'=1+2" in made[f"{FIRST:%Y-%m}-lines.csv"]
    found = json.loads(made[f"{FIRST:%Y-%m}.json"])
    assert sum(row["amount_minor"] for row in found["charges"] + found["lines"]) == closed.amount_minor
    assert [row["class"] for row in found["charges"]].count("waived") == 1
    assert len(made[f"{FIRST:%Y-%m}-charges.csv"].splitlines()) == closed.charges + 1
    words = json.loads(b"".join(archive.names(FIRST)))
    assert words["statements"][0]["words"]["people"]["m-3"] == "Zoé Petit"


def test_a_month_that_changes_while_it_is_read_is_closed_as_it_is_then(shop_of_one_payer, monkeypatch):
    """What is read before the others wait is read again if they changed it."""
    read_at = []
    original = issue.of_month

    def of_month(month):
        found = original(month)
        read_at.append(month)
        if len(read_at) < 3:
            decisions.add_line("m-2", f"Line {len(read_at)}", 100, day=FIRST, author="maya")
        return found

    monkeypatch.setattr(issue, "of_month", of_month)
    closed = close()
    assert len(read_at) == 3
    assert closed.lines == 3
    assert IssuedStatement.objects.get(payer="m-2").amount_minor == 200
    assert not [wrong for _month, _sha256, wrong in closing.verify() if wrong]


def test_a_statement_of_a_prepaying_payer_has_the_credit_between_its_balances(shop_of_one_payer):
    modes.set_mode("m-1", FIRST, prepays=True, actor="maya")
    modes.set_mode("m-2", FIRST, prepays=True, actor="maya")
    for payer, minor, day in (("m-1", 5_000, 3), ("m-1", 500, 20), ("m-2", 700, 4)):
        at = NOON.replace(day=day)
        ledger.credit(payer, minor, Paid("cash", f"T-{day}"), author="kim", now=at)
    wrong = ledger.credit("m-1", 9_900, Paid("card"), author="kim", now=NOON.replace(day=21)).entry
    ledger.take_back(wrong.pk, author="kim", now=NOON.replace(day=22), reason="Typed wrongly")
    before = read.of(FIRST, "m-1")
    close()
    decisions.withdraw("s-3", author="maya", reason="It worked")
    modes.set_mode("m-2", NEXT, prepays=False, actor="maya")
    ledger.refund("m-2", 700, Paid("cash", reason="Asked for it"), author="kim", now=NOON + timedelta(days=40))
    decisions.add_line("m-2", "Plywood", 300, day=FIRST, author="maya")
    ledger.refund("m-1", 1_000, Paid("cash", reason="Asked for it"), author="kim", now=NOON + timedelta(days=40))
    last = NEXT - timedelta(days=1)
    final = read.of(FIRST, "m-1")
    assert final.credit == before.credit
    assert (final.credit.opening_minor, final.credit.used_minor) == (0, 2_000)
    assert final.credit.closing_minor == balances.of("m-1", last) == 3_500
    after = read.of(NEXT, "m-1")
    assert (after.credit.opening_minor, after.credit.used_minor) == (3_500, 600)
    assert after.credit.closing_minor == 1_900
    with translation.override("en"):
        assert [row[1:3] for row in rows.credit(final)] == [
            ("Balance before", "€0.00"),
            ("Credit, Cash, T-3", "€50.00"),
            ("Credit, Cash, T-20", "€5.00"),
            ("Credit, Card", "€99.00"),
            ("Credit reversed, Card, Typed wrongly", f"{MINUS}€99.00"),
            ("This statement", f"{MINUS}€20.00"),
            ("Balance after", "€35.00"),
        ]
    text = pages(final)
    assert "Credit reversed, Card, Typed wrongly" in text
    assert "€35.00" in text
    assert values.of(final)["prepaid"]["closing_minor"] == 3_500
    # who only paid in has a statement, and who does not prepay has no credit
    assert IssuedStatement.objects.get(payer="m-2").amount_minor == 0
    assert read.of(FIRST, "m-2").credit.closing_minor == 700
    assert read.of(FIRST, "m-3").credit is None
    # who no longer prepays owes the line, and got the rest back
    assert (read.of(NEXT, "m-2").credit.used_minor, read.of(NEXT, "m-2").credit.closing_minor) == (0, 0)
    assert not [wrong for _month, _sha256, wrong in closing.verify() if wrong]
