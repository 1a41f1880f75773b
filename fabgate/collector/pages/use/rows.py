"""How is a session shown in one line, and its times in words?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any, Final

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import get_language

from fabgate.collector.models import UsageSession
from fabgate.collector.pages.use import words
from fabgate.collector.pages.use.names import Names
from fabgate.collector.templatetags.fabgate import which

_TO: Final = "\N{EN DASH}"


@lru_cache(1024)
def _day(day: date, _language: str | None) -> str:
    return date_format(day, "SHORT_DATE_FORMAT")


@dataclass(frozen=True, slots=True)
class Row:
    """One session, ready for a table."""

    session: UsageSession
    who: str
    machine: str
    why: str
    #: Why somebody is to look at it; empty where nobody is.
    review: str

    @property
    def span(self) -> str:
        """Return from when to when it was, or between what it lies; the second day only where it is another one.

        Made here and not in the template, because there are two a row and fifty rows on a page.
        """
        start, end = self.session.started_at or self.session.not_before, self.session.ended_at
        began, ended = start and timezone.localtime(start), end and timezone.localtime(end)
        first = f"{_day(began.date(), get_language())} {began:%H:%M}{which(began)}" if began else "?"
        if ended is None:
            return first
        is_other = began is None or began.date() != ended.date()
        last = f"{_day(ended.date(), get_language())} {ended:%H:%M}" if is_other else f"{ended:%H:%M}"
        return f"{first} {_TO} {last}{which(ended)}"


def rows(sessions: Sequence[UsageSession]) -> list[Row]:
    """Return lines for sessions whose machine and gate were selected along."""
    names = Names(session.used_by for session in sessions)
    return [
        Row(
            session=session,
            who=names[session.used_by],
            machine=str(session.machine or session.gate),
            why=words.ended(session.reason) if session.reason else "",
            review=words.why(session.review)[0] if session.review else "",
        )
        for session in sessions
    ]


def sums(sessions: Sequence[UsageSession]) -> dict[str, Any]:
    """Return what some sessions add up to."""
    return {
        "sessions": len(sessions),
        "counted_ms": sum(session.counted_ms for session in sessions),
        "uncertainty_ms": sum(session.uncertainty_ms for session in sessions),
    }
