"""Reads the statement of a payer: of an open month as it is now, of a closed one as it was when it was closed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date

from fabgate.collector.billing import terms
from fabgate.collector.billing.charges import refresh
from fabgate.collector.billing.charges.record import Record
from fabgate.collector.billing.statements import credit, words
from fabgate.collector.billing.statements.compose import Head, Line, Statement, Words, compose
from fabgate.collector.models import Charge, ClosedMonth, IssuedStatement, ManualLine, TariffRule


def of(month: date, payer: str) -> Statement:
    """Return a payer's statement of a month, which is empty if nothing is charged.

    Raises UsageError if billing was not started. For an open month the ledger is followed first.
    """
    closed = ClosedMonth.objects.filter(pk=month).first()
    if closed is None:
        refresh.catch_up()
    charges = list(refresh.records(Charge.objects.filter(month=month, payer=payer)))
    statement = compose(
        head(month, payer, closed), _words(payer, closed, charges, month), charges, lines(month, payer), codes()
    )
    return replace(statement, credit=credit.of(month, payer, statement.amount_minor))


def head(month: date, payer: str, closed: ClosedMonth | None) -> Head:
    """Return the head of a statement."""
    found = terms.get()
    return Head(
        month=month,
        payer=payer,
        currency=found.currency,
        digits=found.digits,
        includes_vat=found.includes_vat,
        zone=found.zone,
        closed_at=closed.closed_at if closed else None,
    )


def lines(month: date, payer: str) -> Iterator[Line]:
    """Yield the lines of a payer: charges for something other than a session."""
    rows = ManualLine.objects.filter(month=month, payer=payer).order_by("at", "pk")
    yield from (Line(*row) for row in rows.values_list("at", "text", "amount_minor", "vat_code", "session", "pk"))


def codes() -> dict[int, str]:
    """Return the VAT code of each rule that has one. Rules never change."""
    return dict(TariffRule.objects.exclude(vat_code="").values_list("pk", "vat_code"))


def _words(payer: str, closed: ClosedMonth | None, charges: list[Record], month: date) -> Words:
    """Return the words as they were printed; as they are now for an open month, and for a payer without charges."""
    issued = IssuedStatement.objects.filter(month=month, payer=payer).first() if closed else None
    if closed is not None and issued is not None:
        stored = issued.words
        return Words(
            payer=stored.get("payer", {}),
            people=stored.get("people", {}),
            why=stored.get("why", {}),
            machines=closed.printed.get("machines", {}),
            workshop=closed.printed.get("workshop", {}),
        )
    return Words(
        payer=words.of_payers([payer])[payer],
        people=words.names({charge.used_by for charge in charges}),
        why=words.reasons(month, payers=[payer]).get(payer, {}),
        machines=words.machines(),
        workshop=words.workshop(),
    )
