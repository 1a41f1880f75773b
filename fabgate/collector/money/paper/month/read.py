"""Reads a month as its charges are stored, with the statements of all payers: of a closed month as they were printed.

It is read for many payers at once. Nothing is charged meanwhile: `MonthRead.as_of` says which changes are in it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, NamedTuple, Self

from fabgate.collector.ground.base.search_key import folded
from fabgate.collector.ground.db import statements
from fabgate.collector.ground.models import Charge, ClosedMonth, IssuedStatement, ManualLine
from fabgate.collector.money.billing import summary
from fabgate.collector.money.billing.charges import refresh, vat_codes
from fabgate.collector.money.billing.charges.record import Record
from fabgate.collector.money.billing.month import Sum
from fabgate.collector.money.billing.paying import payers
from fabgate.collector.money.billing.prepaid.modes import Modes
from fabgate.collector.money.billing.prepaid.settlement import Settled
from fabgate.collector.money.billing.statements import read, words
from fabgate.collector.money.billing.statements.compose import Head, Statement, Words, compose
from fabgate.collector.money.billing.vat import amounts, months, rates
from fabgate.collector.money.billing.vat.amounts import Amounts


class Paying(NamedTuple):
    """What one payer comes to."""

    payer: str
    #: Name, address and other words; in a closed month as they were printed, and empty once they are erased.
    words: Mapping[str, str]
    email: str
    total: Sum
    #: Whether the payer settles the month from credit; what `is_due` is due by statement all the same.
    prepays: bool
    #: The amounts by settlement (money/billing/prepaid/words.py).
    settled: Mapping[str, Amounts]

    @property
    def amounts(self) -> Amounts:
        """Return what both settlements come to."""
        return amounts.together(self.settled.values())


@dataclass(frozen=True, slots=True)
class MonthRead:
    """A month: its payers in the order of their names, and their statements."""

    #: Of the month; it names no payer.
    head: Head
    #: Up to when changes of sessions are charged; of a closed month, when it was closed.
    as_of: datetime
    payers: Sequence[Paying]
    #: The rates of VAT codes in percent.
    rates: Mapping[str, Decimal]
    _closed: ClosedMonth | None
    _issued: Mapping[str, Mapping[str, Any]]

    @classmethod
    def of(cls, month: date) -> Self:
        """Read a month by its first day. Raises UsageError if billing was not started."""
        closed = ClosedMonth.objects.filter(pk=month).first()
        head, totals = read.head(month, "", closed), summary.of(month).by_payer
        as_of = closed.closed_at if closed else head.not_charged_since or datetime.now(UTC)
        issued = dict(IssuedStatement.objects.filter(month=month).values_list("payer", "words")) if closed else {}
        shown = words.of_payers(totals) | {payer: found.get("payer", {}) for payer, found in issued.items()}
        erased = set(
            IssuedStatement.objects.filter(month=month).exclude(erased_at=None).values_list("payer", flat=True)
        )
        emails = payers.emails(totals.keys() - erased)
        settled: dict[str, dict[str, Amounts]] = defaultdict(dict)
        for (payer, settlement), found in months.by_settlement(month).items():
            settled[payer][settlement] = found
        known = Modes.now()
        paying = [
            Paying(payer, shown[payer], emails.get(payer, ""), total, known.prepays(payer, month), settled[payer])
            for payer, total in totals.items()
        ]
        paying.sort(key=lambda one: (folded(one.words.get("name", "")), one.payer))
        return cls(head, as_of, paying, rates.known(), closed, issued)

    def statements(self) -> Iterator[tuple[Paying, Statement]]:
        """Yield each payer with the statement, which is without the prepaid credit."""
        month, closed = self.head.month, self._closed
        settled, codes = Settled.of(month=month), vat_codes.by_terms()
        why = words.reasons(month) if closed is None else {}
        contested = words.contested(month) if closed is None else {}
        machines = words.machines() if closed is None else closed.printed.get("machines", {})
        with_lines = set(ManualLine.objects.filter(month=month).values_list("payer", flat=True))
        for some in statements.chunks(self.payers):
            charges: dict[str, list[Record]] = defaultdict(list)
            for charge in refresh.records(Charge.objects.filter(month=month, payer__in=[one.payer for one in some])):
                charges[charge.payer].append(charge)
            prices = read.prices(charge for found in charges.values() for charge in found)
            people = words.names({charge.used_by for found in charges.values() for charge in found})
            for one in some:
                printed = self._issued.get(one.payer)
                texts = Words(
                    payer=one.words,
                    people=people if printed is None else printed.get("people", {}),
                    why=why.get(one.payer, {}) if printed is None else printed.get("why", {}),
                    machines=machines,
                    workshop={},
                    contested=contested.get(one.payer, ())
                    if printed is None
                    else frozenset(printed.get("contested", ())),
                )
                lines = read.lines(month, one.payer, settled.lines, texts.contested) if one.payer in with_lines else ()
                head, own = replace(self.head, payer=one.payer), charges.pop(one.payer, [])
                yield one, compose(head, texts, own, lines, codes, settled.charges, prices)
