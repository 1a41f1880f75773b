"""Corrects sessions by adding a row with author and reason; entries are never changed.

The newest correction of ``used_by``, ``payer``, ``purpose`` or ``counted_ms`` counts, and later entries do not undo it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from django.db import transaction
from django.utils.translation import gettext as _

from fabgate import wire
from fabgate.collector.ground.db import audit, pulse
from fabgate.collector.ground.models import Correction, Group, Member, Payer, Pulse, Review, UsageSession
from fabgate.collector.ground.models.sessions.words import PURPOSES
from fabgate.collector.recording.sessions import attribution, certain, ledger, rows, sums
from fabgate.collector.recording.sessions.merge import DerivedSession, wait
from fabgate.errors import UsageError

#: The column of each field that can be corrected.
_COLUMN: Final = {
    Correction.MEMBER: "used_by",
    Correction.PAYER: "payer",
    Correction.PURPOSE: "purpose",
    Correction.TIME: "counted_ms",
}
MAX_REASON: Final = Correction._meta.get_field("reason").max_length or 0  # noqa: SLF001 (Django's name for it)


def correct(session: str, field: str, new: str, *, author: str, reason: str) -> Correction:
    """Correct one field of a session; a time is in milliseconds. This settles an open review of the session.

    Raises UsageError with a line for each mistake; nothing is changed then.
    """
    mistakes: list[str] = []
    reason = _reason(reason, mistakes)
    value = _value(field, new.strip(), mistakes)
    now = datetime.now(UTC)
    with transaction.atomic():
        row = rows.load_sessions({session}).get(session)
        if row is None:
            mistakes.append(_("found no session '%(found)s'") % {"found": session[:64]})
        elif row.reason is None:
            mistakes.append(_("the session has not ended yet; correct it afterwards"))
        if mistakes or row is None:
            raise UsageError("\n".join(mistakes))
        before = replace(row)
        if (old := str(getattr(row, _COLUMN[field]))) == str(value):
            raise UsageError(_("%(field)s is already '%(value)s'") % {"field": field, "value": old})
        correction = _store(row, field, value, now, author, reason)
        wait(row, None)
        if (waiting := Review.objects.filter(session=session, settled_at=None).first()) is not None:
            _settle(waiting, Review.CORRECTED, author, reason, now)
        _save(before, row, now, author, reason)
    return correction


def contest(session: UsageSession, words: str, *, author: str) -> Review:
    """Open a review of a session that its member finds wrong, with their own text; a settled review is reopened.

    Raises UsageError if it is contested already, or has not ended.
    """
    mistakes: list[str] = []
    words = _reason(words, mistakes)
    now = datetime.now(UTC)
    with transaction.atomic():
        row = rows.load_sessions({session.pk})[session.pk]
        if row.reason is None:
            mistakes.append(_("the session has not ended yet; contest it afterwards"))
        held = Review.objects.select_for_update(no_key=True).filter(session=session).first()
        review = held or Review(session=session)
        if review.why == Review.CONTESTED and review.settled_at is None:
            mistakes.append(_("the session is already contested, and waits for a review"))
        if mistakes:
            raise UsageError("\n".join(mistakes))
        with audit.change(author, "review.contested", review, reason=words):
            review.why, review.note, review.opened_at = Review.CONTESTED, words, now
            review.settled_at, review.settled_by, review.decision = None, "", ""
            review.save()
        before = replace(row)
        wait(row, Review.CONTESTED)
        _save(before, row, now, author, words)
    return review


def lock(sessions: Collection[str]) -> None:
    """Lock `sessions` until the transaction ends.

    Call it before settling reviews of several sessions in one transaction. The locks must come before the pulse lock,
    which settling the first one takes (ground/db/pulse.py).
    """
    rows.load_sessions(sessions)


def accept(review: Review, *, author: str, note: str = "") -> None:
    """Settle a review: the recorded figures apply. Raises UsageError if it is settled already."""
    with transaction.atomic():
        row, held = _waiting(review)
        _close(replace(row), row, held, Review.ACCEPTED, author, note)
    review.refresh_from_db()


def favour(review: Review, *, author: str, note: str = "") -> None:
    """Settle a review in the member's favour: the counter in the end entry applies.

    Raises UsageError if it is settled already. An uncertain end counts with its minimum anyway, so the time changes
    only if the gate's live counter showed more. A contested session has no uncertain end, and raises UsageError, too.
    """
    with transaction.atomic():
        row, held = _waiting(review)
        if held.why == Review.CONTESTED:
            raise UsageError(
                _("a contested session cannot be settled in the member's favour: keep its time, or correct it")
            )
        before, least = replace(row), certain.recorded_ms(row)
        if row.reason is not None and least < row.counted_ms:
            why = note or _("in the member's favour")
            _store(row, Correction.TIME, least, datetime.now(UTC), author, why)
        _close(before, row, held, Review.FAVOUR, author, note)
    review.refresh_from_db()


def _waiting(review: Review) -> tuple[DerivedSession, Review]:
    """Return a session and its review, both locked. Raises UsageError if the review is settled."""
    # The session before its review (ground/db/pulse.py).
    row = rows.load_sessions({review.session_id})[review.session_id]
    held = Review.objects.select_for_update(no_key=True).get(pk=review.pk)
    if held.settled_at is not None:
        raise UsageError(
            _("the review was already settled by %(who)s") % {"who": held.settled_by}
            if held.settled_by
            else _("the review was already settled by later entries")
        )
    return row, held


def _store(row: DerivedSession, field: str, value: str | int, now: datetime, author: str, reason: str) -> Correction:
    """Store the correction of one field, and apply it to `row`."""
    column = _COLUMN[field]
    old = str(getattr(row, column))
    setattr(row, column, value)
    row.corrected = " ".join(sorted({*row.corrected.split(), field}))
    if field == Correction.MEMBER:
        attribution.update([row], now)
    correction = Correction.objects.create(
        session_id=row.id, field=field, old=old, new=str(value), reason=reason, author=author, at=now
    )
    subject = UsageSession(pk=row.id)
    audit.record(author, "session.corrected", subject, reason=reason, before={field: old}, after={field: value})
    return correction


def _close(before: DerivedSession, row: DerivedSession, held: Review, decision: str, author: str, note: str) -> None:
    now = datetime.now(UTC)
    _settle(held, decision, author, note, now)
    wait(row, None)
    _save(before, row, now, author, note)


def _settle(review: Review, decision: str, by: str, note: str, now: datetime) -> None:
    with audit.change(by, f"review.{decision}", review, reason=note):
        review.settled_at, review.settled_by, review.decision, review.note = now, by, decision, note[:MAX_REASON]
        review.save(update_fields=["settled_at", "settled_by", "decision", "note"])


def _save(before: DerivedSession, after: DerivedSession, now: datetime, author: str, why: str) -> None:
    """Save a session with its sums, ledger line and pulse. Call it last in a transaction."""
    rows.save_sessions([after])
    sums.add([(before, after)])
    ledger.add([(before, after)], now, author=author, why=why)
    pulse.notify({Pulse.SESSION: {""}}, now)


def _reason(text: str, mistakes: list[str]) -> str:
    reason = " ".join(text.split())
    if not 0 < len(reason) <= MAX_REASON:
        text = _("reason: found %(found)d characters, wanted 1 to %(most)d that say why")
        mistakes.append(text % {"found": len(reason), "most": MAX_REASON})
    return reason


def _value(field: str, new: str, mistakes: list[str]) -> str | int:
    if field == Correction.TIME:
        if new.isascii() and new.isdigit() and int(new[:20]) <= wire.MAX_DURATION_MS:
            return int(new[:20])
        text = _("time: found '%(found)s', wanted a whole number of milliseconds, at most 366 days")
        mistakes.append(text % {"found": new[:40]})
    elif field == Correction.PURPOSE:
        if new not in PURPOSES:
            values = {"found": new[:40], "wanted": ", ".join(PURPOSES)}
            mistakes.append(_("purpose: found '%(found)s', wanted %(wanted)s") % values)
    elif field in (Correction.MEMBER, Correction.PAYER):
        if not (_is_known(new) or (field == Correction.PAYER and _is_organisation(new))):
            text = _("%(field)s: found no member '%(found)s', wanted a member's id")
            if field == Correction.PAYER:
                text = _("%(field)s: found no payer '%(found)s', wanted the id of a member, a group or an organisation")
            mistakes.append(text % {"field": field, "found": new[:64]})
    else:
        values = {"found": field[:40], "wanted": ", ".join(Correction.FIELDS)}
        mistakes.append(_("found the field '%(found)s', wanted %(wanted)s") % values)
    return new


def _is_known(name: str) -> bool:
    if "\0" in name:
        return False
    kind, _, pk = name.partition(":")
    is_group = kind == "group" and pk.isascii() and pk.isdigit() and Group.objects.filter(pk=int(pk[:18])).exists()
    return is_group or Member.objects.filter(id=name).exists()


def _is_organisation(name: str) -> bool:
    return "\0" not in name and Payer.organisations().filter(pk=name).exists()
