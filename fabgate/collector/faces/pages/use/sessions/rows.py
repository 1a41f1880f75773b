"""Sessions as table rows, with their times as text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any, Final

from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from fabgate.collector.faces.pages.words import session_labels
from fabgate.collector.faces.pages.words.formatting import state, which
from fabgate.collector.faces.pages.words.names import Names
from fabgate.collector.ground.formats import date_format
from fabgate.collector.ground.models import Review, UsageSession
from fabgate.collector.money.paper.figures import duration

#: The columns that a row needs.
COLUMNS: Final = (
    *("used_by", "started_at", "ended_at", "not_before", "not_after", "counted_ms", "running_ms", "uncertainty_ms"),
    *("reason", "uncertain", "review", "corrected", "energised_ms", "machine__name", "machine__title"),
    "gate__name",
)
_TO: Final = "\N{EN DASH}"


@lru_cache(1024)
def _day(day: date, _language: str | None) -> str:
    return date_format(day, "SHORT_DATE_FORMAT")


@dataclass(frozen=True, slots=True)
class ListedSession:
    """One session, ready for a table."""

    session: UsageSession
    who: str
    machine: str
    why: str
    #: Why it needs a review; empty if it does not.
    review: str

    @property
    def span(self) -> str:
        """Return start and end, or their limits marked with ≈; the second day only if it differs.

        Rendered here, because a page has fifty rows and a template would be slow.
        """
        if self.session.is_about:
            return format_html(
                '<span title="{}">≈ </span>{}', _("The date is unknown: it is between these two."), self._limits
            )
        return self._limits

    @property
    def _limits(self) -> str:
        start, end = self.session.started_at or self.session.not_before, self.session.counted_until
        began, ended = start and timezone.localtime(start), end and timezone.localtime(end)
        first = f"{_day(began.date(), get_language())} {began:%H:%M}{which(began)}" if began else "?"
        if ended is None:
            return first
        is_other = began is None or began.date() != ended.date()
        last = f"{_day(ended.date(), get_language())} {ended:%H:%M}" if is_other else f"{ended:%H:%M}"
        return f"{first} {_TO} {last}{which(ended)}"

    @property
    def doubt(self) -> str:
        """Return a badge for uncertain minutes or a review, or ""."""
        session = self.session
        if not session.uncertain:
            return ""
        more_ms = session.counted_uncertainty_ms
        if more_ms and session.review != Review.CONTESTED:
            return state("uncertain", _("uncertain, up to %(more)s more") % {"more": duration(more_ms)})
        return state("uncertain", self.review)

    @property
    def cells(self) -> dict[str, str]:
        """Return the cells of the row, by name."""
        session = self.session
        return {
            "url": reverse("use-session", args=[session.id]),
            "who": self.who,
            "machine": self.machine,
            "span": self.span,
            "time_on": self.time_on,
            "running": duration(session.counted_running_ms),
            "why": format_html("{} {}", self.why, self.doubt) if session.uncertain else self.why,
        }

    @property
    def time_on(self) -> str:
        """Return the time on, with a mark if fields were corrected."""
        time_on = duration(self.session.counted_ms)
        if not self.session.corrected:
            return time_on
        title = _("corrected: %(fields)s") % {"fields": session_labels.corrected(self.session.corrected)}
        return format_html('{}<span class="mark" title="{}">*</span>', time_on, title)


def rows(sessions: Sequence[UsageSession], *, are_apart: bool = False) -> list[ListedSession]:
    """Return rows for sessions; select machine and gate with the query. `are_apart`: namesakes have their numbers."""
    names = Names((session.used_by for session in sessions), are_apart=are_apart)
    return [
        ListedSession(
            session=session,
            who=names[session.used_by],
            machine=str(session.machine or session.gate),
            why=session_labels.ended(session.reason) if session.reason else "",
            review=session_labels.why(session.review)[0] if session.review else "",
        )
        for session in sessions
    ]


def totals(sessions: Sequence[UsageSession]) -> dict[str, Any]:
    """Return the totals of some sessions."""
    return {
        "sessions": len(sessions),
        "counted_ms": sum(session.counted_ms for session in sessions),
        "uncertainty_ms": sum(session.counted_uncertainty_ms for session in sessions),
    }
