"""Is each entry balanced, does it use the right accounts, and does each layout say what its program reads?"""

from __future__ import annotations

import csv
import dataclasses
import io
import re
from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabgate.collector.money.billing.sinks.contract import Charge, Later, Month, Refused, Site
from fabgate.collector.money.billing.sinks.drivers.journal import ColumnOption, JournalOptions, JournalSink
from fabgate.collector.money.billing.sinks.drivers.stripe import StripeSink, TaxRate
from fabgate.collector.money.billing.sinks.postings import (
    Chart,
    Income,
    Posting,
    VatAccount,
    WithoutRateError,
    entries,
    income_of,
)
from fabgate.errors import UsageError

JANUARY = date(2027, 1, 1)
VAT = {"normal": "44571", "low": "44572"}
NORMAL = VatAccount(code="normal", account="44571")
RATES = {"normal": Decimal(20), "low": Decimal("5.5"), "": Decimal(0)}
ACCOUNTS = [
    Income(account="7061", category="laser"),
    Income(account="7062", category="laser", vat_code="low"),
    Income(account="7063", vat_code="low"),
]
CHART = Chart("411", "4191", "706", ACCOUNTS, VAT, RATES, includes_vat=True)


def charge(payer: str = "m-1", amount: int = 1_200, **more: Any) -> Charge:
    values = {"key": "k", "place": "p", "month": JANUARY, "of_month": JANUARY, "kind": "billed", "vat_code": "", **more}
    return Charge(payer=payer, amount_minor=amount, **values)


def test_the_account_of_category_and_vat_code_comes_before_either_and_the_usual_one():
    found = {(c, v): income_of(ACCOUNTS, "706", c, v) for c in ("laser", "saw") for v in ("low", "normal")}
    assert found == {
        ("laser", "low"): "7062",
        ("laser", "normal"): "7061",
        ("saw", "low"): "7063",
        ("saw", "normal"): "706",
    }


def test_what_is_owed_and_what_was_paid_before_are_entries_of_their_own_with_tax():
    found = entries(
        [
            charge(vat_code="normal", machine_category="laser"),
            charge(amount=600, vat_code="normal"),
            charge(amount=-600, settlement="prepaid"),
            charge("m-2", 0),
        ],
        CHART,
    )
    assert [(entry.payer, entry.settlement, entry.postings) for entry in found] == [
        ("m-1", "prepaid", (Posting("4191", -600), Posting("706", 600))),
        (
            "m-1",
            "receivable",
            (Posting("411", 1_800), Posting("706", -500), Posting("44571", -300), Posting("7061", -1_000)),
        ),
    ]


def test_prices_without_tax_get_it_on_top():
    (entry,) = entries([charge(amount=1_000, vat_code="low")], CHART._replace(includes_vat=False))
    assert entry.postings == (Posting("411", 1_055), Posting("7063", -1_000), Posting("44572", -55))


def test_the_tax_of_a_payer_and_code_is_rounded_once_over_all_income_accounts():
    accounts = [Income(account=f"706{n}", category=name) for n, name in enumerate(("laser", "saw", "lathe"))]
    charges = [charge(amount=103, vat_code="normal", machine_category=name) for name in ("laser", "saw", "lathe")]
    for includes_vat, tax in ((True, 51), (False, 62)):  # 3.09 includes 0.515, not 3 times 0.17; 20 % of it is 0.618
        (entry,) = entries(charges, CHART._replace(accounts=accounts, includes_vat=includes_vat))
        booked = {posting.account: -posting.debit_minor for posting in entry.postings}
        assert booked["44571"] == tax
        assert booked["411"] == -(309 if includes_vat else 371)
        nets = [booked[account] for account in ("7060", "7061", "7062")]
        assert sum(nets) == (258 if includes_vat else 309)
        assert max(nets) - min(nets) <= 1


@pytest.mark.parametrize("includes_vat", [True, False])
def test_a_code_without_a_rate_or_without_an_account_is_not_booked_without_tax(includes_vat):
    chart = CHART._replace(includes_vat=includes_vat)
    charges = [
        charge(amount=500, vat_code="S20"),
        charge("m-2", 700, vat_code="S20"),
        charge(vat_code="normal"),
        charge(amount=99),
    ]
    for rates, wanted in ((RATES, {"S20": 1_200}), ({"S20": Decimal(20), "normal": Decimal(20)}, {"": 99})):
        with pytest.raises(WithoutRateError) as caught:
            entries(charges, chart._replace(rates=rates))
        assert (caught.value.by_code, caught.value.has_rate) == (wanted, False)
    for accounts in (VAT, {}):
        with pytest.raises(WithoutRateError) as caught:
            entries(charges, chart._replace(rates={**RATES, "S20": Decimal(20)}, vat=accounts))
        assert (caught.value.by_code["S20"], caught.value.has_rate) == (1_200, True)
    assert len(entries(charges, chart._replace(rates={**RATES, "S20": Decimal(0)}))) == 2, "no tax needs no account"
    if includes_vat:
        assert len(entries(charges, chart._replace(vat={}, rates={}))) == 2, "without rates, entries have no tax at all"
    else:  # a first rate after the month was sent would make the payer owe more than is booked
        with pytest.raises(WithoutRateError) as caught:
            entries(charges, chart._replace(vat={}, rates={}))
        assert (set(caught.value.by_code), caught.value.has_rate) == ({"", "S20", "normal"}, False)
    assert len(entries([charge(amount=0, vat_code="S20")], chart)) == 0


CHARGES = st.lists(
    st.builds(
        charge,
        payer=st.sampled_from(["m-1", "m-2", "group:3"]),
        amount=st.integers(-10_000_000, 10_000_000),
        vat_code=st.sampled_from(["", "normal", "low"]),
        machine_category=st.sampled_from(["", "laser", "saw"]),
        settlement=st.sampled_from(["receivable", "prepaid"]),
    ),
    max_size=20,
)


def _tax(amount: int, percent: str, *, is_included: bool) -> Fraction:
    rate = Fraction(percent)
    return amount * rate / (100 + rate) if is_included else amount * rate / 100


@given(CHARGES, st.booleans())
def test_each_tax_is_within_half_a_unit_of_the_exact_one_of_payer_settlement_and_code(charges, includes_vat):
    sums: dict[tuple[str, str, str], int] = defaultdict(int)
    for one in charges:
        sums[one.payer, one.settlement, one.vat_code] += one.amount_minor
    booked = {
        (entry.payer, entry.settlement, posting.account): -posting.debit_minor
        for entry in entries(charges, CHART._replace(includes_vat=includes_vat))
        for posting in entry.postings[1:]
    }
    for (payer, settlement, code), amount in sums.items():
        if code:
            exact = _tax(amount, str(RATES[code]), is_included=includes_vat)
            assert abs(booked.get((payer, settlement, VAT[code]), 0) - exact) <= Fraction(1, 2)


@given(CHARGES, st.booleans())
def test_every_entry_is_balanced_and_nothing_is_lost_or_added(charges, includes_vat):
    chart = CHART._replace(includes_vat=includes_vat)
    found = entries(charges, chart)
    assert all(sum(posting.debit_minor for posting in entry.postings) == 0 for entry in found)
    assert len({(entry.payer, entry.settlement) for entry in found}) == len(found)
    income = -sum(
        posting.debit_minor
        for entry in found
        for posting in entry.postings[1:]
        if includes_vat or posting.account not in {"44571", "44572"}
    )
    assert income == sum(one.amount_minor for one in charges)
    assert all(
        abs(posting.debit_minor) <= 2**63 and isinstance(posting.debit_minor, int)
        for entry in found
        for posting in entry.postings
    )


# --- files ------------------------------------------------------------------------------------------------------------


def month(*charges: Charge) -> Month:
    payers = {one.payer: ("Ada", "C042") for one in charges}
    at = datetime(2027, 2, 1, tzinfo=UTC)
    return Month("2027-01", "2027-01-01/m", JANUARY, at, "ab" * 32, 0, lambda: iter(charges), payers)


def written(folder: Path, digits: int = 2, rates: Mapping[str, Decimal] = MappingProxyType({}), **options: Any) -> str:
    site = Site("lyon", "c", ZoneInfo("UTC"), "EUR" if digits else "JPY", digits, vat_rates=rates)
    sink = JournalSink(JournalOptions(since="2027-01", folder=folder, **options), site)
    sink.send([month(charge(vat_code="normal"), charge("m-2", -150, settlement="prepaid"))])
    (path,) = folder.glob("2027-01/entries.*")
    return path.read_text("utf-8-sig")


def rows(text: str, separator: str = ";") -> list[list[str]]:
    return list(csv.reader(io.StringIO(text), delimiter=separator))


def test_a_journal_for_hledger(tmp_path):
    text = written(tmp_path, rates=RATES, vat=[NORMAL])
    assert text == (
        f"; fabgate lyon, 2027-01, sha256 {'ab' * 32}\n"
        "commodity 1000.00 EUR\n"
        "\n2027-01-31 (fabgate-2027-01-1) m-1  ; payer: m-1, settlement: receivable\n"
        "    411:m-1                                            12.00 EUR\n"
        "    706                                               -10.00 EUR\n"
        "    44571                                              -2.00 EUR\n"
        "\n2027-01-31 (fabgate-2027-01-2) m-2  ; payer: m-2, settlement: prepaid\n"
        "    4191:m-2                                           -1.50 EUR\n"
        "    706                                                 1.50 EUR\n"
    )


def test_a_month_with_a_code_without_a_rate_is_not_written_and_says_so(tmp_path):
    for rates, why in (
        ({"": Decimal(0)}, "2027-01: found the VAT code normal (12.00 EUR), wanted a VAT rate, which may be 0;"),
        ({"normal": Decimal(20)}, "found the VAT code of prices without one (-1.50 EUR), wanted a VAT rate"),
        ({}, "found the VAT code of prices without one (-1.50 EUR), normal (12.00 EUR), wanted a VAT rate"),
    ):
        with pytest.raises(Later, match=re.escape(why)):
            written(tmp_path, rates=rates, vat=[NORMAL])
    with pytest.raises(Later, match=r"code normal \(12.00 EUR\), wanted the account of its tax in vat in sinks.yaml"):
        written(tmp_path, rates=RATES)
    assert not [*tmp_path.iterdir()]
    exempt = {"normal": Decimal(0), "": Decimal(0)}
    assert "    706                                               -12.00 EUR\n" in written(tmp_path, rates=exempt)


def test_a_workshop_without_vat_books_none_and_wants_no_rates(tmp_path):
    site = Site("lyon", "c", ZoneInfo("UTC"), "EUR", 2, includes_vat=None)
    options = JournalOptions(since="2027-01", folder=tmp_path)
    JournalSink(options, site).send([month(charge(vat_code="normal"))])
    assert (
        "    706                                               -12.00 EUR\n"
        in next(tmp_path.glob("*/*.journal")).read_text()
    )
    with pytest.raises(UsageError, match="vat: found accounts, wanted none: VAT is not applicable"):
        JournalSink(msgspec.structs.replace(options, vat=[NORMAL]), site)


def test_stripe_gets_no_charge_whose_code_has_no_tax_rate(tmp_path):
    key = tmp_path / "key"
    key.write_text("sk_test_1")
    rates = [TaxRate(code="normal", tax_rate="txr_1")]
    # nothing listens there: a charge that is sent after all is Later, not Refused
    options = StripeSink.Options(since="2027-01", key_file=key, url="http://127.0.0.1:9", tax_rates=rates)
    site = Site("lyon", "c", ZoneInfo("UTC"), "EUR", 2)
    with pytest.raises(Refused, match="found the VAT code S20, wanted one of normal: add it to tax_rates"):
        StripeSink(options, site).send([charge(vat_code="S20", machine="laser", reference="cus_1")])
    with pytest.raises(UsageError, match="tax_rates: found some, wanted none: VAT is not applicable"):
        StripeSink(options, dataclasses.replace(site, includes_vat=None))


def test_a_currency_without_decimals(tmp_path):
    text = written(tmp_path, 0)
    assert "commodity 1000. JPY\n" in text
    assert " 1200 JPY\n" in text


def test_paheko_reads_one_line_for_each_pair_of_accounts(tmp_path):
    assert rows(written(tmp_path, layout="paheko"))[1:] == [
        ["", "fabgate 2027-01, m-1", "31/01/2027", "m-1", "fabgate-2027-01-1", "411", "706", "12,00"],
        ["", "fabgate 2027-01, m-2", "31/01/2027", "m-2", "fabgate-2027-01-2", "706", "4191", "1,50"],
    ]


def test_dolibarr_reads_numbers_of_entries_and_a_decimal_point_between_commas(tmp_path):
    head, *lines = rows(written(tmp_path, layout="dolibarr"), ",")
    assert [name.partition("(b.")[2] for name in head] == [
        *("piece_num)", "doc_date)", "doc_ref)", "code_journal)", "numero_compte)", "label_compte)"),
        *("subledger_account)", "label_operation)", "debit)", "credit)", "sens)"),
    ]
    first = ["270100001", "2027-01-31", "fabgate-2027-01-1", "VT"]
    second = ["270100002", "2027-01-31", "fabgate-2027-01-2", "VT"]
    assert lines == [
        [*first, "411", "411", "C042", "fabgate 2027-01, m-1", "12.00", "0.00", "D"],
        [*first, "706", "706", "", "fabgate 2027-01, m-1", "0.00", "12.00", "C"],
        [*second, "4191", "4191", "C042", "fabgate 2027-01, m-2", "0.00", "1.50", "C"],
        [*second, "706", "706", "", "fabgate 2027-01, m-2", "1.50", "0.00", "D"],
    ]
    assert all(int(line[0]) < 2**31 for line in lines)


def test_odoo_reads_the_columns_of_an_entry_in_its_first_line(tmp_path):
    assert rows(written(tmp_path, layout="odoo"), ",") == [
        *[
            [
                "date",
                "journal_id",
                "ref",
                *(f"line_ids/{n}" for n in ("account_id", "partner_id", "name", "debit", "credit")),
            ]
        ],
        ["2027-01-31", "VT", "fabgate-2027-01-1", "411", "C042", "fabgate 2027-01, m-1", "12.00", "0.00"],
        ["", "", "", "706", "C042", "fabgate 2027-01, m-1", "0.00", "12.00"],
        ["2027-01-31", "VT", "fabgate-2027-01-2", "4191", "C042", "fabgate 2027-01, m-2", "0.00", "1.50"],
        ["", "", "", "706", "C042", "fabgate 2027-01, m-2", "1.50", "0.00"],
    ]


def test_columns_are_chosen(tmp_path):
    columns = [ColumnOption(head="Compte", value="account"), ColumnOption(head="Débit", value="debit")]
    assert rows(written(tmp_path, layout="csv", columns=columns))[:2] == [["Compte", "Débit"], ["411", "12.00"]]


MIXED = [ColumnOption(head="Compte", value="account"), ColumnOption(head="Montant", value="amount")]


@pytest.mark.parametrize(
    "options",
    [
        {"vat": [NORMAL, NORMAL]},
        {"columns": [ColumnOption(head="x", value="label")]},
        {"layout": "csv", "columns": MIXED},
    ],
)
def test_options_that_cannot_be_are_refused(tmp_path, options):
    with pytest.raises(UsageError):
        written(tmp_path, **options)
