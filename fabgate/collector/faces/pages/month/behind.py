"""Says on pages with charges what is not charged yet. Only the worker follows the ledger: no page waits for it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

from django.utils import timezone
from django.utils.translation import gettext as _

from fabgate.collector.faces.api.health import HEARD_WITHIN_S
from fabgate.collector.faces.pages.words.formatting import clock
from fabgate.collector.ground.models import Heartbeat
from fabgate.collector.money.billing import terms
from fabgate.collector.money.billing.charges import behind
from fabgate.collector.money.billing.charges.behind import Behind


class Notice(NamedTuple):
    """What is not charged yet, and what to do, in words."""

    text: str
    advice: str


def shown(month: date | None = None) -> dict[str, Notice | None]:
    """Return the context of parts/behind.html: empty if all is charged, and for a month that is closed.

    Call it before charges are read, or else a page could show old ones without a word.
    """
    if month is not None and terms.is_closed(month):
        return {"behind": None}
    found = behind.now()
    return {"behind": None if found is None else Notice(_text(found), _advice())}


def _text(found: Behind) -> str:
    if found.is_repriced:
        text = _("Prices, plans or machines changed: amounts have not been up to date since %(at)s.")
    else:
        text = _("Not charged yet: sessions that ended or changed since %(at)s.")
    return text % {"at": _at(found.since)}


def _advice() -> str:
    beat = Heartbeat.objects.filter(name=Heartbeat.WORKER).first()
    if beat is None:
        return _("The collector's worker has never run. Ask the person who runs the collector to start it.")
    if datetime.now(UTC) - beat.at > timedelta(seconds=HEARD_WITHIN_S[Heartbeat.WORKER]):
        text = _("The collector's worker stopped at %(at)s. Ask the person who runs the collector to start it.")
        return text % {"at": _at(beat.at)}
    return _("Reload in a moment.")


def _at(moment: datetime) -> str:
    """Return a moment in local time, with its day unless that is today."""
    local = timezone.localtime(moment)
    return clock(local) if local.date() == timezone.localdate() else clock(local, "SHORT_DATETIME_FORMAT")
