"""Billing as a workshop has it: started last month, and rules and plans as they are typed at the command line."""

from __future__ import annotations

import shlex
from datetime import UTC, date, datetime, timedelta
from typing import Any

from fabgate.collector.ground.db import audit
from fabgate.collector.ground.models import BillingTerms, Charge, Machine, Plan, TariffRule
from fabgate.collector.money.billing import member_plans, rule_store, terms
from fabgate.collector.money.billing.charges import refresh
from fabgate.collector.money.billing.tariffs import typed_rule
from tests.collector.faces.pages import used

#: The first day of last month, and noon in its middle.
FIRST = (datetime.now(UTC).date().replace(day=1) - timedelta(days=1)).replace(day=1)
NOON = used.NOON.replace(year=FIRST.year, month=FIRST.month, day=15)
MONTH = f"{FIRST:%Y-%m}"


def start(currency: str = "EUR", first: date = FIRST) -> BillingTerms:
    """Start billing."""
    return terms.start(currency, first, "UTC", includes_vat=True, actor="maya")


def rule(typed: str, since: date = FIRST, *, machine: str = "", category: str = "", plan: str = "") -> TariffRule:
    """Add a rule, such as ``price=0.10 minimum=1``."""
    mistakes: list[str] = []
    found = typed_rule.read(shlex.split(typed), terms.get().digits, mistakes)
    assert found is not None, mistakes
    place = (
        Machine.objects.get(name=machine) if machine else None,
        category,
        Plan.objects.get(name=plan) if plan else None,
    )
    row = rule_store.unsaved(place, since, found)
    rule_store.add(row, "maya")
    return row


def plan(name: str, *members: str, **more: Any) -> Plan:
    """Add a plan that these members have."""
    found = Plan(name=name, **more)
    with audit.change("maya", "plan.added", found):
        found.save()
    member_plans.set_plans(dict.fromkeys(members, name), FIRST, actor="maya")
    return found


def typed(**changes: Any) -> dict[str, Any]:
    """Return what the form of a rule sends; a list of peak hours as `peaks`."""
    peaks = changes.pop("peaks", [])
    found: dict[str, Any] = {
        "where": "",
        "plan": "",
        "since": FIRST.isoformat(),
        "price": "0.10",
        "basis": "on",
        "step_s": "1",
        "purposes": ["own", "group"],
        "peak-TOTAL_FORMS": len(peaks) + 1,
        "peak-INITIAL_FORMS": 0,
        **changes,
    }
    for number, (days, begins, ends, price) in enumerate(peaks):
        found |= {
            f"peak-{number}-days": days,
            f"peak-{number}-start": begins,
            f"peak-{number}-end": ends,
            f"peak-{number}-price": price,
        }
    return found


def charged() -> dict[str, int]:
    """Return what each session costs by now."""
    refresh.refresh_all()
    return dict(Charge.objects.values_list("session", "amount_minor"))
