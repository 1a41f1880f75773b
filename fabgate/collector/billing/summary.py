"""Sums of a month: by class, and by payer. They are remembered until something changes on which they depend."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

from django.core.cache import cache

from fabgate.collector.billing import month as months
from fabgate.collector.billing import terms
from fabgate.collector.billing.month import Sum
from fabgate.collector.models import BillingTerms, Change, LedgerLine

#: Seconds after which a month is rated again in any case.
_LASTS_S: Final = 3_600


@dataclass(frozen=True, slots=True)
class Summary:
    """What a month comes to."""

    #: All classes are named.
    classes: Mapping[str, Sum]
    payers: Mapping[str, Sum]

    @property
    def whole(self) -> Sum:
        """Return the sum of all sessions."""
        return added(self.classes.values())


def of(month: date, found: BillingTerms) -> Summary:
    """Return the sums of a month.

    They depend on sessions, whose every change is in the ledger, and on rules, plans, machines and members, whose every
    change is in the audit log. So they are right as long as the newest row of both is the same.
    """
    line = LedgerLine.objects.order_by("-pk").values_list("pk", "at", "session").first()
    change = Change.objects.order_by("-pk").values_list("pk", "at").first()
    key = f"billing-month-{month:%Y-%m}"
    newest = line, change, found.started_at
    remembered = cache.get(key)
    if remembered is not None and remembered[0] == newest:
        return Summary(*remembered[1])
    payments = months.rate(month, terms.for_rating(found))
    payers: dict[str, Sum] = {}
    for payer, rated in payments:
        payers[payer] = payers.get(payer, Sum()).plus(rated)
    summary = Summary(months.sums_by_class(payments), payers)
    cache.set(key, (newest, (dict(summary.classes), payers)), _LASTS_S)
    return summary


def added(sums: Iterable[Sum]) -> Sum:
    """Return the sum of sums."""
    return Sum(*map(sum, zip(Sum(), *sums, strict=True)))
