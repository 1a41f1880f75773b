"""Labels for the codes of a session. An unknown code is shown unchanged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

from fabgate.collector.members.people import reasons
from fabgate.collector.money.paper.figures import NOTHING

BASES: Final[Mapping[str, Any]] = {
    "grant": _("Permission for this machine"),
    "emergency": _("Emergency badge"),
    "maintainer": _("Maintainer, while a danger was reported"),
    "sponsor": _("Guest of a supervisor"),
    "observe": _("Open to all members: everyone was admitted and recorded"),
    "continued": _("Continuation of the previous session"),
}
PURPOSES: Final[Mapping[str, Any]] = {
    "own": _("Own project"),
    "training": _("Training"),
    "maintenance": _("Maintenance"),
    "group": _("Group"),
}
STAGES: Final[Mapping[str, Any]] = {
    "supervised": _("with a supervisor"),
    "autonomous": _("autonomous"),
    "instructor": _("instructor"),
    "suspended": _("suspended"),
}
#: Why a session needs a review: short label and explanation.
REVIEWS: Final[Mapping[str, tuple[Any, Any]]] = {
    "uncertain": (
        _("End uncertain"),
        _("The gate lost power or was restarted; when exactly the machine stopped is unknown."),
    ),
    "journal-lost": (
        _("End not received"),
        _("The gate's storage was replaced before the gate reported the end of the session. The last report counts."),
    ),
    "time-above-clock": (
        _("Longer than its dates allow"),
        _("The gate counted more minutes than passed between the start and the end that it recorded."),
    ),
    "running-above-time": (
        _("Running longer than powered on"),
        _("The gate counted a job longer than the machine was on."),
    ),
    "longer-than-allowed": (
        _("Longer than allowed"),
        _("The machine was on longer than its gate's rules allowed."),
    ),
    "before-first": (
        _("Dated before the gate existed"),
        _("The date is more than a day before the gate's first entry: one of the two is wrong."),
    ),
    "overlap": (
        _("Overlapping sessions"),
        _("The gate recorded two sessions at the same time; a machine has one user at a time."),
    ),
    "no-start": (
        _("Start missing"),
        _("The gate recorded the end, but the start is lost: who was granted access, and why, is not on record."),
    ),
    "restored-image": (
        _("Gate restored from an old copy"),
        _("The end was written by a gate restored from an older copy of its card. Entries may be missing."),
    ),
    "counter-above-end": (
        _("Counters disagree"),
        _("The gate reported more minutes during the session than it recorded at the end."),
    ),
    "undated": (
        _("Date unknown"),
        _("The minutes are exact, but the gate's clock was never set, so the day is unknown."),
    ),
    "clock": (
        _("Clock wrong"),
        _("The minutes are exact, but the gate's clock was wrong, and so are the dates."),
    ),
    "earlier-holder": (
        _("Badge had changed hands"),
        _("The gate's roster was old, so the gate still assigned the badge to the previous holder."),
    ),
    "contested": (_("Contested"), _("The member contests this session.")),
}
_WRONG_CLOCK: Final = _(
    "What to do: compare the gate's clock with a correct one. On the gate, “timedatectl” shows the "
    "time and whether it is synchronised; if not, configure a time server that the gate can reach "
    "(docs/install-by-hand.md). If the clocks of all gates seem wrong, check the collector's. The dates of "
    "these sessions stay as recorded: accept them as counted."
)
#: How to prevent such sessions, and how to settle them.
REMEDIES: Final[Mapping[str, Any]] = {
    "undated": _(
        "What to do: let the gate's clock synchronise. On the gate, “timedatectl” shows whether it does; "
        "if not, configure a time server that the gate can reach (docs/install-by-hand.md). Sessions since the "
        "gate's last start then get their dates automatically. Accept the other sessions as counted, or "
        "correct their duration."
    ),
    "clock": _WRONG_CLOCK,
    "before-first": _WRONG_CLOCK,
}
DECISIONS: Final[Mapping[str, Any]] = {
    "accepted": _("accepted as recorded"),
    "corrected": _("corrected"),
    "favour": _("in the member's favour"),
    "resolved": _("resolved by later records"),
}
FIELDS: Final[Mapping[str, Any]] = {
    "member": _("Person"),
    "payer": _("Payer"),
    "purpose": _("Purpose"),
    "time": _("Powered on"),
}
ENTRIES: Final[Mapping[str, Any]] = {
    "session.started": _("Session started"),
    "session.progress": _("Still running"),
    "session.ended": _("Session ended"),
}
MODES: Final[Mapping[str, Any]] = {
    "tap": _("tap on, tap off"),
    "hold": _("card stays in its holder"),
    "timed": _("fixed time per tap"),
    "audit": _("recorded only, not switched"),
}


def label(table: Mapping[str, Any], word: str | None) -> str:
    """Return the label of a code in `table`."""
    return str(table.get(word, word)) if word else NOTHING


def ended(reason: str | None) -> str:
    """Return why a session ended; a dash while it is open."""
    return capfirst(reasons.ended(reason)) or NOTHING


def all_ended(reasons: Iterable[str]) -> dict[str, str]:
    """Return why a session ended, for each of some reasons."""
    return {reason: ended(reason) for reason in reasons}


def refused(codes: Iterable[str]) -> str:
    """Return all reasons of a refusal, the worst first."""
    return capfirst(", ".join(reasons.all_refused(codes)))


def corrected(fields: str) -> str:
    """Return the names of the corrected fields; empty if none."""
    return ", ".join(label(FIELDS, field) for field in fields.split())


def cause(word: str) -> str:
    """Return what blocked a machine."""
    return capfirst(reasons.refused(f"blocked-{word}"))


def why(word: str | None) -> tuple[str, str]:
    """Return why a session needs a review: short label and explanation."""
    short, long = REVIEWS.get(word or "", (word or NOTHING, ""))
    return str(short), str(long)


def remedy(word: str | None) -> str:
    """Return what to do about the cause of a review; empty if the page's buttons suffice."""
    return str(REMEDIES.get(word or "", ""))
