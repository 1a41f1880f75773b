"""The prepaid part of a statement. Entries of closed months never change, so it is the same each time."""

from __future__ import annotations

from datetime import date, timedelta

from fabgate.collector.ground.models import PrepaidEntry
from fabgate.collector.money.billing import terms
from fabgate.collector.money.billing.prepaid import balances, modes
from fabgate.collector.money.billing.statements.compose import Credit, CreditEntry


def of(month: date, payer: str, amount_minor: int, due_minor: int) -> Credit | None:
    """Return the prepaid credit of a payer in a month, of which a statement of this amount is paid.

    `due_minor` is what of it is due by statement all the same. None for one who does not prepay then, and neither paid in
    nor got back anything.
    """
    prepays = modes.Modes.now().prepays(payer, month)
    rows = PrepaidEntry.objects.filter(payer=payer, day__gte=month, day__lt=terms.next_month(month))
    entries = [
        CreditEntry(*row)
        for row in rows.exclude(kind=PrepaidEntry.USED)
        .order_by("day", "pk")
        .values_list("day", "kind", "method", "till_number", "reason", "amount_minor")
    ]
    if not prepays and not entries:
        return None
    used = rows.filter(kind=PrepaidEntry.USED).values_list("amount_minor", flat=True).first()
    if used is not None:  # the month is closed, and what was taken then stays
        due_minor = amount_minor + used
    opening = balances.of(payer, month - timedelta(days=1))
    return Credit(opening, entries, amount_minor - due_minor, due_minor) if prepays else Credit(opening, entries, 0)


def payers_in(month: date) -> list[str]:
    """Return the payers who paid in or got back something in a month."""
    rows = PrepaidEntry.objects.filter(day__gte=month, day__lt=terms.next_month(month)).exclude(kind=PrepaidEntry.USED)
    return list(rows.order_by("payer").values_list("payer", flat=True).distinct())
