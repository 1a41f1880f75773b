"""Since when are changes not charged yet? Pages and the API ask this before they read charges; only the worker follows.

It is a few look-ups by primary keys, beside a million sessions too.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final, NamedTuple

from django.utils.translation import gettext as _

from fabgate.collector.ground.models import BillingProgress, BillingTerms, LedgerLine, Pulse
from fabgate.collector.money.billing import member_plans, terms
from fabgate.collector.money.billing.charges import refresh
from fabgate.errors import UsageError

#: At most this many changes of sessions are charged while a person waits for a page: that takes less than a second.
FEW: Final = 50


class Behind(NamedTuple):
    """What is not charged yet: the changes since a moment."""

    since: datetime
    #: Whether rules, plans or categories changed, so that the amounts of all open months may be other ones.
    is_repriced: bool = False


class BehindError(UsageError):
    """Charges are behind by more than a page charges."""

    def __init__(self) -> None:
        super().__init__(_("charges are not up to date yet; try again in a moment"))


def now() -> Behind | None:
    """Return what is not charged yet, or None. Ask before charges are read: what is charged in between does no harm."""
    found = BillingTerms.objects.first()
    if found is None:
        return None
    progress = BillingProgress.objects.first()
    if progress is None:
        return Behind(found.started_at, is_repriced=True)
    newest = Pulse.newest()
    if progress.pulse == newest:
        return None
    line = LedgerLine.objects.filter(pk__gt=progress.position).order_by("pk").values_list("at", flat=True).first()
    if (changed := _repriced(progress, newest, found)) is not None:
        return Behind(min(changed, line) if line is not None else changed, is_repriced=True)
    return Behind(line) if line is not None else None


def follow_few() -> None:
    """Follow the ledger to its end if that is soon done. Raises BehindError if not: the worker does it."""
    behind = now()
    if behind is None:
        return
    position = BillingProgress.objects.values_list("position", flat=True).first() or 0
    if behind.is_repriced or LedgerLine.objects.filter(pk__gt=position)[FEW : FEW + 1].exists():
        raise BehindError
    refresh.refresh_all()


def catch_up(step: Callable[[], None] = lambda: None) -> None:
    """Follow the ledger to its end, for verbs that read charges: nothing is written unless something is missing.

    `step` is called between two transactions.
    """
    if now() is not None:
        refresh.refresh_all(step)


def _repriced(progress: BillingProgress, newest: int, found: BillingTerms) -> datetime | None:
    """Return since when rules, plans or categories are other ones than those of the charges, or None."""
    if progress.pulse < 0:
        return found.started_at
    since = Pulse.objects.filter(pk__gt=progress.pulse).order_by("pk")
    # Each change of them is in the audit log, and so has a pulse of its own; only the newest pulses are kept.
    changed = since.filter(topic=Pulse.CHANGE).values_list("at", flat=True).first()
    if changed is None and newest - progress.pulse < Pulse.KEPT:
        return None
    if progress.terms == refresh.digest_of(terms.for_rating(found), member_plans.histories()):
        return None
    return changed or since.values_list("at", flat=True).first()
