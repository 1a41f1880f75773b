"""Sums of a month by payer and class: what is charged in it, for sessions and for everything else."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

from django.db import models
from django.db.models import Case, Value, When

from fabgate.collector.ground.models import Charge, ManualLine
from fabgate.collector.money.billing import rating
from fabgate.collector.money.billing.month import Sum

#: The class of lines, which are not sessions.
LINE: Final = "line"
CLASSES: Final = (*rating.CLASSES, LINE)


@dataclass(frozen=True, slots=True)
class Summary:
    """What a month comes to: by payer, then by class. A reversal takes its session away."""

    payers: Mapping[str, Mapping[str, Sum]]
    #: By payer, the number of lines.
    lines: Mapping[str, int]

    @property
    def classes(self) -> dict[str, Sum]:
        """Return the sum of each class, all classes named."""
        return {kind: added(found[kind] for found in self.payers.values() if kind in found) for kind in CLASSES}

    @property
    def by_payer(self) -> dict[str, Sum]:
        """Return the sum of each payer."""
        return {payer: added(found.values()) for payer, found in self.payers.items()}


def of(month: date) -> Summary:
    """Return the sums of a month as far as charges follow the ledger."""
    payers: dict[str, dict[str, Sum]] = defaultdict(dict)
    once = Case(When(reverses="", then=Value(1)), default=Value(-1), output_field=models.IntegerField())
    charges = Charge.objects.filter(month=month).values("payer", "kind").order_by("payer")
    for row in charges.annotate(
        sessions=models.Sum(once), ms=models.Sum("counted_ms"), amount=models.Sum("amount_minor")
    ):
        payers[row["payer"]][row["kind"]] = Sum(row["sessions"], row["ms"], row["amount"])
    counted: dict[str, int] = {}
    lines = ManualLine.objects.filter(month=month).values("payer").order_by("payer")
    for line in lines.annotate(amount=models.Sum("amount_minor"), lines=models.Count("pk")):
        payers[line["payer"]][LINE] = Sum(0, 0, line["amount"])
        counted[line["payer"]] = line["lines"]
    by_class: dict[str, Mapping[str, Sum]] = {
        payer: {kind: found[kind] for kind in CLASSES if kind in found} for payer, found in payers.items()
    }
    return Summary(by_class, counted)


def added(sums: Iterable[Sum]) -> Sum:
    """Return the sum of sums."""
    return Sum(*map(sum, zip(Sum(), *sums, strict=True)))
