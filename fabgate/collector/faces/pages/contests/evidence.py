"""The evidence for what a session costs: taps, running time, why it ended, and what is uncertain.

The page of a price shows it to accountants, and the page of a session to the member (contests/evidence.html).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from fabgate import wire
from fabgate.collector.faces.pages.use.sessions import evidence
from fabgate.collector.faces.pages.use.sessions.evidence import Evidence, SessionEntry
from fabgate.collector.faces.pages.words import session_labels
from fabgate.collector.ground.models import UsageSession
from fabgate.collector.money.paper.figures import duration


class Recorded(NamedTuple):
    """What the gate recorded at one moment; `on_ms` and `running_ms` are None at the start."""

    at: datetime | None
    what: str
    note: str = ""
    on_ms: int | None = None
    running_ms: int | None = None


def of(session: UsageSession) -> dict[str, Any]:
    """Return the context of contests/evidence.html."""
    found = evidence.of(session)
    return {
        "recorded": list(_recorded(found)),
        "doubts": list(_doubts(found)),
        "corrections": list(_corrections(found)),
    }


def _recorded(found: Evidence) -> Iterator[Recorded]:
    between: list[SessionEntry] = []
    for one in found.entries:
        if isinstance(one.data, wire.SessionStarted):
            parts = [found.basis, session_labels.label(session_labels.MODES, one.data.mode)]
            if one.data.supervisor:
                parts.append(_("a supervisor tapped too"))
            yield Recorded(one.entry.occurred_at, _("Badge accepted, power on"), " · ".join(parts))
        elif isinstance(one.data, wire.SessionEnded):
            yield from _between(between)
            between = []
            more = one.data.uncertainty_ms
            note = _("the machine may have stopped up to %(more)s later") % {"more": duration(more)} if more else ""
            why = session_labels.ended(one.data.reason)
            yield Recorded(one.entry.occurred_at, why, note, one.data.energised_ms, one.data.running_ms)
        else:
            between.append(one)
    yield from _between(between)


def _between(reports: list[SessionEntry]) -> Iterator[Recorded]:
    """Yield the last report on the way, with the number of all."""
    if not reports:
        return
    last = reports[-1]
    assert isinstance(last.data, wire.SessionCounters)
    text = ngettext("%(n)d report during the session", "%(n)d reports during the session; the last one:", len(reports))
    yield Recorded(last.entry.occurred_at, text % {"n": len(reports)}, "", last.data.energised_ms, last.data.running_ms)


def _doubts(found: Evidence) -> Iterator[str]:
    session = found.session
    if session.counted_uncertainty_ms:
        text = _(
            "The exact end is unknown: the session may have lasted up to %(more)s longer. The shorter time counts."
        )
        yield text % {"more": duration(session.counted_uncertainty_ms)}
    if session.doubt:
        short, long = session_labels.why(session.doubt)
        yield f"{short}. {long}"
    if found.wrong_clock:
        yield _("The gate's clock %(was)s") % {"was": found.wrong_clock}


def _corrections(found: Evidence) -> Iterator[dict[str, Any]]:
    """Yield what people corrected and why, without names."""
    for one in found.corrections:
        yield {"at": one.at, "field": session_labels.label(session_labels.FIELDS, one.field), "reason": one.reason}
