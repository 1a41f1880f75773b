"""Turns a closed month into balanced entries of double-entry bookkeeping. Pure.

One entry for each payer and kind of settlement: what they owe, or what they had paid in before, against income by category of
machines and VAT code. Amounts are in minor units; a debit is positive.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import Annotated, NamedTuple

from msgspec import Meta, Struct

from fabgate.collector.billing.prepaid.modes import PREPAID
from fabgate.collector.billing.sinks.contract import Charge

Account = Annotated[str, Meta(pattern=r"^[0-9A-Za-z][^\s;]{0,59}$", description="an account, such as 706 or 706:laser")]
Percent = Annotated[
    str, Meta(pattern=r"^[0-9]{1,2}(\.[0-9]{1,4})?$", description='a rate in percent in quotes, such as "20" or "5.5"')
]


class Income(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One of ``accounts``: the income account of a category of machines, a VAT code, or both."""

    account: Account
    category: str | None = None
    vat_code: str | None = None


class Vat(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One of ``vat``: the rate of a VAT code, and the account of the tax, which a rate of 0 does not need."""

    code: str
    percent: Percent
    account: Account = ""


class Chart(NamedTuple):
    """The accounts that are used."""

    receivable: str
    prepaid: str
    income: str
    accounts: Sequence[Income]
    vat: Mapping[str, Vat]
    #: None: VAT is not applicable, and `vat` is empty.
    includes_vat: bool | None


class UnknownCodesError(Exception):
    """Charges have VAT codes without a rate: `amounts` in minor units, by code."""

    def __init__(self, amounts: Mapping[str, int]) -> None:
        super().__init__(", ".join(amounts))
        self.amounts = amounts


class Posting(NamedTuple):
    """One line of an entry."""

    account: str
    debit_minor: int


class Entry(NamedTuple):
    """A balanced entry; its first posting is that of the payer."""

    payer: str
    settlement: str
    postings: tuple[Posting, ...]


def entries(charges: Iterable[Charge], chart: Chart) -> list[Entry]:
    """Return the entries of a month, ordered by payer and settlement; without those that come to nothing.

    Raises UnknownCodesError where the chart has rates, but none for a code: it would be booked without its tax.
    """
    unknown: dict[str, int] = defaultdict(int)
    gross: dict[tuple[str, str], dict[tuple[str, str], int]] = defaultdict(lambda: defaultdict(int))
    for charge in charges:
        if charge.amount_minor:
            account = income_of(chart.accounts, chart.income, charge.machine_category, charge.vat_code)
            gross[charge.payer, charge.settlement][account, charge.vat_code] += charge.amount_minor
            if chart.vat and charge.vat_code and charge.vat_code not in chart.vat:
                unknown[charge.vat_code] += charge.amount_minor
    if unknown:
        raise UnknownCodesError(dict(sorted(unknown.items())))
    made = (_entry(*key, sums, chart) for key, sums in sorted(gross.items()))
    return [entry for entry in made if any(posting.debit_minor for posting in entry.postings)]


def income_of(accounts: Sequence[Income], usual: str, category: str, vat_code: str) -> str:
    """Return the income account: the one for both, for the category, for the VAT code, or the usual one."""
    known = {(one.category, one.vat_code): one.account for one in reversed(accounts)}
    for key in ((category, vat_code), (category, None), (None, vat_code)):
        if key in known:
            return known[key]
    return usual


def _entry(payer: str, settlement: str, sums: Mapping[tuple[str, str], int], chart: Chart) -> Entry:
    income: dict[str, int] = defaultdict(int)
    by_code: dict[str, dict[str, int]] = defaultdict(dict)
    for (account, vat_code), amount_minor in sorted(sums.items()):
        by_code[vat_code][account] = amount_minor
        income[account] += 0  # postings are ordered by account, each tax after the first account that has it
        if vat_code in chart.vat:
            income[chart.vat[vat_code].account] += 0
    for vat_code, accounts in by_code.items():
        vat, sum_minor, net_minor = chart.vat.get(vat_code), 0, 0
        for account, amount_minor in accounts.items():
            # the net amount up to this account, less that up to the one before: so the tax of the code is rounded once
            before_minor, sum_minor = net_minor, sum_minor + amount_minor
            net_minor, vat_minor = _split(sum_minor, vat, includes_vat=chart.includes_vat)
            income[account] += net_minor - before_minor
        if vat is not None and vat_minor:
            income[vat.account] += vat_minor
    own = chart.prepaid if settlement == PREPAID else chart.receivable
    postings = [Posting(account, -amount) for account, amount in income.items() if amount]
    return Entry(payer, settlement, (Posting(own, sum(income.values())), *postings))


def _split(amount_minor: int, vat: Vat | None, *, includes_vat: bool | None) -> tuple[int, int]:
    """Return (net, tax) of an amount, rounded half up once."""
    if vat is None:
        return amount_minor, 0
    percent = Decimal(vat.percent)
    if includes_vat:
        net_minor = _rounded(Decimal(amount_minor) * 100 / (100 + percent))
        return net_minor, amount_minor - net_minor
    return amount_minor, _rounded(amount_minor * percent / 100)


def _rounded(amount: Decimal) -> int:
    return int(amount.quantize(Decimal(1), ROUND_HALF_UP))
