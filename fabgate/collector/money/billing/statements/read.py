"""Reads the statement of a payer: of an open month as it is now, of a closed one as it was when it was closed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from datetime import date

from fabgate.collector.ground.db import statements
from fabgate.collector.ground.models import Charge, ChargeTerms, ClosedMonth, IssuedStatement, ManualLine
from fabgate.collector.money.billing import terms
from fabgate.collector.money.billing.charges import behind, refresh, vat_codes
from fabgate.collector.money.billing.charges.record import Record
from fabgate.collector.money.billing.prepaid.settlement import Settled
from fabgate.collector.money.billing.statements import credit, words
from fabgate.collector.money.billing.statements.compose import Head, Line, Statement, Words, compose
from fabgate.collector.money.billing.statements.priced import Prices
from fabgate.collector.money.billing.vat import rates


def of(month: date, payer: str) -> Statement:
    """Return a payer's statement of a month, which is empty if nothing is charged.

    Raises UsageError if billing was not started.
    """
    closed = ClosedMonth.objects.filter(pk=month).first()
    top = head(month, payer, closed)
    charges = list(refresh.records(Charge.objects.filter(month=month, payer=payer)))
    settled = Settled.of(month=month, payer=payer)
    prepays = settled.modes.prepays(payer, month)
    called = _words(payer, closed, charges, month)
    statement = compose(
        top,
        called,
        charges,
        lines(month, payer, settled.lines if prepays else (), called.contested),
        vat_codes.by_terms(),
        settled.charges if prepays else (),
        prices(charges),
    )
    return replace(
        statement,
        credit=credit.of(month, payer, statement.amount_minor, statement.due_minor),
        is_prepaid=prepays,
        rates=rates.known(),
    )


def head(month: date, payer: str, closed: ClosedMonth | None) -> Head:
    """Return the head of a statement. Read it before its charges."""
    found, waiting = terms.get(), behind.now() if closed is None else None
    return Head(
        month=month,
        payer=payer,
        currency=found.currency,
        digits=found.digits,
        includes_vat=found.includes_vat,
        zone=found.zone,
        closed_at=closed.closed_at if closed else None,
        not_charged_since=waiting.since if waiting is not None else None,
    )


def lines(month: date, payer: str, due: Collection[int] = (), contested: Collection[str] = ()) -> Iterator[Line]:
    """Yield the lines of a payer: charges for something other than a session.

    `due` has the numbers of `Line.is_due`, and `contested` those of `Line.is_contested` as text.
    """
    for row in ManualLine.objects.filter(month=month, payer=payer).order_by("at", "pk"):
        yield Line(
            *(row.day, row.at, row.text, row.amount_minor, row.vat_code, row.session, row.pk),
            is_due=row.pk in due,
            is_contested=str(row.pk) in contested,
        )


def prices(charges: Iterable[Record]) -> dict[str, Prices]:
    """Return the prices in the terms of charges, by the terms' digests."""
    wanted = sorted({charge.terms for charge in charges if charge.terms})
    found = statements.rows_among(ChargeTerms.objects.all(), "digest", wanted, "snapshot")
    return {digest: Prices.of(snapshot) for digest, snapshot in found}


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
            contested=frozenset(stored.get("contested", ())),
        )
    return Words(
        payer=words.of_payers([payer])[payer],
        people=words.names({charge.used_by for charge in charges}),
        why=words.reasons(month, payers=[payer]).get(payer, {}),
        machines=words.machines(),
        workshop=words.workshop(),
        contested=words.contested(month, payers=[payer]).get(payer, frozenset()),
    )
