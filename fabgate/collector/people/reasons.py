"""Why was somebody refused, why did a session end, and why is a badge nobody's? A gate's words, as a volunteer reads them on a page.

A word that is not listed here, such as a reason of a workshop's own roster file, is shown as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from django.utils.translation import gettext_lazy as _

from fabgate.collector.models import Badge

REFUSED: Final[Mapping[str, Any]] = {
    "unknown-badge": _("unknown badge"),
    "badge-lost": _("badge was reported lost"),
    "no-access": _("no access any more"),
    "suspended": _("suspended"),
    "banned": _("banned"),
    "payment-due": _("payment due"),
    "expired": _("membership over"),
    "training-missing": _("training missing"),
    "training-expired": _("training too old"),
    "outside-hours": _("outside opening hours"),
    "clock-unknown": _("the gate does not know the time"),
    "supervisor-needed": _("supervisor needed"),
    "supervisor-missing": _("no supervisor tapped"),
    "start-timeout": _("nothing was started"),
    "in-use": _("machine in use"),
    "misread": _("badge not read properly"),
    "two-cards": _("two cards at once"),
    "random-uid": _("a card or phone of changing numbers"),
    "blocked-estop": _("emergency stop pressed"),
    "blocked-output": _("switching fault"),
    "blocked-lock-now": _("locked by the staff"),
    "blocked-lock-idle": _("locked by the staff"),
    "blocked-flag": _("a danger was reported"),
    "blocked-journal": _("the gate cannot keep records"),
    "blocked-journal-full": _("the gate's records are full"),
    "blocked-reader": _("badge reader fault"),
    "blocked-stale": _("list of members too old"),
}
ENDED: Final[Mapping[str, Any]] = {
    "badge": _("badge tapped"),
    "button": _("stop button"),
    "removed": _("card taken out"),
    "handover": _("handed over"),
    "limit": _("time limit reached"),
    "idle": _("stood still"),
    "revoked": _("access ended"),
    "lock": _("locked by the staff"),
    "remote": _("stopped from the page"),
    "fault": _("fault"),
    "restart": _("the gate restarted"),
    "power-loss": _("power was cut"),
    "journal-lost": _("the gate's records were lost"),
    "cancelled": _("cancelled"),
    "start-timeout": _("nothing was started"),
}
#: Why somebody has a badge no more.
GIVEN_UP: Final[Mapping[str, Any]] = {
    Badge.RETURNED: _("given back"),
    Badge.LOST: _("reported lost"),
    Badge.LEFT: _("person left"),
    Badge.REPLACED: _("replaced"),
    Badge.OVER: _("loan was over"),
}


def refused(reason: str) -> str:
    """Return why somebody was refused, in words."""
    return str(REFUSED.get(reason, reason))


def alike(reason: str) -> list[str]:
    """Return every reason that is said in the same words."""
    return [one for one in REFUSED if refused(one) == refused(reason)] or [reason]


def all_refused(reasons: Iterable[str]) -> list[str]:
    """Return every reason in words, the worst first, none twice."""
    return list(dict.fromkeys(map(refused, reasons)))


def ended(reason: str | None) -> str:
    """Return why a session ended, in words; nothing while it runs."""
    return str(ENDED.get(reason or "", reason or ""))


def given_up(reason: str) -> str:
    """Return why somebody has a badge no more, in words."""
    return str(GIVEN_UP.get(reason, reason))
