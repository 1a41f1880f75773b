"""What other prices change in months that are not closed: it is shown before they are stored."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import date
from typing import Any, Final

from django.http import HttpRequest

from fabgate.collector.ground.models import BillingTerms, Machine
from fabgate.collector.money.billing import terms, trial
from fabgate.collector.money.billing.trial import Compared
from fabgate.collector.money.paper.figures import Money

#: The field with which a form says which difference its reader has seen.
_SEEN: Final = "sure"


def unless_seen(
    request: HttpRequest, found: BillingTerms, changes: Mapping[tuple[str, str], Compared]
) -> dict[str, Any] | None:
    """Return what the page shows of the changes, or None if nothing changes, or it was shown before.

    If the form is changed, or a session ends meanwhile, the difference is another one, and is shown again.
    """
    seen = hashlib.sha256(repr(changes).encode()).hexdigest()[:16]
    if not changes or request.POST.get(_SEEN) == seen:
        return None
    return {"seen": seen, **comparison(found, changes)}


def of_plans(request: HttpRequest, plans: Mapping[str, str], since: date) -> dict[str, Any] | None:
    """Return what plans of members, by their ids, change from a day on, unless it was shown before or nothing changes."""
    found = terms.started()
    return None if found is None else unless_seen(request, found, trial.of_plans(found, plans, since))


def comparison(found: BillingTerms, sums: Mapping[tuple[str, str], Compared]) -> dict[str, Any]:
    """Return the lines of a comparison, and its sums."""
    titles = {machine.name: str(machine) for machine in Machine.objects.only("name", "title")}
    whole = Compared(*map(sum, zip(Compared(), *sums.values(), strict=True)))
    lines = [
        {"machine": titles.get(machine, machine), "plan": plan, **_amounts(found, total)}
        for (machine, plan), total in sums.items()
    ]
    return {
        "lines": sorted(lines, key=lambda line: (line["machine"].casefold(), line["plan"])),
        "whole": _amounts(found, whole),
    }


def _amounts(found: BillingTerms, total: Compared) -> dict[str, Any]:
    money, more = Money.of(found), total.new_minor - total.amount_minor
    return {
        "sessions": total.sessions,
        "now": money.minor(total.amount_minor),
        "new": money.minor(total.new_minor),
        "difference": money.difference(more) if more else money.minor(0),
    }
