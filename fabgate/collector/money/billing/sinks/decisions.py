"""Decisions of a person about sinks: resume after a restore, send items again, skip items."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from typing import Any, Final

from django.db import transaction
from django.db.models import F, QuerySet
from django.utils.translation import gettext as _

from fabgate.collector.ground.db import audit
from fabgate.collector.ground.models import Sink, SinkLetter
from fabgate.collector.money.billing.sinks import engine
from fabgate.errors import UsageError

_LONGEST: Final = 200
#: The most keys of letters in a row of the audit log.
_MOST_NAMED: Final = 20


def reconcile(row: Sink, *, actor: str, reason: str) -> None:
    """Resume a sink after a restore. Raises UsageError if it is not paused.

    Items that it may have received since the backup are searched there first, or recognised by their keys.
    """
    reason = check_reason(reason)
    with transaction.atomic():
        held = _held(row)
        restored = engine.last_restore()
        if restored is None or not engine.awaits_reconciling(held):
            raise UsageError(
                _("%(name)s is not paused: the database has not been restored since sending last resumed")
                % {"name": row}
            )
        with audit.change(actor, "sink.reconciled", held, reason=reason):
            Sink.objects.filter(pk=row.pk).update(
                reconciled=restored, generation=F("generation") + 1, next_at=None, failures=0
            )


def replayable(row: Sink, first: date, last: date | None = None) -> QuerySet[SinkLetter]:
    """Return the items that `replay` would send again: those of the months from `first` to `last`, in order."""
    rows = row.letters.filter(state=SinkLetter.SENT, month__gte=first)
    return (rows if last is None else rows.filter(month__lte=last)).order_by("place", "pk")


def replay(row: Sink, first: date, last: date | None, *, actor: str, reason: str) -> int:
    """Send items again that a sink has lost. Return how many. Raises UsageError if there are none.

    They have the same keys as before: a program that still has one recognises it.
    """
    reason = check_reason(reason)
    with transaction.atomic():
        held = _held(row)
        letters = list(replayable(held, first, last))
        if not letters:
            raise UsageError(_("nothing was sent to %(name)s for these months") % {"name": row})
        _change(held, "sink.replayed", letters, SinkLetter.DUE, actor, reason)
    return len(letters)


def left(row: Sink, *states: str) -> QuerySet[SinkLetter]:
    """Return the letters in these states, of those that a person has to know about, in order."""
    rows = row.letters.exclude(state=SinkLetter.SENT).exclude(why=engine.PAID_BEFORE)
    return rows.filter(state__in=states).order_by("pk")


def retry(row: Sink, keys: Iterable[str] = (), *, actor: str, reason: str) -> int:
    """Send dead letters again; with `keys`, only those, also skipped ones. Return how many. Raises UsageError."""
    return _decide(row, keys, (SinkLetter.DEAD, SinkLetter.SKIPPED), "sink.retried", SinkLetter.DUE, actor, reason)


def skip(row: Sink, keys: Iterable[str] = (), *, actor: str, reason: str) -> int:
    """Skip dead letters; with `keys`, only those, also held ones. Return how many. Raises UsageError."""
    return _decide(row, keys, (SinkLetter.DEAD, SinkLetter.HELD), "sink.skipped", SinkLetter.SKIPPED, actor, reason)


def check_reason(reason: str) -> str:
    """Return a reason on one line. Raises UsageError."""
    found = " ".join(reason.split())
    if not 0 < len(found) <= _LONGEST:
        wanted = _("%(name)s: found %(found)d characters, wanted 1 to %(most)d")
        raise UsageError(wanted % {"name": "reason", "found": len(found), "most": _LONGEST})
    return found


def _decide(
    row: Sink, keys: Iterable[str], states: tuple[str, ...], verb: str, state: str, actor: str, reason: str
) -> int:
    reason, wanted = check_reason(reason), set(keys)
    with transaction.atomic():
        held = _held(row)
        letters = list(left(held, *(states if wanted else states[:1])))
        if wanted:
            letters = [letter for letter in letters if letter.key in wanted]
        if missing := wanted - {letter.key for letter in letters}:
            text = _("%(name)s has no items with these keys: %(keys)s")
            raise UsageError(text % {"name": row, "keys": ", ".join(sorted(missing)[:_MOST_NAMED])})
        if not letters:
            raise UsageError(_("%(name)s has no refused items") % {"name": row})
        _change(held, verb, letters, state, actor, reason)
    return len(letters)


def _change(row: Sink, verb: str, letters: Sequence[SinkLetter], state: str, actor: str, reason: str) -> None:
    """Change the state of letters, and log it as one change of the sink."""
    now = datetime.now(UTC)
    for letter in letters:
        letter.state, letter.at = state, now
        if state == SinkLetter.SKIPPED:
            letter.why = reason
    SinkLetter.objects.bulk_update(letters, ["state", "at", "why"], batch_size=200)
    Sink.objects.filter(pk=row.pk).update(generation=F("generation") + 1, next_at=None, failures=0)
    keys = [letter.key for letter in letters[:_MOST_NAMED]]
    after: dict[str, Any] = {"letters": len(letters), "keys": keys, "amount": sum(letter.amount for letter in letters)}
    audit.record(actor, verb, row, reason=reason, after=after)


def _held(row: Sink) -> Sink:
    return Sink.objects.select_for_update(no_key=True).get(pk=row.pk)
