"""The prepaid ledger: credits, refunds, reversals, and the total of each closed month, by payer.

Entries are only added. Open months are not in the ledger: balances.py subtracts them. When a month is closed, one entry for
each payer holds the total of its charges and lines, and never changes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, NamedTuple

from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from fabgate.collector.ground.db import audit, bulk
from fabgate.collector.ground.models import BillingTerms, Change, Payer, PrepaidChange, PrepaidEntry
from fabgate.collector.money.billing import terms
from fabgate.collector.money.billing.charges import at_once
from fabgate.collector.money.billing.currencies import text as money
from fabgate.collector.money.billing.paying import payers
from fabgate.collector.money.billing.prepaid import balances, modes, standing
from fabgate.errors import UsageError

#: The largest amount of an entry, in minor units: more is a typing mistake.
MOST_MINOR: Final = 10_000_000
#: An identical credit within this time needs a confirmation.
TWIN: Final = timedelta(minutes=1)
_LONGEST: Final = 200
_VERBS: Final = {
    PrepaidEntry.CREDIT: "prepaid.credited",
    PrepaidEntry.REFUND: "prepaid.refunded",
    PrepaidEntry.TAKEN_BACK: "prepaid.taken-back",
}
#: Builds the rosters that change, and returns their versions.
Rebuild = Callable[[], Mapping[str, int]]


class Paid(NamedTuple):
    """How something was paid: the method, the number of the till's receipt, and why."""

    method: str
    till_number: str = ""
    reason: str = ""


class Done(NamedTuple):
    """An entry, with its row in the audit log; None if the same form was sent with the same values before."""

    entry: PrepaidEntry
    change: Change | None


class TwinError(UsageError):
    """An identical credit was added a moment ago, or one with the same receipt number: `entry`."""

    def __init__(self, entry: PrepaidEntry) -> None:
        text = _("an identical credit has already been added: number %(number)d, by %(author)s")
        super().__init__(text % {"number": entry.pk, "author": entry.author})
        self.entry = entry


class FormUsedError(UsageError):
    """The form has already added `entry`, with other values: the page was opened again by the Back button."""

    def __init__(self, entry: PrepaidEntry) -> None:
        text = _("this form has already added entry number %(number)d; open the form again")
        super().__init__(text % {"number": entry.pk})
        self.entry = entry


class TooMuchError(UsageError):
    """A refund is larger than `most_minor`: the balance, less what sessions in review would cost."""

    def __init__(self, amount_minor: int, most_minor: int, found: BillingTerms) -> None:
        values = [money(amount, found.currency, found.digits) for amount in (amount_minor, max(most_minor, 0))]
        super().__init__(
            _(
                "amount: found %(found)s, wanted at most %(most)s, which is the balance if sessions in review are accepted"
            )
            % {"found": values[0], "most": values[1]}
        )
        self.most_minor = most_minor


class NotPrepaidError(UsageError):
    """The payer does not prepay, neither now nor from a later month on, and owes nothing of before."""

    def __init__(self, payer: Payer) -> None:
        super().__init__(_("%(name)s does not prepay; ask a manager or an accountant to change that") % {"name": payer})


def credit(
    payer: str,
    amount_minor: int,
    paid: Paid,
    *,
    author: str,
    now: datetime,
    form: str = "",
    is_meant: bool = False,
    rebuild: Rebuild | None = None,
) -> Done:
    """Add credit that a payer paid in. `rebuild` is called if gates no longer refuse the payer.

    A `form` counts once, however often it is sent. Raises UsageError for invalid values, FormUsedError if it was sent with
    other ones, payers.Ended, NotPrepaidError, and TwinError unless the credit `is_meant` although an equal one is in the
    ledger.
    """
    entry = _entry(payer, PrepaidEntry.CREDIT, amount_minor, paid, author, form, now)
    with transaction.atomic():
        terms.lock_charges()
        if (sent := _sent(entry)) is not None:
            return Done(sent, None)
        found = _payer(payer)
        if found.ended_on is not None:
            raise payers.Ended(found)
        was_out = _charge(payer)
        if not _may_be_credited(payer, now):
            raise NotPrepaidError(found)
        if not is_meant and (twin := _twin(entry)) is not None:
            raise TwinError(twin)
        return _add(entry, rebuild, was_out=was_out)


def refund(
    payer: str,
    amount_minor: int,
    paid: Paid,
    *,
    author: str,
    now: datetime,
    form: str = "",
    rebuild: Rebuild | None = None,
) -> Done:
    """Refund at most the balance, less what the sessions in review would cost if they were accepted.

    Raises UsageError, also without a reason, FormUsedError as `credit` does, and TooMuchError.
    """
    entry = _entry(payer, PrepaidEntry.REFUND, amount_minor, paid, author, form, now)
    _check_reason(paid.reason)
    with transaction.atomic():
        terms.lock_charges()
        if (sent := _sent(entry)) is not None:
            return Done(sent, None)
        _payer(payer)
        was_out = _charge(payer)
        if (most := standing.figures(payer).refundable_minor) < amount_minor:
            raise TooMuchError(amount_minor, most, terms.get())
        entry.amount_minor = -amount_minor
        return _add(entry, rebuild, was_out=was_out)


def take_back(pk: int, *, author: str, now: datetime, reason: str, rebuild: Rebuild | None = None) -> Done:
    """Reverse a credit that was entered by mistake, in full; the balance may then be below 0. Raises UsageError."""
    _check_reason(reason)
    with transaction.atomic():
        terms.lock_charges()
        wrong = PrepaidEntry.objects.filter(pk=pk, kind=PrepaidEntry.CREDIT).first()
        if wrong is None:
            raise UsageError(_("found no credit with the number %(found)d") % {"found": pk})
        if PrepaidEntry.objects.filter(takes_back=wrong).exists():
            raise UsageError(_("credit %(found)d has already been reversed") % {"found": pk})
        entry = PrepaidEntry(
            payer=wrong.payer,
            kind=PrepaidEntry.TAKEN_BACK,
            amount_minor=-wrong.amount_minor,
            method=wrong.method,
            till_number=wrong.till_number,
            reason=_line(reason),
            takes_back=wrong,
            author=author,
            at=now,
        )
        return _add(entry, rebuild, was_out=_charge(wrong.payer))


def use_up(first: date, now: datetime, *, author: str) -> None:
    """Add the total of a month for each payer who prepaid in it. Only closing.py calls this, once for each month."""
    if not modes.are_in_use():
        return
    last = terms.next_month(first) - timedelta(days=1)
    bulk.insert(
        [
            PrepaidEntry(payer=payer, kind=PrepaidEntry.USED, amount_minor=-amount, day=last, author=author, at=now)
            for payer, amount in sorted(balances.charged(first).items())
            if amount
        ]
    )


def count(first: date) -> int:
    """Return how many entries count in a month."""
    return PrepaidEntry.objects.filter(**_days(first)).count()


def lines(first: date) -> Iterator[str]:
    """Yield the settlements and entries of a month as text, with one spelling for each value: the seal of the month covers it."""
    for change in PrepaidChange.objects.filter(since__lte=first).order_by("payer", "since"):
        yield _text(["mode", change.payer, change.since.isoformat(), change.prepays])
    for row in PrepaidEntry.objects.filter(**_days(first)).order_by("pk").iterator():
        yield _text(["entry", *_values(row)])


def _days(first: date) -> dict[str, date]:
    return {"day__gte": first, "day__lt": terms.next_month(first)}


def _values(row: PrepaidEntry) -> list[Any]:
    at = row.at.astimezone(UTC).isoformat(timespec="microseconds")
    return [
        *(row.pk, row.payer, row.kind, row.amount_minor, row.method, row.till_number, row.reason, row.takes_back_id),
        *(row.day.isoformat(), row.author, at, row.form_key),
    ]


def _text(values: list[Any]) -> str:
    return json.dumps(values, separators=(",", ":"))


# --- adding -----------------------------------------------------------------------------------------------------------


def _entry(payer: str, kind: str, amount_minor: int, paid: Paid, author: str, form: str, now: datetime) -> PrepaidEntry:
    """Return an entry that is not stored yet. Raises UsageError with all mistakes."""
    mistakes = []
    if not 0 < amount_minor <= MOST_MINOR:
        text = _("amount: found %(found)s, wanted more than 0, at most %(most)s")
        found = terms.get()
        shown = [money(amount, found.currency, found.digits) for amount in (amount_minor, MOST_MINOR)]
        mistakes.append(text % dict(zip(("found", "most"), shown, strict=True)))
    if paid.method not in (known := dict(PrepaidEntry.METHODS)):
        text = _("method: found '%(found)s', wanted %(wanted)s")
        mistakes.append(text % {"found": paid.method[:20], "wanted": ", ".join(known)})
    till_number = " ".join(paid.till_number.split())
    if len(till_number) > PrepaidEntry.LONGEST_TILL_NUMBER or not till_number.isprintable():
        text = _("receipt number: found '%(found)s', wanted at most %(most)d visible characters")
        mistakes.append(text % {"found": till_number[:60], "most": PrepaidEntry.LONGEST_TILL_NUMBER})
    if mistakes:
        raise UsageError("\n".join(mistakes))
    return PrepaidEntry(
        payer=payer,
        kind=kind,
        amount_minor=amount_minor,
        method=paid.method,
        till_number=till_number,
        reason=_line(paid.reason),
        author=author,
        at=now,
        form_key=form,
    )


def _charge(payer: str) -> bool:
    """Charge all that the payer is behind, so that the balance is the true one; return whether gates refused the payer before."""
    was_out = standing.of([payer]).is_out(payer)
    at_once.payer(payer)
    return was_out


def _add(entry: PrepaidEntry, rebuild: Rebuild | None, *, was_out: bool) -> Done:
    found = terms.get()
    # After a clock that was wrong, today may be in a closed month.
    entry.day = max(entry.at.astimezone(terms.zone(found)).date(), terms.first_open_day() or date.min)
    with audit.change(entry.author, _VERBS[entry.kind], entry, reason=entry.reason) as change:
        entry.save(force_insert=True)
        if rebuild is not None and standing.of([entry.payer]).is_out(entry.payer) != was_out:
            change.rosters = dict(rebuild())
    return Done(entry, change)


def _may_be_credited(payer: str, now: datetime) -> bool:
    """Return whether a payer prepays, or still has a balance below 0, which no statement asks for."""
    if modes.may_be_credited(payer, now.astimezone(terms.zone(terms.get())).date()):
        return True
    return balances.of(payer) < 0


def _sent(entry: PrepaidEntry) -> PrepaidEntry | None:
    """Return the entry that this form has added. Raises FormUsedError if its values were other ones."""
    found = PrepaidEntry.objects.filter(form_key=entry.form_key).first() if entry.form_key else None
    if found is not None and _typed(found) != _typed(entry):
        raise FormUsedError(found)
    return found


def _typed(entry: PrepaidEntry) -> tuple[Any, ...]:
    """Return what a person typed; a refund is stored as a negative amount."""
    amount = abs(entry.amount_minor)
    return entry.payer, entry.kind, amount, entry.method, entry.till_number, entry.reason


def _twin(entry: PrepaidEntry) -> PrepaidEntry | None:
    """Return a credit that may be the same: an equal one of a moment ago, or one with the same number of the till."""
    recent = Q(payer=entry.payer, amount_minor=entry.amount_minor, method=entry.method, at__gte=entry.at - TWIN)
    if entry.till_number:
        recent |= Q(till_number=entry.till_number, method=entry.method, amount_minor=entry.amount_minor)
    rows = PrepaidEntry.objects.filter(recent, kind=PrepaidEntry.CREDIT, taken_back_by=None)
    return rows.order_by("-pk").first()


def _payer(pk: str) -> Payer:
    found = payers.get(pk)
    if found is None:
        raise modes.unknown(pk)
    return found


def _check_reason(reason: str) -> None:
    if not 0 < len(_line(reason)) <= _LONGEST:
        wanted = _("%(name)s: found %(found)d characters, wanted 1 to %(most)d")
        raise UsageError(wanted % {"name": "reason", "found": len(_line(reason)), "most": _LONGEST})


def _line(text: str) -> str:
    return " ".join(text.split())
