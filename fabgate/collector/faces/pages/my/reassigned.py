"""Sessions that a correction reassigned from a member to another person; the member sees why."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import QuerySet

from fabgate.collector.ground.models import Correction, UsageSession


@dataclass(frozen=True, slots=True)
class Reassigned:
    """A session that was reassigned to another person, whose name is not shown."""

    session: UsageSession
    machine: str
    #: The reason given with the correction.
    reason: str


def reassigned_from(member: str) -> QuerySet[UsageSession]:
    """Return the sessions that a correction took from a member, unless another one gave them back."""
    taken = Correction.objects.filter(field=Correction.MEMBER, old=member).values("session")
    return UsageSession.objects.filter(pk__in=taken).exclude(used_by=member).select_related("machine", "gate")


def with_reasons(member: str, sessions: QuerySet[UsageSession]) -> list[Reassigned]:
    """Return these sessions, each with the reason, newest first."""
    return [
        Reassigned(
            session,
            str(session.machine or session.gate),
            session.corrections.filter(field=Correction.MEMBER, old=member).latest("id").reason,
        )
        for session in sessions.order_by("-ended_at", "-id")
    ]
