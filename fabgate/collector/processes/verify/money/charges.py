"""Rates all open months from scratch, and compares each charge with the stored one.

Payers are rated in batches, so that memory does not grow with the number of sessions. What charges do not follow yet is left
out: the worker makes it again within seconds.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from typing import Final

from django.db.models import Count, Exists, Max, OuterRef, Q, QuerySet

from fabgate.collector.ground.db import statements
from fabgate.collector.ground.models import BillingProgress, Change, Charge, LedgerLine, UsageSession
from fabgate.collector.money.billing import month, terms
from fabgate.collector.money.billing.charges import record, refresh
from fabgate.collector.money.billing.charges.record import Record
from fabgate.collector.money.billing.charges.refresh import Book
from fabgate.collector.money.billing.rating import Facts
from fabgate.collector.processes.verify import guard
from fabgate.collector.processes.verify.findings import LATER, Advance, Report
from fabgate.collector.processes.verify.snapshot import PAGE

#: At most this many sessions are rated together, unless one payer has more; and at most this many payers.
_SESSIONS, _PAYERS = 10_000, 2_000
#: How many lines of the ledger charges may be behind and still be compared.
_MOST_WAITING: Final = 20_000
#: What people decide about a session can change a charge without a line in the ledger.
_DECIDED: Final = ("session.waived", "waiver.withdrawn")
_TABLE: Final = "charge"
_NOTHING: Final = "no session gives it"


def check(report: Report, advance: Advance) -> None:
    """Compare the charges of open months. A note reports charges that are not up to date yet."""
    if terms.started() is None:
        for pk in Charge.objects.order_by("pk").values_list("pk", flat=True).iterator(PAGE):
            report.added(_TABLE, pk, "billing has not been started")
        return
    book, progress = refresh.open_book(), BillingProgress.objects.first()
    newest = LedgerLine.objects.aggregate(last=Max("pk"))["last"] or 0
    position = 0 if progress is None else progress.position
    is_behind = progress is None or progress.terms != refresh.terms_digest(book)
    if is_behind or newest > position:
        report.notes.append({"note": LATER, "head": "", "at": ""})
    if is_behind or LedgerLine.objects.filter(pk__gt=position).count() > _MOST_WAITING:
        return
    check_ = _Check(report, book, newest, _Waiting.after(position, book))
    for first in refresh.open_months(book):
        guard.carry_out(report, _TABLE, partial(check_.month, first, advance), row=f"{first:%Y-%m}")
    guard.carry_out(report, _TABLE, partial(check_.late, advance), row="of sessions of closed months")
    guard.carry_out(report, _TABLE, check_.extra)


@dataclass(frozen=True, slots=True)
class _Waiting:
    """What charges do not follow yet: sessions, and the payers and months whose charges they may change."""

    sessions: frozenset[str] = frozenset()
    payers: frozenset[tuple[str, date]] = frozenset()
    #: Whether one of them is of a closed month.
    is_late: bool = False

    @classmethod
    def after(cls, position: int, book: Book) -> _Waiting:
        """Return what waits after a position of the ledger."""
        lines = LedgerLine.objects.filter(pk__gt=position).order_by()
        sessions = sorted(set(lines.values_list("session_id", flat=True)))
        if not sessions:
            return cls()
        stored = statements.rows_among(refresh.provisional(book), "session", sessions, "payer", "month", "of_month")
        payers = {(payer, first) for _session, payer, first, of_month in stored if of_month == first}
        now = {(payer, book.month_of(facts)) for payer, facts in refresh.facts_of(book, sessions)}
        is_late = any(first < book.open_month for _payer, first in now)
        is_late |= bool(refresh.finals_of(book, sessions))
        is_late |= bool([*statements.rows_among(_late(book).order_by(), "session", sessions, "pk")])
        return cls(frozenset(sessions), frozenset(payers | now), is_late)


@dataclass(slots=True)
class _Check:
    """Compares month by month, and remembers which charges it has named."""

    _report: Report
    _book: Book
    _newest: int
    _waiting: _Waiting
    #: The ids of stored charges with findings.
    _named: set[str] = field(default_factory=set)
    #: Sessions with more than one charge, which is one too many.
    _twice: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        rows = refresh.provisional(self._book).filter(known=0, reverses="").order_by().values("session")
        self._twice.update(row["session"] for row in rows.annotate(n=Count("pk")).filter(n__gt=1))

    def month(self, first: date, advance: Advance) -> None:
        """Compare the charges of the sessions that ended in an open month."""
        book = self._book
        ended = UsageSession.ended_between(*month.bounds(first, book.terms.zone))
        for payers in _batches(ended):
            own = ended.filter(Q(payer__in=payers) | Q(payer="", used_by__in=payers))
            by_payer: dict[str, list[Facts]] = {}
            for payer, facts in month.facts_of(own, book.terms.zone, book.decided):
                by_payer.setdefault(payer, []).append(facts)
            compared = [
                charge
                for payer, sessions in sorted(by_payer.items())
                if (payer, first) not in self._waiting.payers
                for charge in refresh.ordinary(book, first, payer, sessions)
            ]
            for some in statements.pages(compared, PAGE):
                self._compare(some)
            advance(sum(map(len, by_payer.values())))

    def late(self, advance: Advance) -> None:
        """Compare the charges of the open month for sessions of closed months."""
        stored = list(refresh.records(_late(self._book)))
        touched = {one.session for one in stored} | set(self._changed_in_closed_months(advance))
        if self._waiting.is_late:
            return
        wanted = refresh.late(self._book, touched, self._positions(touched, stored))
        for some in statements.pages(wanted, PAGE):
            self._compare(some)
        ids = {one.id for one in wanted}
        for one in stored:
            if one.id not in ids:
                self._add(one.id)

    def extra(self) -> None:
        """Report charges of open months for sessions that did not end in one."""
        ended = UsageSession.objects.filter(
            pk=OuterRef("session"),
            reason__isnull=False,
            ended_at__gte=refresh.start_of(self._book.open_month, self._book.terms.zone),
        )
        rows = refresh.provisional(self._book).filter(known=0, reverses="", of_month__gte=self._book.open_month)
        extra = rows.filter(~Exists(ended)).order_by("pk").values_list("pk", "session")
        for pk, session in extra.iterator(PAGE):
            if session not in self._waiting.sessions:
                self._add(pk)

    def _changed_in_closed_months(self, advance: Advance) -> Iterator[str]:
        """Yield the sessions of closed months whose final charge is missing, or is one of other facts."""
        book = self._book
        if not book.closed:
            return
        start, end = (refresh.start_of(first, book.terms.zone) for first in (book.first_month, book.open_month))
        ended = UsageSession.ended_between(start, end)
        for some in statements.pages(month.facts_of(ended, book.terms.zone, book.decided), PAGE):
            finals = refresh.finals_of(book, [facts.session for _payer, facts in some])
            for payer, facts in some:
                final = finals.get(facts.session)
                if final is None or final.facts != record.digest_of(payer, facts):
                    yield facts.session
            advance(len(some))
        still = UsageSession.objects.filter(
            pk=OuterRef("session"), reason__isnull=False, ended_at__gte=start, ended_at__lt=end
        )
        finals_of_others = Charge.objects.filter(~Exists(still), month__lt=book.open_month, reverses="")
        yield from finals_of_others.order_by().values_list("session", flat=True).iterator(PAGE)

    def _compare(self, wanted: Sequence[Record]) -> None:
        """Compare charges with the stored ones of the same ids, or else of the same sessions."""
        self._report.compared[_TABLE] += len(wanted)
        stored = {
            one.id: one
            for some in statements.chunks([one.id for one in wanted])
            for one in refresh.records(Charge.objects.filter(pk__in=some))
        }
        lacking = [one for one in wanted if one.id not in stored]
        others = self._of_sessions({one.session for one in lacking} | (self._twice & {one.session for one in wanted}))
        ids = {one.id for one in wanted}
        for one in wanted:
            if (found := stored.get(one.id)) is None:
                near = [
                    o for o in others.get(one.session, ()) if o.id not in ids and bool(o.reverses) == bool(one.reverses)
                ]
                found = next((o for o in near if o.id not in self._named), None)
            if found is None:
                self._report.missing(_TABLE, one.id, f"session {one.session}, {one.payer}: {one.amount_minor}")
                continue
            for name in Record._fields:
                if getattr(found, name) != getattr(one, name):
                    column = "terms_id" if name == "terms" else name
                    self._report.changed(_TABLE, found.id, column, getattr(found, name), getattr(one, name))
                    self._named.add(found.id)
        for session in self._twice & {one.session for one in wanted}:
            for one in others.get(session, ()):
                if one.id not in ids and not one.reverses and not one.known:
                    self._add(one.id)

    def _of_sessions(self, sessions: Collection[str]) -> Mapping[str, list[Record]]:
        found: dict[str, list[Record]] = {}
        for some in statements.chunks(sorted(sessions)):
            for one in refresh.records(refresh.provisional(self._book).filter(session__in=some).order_by("pk")):
                found.setdefault(one.session, []).append(one)
        return found

    def _positions(self, touched: Collection[str], stored: Sequence[Record]) -> dict[str, int]:
        """Return with which line of the ledger each session became known.

        That is one of its lines, or the last line of all when a person decided about it. Where the stored position is
        neither, it is the session's first line since the last closing.
        """
        known = {one.session: one.known for one in stored if one.known}
        lines = dict(statements.rows_among(LedgerLine.objects.all(), "pk", sorted(set(known.values())), "session_id"))
        decided = _decided()
        right = {
            session: position
            for session, position in known.items()
            if lines.get(position) == session or (session in decided and 0 < position <= self._newest)
        }
        if left := sorted(set(touched) - right.keys()):
            closed_at = max(closed.closed_at for closed in self._book.closed.values()) if self._book.closed else None
            own = LedgerLine.objects.order_by("-pk")
            found: dict[str, int] = {}
            for session, pk, at in statements.rows_among(own, "session", left, "pk", "at"):
                if session not in found or (closed_at is not None and at >= closed_at):
                    found[session] = pk
            right |= found
        return right

    def _add(self, pk: str) -> None:
        if pk not in self._named:
            self._report.added(_TABLE, pk, _NOTHING)
            self._named.add(pk)


def _decided() -> set[str]:
    """Return the sessions about whose money a person ever decided."""
    changes = Change.objects.filter(verb__in=_DECIDED).values_list("before", "after")
    return {str({**before, **after}.get("session")) for before, after in changes.iterator(PAGE)}


def _late(book: Book) -> QuerySet[Charge]:
    """Return the reversals of the open months, and the charges of sessions of closed ones."""
    is_late = Q(of_month__lt=book.open_month) | ~Q(reverses="") | ~Q(known=0)
    return refresh.provisional(book).filter(is_late).order_by("pk")


def _batches(ended: QuerySet[UsageSession]) -> Iterator[list[str]]:
    """Yield payers, some at a time: those of so many sessions that they fit in memory."""
    counts: dict[str, int] = {}
    rows = ended.order_by().values_list("payer", "used_by").annotate(n=Count("pk"))
    for payer, user, count in rows:
        counts[payer or user] = counts.get(payer or user, 0) + count
    batch: list[str] = []
    size = 0
    for payer, count in sorted(counts.items()):
        if batch and (size + count > _SESSIONS or len(batch) >= _PAYERS):
            yield batch
            batch, size = [], 0
        batch.append(payer)
        size += count
    if batch:
        yield batch
