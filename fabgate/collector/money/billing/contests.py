"""Contests of money: a member finds a final charge, a line or a prepaid entry wrong, and gets an answer in writing.

Nothing changes before the answer. It can take the amount back: a session is waived, a line is removed or reversed, a
credit is reversed. In a closed month, that is an entry in the open one. A session whose charge is not final goes to
review instead, as recording/sessions/corrections.py does it (decision 99).
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, date, datetime
from typing import Final, NamedTuple

from django.conf import settings
from django.db import transaction
from django.utils import translation
from django.utils.translation import gettext as _

from fabgate.collector.ground.db import audit, statements
from fabgate.collector.ground.models import (
    Change,
    Charge,
    Contest,
    ManualLine,
    Member,
    PrepaidEntry,
    UsageSession,
    Waiver,
)
from fabgate.collector.money.billing import terms
from fabgate.collector.money.billing.charges import at_once, decisions, history
from fabgate.collector.money.billing.paying import payers
from fabgate.collector.money.billing.prepaid import ledger
from fabgate.errors import UsageError

MAX_WORDS: Final = 200


class AnsweredError(UsageError):
    """Somebody has answered the contest already."""


class Subject(NamedTuple):
    """What can be contested: it is charged to `payer` in `month`."""

    kind: str
    key: str
    payer: str
    month: date
    text: str
    amount_minor: int


class Answered(NamedTuple):
    """A contest with its answer, and the row of the audit log with the rosters that changed, if any did."""

    contest: Contest
    change: Change | None


def final_charge(session: str) -> Charge | None:
    """Return the charge that applies to a session if it is final; None if the session goes to review instead."""
    first_open = terms.first_open_day()
    applied = None if first_open is None else history.stored([session])[session].applied
    return applied if applied is not None and first_open is not None and applied.month < first_open else None


def subject(kind: str, key: str) -> Subject | None:
    """Return what can be contested, or None: a charge that is not final, and the sum of a month, cannot."""
    if kind == Contest.SESSION:
        charge = final_charge(key)
        return Subject(kind, key, charge.payer, charge.month, "", charge.amount_minor) if charge else None
    number = int(key) if key.isascii() and key.isdigit() and len(key) < 19 else 0
    if kind == Contest.LINE:
        line = ManualLine.objects.filter(pk=number).first()
        return Subject(kind, key, line.payer, line.month, line.text, line.amount_minor) if line else None
    entry = PrepaidEntry.objects.filter(pk=number).exclude(kind=PrepaidEntry.USED).first()
    return Subject(kind, key, entry.payer, entry.day.replace(day=1), "", entry.amount_minor) if entry else None


def goes_to_review(session: UsageSession) -> bool:
    """Return whether a contest of a session sends it to review: its charge is not final, or it is in review already.

    Call it in the transaction that stores the contest: until that ends, no month is closed.
    """
    if terms.started() is None:
        return True
    terms.lock_charges()
    at_once.sessions([session.pk])
    return session.review is not None or final_charge(session.pk) is None


def contest(kind: str, key: str, words: str, member: Member, *, author: str) -> Contest:
    """Mark a final charge, a line or an entry as contested, in the words of a member.

    Raises UsageError if there is no such thing, or if it is contested already. Whether it is the member's own is the
    caller's to check.
    """
    mistakes: list[str] = []
    words = decisions.one_line(words, "words", mistakes)
    with transaction.atomic():
        terms.lock_charges()
        if kind == Contest.SESSION:
            at_once.sessions([key])
        found = subject(kind, key)
        if found is None:
            mistakes.append(_("found nothing to contest with the number '%(found)s'") % {"found": key[:64]})
        elif Contest.waiting().filter(kind=kind, key=key).exists():
            mistakes.append(_("this amount is already contested; the contest waits for an answer"))
        if mistakes or found is None:
            raise UsageError("\n".join(mistakes))
        made = Contest(**found._asdict(), words=words, member=member.pk, author=author, at=datetime.now(UTC))
        with audit.change(author, "contest.opened", made):
            made.save()
    return made


def answer(pk: int, decision: str, words: str, *, author: str, rebuild: ledger.Rebuild | None = None) -> Answered:
    """Answer a contest in writing. With Contest.REVERSED the amount is taken back in the same transaction.

    `rebuild` is called if gates refuse the payer afterwards, or no longer do. Raises UsageError, and AnsweredError if
    somebody was faster; nothing is changed then.
    """
    mistakes: list[str] = []
    words = decisions.one_line(words, "answer", mistakes)
    if decision not in Contest.DECISIONS:
        text = _("decision: found '%(found)s', wanted %(wanted)s")
        mistakes.append(text % {"found": decision[:20], "wanted": ", ".join(Contest.DECISIONS)})
    if mistakes:
        raise UsageError("\n".join(mistakes))
    with transaction.atomic():
        terms.lock_charges()
        found = Contest.objects.filter(pk=pk).first()
        if found is None:
            raise UsageError(_("found no contest %(found)d") % {"found": pk})
        if not found.is_open:
            raise AnsweredError(_("the contest was already answered by %(who)s") % {"who": found.answered_by})
        change = _reverse(found, words, author, rebuild) if decision == Contest.REVERSED else None
        _store(found, decision, words, author)
    return Answered(found, change)


def of_session(session: str) -> Contest | None:
    """Return the contest of a session that waits for an answer."""
    return Contest.waiting().filter(kind=Contest.SESSION, key=session).first()


def settle(one: Contest, decision: str, reason: str, *, author: str) -> bool:
    """Answer a contest with the reason of what a person has just done, such as a correction; return whether it waited.

    Call it in their transaction, which begins with `terms.lock_charges`.
    """
    found = Contest.waiting().filter(pk=one.pk).first()
    if found is not None:
        _store(found, decision, " ".join(reason.split()), author)
    return found is not None


def _store(one: Contest, decision: str, words: str, author: str) -> None:
    with audit.change(author, "contest.answered", one):
        one.decision, one.answer, one.answered_by, one.answered_at = decision, words, author, datetime.now(UTC)
        one.save()


def erase_words(before: date, *, actor: str, at: datetime) -> int:
    """Erase words and answers of the answered contests of closed months before a day; return how many there were.

    What an answer took back keeps it as its reason. This cannot be undone.
    """
    with transaction.atomic():
        terms.lock_charges()
        last = min(before, terms.first_open_day() or before)
        rows = Contest.objects.filter(month__lt=last, erased_at=None).exclude(answered_at=None)
        found = list(rows.order_by("pk").values_list("pk", flat=True))
        for some in statements.chunks(found):
            erased = Contest.objects.filter(pk__in=some)
            with audit.changes(actor, "contest.erased", list(erased.order_by("pk"))):
                erased.update(words="", answer="", erased_at=at)
    return len(found)


def can_reverse(one: Contest) -> bool:
    """Return whether there still is something that the answer can take back."""
    if one.kind == Contest.SESSION:
        applied = history.stored([one.key])[one.key].applied
        is_waived = Waiver.objects.filter(session=one.key).exists()
        return applied is not None and applied.amount_minor != 0 and not is_waived
    if one.kind == Contest.LINE:
        # The reversal of a line of a closed month is another line, and the line itself stays.
        is_reversed = Contest.objects.filter(kind=one.kind, key=one.key, decision=Contest.REVERSED).exists()
        return not is_reversed and ManualLine.objects.filter(pk=int(one.key)).exists()
    rows = PrepaidEntry.objects.filter(pk=int(one.key), kind=PrepaidEntry.CREDIT)
    return rows.filter(taken_back_by=None).exists()


def concerned(one: Contest) -> set[str]:
    """Return the ids of the people whose money it is about, and of who used the machine."""
    found = {one.payer, one.member}
    if one.kind == Contest.SESSION and (session := UsageSession.objects.filter(pk=one.key).first()) is not None:
        found |= set(session.people)
    return found


def of(kind: str, keys: Collection[str]) -> dict[str, Contest]:
    """Return the newest contest of each of some things, by key."""
    return {one.key: one for one in Contest.objects.filter(kind=kind, key__in=keys).order_by("at", "pk")}


def _reverse(one: Contest, words: str, author: str, rebuild: ledger.Rebuild | None) -> Change | None:
    """Take back what is contested. Raises UsageError if that is no longer possible."""
    if one.kind == Contest.SESSION:
        at_once.sessions([one.key])
    if not can_reverse(one):
        raise UsageError(
            _("there is nothing left to take back: the amount was changed, removed or reversed in the meantime")
        )
    if one.kind == Contest.SESSION:
        decisions.waive(one.key, author=author, reason=words)
        return None
    if one.kind == Contest.ENTRY:
        return ledger.take_back(
            int(one.key), author=author, now=datetime.now(UTC), reason=words, rebuild=rebuild
        ).change
    line = ManualLine.objects.get(pk=int(one.key))
    if line.month >= (terms.first_open_day() or line.month):
        decisions.remove_line(line.pk, author=author, reason=words)
    else:
        with translation.override(_language_of(line.payer)):
            text = _("%(text)s (reversal)") % {"text": line.text}
        decisions.add_line(
            line.payer,
            text[:MAX_WORDS],
            -line.amount_minor,
            day=line.day,
            author=author,
            session=line.session,
            vat_code=line.vat_code,
            reverses=line.pk,
        )
    return None


def _language_of(payer: str) -> str:
    """Return the language of a payer's statements: the text of a line is part of them."""
    found = payers.get(payer)
    lang = found.lang_or_own if found is not None else ""
    return lang if lang in dict(settings.LANGUAGES) else str(settings.ENVIRONMENT.lang)
