"""Turns a closed month into balanced entries of double-entry bookkeeping. Pure.

One entry for each payer and kind of settlement: what they owe, or what they had paid in before, against income by category of
machines and VAT code. Amounts are in minor units; a debit is positive.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Annotated, NamedTuple

from msgspec import Meta, Struct

from fabgate.collector.money.billing.prepaid.words import PREPAID
from fabgate.collector.money.billing.sinks.contract import Charge
from fabgate.collector.money.billing.vat import amounts

Account = Annotated[str, Meta(pattern=r"^[0-9A-Za-z][^\s;]{0,59}$", description="an account, such as 706 or 706:laser")]


class Income(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One of ``accounts``: the income account of a category of machines, a VAT code, or both."""

    account: Account
    category: str | None = None
    vat_code: str | None = None


class VatAccount(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One of ``vat``: the account of the tax of a VAT code, whose rate is in the books."""

    code: str
    account: Account


class Chart(NamedTuple):
    """The accounts that are used, and the VAT rates of the books in percent, by code."""

    receivable: str
    prepaid: str
    income: str
    accounts: Sequence[Income]
    #: The account of the tax of each VAT code.
    vat: Mapping[str, str]
    rates: Mapping[str, Decimal]
    #: None: VAT is not applicable; then there are no rates.
    includes_vat: bool | None

    @property
    def has_vat(self) -> bool:
        """Return whether entries have the tax: then each code needs a rate.

        Where prices exclude VAT they always have it: what a payer owes is not known without a rate.
        """
        return self.includes_vat is False or bool(self.vat or self.rates)


class WithoutRateError(Exception):
    """Charges have VAT codes without a rate, or without the account of their tax: `by_code` in minor units, by code."""

    def __init__(self, by_code: Mapping[str, int], *, has_rate: bool) -> None:
        super().__init__(", ".join(by_code))
        self.by_code = by_code
        self.has_rate = has_rate


class Posting(NamedTuple):
    """One line of an entry."""

    account: str
    debit_minor: int


class AccountingEntry(NamedTuple):
    """A balanced entry; its first posting is that of the payer."""

    payer: str
    settlement: str
    postings: tuple[Posting, ...]


def entries(charges: Iterable[Charge], chart: Chart) -> list[AccountingEntry]:
    """Return the entries of a month, ordered by payer and settlement; without those that come to nothing.

    Raises WithoutRateError where entries have the tax, and a code has no rate or no account: its tax would be lost.
    """
    by_code: dict[str, int] = defaultdict(int)
    gross: dict[tuple[str, str], dict[tuple[str, str], int]] = defaultdict(lambda: defaultdict(int))
    for charge in charges:
        if charge.amount_minor:
            account = income_of(chart.accounts, chart.income, charge.machine_category, charge.vat_code)
            gross[charge.payer, charge.settlement][account, charge.vat_code] += charge.amount_minor
            by_code[charge.vat_code] += charge.amount_minor
    if chart.has_vat:
        _check(by_code, chart)
    made = (_entry(*key, sums, chart) for key, sums in sorted(gross.items()))
    return [entry for entry in made if any(posting.debit_minor for posting in entry.postings)]


def _check(by_code: Mapping[str, int], chart: Chart) -> None:
    if unknown := {code: amount for code, amount in sorted(by_code.items()) if code not in chart.rates}:
        raise WithoutRateError(unknown, has_rate=False)
    if unknown := {
        code: amount for code, amount in sorted(by_code.items()) if chart.rates[code] and code not in chart.vat
    }:
        raise WithoutRateError(unknown, has_rate=True)


def income_of(accounts: Sequence[Income], usual: str, category: str, vat_code: str) -> str:
    """Return the income account: the one for both, for the category, for the VAT code, or the usual one."""
    known = {(one.category, one.vat_code): one.account for one in reversed(accounts)}
    for key in ((category, vat_code), (category, None), (None, vat_code)):
        if key in known:
            return known[key]
    return usual


def _entry(payer: str, settlement: str, sums: Mapping[tuple[str, str], int], chart: Chart) -> AccountingEntry:
    income: dict[str, int] = defaultdict(int)
    by_code: dict[str, dict[str, int]] = defaultdict(dict)
    for (account, vat_code), amount_minor in sorted(sums.items()):
        by_code[vat_code][account] = amount_minor
        income[account] += 0  # postings are ordered by account, each tax after the first account that has it
        if vat_code in chart.vat:
            income[chart.vat[vat_code]] += 0
    for vat_code, accounts in by_code.items():
        sum_minor, net_minor, vat_minor = 0, 0, 0
        for account, amount_minor in accounts.items():
            # the net amount up to this account, less that up to the one before: so the tax of the code is rounded once
            before_minor, sum_minor = net_minor, sum_minor + amount_minor
            net_minor, vat_minor = _split(sum_minor, vat_code, chart)
            income[account] += net_minor - before_minor
        if vat_minor:
            income[chart.vat[vat_code]] += vat_minor
    own = chart.prepaid if settlement == PREPAID else chart.receivable
    postings = [Posting(account, -amount) for account, amount in income.items() if amount]
    return AccountingEntry(payer, settlement, (Posting(own, sum(income.values())), *postings))


def _split(amount_minor: int, vat_code: str, chart: Chart) -> tuple[int, int]:
    """Return (net, tax) of an amount."""
    if chart.includes_vat is None or vat_code not in chart.rates:
        return amount_minor, 0
    return amounts.split(amount_minor, chart.rates[vat_code], includes_vat=chart.includes_vat)
