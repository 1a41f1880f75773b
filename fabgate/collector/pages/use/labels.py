"""What do a session's short words mean? Each is said as a person would; an unknown one stays as it came."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

from fabgate.collector.pages.formatting import NOTHING
from fabgate.collector.people import reasons

BASES: Final[Mapping[str, Any]] = {
    "grant": _("May use this machine"),
    "emergency": _("Emergency badge"),
    "maintainer": _("As maintainer, while the machine was flagged"),
    "sponsor": _("Guest of a supervisor"),
    "observe": _("Opening weeks: everybody was let in and only noted"),
    "continued": _("Goes on from the session before"),
}
PURPOSES: Final[Mapping[str, Any]] = {
    "own": _("Own project"),
    "training": _("Training"),
    "maintenance": _("Maintenance"),
    "group": _("Group"),
}
STAGES: Final[Mapping[str, Any]] = {
    "supervised": _("with a supervisor"),
    "autonomous": _("on their own"),
    "instructor": _("instructor"),
    "suspended": _("suspended"),
}
#: Why somebody should look at a session: in short, and what it means.
REVIEWS: Final[Mapping[str, tuple[Any, Any]]] = {
    "uncertain": (
        _("End uncertain"),
        _("The gate lost its power, or was restarted, and nobody knows to the minute when the machine stopped."),
    ),
    "journal-lost": (
        _("End never heard"),
        _("The gate's memory was replaced before it could tell how the session ended. What it last said counts."),
    ),
    "time-above-clock": (
        _("Longer than its dates allow"),
        _("The gate counted more minutes than there were between the start and the end that it wrote down."),
    ),
    "running-above-time": (
        _("Running longer than on"),
        _("The gate counted a job that ran for longer than the machine was on."),
    ),
    "longer-than-allowed": (
        _("Longer than allowed"),
        _("The machine was on for longer than the rules allowed by which its gate decided."),
    ),
    "before-first": (
        _("Dated before its gate"),
        _(
            "The date is more than a day before the first day on which the gate wrote anything: one of the two is wrong."
        ),
    ),
    "overlap": (
        _("Two at one time"),
        _("The gate wrote down two sessions of one time; a machine has one user at a time."),
    ),
    "no-start": (
        _("Start missing"),
        _("The gate wrote down an end, and its start is lost: who was let in, and why, is not on record."),
    ),
    "restored-image": (
        _("Gate was restored"),
        _("The end was written by a gate that came back from an older copy of its card. It may have missed something."),
    ),
    "counter-above-end": (
        _("Counters disagree"),
        _("The gate showed more minutes while the machine ran than it wrote down at the end."),
    ),
    "undated": (
        _("Date unknown"),
        _("The minutes are exact, but the gate's clock was never right, so that nobody knows on which day they were."),
    ),
    "clock": (
        _("Clock wrong"),
        _("The minutes are exact, but the gate's clock was wrong, and the dates with it."),
    ),
    "earlier-holder": (
        _("Badge had changed hands"),
        _("The gate still took the badge for its earlier holder: the list that it decided by was old."),
    ),
    "contested": (_("Contested"), _("The member says that this is not right.")),
}
_WRONG_CLOCK: Final = _(
    "What to do: compare the gate's clock with one that is right. On the gate, “timedatectl” shows its time, and"
    " whether it synchronises; where it does not, give the gate a time server that it can reach (docs/install.md)."
    " Where the clocks of all gates seem wrong, look at the collector's own. The dates of these sessions stay as the"
    " gate wrote them: accept them as counted."
)
#: What to do so that there are fewer such sessions, and about those that there are.
REMEDIES: Final[Mapping[str, Any]] = {
    "undated": _(
        "What to do: let the gate's clock synchronise. On the gate, “timedatectl” says whether it does; where it does"
        " not, give the gate a time server that it can reach (docs/install.md). Sessions since its last start then get"
        " their dates by themselves. For the others, accept the session as counted, or correct its time on."
    ),
    "clock": _WRONG_CLOCK,
    "before-first": _WRONG_CLOCK,
}
DECISIONS: Final[Mapping[str, Any]] = {
    "accepted": _("accepted as recorded"),
    "corrected": _("corrected"),
    "favour": _("in the member's favour"),
    "resolved": _("answered by later records"),
}
FIELDS: Final[Mapping[str, Any]] = {
    "member": _("Person"),
    "payer": _("Payer"),
    "purpose": _("Purpose"),
    "time": _("Time on"),
}
ENTRIES: Final[Mapping[str, Any]] = {
    "session.started": _("Session started"),
    "session.progress": _("Still running"),
    "session.ended": _("Session ended"),
}
MODES: Final[Mapping[str, Any]] = {
    "tap": _("tap on, tap off"),
    "hold": _("card stays in its holder"),
    "timed": _("so many minutes a tap"),
    "audit": _("only noted, not switched"),
}


def said(table: Mapping[str, Any], word: str | None) -> str:
    """Return a word as `table` says it."""
    return str(table.get(word, word)) if word else NOTHING


def ended(reason: str | None) -> str:
    """Return why a session ended; a dash while it is open."""
    return capfirst(reasons.ended(reason)) or NOTHING


def refused(said_reasons: Iterable[str]) -> str:
    """Return every reason of a refusal, the worst first."""
    return capfirst(", ".join(reasons.all_refused(said_reasons)))


def corrected(fields: str) -> str:
    """Return which fields of a session were corrected; empty where none was."""
    return ", ".join(said(FIELDS, field) for field in fields.split())


def cause(word: str) -> str:
    """Return what blocked a machine."""
    return capfirst(reasons.refused(f"blocked-{word}"))


def why(word: str | None) -> tuple[str, str]:
    """Return why a session is to be looked at: in short, and in full."""
    short, long = REVIEWS.get(word or "", (word or NOTHING, ""))
    return str(short), str(long)


def remedy(word: str | None) -> str:
    """Return what to do about the cause of a review; "" where the page's own buttons say it."""
    return str(REMEDIES.get(word or "", ""))
