"""Issues the statements of a month that is being closed: stores their words as they are on that day."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, datetime
from typing import Any

from django.db import models

from fabgate.collector.ground.db import audit, statements
from fabgate.collector.ground.models import Charge, ClosedMonth, IssuedStatement, ManualLine
from fabgate.collector.money.billing.statements import credit, words


def printed() -> dict[str, Any]:
    """Return what all statements of a month show."""
    return {"workshop": words.workshop(), "machines": words.machines()}


def of_month(month: date) -> list[IssuedStatement]:
    """Return a statement for each payer with charges or credits in a month, also if its total is 0. Stores nothing."""
    amounts = _amounts(month)
    people: dict[str, set[str]] = defaultdict(set)
    pairs = Charge.objects.filter(month=month).order_by().values_list("payer", "used_by").distinct()
    for payer, user in pairs.iterator():
        people[payer].add(user)
    called = words.names({user for users in people.values() for user in users})
    payers, why, contested = words.of_payers(amounts), words.reasons(month), words.contested(month)
    return [
        IssuedStatement(
            month=month,
            payer=payer,
            amount_minor=amount,
            words={
                "payer": payers[payer],
                "people": {user: called[user] for user in sorted(people[payer]) if user in called},
                "why": why.get(payer, {}),
                **({"contested": sorted(contested[payer])} if payer in contested else {}),
            },
        )
        for payer, amount in sorted(amounts.items())
    ]


def erase_words(before: date, *, actor: str, at: datetime) -> int:
    """Erase the names, addresses and reasons of all statements of months before a day; return how many there were.

    Their figures and ids stay. The months must be closed; this cannot be undone.
    """
    rows = IssuedStatement.objects.filter(month__lt=before, erased_at=None)
    found = list(rows.order_by("pk").values_list("pk", flat=True))
    for some in statements.chunks(found):
        issued = list(IssuedStatement.objects.filter(pk__in=some).order_by("pk"))
        with audit.changes(actor, "statement.erased", issued):
            IssuedStatement.objects.filter(pk__in=some).update(words={}, erased_at=at)
    return len(found)


def unlike_charges(closed: ClosedMonth) -> list[str]:
    """Return the payers whose statement of a closed month is missing, or comes to something else than their charges."""
    stored = dict(IssuedStatement.objects.filter(month=closed.month).values_list("payer", "amount_minor"))
    wanted = _amounts(closed.month)
    return sorted(payer for payer in {*stored, *wanted} if stored.get(payer) != wanted.get(payer))


def _amounts(month: date) -> dict[str, int]:
    """Return what each payer is charged in a month; 0 for one who only paid in. Nobody gets a statement of sessions of which no user is known."""
    found: dict[str, int] = defaultdict(int)
    for rows in (Charge.objects.filter(month=month), ManualLine.objects.filter(month=month)):
        for payer, amount in rows.order_by().values_list("payer").annotate(sum=models.Sum("amount_minor")):
            found[payer] += amount
    for payer in credit.payers_in(month):
        found[payer] += 0
    found.pop("", None)
    return found
