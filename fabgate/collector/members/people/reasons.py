"""Texts for pages: why a badge was refused, why a session ended, and why an assignment of a badge ended.

A reason that is not listed here, such as one from a workshop's own roster file, is shown as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from django.utils.translation import gettext_lazy as _

from fabgate.collector.ground.models import Badge

REFUSED: Final[Mapping[str, Any]] = {
    "unknown-badge": _("unknown badge"),
    "badge-lost": _("badge was reported lost"),
    "badge-blocked": _("badge blocked"),
    "badge-shared": _("several badges have this number"),
    "no-access": _("no access"),
    "suspended": _("suspended"),
    "banned": _("banned"),
    "payment-due": _("payment due"),
    "no-credit": _("no credit left"),
    "expired": _("membership expired"),
    "loan-over": _("loan of the badge is over"),
    "training-missing": _("training missing"),
    "training-expired": _("training expired"),
    "outside-hours": _("outside opening hours"),
    "clock-unknown": _("the gate does not know the time"),
    "supervisor-needed": _("supervisor needed"),
    "supervisor-missing": _("no supervisor tapped"),
    "start-timeout": _("could not start in time"),
    "in-use": _("machine in use"),
    "member-first": _("a supervisor was using the machine: they end that session, then the member taps first"),
    "not-in-holder": _("badge not in the holder"),
    "misread": _("badge not read properly"),
    "two-cards": _("two cards at once"),
    "random-uid": _("card or phone with changing numbers"),
    "blocked-estop": _("emergency stop pressed"),
    "blocked-output": _("switching fault"),
    "blocked-output-away": _("the plug cannot be reached"),
    "blocked-lock-now": _("locked by staff"),
    "blocked-lock-idle": _("locked by staff"),
    "blocked-flag": _("a danger was reported"),
    "blocked-journal": _("the gate cannot write its records"),
    "blocked-journal-full": _("the gate's records are full"),
    "blocked-reader": _("badge reader fault"),
    "blocked-stale": _("member list too old"),
}
ENDED: Final[Mapping[str, Any]] = {
    "badge": _("badge tapped"),
    "button": _("stop button"),
    "removed": _("card taken out"),
    "handover": _("handed over"),
    "limit": _("time limit reached"),
    "idle": _("left idle"),
    "revoked": _("access ended"),
    "lock": _("locked by staff"),
    "remote": _("stopped remotely"),
    "fault": _("fault"),
    "restart": _("the gate restarted"),
    "power-loss": _("power was cut"),
    "journal-lost": _("the gate's records were lost"),
    "cancelled": _("cancelled"),
    "start-timeout": _("could not start in time"),
}
#: Why the assignment of a badge ended.
GIVEN_UP: Final[Mapping[str, Any]] = {
    Badge.RETURNED: _("returned"),
    Badge.LOST: _("reported lost"),
    Badge.LEFT: _("person left"),
    Badge.REPLACED: _("replaced"),
    Badge.OVER: _("loan ended"),
}


def refused(reason: str) -> str:
    """Return the text of a refusal's reason."""
    return str(REFUSED.get(reason, reason))


def alike(reason: str) -> list[str]:
    """Return all reasons that have the same text as `reason`."""
    return [one for one in REFUSED if refused(one) == refused(reason)] or [reason]


def all_refused(reasons: Iterable[str]) -> list[str]:
    """Return the texts of reasons, the most serious first, without duplicates."""
    return list(dict.fromkeys(map(refused, reasons)))


def ended(reason: str | None) -> str:
    """Return the text of a session's end reason; empty while it is open."""
    return str(ENDED.get(reason or "", reason or ""))


def given_up(reason: str) -> str:
    """Return the text of the reason why an assignment of a badge ended."""
    return str(GIVEN_UP.get(reason, reason))
