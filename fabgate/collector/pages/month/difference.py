"""What other prices change in months that are not closed: it is shown before they are stored."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any, Final

from django.http import HttpRequest

from fabgate.collector.billing import terms, trial
from fabgate.collector.billing.rating import Facts, Terms
from fabgate.collector.billing.trial import Compared
from fabgate.collector.models import BillingTerms, Machine
from fabgate.collector.pages.month.tab import next_month, today_of
from fabgate.collector.paper.figures import Money

#: The field with which a form says which difference its reader has seen.
_SEEN: Final = "sure"


def unless_seen(
    request: HttpRequest,
    found: BillingTerms,
    now: Terms,
    then: Terms,
    since: date,
    is_concerned: Callable[[Facts], bool],
) -> dict[str, Any] | None:
    """Return what the page shows of the difference from `since` on, or None if nothing changes, or it was shown before.

    If the form is changed, or a session ends meanwhile, the difference is another one, and is shown again.
    """
    found_changes = trial.changes(_open_months(found, since), now, then, is_concerned)
    seen = hashlib.sha256(repr(found_changes).encode()).hexdigest()[:16]
    if not found_changes or request.POST.get(_SEEN) == seen:
        return None
    return {"seen": seen, **comparison(found, found_changes)}


def _open_months(found: BillingTerms, since: date) -> list[date]:
    first, last = max(since.replace(day=1), terms.first_open_day() or found.first_month), today_of(found)
    months = []
    while first <= last:
        months.append(first)
        first = next_month(first)
    return months


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
