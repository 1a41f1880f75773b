"""Charges at once what a person has just changed, or what one payer is charged, without following the whole ledger.

The worker comes to the same charges later: they depend on the stored sessions alone.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator
from datetime import date

from django.db import DatabaseError, InterfaceError, transaction
from django.db.models import Exists, Max, OuterRef, Q

from fabgate.collector.ground.db import statements
from fabgate.collector.ground.models import BillingProgress, BillingTerms, Charge, LedgerLine, UsageSession
from fabgate.collector.money.billing import terms
from fabgate.collector.money.billing.charges import refresh

log = logging.getLogger(__name__)


def sessions(names: Collection[str]) -> None:
    """Charge sessions about which a person has decided, with all that their payers are behind.

    Call it in the transaction of that decision, after `terms.lock_charges`.
    """
    found = statements.rows_among(UsageSession.objects.all(), "pk", sorted(names), "payer", "used_by")
    _charge({payer or user for _pk, payer, user in found}, names)


def payer(name: str) -> None:
    """Charge all that a payer is behind, before a decision that depends on the balance. Call it after `terms.lock_charges`."""
    _charge({name}, ())


def after(names: Collection[str]) -> None:
    """Charge sessions that a person has changed in a transaction that is over, so that the next page shows what they cost.

    While another process charges, or the database is busy, it leaves them to the worker: nothing waits for it.
    """
    if names:
        _after(lambda: sessions(names))


def after_plan(member: str) -> None:
    """Charge the sessions of a member in open months, whose plan a person has changed, as `after` does."""

    def act() -> None:
        book = refresh.open_book()
        start = refresh.start_of(book.open_month, book.terms.zone)
        ended = UsageSession.objects.filter(used_by=member, reason__isnull=False, ended_at__gte=start)
        payers = dict(ended.values_list("pk", "payer"))
        _charge({payer or member for payer in payers.values()}, payers)

    _after(act)


def _after(act: Callable[[], None]) -> None:
    if not BillingTerms.objects.exists():
        return
    try:
        with transaction.atomic():
            if terms.lock_charges_if_free():
                act()
    except (DatabaseError, InterfaceError) as error:
        log.warning("what was changed is charged later: %s", error)


def _charge(payers: Collection[str], names: Collection[str]) -> None:
    if not BillingTerms.objects.exists():
        return
    book, newest = refresh.open_book(), LedgerLine.objects.aggregate(last=Max("pk"))["last"] or 0
    progress = BillingProgress.objects.get()
    known: dict[str, int] = {}
    for session, position in _waiting(progress.position, payers):
        known.setdefault(session, position)
    known = dict.fromkeys(names, newest) | known
    also: list[tuple[str, date]] = []
    if progress.terms != refresh.terms_digest(book):
        rows = refresh.provisional(book).filter(known=0, reverses="").order_by()
        also = list(statements.rows_among(rows.distinct(), "payer", sorted(payers), "month"))
    if known or also:
        refresh.charge(book, known, also)


def _waiting(position: int, payers: Collection[str]) -> Iterator[tuple[str, int]]:
    """Yield (session, position) of the lines after a position: of the sessions that payers pay, or did; of each in order."""
    lines = LedgerLine.objects.filter(pk__gt=position).order_by("pk")
    for some in statements.chunks(sorted(payers)):
        charged = Charge.objects.filter(session=OuterRef("session_id"), payer__in=some)
        theirs = Q(session__payer__in=some) | Q(session__payer="", session__used_by__in=some) | Exists(charged)
        yield from lines.filter(theirs).values_list("session_id", "pk")
