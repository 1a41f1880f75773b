"""What payers would be charged besides if each session in review were accepted: gates and refunds count it.

A session in review has no price in the books. If gates and refunds went by the books, a member who contests a session would get
the credit back before anybody has looked. A session that the books themselves doubt counts with the part that is certain
(recording/sessions/certain.py); so does one that its member contests while the books doubt it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import date
from typing import Final

from django.db.models import Max, Q

from fabgate.collector.ground.db import audit, statements
from fabgate.collector.ground.models import Admission, Change, Charge, LedgerLine, Review, UsageSession
from fabgate.collector.money.billing import month
from fabgate.collector.money.billing.charges import refresh
from fabgate.collector.money.billing.charges.record import Record
from fabgate.collector.money.billing.charges.refresh import Book
from fabgate.collector.money.billing.prepaid.modes import Modes
from fabgate.collector.money.billing.prepaid.settlement import due_by_statement, step_of, steps_of
from fabgate.collector.money.billing.prepaid.words import PREPAID
from fabgate.collector.money.billing.rating import Facts
from fabgate.collector.recording.sessions.certain import certain_ms

#: With more payers than this, the sessions of all are read, which is faster.
_MOST_NAMED: Final = 200


def more_of(payers: Collection[str] | None = None, *, without_admitted: bool = False) -> Mapping[str, int]:
    """Return by how much the balances of payers would fall, in minor units; those that would not are missing.

    `without_admitted` leaves out the sessions that were in review when a manager last admitted their payer.
    """
    known, waiting = Modes.now(), _waiting(payers)
    if not known or not waiting:
        return {}
    if without_admitted:
        admitted = dict(Admission.objects.order_by().values_list("payer").annotate(at=Max("at")))
        waiting = {
            pk: one for pk, one in waiting.items() if (at := admitted.get(_payer(one))) is None or at <= one.opened_at
        }
    book = refresh.open_book()
    book = replace(book, decided=book.decided._replace(accepted=_counting_ms(waiting)))
    facts = list(refresh.facts_of(book, waiting))
    stored, made = _open_months(book, facts)
    if any(book.month_of(found) < book.open_month for _payer, found in facts):
        late_stored, late_made = _late(book, waiting)
        stored, made = [*stored, *late_stored], [*made, *late_made]
    found: dict[str, int] = defaultdict(int)
    for sign, charges in ((-1, stored), (1, made)):
        due = _due(known, book, charges)
        for one in charges:
            if one.id not in due and known.settlement(one.payer, one.month) == PREPAID:
                found[one.payer] += sign * one.amount_minor
    return {payer: amount for payer, amount in found.items() if amount > 0 and (payers is None or payer in payers)}


def _waiting(payers: Collection[str] | None) -> dict[str, Review]:
    """Return the open reviews of sessions that have ended, by the session: few, in an index of their own."""
    rows = Review.objects.filter(settled_at=None, session__reason__isnull=False).select_related("session")
    if payers is not None and len(payers) <= _MOST_NAMED:
        rows = rows.filter(_paid_by(payers, "session__"))
    return {one.session_id: one for one in rows.order_by("session_id")}


def _payer(one: Review) -> str:
    return month.payer_of(one.session)


def _paid_by(payers: Collection[str], prefix: str = "") -> Q:
    own = Q(**{f"{prefix}payer": "", f"{prefix}used_by__in": payers})
    return Q(**{f"{prefix}payer__in": payers}) | own


def _counting_ms(waiting: Mapping[str, Review]) -> dict[str, int]:
    """Return how many milliseconds of each session count."""
    doubted = {pk: one for pk, one in waiting.items() if one.session.doubt is not None}
    contested = [one for one in doubted.values() if one.why == Review.CONTESTED]
    settled = _contested_after_a_decision(contested)
    return {
        pk: certain_ms(one.session) if pk in doubted and pk not in settled else one.session.counted_ms
        for pk, one in waiting.items()
    }


def _contested_after_a_decision(contested: Collection[Review]) -> set[str]:
    """Return the sessions whose doubt a person had settled before their member contested them: they count in full.

    A contest takes the place of the review before it, which only the audit log has.
    """
    keys = {audit.key_of(one): one.session_id for one in contested}
    log = Change.objects.filter(kind="review", verb="review.contested").order_by("pk")
    before = dict(statements.rows_among(log, "key", sorted(keys), "before"))
    return {session for key, session in keys.items() if _was_decided(before.get(key))}


def _was_decided(before: object) -> bool:
    """Return whether a review was settled before it was contested, given its values that the contest changed."""
    return not isinstance(before, dict) or before.get("why") is None or before.get("settled_at") is not None


def _open_months(book: Book, facts: Iterable[tuple[str, Facts]]) -> tuple[list[Record], list[Record]]:
    """Return the charges of the concerned payers in the months in which sessions in review ended: stored, and if accepted."""
    stored: list[Record] = []
    made: list[Record] = []
    concerned: dict[date, set[str]] = defaultdict(set)
    for payer, found in facts:
        if (first := book.month_of(found)) >= book.open_month:
            concerned[first].add(payer)
    for first, payers in sorted(concerned.items()):
        ended = UsageSession.ended_between(*month.bounds(first, book.terms.zone))
        by_payer: dict[str, list[Facts]] = defaultdict(list)
        for some in statements.chunks(sorted(payers)):
            for payer, found in month.facts_of(ended.filter(_paid_by(some)), book.terms.zone, book.decided):
                by_payer[payer].append(found)
            rows = Charge.objects.filter(month=first, payer__in=some, known=0, reverses="")
            stored += refresh.records(rows)
        made += (one for payer in sorted(payers) for one in refresh.ordinary(book, first, payer, by_payer[payer]))
    return stored, made


def _late(book: Book, waiting: Collection[str]) -> tuple[list[Record], list[Record]]:
    """Return the charges of the open month for sessions of closed ones: stored, and if those in review were accepted."""
    stored = list(refresh.records(refresh.provisional(book).exclude(known=0, reverses="")))
    newest = LedgerLine.objects.aggregate(last=Max("pk"))["last"] or 0
    positions = dict.fromkeys(waiting, newest + 1) | {one.session: one.known for one in stored if one.known}
    return stored, refresh.late(book, {*waiting, *(one.session for one in stored)}, positions)


def _due(known: Modes, book: Book, charges: Collection[Record]) -> Collection[str]:
    """Return the ids of those charges that are due by statement."""
    sessions = sorted({one.session for one in charges if one.reverses})
    closed = [step for step in steps_of(sessions) if step.month < book.open_month]
    among = set(sessions)
    return due_by_statement(known, [*closed, *(step_of(one) for one in charges if one.session in among)])
