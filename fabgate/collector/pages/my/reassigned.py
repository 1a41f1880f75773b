"""Which sessions counted as mine until somebody put down another person? Whoever contested one reads here what became of it."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import QuerySet

from fabgate.collector.models import Correction, UsageSession


@dataclass(frozen=True, slots=True)
class Moved:
    """A session that is another person's by now; who that is stays between them and the workshop."""

    session: UsageSession
    machine: str
    #: In the words of whoever corrected it.
    reason: str


def away(member: str) -> QuerySet[UsageSession]:
    """Return the sessions that a correction took from a member, and none gave back."""
    taken = Correction.objects.filter(field=Correction.MEMBER, old=member).values("session")
    return UsageSession.objects.filter(pk__in=taken).exclude(used_by=member).select_related("machine", "gate")


def told(member: str, sessions: QuerySet[UsageSession]) -> list[Moved]:
    """Return some of those, the newest first, each with why it was taken."""
    return [
        Moved(
            session,
            str(session.machine or session.gate),
            session.corrections.filter(field=Correction.MEMBER, old=member).latest("id").reason,
        )
        for session in sessions.order_by("-ended_at", "-id")
    ]
