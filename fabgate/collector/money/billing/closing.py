"""Closes months, one after the other, and checks that closed months are as they were.

A closed month is sealed with a digest over the month before, its terms, and all its charges, lines and prepaid entries.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final

from django.db import transaction
from django.db.models import Count, Sum
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from fabgate.collector.ground.db import audit, bulk
from fabgate.collector.ground.models import (
    Change,
    Charge,
    ClosedMonth,
    Contest,
    IssuedStatement,
    Machine,
    ManualLine,
    Workshop,
)
from fabgate.collector.money.billing import month, rating, terms
from fabgate.collector.money.billing.charges import record, refresh
from fabgate.collector.money.billing.charges.refresh import Book
from fabgate.collector.money.billing.prepaid import ledger
from fabgate.collector.money.billing.statements import archive, issue
from fabgate.collector.money.billing.vat import months
from fabgate.collector.recording.entries import completeness
from fabgate.errors import UsageError

#: The digest before the first month.
FIRST: Final = "0" * 64
_VERB: Final = "month.closed"
#: How often a month that changes meanwhile is read again without keeping others waiting.
_TRIES: Final = 3


@dataclass(frozen=True, slots=True)
class Open:
    """What is open in a month, and keeps it from being closed without a reason."""

    #: Gates whose entries of the month may be missing, also because they were not seen since.
    gates: tuple[str, ...]
    #: Sessions that a person has to check.
    in_review: int
    #: VAT codes without a rate, in a workshop that has rates.
    without_rate: tuple[str, ...]
    #: Statements of the month would have no legal name or no postal address of the workshop.
    without_sender: bool
    #: Something is due by statement, and the workshop's details have neither an IBAN nor words about payment.
    without_payment: bool
    #: Sessions to which no rule applies. They keep no month open.
    without_tariff: int
    #: Charges, lines and entries of this month or an earlier one that are contested and not answered.
    contests: int

    def __bool__(self) -> bool:
        found = (
            self.gates,
            self.in_review,
            self.contests,
            self.without_rate,
            self.without_sender,
            self.without_payment,
        )
        return any(found)


def open_in(first: date, book: Book, now: datetime) -> Open:
    """Return what is open in a month. While it is not over, only entries that gates have reported can be missing."""
    end = month.bounds(first, book.terms.zone)[1]
    kinds = dict(
        Charge.objects.filter(month=first).order_by().values("kind").annotate(n=Count("pk")).values_list("kind", "n")
    )
    workshop = Workshop.objects.first() or Workshop()
    has_statements = bool(kinds) or ManualLine.objects.filter(month=first).exists()
    return Open(
        gates=tuple(completeness.incomplete_before(end)) if now >= end else completeness.now().behind,
        in_review=kinds.get(rating.IN_REVIEW, 0),
        without_rate=months.without_rate(first),
        without_sender=has_statements and not (workshop.name.strip() and workshop.address.strip()),
        without_payment=not (workshop.iban or workshop.payment_text.strip()) and months.is_any_due(first),
        without_tariff=kinds.get(rating.NO_TARIFF, 0),
        contests=Contest.waiting().filter(month__lte=first).count(),
    )


def close(
    first: date, now: datetime, *, actor: str, reason: str = "", follow: Callable[[], None] = refresh.refresh_all
) -> ClosedMonth:
    """Close a month, and issue its statements. `follow` brings charges up to date, or raises an error.

    Raises UsageError if it is not the next one, is not over, or has something open and no reason.
    """
    follow()
    _open_or_refuse(first, now, reason)
    for _try in range(_TRIES):
        ready = _prepare(first)
        with transaction.atomic():
            terms.lock_charges()
            follow()
            if ready.is_current():
                return _close(ready, now, actor, reason)
    with transaction.atomic():  # the month changes all the time: let other writers wait
        terms.lock_charges()
        follow()
        return _close(_prepare(first), now, actor, reason)


@dataclass(frozen=True, slots=True)
class _Ready:
    """A month that can be closed, as it was when it was read. No other process waits while it is read."""

    month: date
    terms: dict[str, Any]
    charges: int
    lines: int
    amount_minor: int
    #: The SHA-256 up to the prepaid entries, which are added when it is closed.
    sealed: hashlib._Hash
    printed: dict[str, Any]
    archive: dict[str, str]
    statements: list[IssuedStatement]
    #: A digest of the rows that were read.
    seen: str

    def is_current(self) -> bool:
        """Return whether its charges, lines and terms are still those that were read. Call it under the lock."""
        return self.seen == _seen(self.month)


def _prepare(first: date) -> _Ready:
    book, seen = refresh.open_book(), _seen(first)
    ready = ClosedMonth(month=first, terms=_terms(book), amount_minor=amount_minor(first))
    return _Ready(
        month=first,
        terms=ready.terms,
        charges=Charge.objects.filter(month=first).count(),
        lines=ManualLine.objects.filter(month=first).count(),
        amount_minor=ready.amount_minor,
        sealed=_sealed(ready, _digest_before(book, first)),
        printed=issue.printed(),
        archive=archive.digests(first),
        statements=issue.of_month(first),
        seen=seen,
    )


def _seen(first: date) -> str:
    """Return a digest of the month: the ids of charges cover their contents, and lines never change."""
    book = refresh.open_book()
    found = hashlib.sha256(_text([_terms(book), book.open_month.isoformat(), _digest_before(book, first)]))
    for pair in Charge.objects.filter(month=first).order_by("pk").values_list("pk", "known").iterator():
        found.update(_text(pair))
    found.update(_text(list(ManualLine.objects.filter(month=first).order_by("pk").values_list("pk", flat=True))))
    contested = Contest.waiting().filter(month=first).values_list("pk", flat=True)
    found.update(_text(list(contested)))  # statements mark what is contested
    for prepaid in ledger.lines(first):  # statements show the settlement, credits and refunds
        found.update(prepaid.encode() + b"\n")
    return found.hexdigest()


def _close(ready: _Ready, now: datetime, actor: str, reason: str) -> ClosedMonth:
    left = _open_or_refuse(ready.month, now, reason)
    ledger.use_up(ready.month, now, author=actor)
    closed = ClosedMonth(
        month=ready.month,
        closed_at=now,
        closed_by=actor,
        reason=reason.strip() if left else "",
        terms=ready.terms,
        charges=ready.charges,
        lines=ready.lines,
        amount_minor=ready.amount_minor,
        entries=ledger.count(ready.month),
        sha256=_with_entries(ready.sealed.copy(), ready.month),
        printed=ready.printed,
        archive=ready.archive,
    )
    with audit.change(actor, _VERB, closed, reason=closed.reason):
        closed.save(force_insert=True)
        bulk.insert(ready.statements)
    return closed


def _open_or_refuse(first: date, now: datetime, reason: str) -> Open:
    """Return the open matters of a month that can be closed. Raises UsageError as `close` does."""
    book = refresh.open_book()
    if first != book.open_month:
        text = _("month: found %(found)s, wanted %(wanted)s, because months are closed one after the other")
        raise UsageError(text % {"found": f"{first:%Y-%m}", "wanted": f"{book.open_month:%Y-%m}"})
    if now < month.bounds(first, book.terms.zone)[1]:
        raise UsageError(_("%(month)s is not over yet") % {"month": f"{first:%Y-%m}"})
    if (left := open_in(first, book, now)) and not reason.strip():
        raise UsageError("\n".join(_mistakes(left)))
    return left


def amount_minor(first: date) -> int:
    """Return what a month comes to: its charges and lines."""
    found = 0
    for rows in (Charge.objects.filter(month=first), ManualLine.objects.filter(month=first)):
        found += rows.aggregate(sum=Sum("amount_minor"))["sum"] or 0
    return found


def sha256_of(closed: ClosedMonth, before: str) -> str:
    """Return the SHA-256 of a closed month, in hexadecimal digits. `before` is that of the month before.

    It covers `before` and then, each with a line break, the texts of the month, of its charges in the order of their ids,
    of its lines in the order of their numbers, and of the prepaid ledger.
    """
    return _with_entries(_sealed(closed, before), closed.month)


def _sealed(closed: ClosedMonth, before: str) -> hashlib._Hash:
    """Return the digest of all but the prepaid ledger."""
    found = hashlib.sha256(before.encode())
    found.update(text_of(closed))
    for charge in refresh.records(Charge.objects.filter(month=closed.month).order_by("pk")):
        found.update(record.line_of(charge).encode() + b"\n")
    for line in ManualLine.objects.filter(month=closed.month).order_by("pk").iterator():
        found.update(text_of_line(line))
    return found


def _with_entries(sealed: hashlib._Hash, first: date) -> str:
    for prepaid in ledger.lines(first):
        sealed.update(prepaid.encode() + b"\n")
    return sealed.hexdigest()


def text_of(closed: ClosedMonth) -> bytes:
    """Return the text of a month that its SHA-256 covers, with a line break."""
    return _text([closed.month.isoformat(), closed.terms, closed.amount_minor])


def text_of_line(line: ManualLine) -> bytes:
    """Return the text of a line that the SHA-256 of its month covers, with a line break."""
    values = (line.pk, line.payer, line.text, line.amount_minor, line.vat_code, line.session, line.author)
    return _text([*values, line.at.astimezone(UTC).isoformat(timespec="microseconds"), line.day.isoformat()])


def verify() -> Iterator[tuple[str, str, list[str]]]:
    """Yield each closed month with its SHA-256, and what was altered since it was closed.

    The audit log, which is sealed with a key, has each closing too. So a month whose row was deleted is found, and one
    whose SHA-256 was computed again.
    """
    stored, before = _stored(), FIRST
    logged = _logged()
    for name in sorted({*stored, *logged}):
        values = logged.get(name, {})
        if name not in stored:
            before = str(values.get("sha256", ""))
            yield name, before, ["the month was closed, but its row is missing"]
            continue
        if (day := stored[name]) is None:
            yield name, "", ["its day cannot be read"]
            continue
        try:
            closed = ClosedMonth.objects.get(pk=day)
            sha256 = closed.sha256
            wrong = [*_altered(closed, before), *_unlike_the_log(closed, logged.get(name))]
        # What somebody wrote into a row can be anything, and must not hide the other months.
        except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, ClosedMonth.DoesNotExist) as error:
            sha256 = str(values.get("sha256", ""))
            wrong = [f"it cannot be compared ({type(error).__name__}: {error})"]
        yield name, sha256, wrong
        before = sha256


def _stored() -> dict[str, date | None]:
    """Return the first day of each closed month as it is stored, by the month; by the whole day if it is another one."""
    days = list(ClosedMonth.objects.values_list("pk", flat=True))
    return {_name(day): day for day in days}


def _name(day: date | None) -> str:
    if day is None:  # SQLite stores any text, and what is no date is read as none
        return "a month without a date"
    return f"{day:%Y-%m}" if day.day == 1 else day.isoformat()


def _logged() -> dict[str, dict[str, Any]]:
    """Return the values of each closed month in the audit log, by the month."""
    closings = Change.objects.filter(verb=_VERB).order_by("pk").values_list("key", "after")
    return {key[:7]: after for key, after in closings if isinstance(after, dict)}


def _altered(closed: ClosedMonth, before: str) -> Iterator[str]:
    for name, found in (
        ("charges", Charge.objects.filter(month=closed.month).count()),
        ("lines", ManualLine.objects.filter(month=closed.month).count()),
        ("amount_minor", amount_minor(closed.month)),
        ("entries", ledger.count(closed.month)),
    ):
        if (stored := getattr(closed, name)) != found:
            yield f"{name}: found {found}, wanted {stored} as on {closed.closed_at:%Y-%m-%d}"
    if sha256_of(closed, before) == closed.sha256:
        for payer in issue.unlike_charges(closed):
            yield f"the statement of {payer} is missing, or does not come to the sum of its charges and lines"
    else:
        yield "the SHA-256 differs: a charge, a line, a prepaid entry, the terms or the month before was altered"


def _unlike_the_log(closed: ClosedMonth, logged: Mapping[str, Any] | None) -> Iterator[str]:
    if logged is None:
        yield "the audit log has no closing of this month"
        return
    if (sha256 := logged.get("sha256")) != closed.sha256:
        yield f"the SHA-256 is not the one in the audit log, {sha256}"
    for name in ("closed_at", "closed_by", "reason", "printed", "archive"):
        found, wanted = getattr(closed, name), logged.get(name)
        if isinstance(found, datetime):
            wanted = datetime.fromisoformat(str(wanted))
        if not audit.is_same(found, wanted):
            yield f"{name} is not as in the audit log"


def _digest_before(book: Book, first: date) -> str:
    earlier = [closed for closed in book.closed.values() if closed.month < first]
    return max(earlier, key=lambda closed: closed.month).sha256 if earlier else FIRST


def _terms(book: Book) -> dict[str, Any]:
    """Return what late sessions of the month are rated with."""
    plans = {
        plan.name: {"free_minutes": plan.free_minutes, "discount_percent": f"{plan.discount_percent:f}"}
        for plan in book.terms.plans.values()
    }
    return {"plans": plans, "categories": dict(Machine.objects.order_by("name").values_list("name", "category"))}


def _mistakes(left: Open) -> Iterator[str]:
    if left.gates:
        yield _("entries of these gates may be missing: %(gates)s") % {"gates": ", ".join(left.gates)}
    if left.in_review:
        text = ngettext("%(n)d session waits for a review", "%(n)d sessions wait for a review", left.in_review)
        yield text % {"n": left.in_review}
    if left.contests:
        text = ngettext("%(n)d contest waits for an answer", "%(n)d contests wait for an answer", left.contests)
        yield text % {"n": left.contests}
    if left.without_rate:
        codes = ", ".join(code or _("prices without a code") for code in left.without_rate)
        yield _("these VAT codes have no rate: %(codes)s") % {"codes": codes}
    if left.without_sender:
        yield _("the statements have no sender: the workshop's details need a legal name and a postal address")
    if left.without_payment:
        yield _("the statements do not say how to pay: the workshop's details need an IBAN or other means of payment")
    yield _("to close the month anyway, give a reason")


def _text(values: Any) -> bytes:
    return json.dumps(values, sort_keys=True, separators=(",", ":")).encode() + b"\n"
