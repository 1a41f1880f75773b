"""Is a month, open or closed, a file that an accountant of any language opens: with names, and with numbers as numbers?"""

from __future__ import annotations

import csv
import io
import math
import random
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from openpyxl import load_workbook

from fabgate.collector.ground.models import Change, Charge, LedgerLine, Member, Payer
from fabgate.collector.money.billing import closing, terms
from fabgate.collector.money.billing.charges import decisions, refresh
from fabgate.collector.money.billing.prepaid import modes
from fabgate.collector.money.billing.statements import issue
from fabgate.collector.money.billing.vat import rates
from fabgate.errors import UsageError
from tests.collector.faces.pages import billing
from tests.collector.faces.pages.billing import FIRST, MONTH, NOON
from tests.collector.faces.pages.used import Used, body, text

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def shop_with_vat(shop: Used) -> Used:
    """Prices include VAT: a prepaying member at 20 %, and a school that pays for "=1+2" at 20 and 5.5 %."""
    billing.start()
    rates.set_rate("S20", Decimal(20), actor="maya")
    rates.set_rate("S5", Decimal("5.5"), actor="maya")
    billing.rule("price=0.10 vat_code=S20")
    billing.rule("price=1.15 vat_code=S5", machine="lathe")
    modes.set_mode("m-1", FIRST, prepays=True, actor="maya")
    Payer.objects.create(
        id="payer:1", name="@École des Mines", address="3 rue du Port\n69002 Lyon", email="compta@example.org"
    )
    Member.objects.filter(pk="m-4").update(payer="payer:1")
    Member.objects.filter(pk="m-1").update(email="zoe@example.org")
    shop.session("s-1", "m-1", NOON, 31)
    shop.session("s-2", "m-4", NOON + timedelta(hours=1), 61)
    shop.session("s-3", "m-4", NOON + timedelta(hours=3), 10, gate="lathe-1")
    decisions.add_line("payer:1", "-10 sheets; =2+3", -50, day=NOON.date(), author="maya", vat_code="S20")
    refresh.refresh_all()
    return shop


def sheets(answer: Any) -> dict[str, list[dict[str, Any]]]:
    book = answer if isinstance(answer, bytes) else body(answer)
    return {page.title: list(_rows(page)) for page in load_workbook(io.BytesIO(book))}


def _rows(page: Any) -> Iterator[dict[str, Any]]:
    head, *others = page.iter_rows(values_only=True)
    for row in others:
        yield dict(zip(head, row, strict=True))


def table(answer: Any, separator: str = ",") -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(body(answer).decode("utf-8-sig")), delimiter=separator))


def close() -> None:
    closing.close(FIRST, datetime.now(UTC) + timedelta(days=60), actor="maya", reason="-")


def test_a_sheet_has_a_row_for_each_payer_with_numbers_as_numbers(shop_with_vat, browse):
    answer = browse("accountant").get(f"/month/export.xlsx?month={MONTH}")
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{MONTH}-provisional.xlsx"'
    book = body(answer)
    school, zoe = sheets(book)["Payers (provisional)"]
    assert (zoe["Payer number"], zoe["Payer"], zoe["E-mail"]) == ("m-1", "Zoé Müller", "zoe@example.org")
    assert (zoe["Sessions"], zoe["Minutes"]) == (1, 31)
    assert (zoe["From credit incl. VAT (EUR)"], zoe["By statement incl. VAT (EUR)"]) == (3.1, 0)
    wanted = {
        "Payer": "@École des Mines",
        "Postal address": "3 rue du Port, 69002 Lyon",
        "E-mail": "compta@example.org",
        "Sessions": 2,
        "Minutes": 71,
        "By statement incl. VAT (EUR)": 17.1,
        "From credit incl. VAT (EUR)": 0,
        "S20 20 % excl. VAT (EUR)": 4.67,  # of 6.10 - 0.50, rounded once
        "S20 20 % VAT (EUR)": 0.93,
        "S20 20 % incl. VAT (EUR)": 5.6,
        "S5 5.5 % excl. VAT (EUR)": 10.9,
        "S5 5.5 % VAT (EUR)": 0.6,
        "S5 5.5 % incl. VAT (EUR)": 11.5,
        "Total excl. VAT (EUR)": 15.57,
        "Total VAT (EUR)": 1.53,
        "Total incl. VAT (EUR)": 17.1,
        "Month": MONTH,
        "State": "Provisional",
    }
    assert {name: school[name] for name in wanted} == wanted
    page = load_workbook(io.BytesIO(book)).worksheets[0]
    cell = next(cell for cell in page[2] if cell.value == "@École des Mines")
    assert (cell.data_type, cell.hyperlink) == ("s", None)


def test_the_second_sheet_has_all_sessions_and_lines(shop_with_vat, browse):
    found = sheets(browse("accountant").get(f"/month/export.xlsx?month={MONTH}"))["Lines (provisional)"]
    shown = [
        (
            *(row["Payer number"], row["Person"], row["Machine"], row["Class"], row["Minutes"], row["VAT code"]),
            *(row["VAT rate (%)"], row["Amount incl. VAT (EUR)"], row["Settlement"]),
        )
        for row in found
    ]
    assert shown == [
        ("payer:1", "=1+2", "Band saw", "Billed", 61, "S20", 20, 6.1, "By statement"),
        ("payer:1", "=1+2", "Metal lathe", "Billed", 10, "S5", 5.5, 11.5, "By statement"),
        ("payer:1", None, None, "Line", None, "S20", 20, -0.5, "By statement"),
        ("m-1", "Zoé Müller", "Band saw", "Billed", 31, "S20", 20, 3.1, "From credit"),
    ]
    assert [row["Session"] for row in found] == ["s-2", "s-3", None, "s-1"]
    assert found[0]["Start"] == (NOON + timedelta(hours=1)).replace(tzinfo=None)
    assert found[2]["Note"] == "-10 sheets; =2+3"
    assert {row["Date"].date() for row in found} == {NOON.date()}


def number(typed: str) -> Decimal:
    """Return a number as a French spreadsheet reads it; it takes a point for a text."""
    assert "." not in typed, typed
    return Decimal(typed.replace(",", "."))


def test_csv_opens_as_numbers_in_a_french_spreadsheet_and_computes_nothing(shop_with_vat, browse, account):
    client = browse(account("accountant", name="tom", lang="fr"))
    answer = client.get(f"/month/export.csv?month={MONTH}&what=payers")
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{MONTH}-payeurs-provisoire.csv"'
    school, zoe = table(answer, ";")
    assert (school["Payeur"], zoe["Payeur"]) == ("'@École des Mines", "Zoé Müller")
    assert (number(school["Total HT (EUR)"]), number(school["Total TVA (EUR)"])) == (Decimal("15.57"), Decimal("1.53"))
    assert (number(school["S5 5,5 % TTC (EUR)"]), number(zoe["Sur crédit TTC (EUR)"])) == (
        Decimal("11.5"),
        Decimal("3.1"),
    )
    assert (school["État"], school["Minutes"]) == ("Provisoire", "71,00")
    rows = table(client.get(f"/month/export.csv?month={MONTH}&what=lines"), ";")
    assert [row["Personne"] for row in rows] == ["'=1+2", "'=1+2", "", "Zoé Müller"]
    assert rows[2]["Note"] == "'-10 sheets;' =2+3"
    assert sum(number(row["Montant TTC (EUR)"]) for row in rows) == Decimal("20.2")
    assert rows[0]["Début"] == f"{NOON + timedelta(hours=1):%Y-%m-%d %H:%M:%S}"
    assert client.get(f"/month/export.csv?month={MONTH}&what=all").status_code == 404


def test_both_files_come_to_the_same_as_the_page(shop_with_vat, browse):
    shop_with_vat.session("s-4", "m-2", NOON + timedelta(hours=5), 7)  # of a payer without address or e-mail
    refresh.refresh_all()
    client = browse("manager")
    both = sheets(client.get(f"/month/export.xlsx?month={MONTH}"))
    payers, lines = both["Payers (provisional)"], both["Lines (provisional)"]
    amount = sum(Decimal(str(row["Total incl. VAT (EUR)"])) for row in payers)
    assert amount == sum(Decimal(str(row["Amount incl. VAT (EUR)"])) for row in lines) == Decimal("20.90")
    page = client.get(f"/month?month={MONTH}")
    assert page.context["total"] == f"€{amount:.2f}"
    assert f"/month/export.xlsx?month={MONTH}" in text(page)
    assert "marked as provisional" in text(page)


def test_a_closed_month_is_final_and_keeps_the_names_that_were_printed(shop_with_vat, browse):
    close()
    Payer.objects.filter(pk="payer:1").update(name="Other", address="Elsewhere")
    Member.objects.filter(pk="m-4").update(name="Dan")
    answer = browse("auditor").get(f"/month/export.xlsx?month={MONTH}")
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{MONTH}.xlsx"'
    both = sheets(answer)
    assert list(both) == ["Payers", "Lines"]
    school = both["Payers"][0]
    assert (school["Payer"], school["State"]) == ("@École des Mines", "Final")
    assert both["Lines"][0]["Person"] == "=1+2"
    issue.erase_words(FIRST + timedelta(days=40), actor="maya", at=datetime.now(UTC))
    both = sheets(browse("accountant").get(f"/month/export.xlsx?month={MONTH}"))
    assert [(row["Payer"], row["Postal address"], row["E-mail"]) for row in both["Payers"]] == [
        ("m-1", None, None),
        ("payer:1", None, None),
    ]
    assert {row["Person"] for row in both["Lines"]} == {"m-1", "m-4", None}


def test_a_reversal_has_negative_minutes_and_is_due_by_statement_where_the_first_one_was(shop_with_vat, browse):
    close()
    modes.set_mode("payer:1", FIRST + timedelta(days=31), prepays=True, actor="maya")
    decisions.waive("s-2", author="maya", reason="The saw was dull")
    refresh.refresh_all()
    next_month = f"{FIRST + timedelta(days=31):%Y-%m}"
    both = sheets(browse("accountant").get(f"/month/export.xlsx?month={next_month}"))
    (school,) = both["Payers (provisional)"]
    assert (school["By statement incl. VAT (EUR)"], school["From credit incl. VAT (EUR)"]) == (-6.1, 0)
    reversal, waived = both["Lines (provisional)"]
    assert (reversal["Class"], reversal["Minutes"], reversal["Settlement"]) == ("Reversal", -61, "By statement")
    assert "The saw was dull" in waived["Note"]


def test_a_code_without_a_rate_is_named_and_has_no_wrong_total(shop_with_vat, browse):
    rates.remove("S5", actor="maya")
    school, zoe = sheets(browse("accountant").get(f"/month/export.xlsx?month={MONTH}"))["Payers (provisional)"]
    assert (school["Total excl. VAT (EUR)"], school["Total VAT (EUR)"]) == (None, None)
    assert (school["Total incl. VAT (EUR)"], school["VAT codes without a rate"]) == (17.1, "S5")
    assert (zoe["Total excl. VAT (EUR)"], zoe["VAT codes without a rate"]) == (2.58, None)


@pytest.mark.parametrize(
    ("vat", "amounts"),
    [
        ("included", {"Total incl. VAT (EUR)": 1, "By statement incl. VAT (EUR)": 1}),
        ("excluded", {"Total excl. VAT (EUR)": 1, "By statement excl. VAT (EUR)": 1}),
        ("not-applicable", {"Total (EUR)": 1, "By statement (EUR)": 1}),
    ],
)
def test_without_rates_only_what_is_known_is_there(database, browse, vat, amounts):
    shop = Used()
    terms.start("EUR", FIRST, "UTC", includes_vat=terms.VAT[vat], actor="maya")
    billing.rule("price=0.10")
    shop.session("s-1", "m-2", NOON, 10)
    refresh.refresh_all()
    (row,) = sheets(browse("accountant").get(f"/month/export.xlsx?month={MONTH}"))["Payers (provisional)"]
    assert {name: value for name, value in row.items() if "EUR" in name} == amounts | {
        name.replace("By statement", "From credit"): 0 for name in amounts if name.startswith("By statement")
    }


def test_the_file_says_up_to_when_sessions_are_charged_and_charges_none_itself(shop_with_vat, browse):
    client = browse("accountant")
    before = datetime.now(UTC).replace(tzinfo=None) - timedelta(seconds=1)
    row = sheets(client.get(f"/month/export.xlsx?month={MONTH}"))["Payers (provisional)"][0]
    assert row["Charged up to"] > before
    LedgerLine.objects.update(at=NOON)
    shop_with_vat.session("s-9", "m-2", NOON, 10)
    waiting = LedgerLine.objects.get(session="s-9").at
    row = sheets(client.get(f"/month/export.xlsx?month={MONTH}"))["Payers (provisional)"][0]
    assert abs(row["Charged up to"] - waiting.replace(tzinfo=None)) < timedelta(seconds=1)
    assert not Charge.objects.filter(session="s-9").exists()


def test_each_export_is_in_the_audit_log(shop_with_vat, browse):
    client = browse("accountant")
    body(client.get(f"/month/export.xlsx?month={MONTH}"))
    body(client.get(f"/month/export.csv?month={MONTH}&what=lines"))
    found = list(Change.objects.filter(verb="data.exported").order_by("pk").values_list("actor", "after"))
    assert found == [("accountant", {"what": "month", "form": form, "month": MONTH}) for form in ("xlsx", "csv")]
    assert "charges of a month" in text(browse("auditor").get("/log"))


def test_the_verb_saves_the_same_tables(shop_with_vat, browse, run, tmp_path):
    names = [f"{MONTH}-provisional.xlsx", f"{MONTH}-payers-provisional.csv", f"{MONTH}-lines-provisional.csv"]
    assert run("bill-month", MONTH, "--to", str(tmp_path / "new")).split() == names
    client = browse("accountant")
    for what, name in (("payers", names[1]), ("lines", names[2])):
        rows = list(csv.DictReader(io.StringIO((tmp_path / "new" / name).read_text("utf-8-sig"))))
        wanted = table(client.get(f"/month/export.csv?month={MONTH}&what={what}"))
        for row in (*rows, *wanted):
            del row["Charged up to"]
        assert rows == wanted
    assert load_workbook(tmp_path / "new" / names[0]).sheetnames == ["Payers (provisional)", "Lines (provisional)"]
    with pytest.raises(UsageError, match="because billing starts then"):
        run("bill-month", "2020-01", "--to", str(tmp_path))
    (file := tmp_path / "a file").touch()
    with pytest.raises(UsageError, match=r"found the file .*a file, wanted a folder"):
        run("bill-month", MONTH, "--to", str(file))


PERCENT = {"S20": Decimal(20), "S5": Decimal("5.5"), "S2": Decimal("2.1")}


def live(chance: random.Random, *, includes_vat: bool) -> None:
    """Let a month pass and be closed; then some sessions are taken back, and lines added, in the open month."""
    shop = Used()
    terms.start("EUR", FIRST, "UTC", includes_vat=includes_vat, actor="maya")
    for code, percent in PERCENT.items():
        rates.set_rate(code, percent, actor="maya")
    codes = [*PERCENT]
    billing.rule(f"price=0.13 minimum=0.37 vat_code={chance.choice(codes)}")
    billing.rule(f"price=0.{chance.randint(101, 999)} vat_code={chance.choice(codes)}", machine="lathe")
    members = ["m-1", "m-2", "m-3", "m-4"]
    for number in range(14):
        gate, at = chance.choice(["saw-1", "lathe-1"]), NOON + timedelta(hours=number)
        shop.session(f"s-{number}", chance.choice(members), at, chance.randint(1, 40), gate=gate)
    refresh.refresh_all()
    close()
    if includes_vat:
        for payer in chance.sample(members, 2):
            modes.set_mode(payer, FIRST + timedelta(days=31), prepays=True, actor="maya")
    for session in chance.sample(range(14), 5):  # reversals in the open month, of what was settled by statement
        decisions.waive(f"s-{session}", author="maya", reason="-")
    for number in range(12):
        decisions.add_line(
            *(chance.choice(members), f"Line {number}", chance.choice([-1, 1]) * chance.randint(1, 999)),
            day=datetime.now(UTC).date(),
            author="maya",
            vat_code=chance.choice(codes),
        )
    refresh.refresh_all()


@pytest.mark.parametrize("includes_vat", [True, False])
@pytest.mark.parametrize("seed", range(6))
def test_who_adds_up_the_lines_gets_the_row_of_each_payer(seed, includes_vat, database, browse):
    """A second implementation, of the sums of docs/decisions/0126, that knows the second sheet alone."""
    live(random.Random(seed), includes_vat=includes_vat)
    client = browse("accountant")
    for month in (MONTH, f"{datetime.now(UTC):%Y-%m}"):
        payers, lines = (
            table(client.get(f"/month/export.csv?month={month}&what={what}")) for what in ("payers", "lines")
        )
        basis = "incl." if includes_vat else "excl."
        sums: dict[tuple[str, str, str], Decimal] = defaultdict(Decimal)
        for row in lines:
            sums[row["Payer number"], row["Settlement"], row["VAT code"]] += Decimal(row[f"Amount {basis} VAT (EUR)"])
        for row in payers:
            own = {key[1:]: amount for key, amount in sums.items() if key[0] == row["Payer number"]}
            net = sum(taxed(amount, code, includes_vat)[0] for (_settlement, code), amount in own.items())
            vat = sum(taxed(amount, code, includes_vat)[1] for (_settlement, code), amount in own.items())
            assert Decimal(row["Total excl. VAT (EUR)"]) == net
            assert Decimal(row["Total VAT (EUR)"]) == vat
            assert Decimal(row["Total incl. VAT (EUR)"]) == net + vat
            for settlement in ("By statement", "From credit"):
                wanted = sum(amount for (how, _code), amount in own.items() if how == settlement)
                assert Decimal(row[f"{settlement} {basis} VAT (EUR)"]) == wanted
        assert {row["Payer number"] for row in payers} == {payer for payer, _settlement, _code in sums}


def taxed(amount: Decimal, code: str, includes_vat: bool) -> tuple[Decimal, Decimal]:
    """Return (net, VAT) of a sum, in cents half up; what has no price has no code."""
    percent = PERCENT.get(code, Decimal(0))
    sign = -1 if amount < 0 else 1
    cents, share = abs(amount) * 100, Fraction(percent) / 100
    if includes_vat:
        net = Decimal(math.floor(Fraction(cents) / (1 + share) + Fraction(1, 2)))
        return sign * net / 100, sign * (cents - net) / 100
    return amount, sign * Decimal(math.floor(Fraction(cents) * share + Fraction(1, 2))) / 100
