"""Settlement: which payers prepay, and from which month on.

A payer prepays for whole months (docs/decisions/0094), so each statement is settled in one way.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Mapping
from datetime import date, timedelta
from operator import itemgetter
from typing import Final, NamedTuple, Self

from django.db import transaction
from django.utils.translation import gettext as _

from fabgate.collector.ground.db import audit
from fabgate.collector.ground.models import PrepaidChange
from fabgate.collector.money.billing import terms
from fabgate.collector.money.billing.paying import payers
from fabgate.collector.money.billing.prepaid.words import PREPAID, RECEIVABLE
from fabgate.errors import UsageError

#: The default of all payers without a mode of their own.
EVERYBODY: Final = ""
#: How far ahead a mode may be changed.
FURTHEST: Final = timedelta(days=366)

#: (first day of the month, whether they prepay from then on), the oldest first.
_History = tuple[tuple[date, bool], ...]


class Modes(NamedTuple):
    """Who prepays in which month."""

    #: By payer; EVERYBODY for the others.
    histories: Mapping[str, _History]

    @classmethod
    def now(cls) -> Self:
        """Read all modes: one query."""
        found: dict[str, list[tuple[date, bool]]] = defaultdict(list)
        for payer, since, prepays in PrepaidChange.objects.order_by("since").values_list("payer", "since", "prepays"):
            found[payer].append((since, prepays))
        return cls({payer: tuple(changes) for payer, changes in found.items()})

    def __bool__(self) -> bool:
        """Return whether any payer ever prepays."""
        return bool(self.histories)

    def prepays(self, payer: str, month: date) -> bool:
        """Return whether a payer prepays in a month, given by any of its days. Their own mode comes before everybody's."""
        own = _mode_on(self.histories.get(payer, ()), month)
        return bool(_mode_on(self.histories.get(EVERYBODY, ()), month) if own is None else own)

    def settlement(self, payer: str, month: date) -> str:
        """Return how a payer settles a month: PREPAID or RECEIVABLE. Of single charges, settlement.py knows it."""
        return PREPAID if self.prepays(payer, month) else RECEIVABLE

    def with_own(self, month: date) -> Mapping[str, bool]:
        """Return the payers who have a mode of their own in a month, and whether they prepay."""
        found = {payer: _mode_on(history, month) for payer, history in self.histories.items() if payer != EVERYBODY}
        return {payer: mode for payer, mode in found.items() if mode is not None}


def are_in_use() -> bool:
    """Return whether any payer ever prepays: only then do rosters depend on payers."""
    return PrepaidChange.objects.exists()


def may_be_credited(payer: str, today: date) -> bool:
    """Return whether a payer prepays today, or from a later month on."""
    return may_be_credited_by(Modes.now(), payer, today)


def may_be_credited_by(known: Modes, payer: str, today: date) -> bool:
    """Return the same, for a caller who asks about many payers."""
    later = [since for name in (payer, EVERYBODY) for since, _prepays in known.histories.get(name, ()) if since > today]
    return any(known.prepays(payer, day) for day in (today, *later))


def set_mode(payer: str, since: date, *, prepays: bool, actor: str) -> bool:
    """Let a payer, or EVERYBODY else, prepay from a month on, or no longer; return whether that changes anything.

    Raises UsageError for an unknown payer, for a month that is closed or too far ahead, and if somebody should prepay while
    prices exclude VAT: credit is paid in with it, and would be used up without it.
    """
    first = since.replace(day=1)
    if payer != EVERYBODY and payers.get(payer) is None:
        raise unknown(payer)
    if prepays and terms.get().includes_vat is False:
        raise UsageError(
            _(
                "prices exclude VAT here, but credit is paid in with VAT: let this payer pay by statement, not from credit"
            )
        )
    with transaction.atomic():
        terms.lock_charges()
        _check(first)
        row = PrepaidChange.objects.filter(payer=payer, since=first).first() or PrepaidChange(payer=payer, since=first)
        if row.pk is None and _is_as_before(payer, first, prepays=prepays):
            return False
        if row.pk is not None and row.prepays == prepays:
            return False
        row.prepays = prepays
        with audit.change(actor, "prepaid.mode", row):
            row.save()
    return True


def unknown(payer: str) -> UsageError:
    """Return the error for a payer that does not exist."""
    text = _("payer: found '%(found)s', wanted the id of a member, a group or an organisation")
    return UsageError(text % {"found": payer[:64]})


def _is_as_before(payer: str, first: date, *, prepays: bool) -> bool:
    return _mode_on(Modes.now().histories.get(payer, ()), first) is prepays


def _check(first: date) -> None:
    found = terms.get()
    today = terms.today(found)
    earliest, latest = terms.first_open_day() or found.first_month, today + FURTHEST
    if not earliest <= first <= latest:
        text = _("month: found %(found)s, wanted %(earliest)s to %(latest)s")
        raise UsageError(
            text % {"found": f"{first:%Y-%m}", "earliest": f"{earliest:%Y-%m}", "latest": f"{latest:%Y-%m}"}
        )


def _mode_on(history: _History, day: date) -> bool | None:
    place = bisect_right(history, day, key=itemgetter(0))
    return history[place - 1][1] if place else None
