"""Splits the charges and lines of a month into net amounts, VAT and gross amounts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

from django.db.models import Sum

from fabgate.collector.ground.db import statements
from fabgate.collector.ground.models import Charge, ManualLine
from fabgate.collector.money.billing import terms
from fabgate.collector.money.billing.charges import vat_codes
from fabgate.collector.money.billing.prepaid.settlement import Settled
from fabgate.collector.money.billing.prepaid.words import RECEIVABLE
from fabgate.collector.money.billing.vat import amounts, rates
from fabgate.collector.money.billing.vat.amounts import Amounts


def by_settlement(month: date, **among: Any) -> dict[tuple[str, str], Amounts]:
    """Return what each payer comes to in a month, by payer and settlement (prepaid/words.py), as `by_payer` does."""
    known, includes_vat = rates.known(), terms.get().includes_vat
    return {
        key: amounts.of(sums, known, includes_vat=includes_vat) for key, sums in sorted(_sums(month, among).items())
    }


def by_payer(month: date, **among: Any) -> dict[str, Amounts]:
    """Return what each payer comes to in a month, given by its first day. `among` are conditions on the payers.

    Only payers with an amount are there. Each settlement is rounded by itself, as the accounting books it.
    """
    split: dict[str, list[Amounts]] = defaultdict(list)
    for (payer, _settlement), found in by_settlement(month, **among).items():
        split[payer].append(found)
    return {payer: amounts.together(found) for payer, found in split.items()}


def without_rate(month: date, **among: Any) -> tuple[str, ...]:
    """Return the codes with an amount in a month that have no rate. `among` are conditions on the payers.

    A workshop whose prices include VAT needs no rates: without any, none is missing.
    """
    known, includes_vat = rates.known(), terms.get().includes_vat
    if includes_vat is None or (includes_vat and not known):
        return ()
    charges = Charge.objects.filter(month=month, terms__isnull=False, **among).exclude(amount_minor=0).order_by()
    lines = ManualLine.objects.filter(month=month, **among).order_by()
    codes = vat_codes.by_terms()
    found = {codes[digest] for digest in charges.values_list("terms__digest", flat=True).distinct()}
    return tuple(sorted({*found, *lines.values_list("vat_code", flat=True)} - known.keys()))


def is_any_due(month: date) -> bool:
    """Return whether any payer has something to pay by statement for a month."""
    return any(
        settlement == RECEIVABLE and sum(by_code.values()) > 0
        for (_payer, settlement), by_code in _sums(month, {}).items()
    )


def _sums(month: date, among: Mapping[str, Any]) -> dict[tuple[str, str], dict[str, int]]:
    """Return the sum of each VAT code, by payer and settlement."""
    settled = Settled.of(month=month)  # also of other payers: one of them may have had the charge that is corrected
    found: dict[tuple[str, str], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    codes = vat_codes.by_terms()
    for payer, code, amount in _grouped(month, among, codes):
        found[payer, settled.modes.settlement(payer, month)][code] += amount
    # of payers who prepay: due by statement all the same
    for payer, code, amount in _corrections(month, settled, among, codes):
        usual = settled.modes.settlement(payer, month)
        found[payer, usual][code] -= amount
        found[payer, RECEIVABLE][code] += amount
    return found


def _grouped(month: date, among: Mapping[str, Any], codes: Mapping[str, str]) -> Iterator[tuple[str, str, int]]:
    # a charge without a price has no terms, and its amount is 0
    charges = Charge.objects.filter(month=month, terms__isnull=False, **among).order_by()
    for payer, digest, amount in charges.values_list("payer", "terms__digest").annotate(sum=Sum("amount_minor")):
        yield payer, codes[digest], amount
    lines = ManualLine.objects.filter(month=month, **among).order_by()
    yield from lines.values_list("payer", "vat_code").annotate(sum=Sum("amount_minor"))


def _corrections(
    month: date, settled: Settled, among: Mapping[str, Any], codes: Mapping[str, str]
) -> Iterator[tuple[str, str, int]]:
    charges = Charge.objects.filter(month=month, terms__isnull=False, **among)
    columns = ("payer", "terms__digest", "amount_minor")
    for _pk, payer, digest, amount in statements.rows_among(charges, "pk", sorted(settled.charges), *columns):
        yield payer, codes[digest], amount
    lines = ManualLine.objects.filter(month=month, pk__in=settled.lines, **among)
    yield from lines.values_list("payer", "vat_code", "amount_minor")
