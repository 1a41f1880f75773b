"""Brings charges up to date with the ledger, the rules and the plans.

In an open month the charges of a payer are rated together, and replaced. A final charge never changes: if the facts of
its session do, the open month gets its reversal and a new charge. What a session of a closed month costs depends on the
free time and the caps that the final charges of that month have left.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

from django.db import transaction
from django.db.models import Max, QuerySet

from fabgate.collector.ground.db import bulk, statements
from fabgate.collector.ground.models import (
    BillingProgress,
    BillingTerms,
    Charge,
    ChargeTerms,
    ClosedMonth,
    LedgerLine,
    Machine,
    Pulse,
    TariffRule,
    UsageSession,
)
from fabgate.collector.money.billing import member_plans, month, rating, terms
from fabgate.collector.money.billing.charges import record
from fabgate.collector.money.billing.charges.record import Record
from fabgate.collector.money.billing.rating import Facts, Plan, Rated, Terms, Used
from fabgate.collector.money.billing.tariffs import rules

#: At most this many lines of the ledger are followed in one transaction.
AT_ONCE: Final = 2_000


@dataclass(frozen=True, slots=True)
class Book:
    """What charges depend on: the terms of today, and the months that are closed."""

    terms: Terms
    first_month: date
    #: By their first days.
    closed: Mapping[date, ClosedMonth]
    decided: month.Decided
    #: The rules of `terms`.
    lookup: rules.Lookup
    #: The rules and plans that were used, by their digests (record.snapshot).
    snapshots: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    #: The digests of the rules and plans of `terms`: to hash a rule takes longer than to rate by it.
    _digests: dict[tuple[int, str], str] = field(default_factory=dict)

    @property
    def open_month(self) -> date:
        """Return the first day of the month in which late sessions and reversals are charged: the first open one."""
        return terms.next_month(max(self.closed)) if self.closed else self.first_month

    def charged_in(self, day: date) -> date:
        """Return the first day of the month in which a line of a day is charged: of its own, or of the first open one."""
        return max(day.replace(day=1), self.open_month)

    def month_of(self, facts: Facts) -> date:
        """Return the first day of the month in which a session ended."""
        return facts.end.astimezone(self.terms.zone).date().replace(day=1)

    def snapshot(self, rated: Rated, now: Terms) -> str:
        """Return the digest of the rule and the plan by which a session was rated, or "" for one without a price."""
        if rated.price is None or rated.rule is None:
            return ""
        key = rated.rule.id, rated.facts.plan
        if now is self.terms and key in self._digests:
            return self._digests[key]
        plan = now.plans[rated.facts.plan] if rated.facts.plan else rating.NO_PLAN
        digest, values = record.snapshot(rated.rule, plan)
        self.snapshots[digest] = values
        if now is self.terms:
            self._digests[key] = digest
        return digest


def refresh() -> bool:
    """Follow the ledger, or rate all open months again if rules or plans have changed. Return whether more waits.

    Every change is followed by a pulse, so without a new one there is nothing to do.
    """
    pulse = Pulse.newest()
    if BillingProgress.objects.filter(pulse=pulse).exists() or not BillingTerms.objects.exists():
        return False
    with transaction.atomic():
        progress = terms.lock_charges()
        book, newest = open_book(), LedgerLine.objects.aggregate(last=Max("pk"))["last"] or 0
        digest = terms_digest(book)
        if digest != progress.terms:
            _rate_all(book)
            progress.terms = digest
            if not book.closed:  # or else the ledger names the sessions of closed months
                progress.position = newest
            return _is_behind(progress, newest, pulse)
        lines = LedgerLine.objects.filter(pk__gt=progress.position, pk__lte=newest).order_by("pk")[:AT_ONCE]
        known: dict[str, int] = {}
        for position, session in lines.values_list("pk", "session_id"):
            known.setdefault(session, position)
            progress.position = position
        if known:
            charge(book, known)
        return _is_behind(progress, newest, pulse)


def _is_behind(progress: BillingProgress, newest: int, pulse: int) -> bool:
    """Save how far charges are; return whether lines of the ledger up to `newest` are left."""
    is_behind = progress.position < newest
    if not is_behind:
        progress.pulse = pulse
    progress.save()
    return is_behind


def refresh_all(step: Callable[[], None] = lambda: None) -> None:
    """Follow the ledger to its end. `step` is called between two transactions."""
    while refresh():
        step()


def forget(rule: TariffRule) -> None:
    """Let charges no longer name a rule that is removed; the next refresh rates their sessions by another one.

    Until then they keep their amounts, so that nobody has credit meanwhile that they do not have.
    """
    Charge.objects.filter(rule=rule).update(rule=None)
    BillingProgress.objects.update(terms="")


def open_book() -> Book:
    """Return what charges depend on, as it is now. Raises UsageError if billing has not been started."""
    found = terms.get()
    now = terms.for_rating(found)
    closed = {row.month: row for row in ClosedMonth.objects.all()}
    return Book(now, found.first_month, closed, month.Decided.now(), rules.Lookup(now.rules))


def terms_digest(book: Book) -> str:
    """Return a digest of all that changes what open months cost, but for the sessions."""
    return digest_of(book.terms, book.decided.histories)


def digest_of(now: Terms, histories: Mapping[str, member_plans.History]) -> str:
    """Return the same, without a whole book."""
    priced = [record.snapshot(rule, rating.NO_PLAN)[0] for rule in now.rules]
    plans = [record.snapshot(None, plan)[0] for plan in now.plans.values()]
    machines = list(Machine.objects.order_by("pk").values_list("pk", "name", "category"))
    text = json.dumps([priced, plans, sorted(histories.items()), machines], default=str)
    return hashlib.sha256(text.encode()).hexdigest()


# --- which charges ----------------------------------------------------------------------------------------------------


def _rate_all(book: Book) -> None:
    """Rate every open month again, in order, and the late charges in the first of them."""
    for first in open_months(book):
        by_payer: dict[str, list[Facts]] = defaultdict(list)
        ended = UsageSession.ended_between(*month.bounds(first, book.terms.zone))
        for payer, facts in month.facts_of(ended, book.terms.zone, book.decided):
            by_payer[payer].append(facts)
        made = [charge for payer, sessions in by_payer.items() for charge in ordinary(book, first, payer, sessions)]
        _replace(book, Charge.objects.filter(month=first, known=0, reverses=""), made)
    _charge_late(book, {})


def open_months(book: Book) -> Iterator[date]:
    """Yield the first day of each open month, up to the last one in which a session ended or is charged."""
    last = [
        UsageSession.objects.filter(reason__isnull=False).aggregate(last=Max("ended_at"))["last"],
        Charge.objects.aggregate(last=Max("month"))["last"],
    ]
    days = [found.astimezone(book.terms.zone).date() if isinstance(found, datetime) else found for found in last]
    first = book.open_month
    while any(day is not None and first <= day for day in days):
        yield first
        first = terms.next_month(first)


def charge(book: Book, known: Mapping[str, int], also: Collection[tuple[str, date]] = ()) -> None:
    """Charge the sessions of `known` again: each with the position in the ledger with which it became known.

    They are rated with all that their payers have in the same month; so are the payers and open months of `also`. Call it
    after `terms.lock_charges`.
    """
    stored = provisional(book).filter(known=0, reverses="")
    facts = {facts.session: (payer, facts) for payer, facts in facts_of(book, known)}
    months = {pair[1:] for pair in statements.rows_among(stored, "session", sorted(known), "payer", "month")}
    months |= {(payer, book.month_of(facts)) for payer, facts in facts.values()}
    for payer, first in sorted({*months, *also}):
        if first >= book.open_month:
            _rate_payer(book, payer, first, facts)
    _charge_late(book, known)


def _rate_payer(book: Book, payer: str, first: date, changed: Mapping[str, tuple[str, Facts]]) -> None:
    """Rate what one payer pays for in one open month: the sessions that are charged there already, and changed ones."""
    stored = Charge.objects.filter(month=first, payer=payer, known=0, reverses="")
    others = set(stored.values_list("session", flat=True)) - changed.keys()
    sessions = {facts.session: (whose, facts) for whose, facts in facts_of(book, others)} | dict(changed)
    own = [facts for whose, facts in sessions.values() if whose == payer and book.month_of(facts) == first]
    _replace(book, stored, ordinary(book, first, payer, own))


def ordinary(book: Book, first: date, payer: str, sessions: Iterable[Facts]) -> Iterator[Record]:
    """Yield the charges of a payer's sessions in the month in which they ended."""
    for rated in rating.rate(sessions, book.terms, lookup=book.lookup):
        yield record.charge(payer, rated, month=first, of_month=first, terms=book.snapshot(rated, book.terms))


def _charge_late(book: Book, known: Mapping[str, int]) -> None:
    """Charge in the open month what has changed in closed ones: reversals, and sessions that became known late."""
    if not book.closed:
        return
    rows = provisional(book).exclude(known=0, reverses="")
    stored = list(records(rows))
    positions = dict(known) | {row.session: row.known for row in stored if row.known}
    touched = {*positions, *(row.session for row in stored)}
    if not touched:
        return
    _replace(book, rows, late(book, touched, positions))


def late(book: Book, touched: Collection[str], positions: Mapping[str, int]) -> list[Record]:
    """Return the charges of the open month for sessions of closed months: reversals, and late sessions.

    `touched` are all sessions that may have changed; `positions` says with which line of the ledger each became known.
    """
    finals = finals_of(book, touched)
    facts = {facts.session: (payer, facts) for payer, facts in facts_of(book, touched)}
    reversed_now = {
        session: final
        for session, final in finals.items()
        if session not in facts or record.digest_of(*facts[session]) != final.facts
    }
    becoming: dict[tuple[date, str], list[Facts]] = defaultdict(list)
    for session in sorted(touched, key=lambda name: (positions.get(name, 0), name)):
        if session in facts and (session not in finals or session in reversed_now):
            payer, found = facts[session]
            if book.first_month <= (ended := book.month_of(found)) < book.open_month:
                becoming[ended, payer].append(found)
    made = [record.reversal(final, book.open_month) for final in reversed_now.values()]
    for (ended, payer), sessions in becoming.items():
        frozen = _frozen(book, ended)
        used = _used(book, ended, payer, {final.id for final in reversed_now.values()})
        for rated in rating.rate((), frozen, late=[_in_category(facts, book, ended) for facts in sessions], used=used):
            final = finals.get(rated.facts.session)
            made.append(
                record.charge(
                    payer,
                    rated,
                    month=book.open_month,
                    of_month=ended,
                    terms=book.snapshot(rated, frozen),
                    follows=final.id if final else "",
                    known=positions.get(rated.facts.session) or 1,
                )
            )
    return made


def finals_of(book: Book, sessions: Collection[str]) -> dict[str, Record]:
    """Return the final charge of each session that has one which is not reversed in a closed month."""
    closed = Charge.objects.filter(month__lt=book.open_month)
    rows = [
        charge
        for some in statements.chunks(sorted(sessions))
        for charge in records(closed.filter(session__in=some).order_by("pk"))
    ]
    gone = {row.reverses for row in rows if row.reverses}
    return {row.session: row for row in rows if not row.reverses and row.id not in gone}


def _used(book: Book, ended: date, payer: str, reversed_now: Collection[str]) -> Used:
    """Return what the final charges of a payer have used of a closed month; those that are reversed have used nothing."""
    free_ms: dict[str, int] = defaultdict(int)
    cap_minor: dict[tuple[str, str, date], int] = defaultdict(int)
    for row in records(Charge.objects.filter(of_month=ended, payer=payer, month__lt=book.open_month)):
        sign = 0 if row.id in reversed_now else 1
        day = row.ended_at.astimezone(book.terms.zone).date()
        free_ms[row.used_by] += sign * row.free_ms
        cap_minor[row.used_by, row.machine, day] += sign * row.cap_minor
    return Used(free_ms, cap_minor)


def _frozen(book: Book, ended: date) -> Terms:
    """Return the terms of a closed month: its plans as they were. Rules never change, and none begins in a closed month."""
    plans = {
        name: Plan(name, values["free_minutes"], Decimal(values["discount_percent"]))
        for name, values in book.closed[ended].terms["plans"].items()
    }
    return book.terms._replace(plans=plans)


def _in_category(facts: Facts, book: Book, ended: date) -> Facts:
    """Return the facts with the category that the machine had when the month was closed."""
    categories = book.closed[ended].terms["categories"]
    return facts._replace(machine_category=categories.get(facts.machine, facts.machine_category))


# --- reading and storing ----------------------------------------------------------------------------------------------

#: The columns of Charge in the order of Record.
_COLUMNS: Final = tuple("terms__digest" if name == "terms" else name for name in Record._fields)
_STORED: Final = tuple("terms_id" if name == "terms" else name for name in Record._fields)
_TERMS: Final = Record._fields.index("terms")


def provisional(book: Book) -> QuerySet[Charge]:
    """Return the charges of all open months."""
    return Charge.objects.filter(month__gte=book.open_month)


def start_of(first: date, zone: ZoneInfo) -> datetime:
    """Return the first moment of a month, in UTC."""
    return month.bounds(first, zone)[0].astimezone(UTC)


def facts_of(book: Book, sessions: Iterable[str]) -> Iterator[tuple[str, Facts]]:
    """Yield (payer, facts) of those of `sessions` that have ended since billing was started."""
    first = start_of(book.first_month, book.terms.zone)
    rows = UsageSession.objects.filter(reason__isnull=False, ended_at__gte=first)
    for some in statements.chunks(sorted(sessions)):
        yield from month.facts_of(rows.filter(pk__in=some).order_by("ended_at", "id"), book.terms.zone, book.decided)


def records(rows: QuerySet[Charge]) -> Iterator[Record]:
    """Yield stored charges."""
    for values in rows.values_list(*_COLUMNS).iterator():
        yield Record(*values)._replace(terms=values[_TERMS] or "")


def _replace(book: Book, rows: QuerySet[Charge], made: Iterable[Record]) -> None:
    """Store charges in the place of `rows`; those that are the same stay."""
    stored, wanted = set(rows.values_list("pk", flat=True)), {charge.id: charge for charge in made}
    for some in statements.chunks(sorted(stored - wanted.keys())):
        Charge.objects.filter(pk__in=some).delete()
    fresh = [charge for charge in wanted.values() if charge.id not in stored]
    terms_ids = _terms_ids(book, {charge.terms for charge in fresh if charge.terms})
    bulk.insert_values(Charge, _STORED, (_values(charge, terms_ids.get(charge.terms)) for charge in fresh))


def _values(charge: Record, terms_id: int | None) -> list[Any]:
    values: list[Any] = list(charge)
    values[_TERMS] = terms_id
    return values


def _terms_ids(book: Book, digests: Collection[str]) -> dict[str, int]:
    """Return the ids of rules and plans by their digests; new ones are stored."""
    stored = dict(ChargeTerms.objects.filter(digest__in=digests).values_list("digest", "pk"))
    for digest in sorted(set(digests) - stored.keys()):
        stored[digest] = ChargeTerms.objects.create(digest=digest, snapshot=book.snapshots[digest]).pk
    return stored
