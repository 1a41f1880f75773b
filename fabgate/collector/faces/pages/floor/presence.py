"""Finds out who is in the workshop now: people at a machine, and people who recently used one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db.models import QuerySet

from fabgate.collector.faces.pages.floor import stations
from fabgate.collector.ground.models import Block, Grant, Member, UsageSession
from fabgate.collector.members.access.eligibility import is_over
from fabgate.collector.members.people import display_names
from fabgate.collector.members.people.blocks import today
from fabgate.collector.members.people.display_names import DisplayName

#: People whose last session ended earlier than this are assumed to have left.
RECENT: Final = timedelta(hours=2)
#: At most this many ended sessions are looked at, newest first.
MAX_SESSIONS: Final = 40


@dataclass(frozen=True, slots=True)
class PresentPerson:
    """A person and the machine where they were last seen; `at` is None while they are using it.

    If the machine's gate is offline, `at` is when the gate was last heard.
    """

    who: DisplayName
    machine: str
    at: datetime | None
    is_offline: bool
    is_supervisor: bool


def now(at: datetime) -> list[PresentPerson]:
    """Return the people present, each once; those using a machine come first."""
    busy = [gate for gate in stations.used(at - RECENT) if gate.session_member]
    used = [gate for gate in busy if gate.is_online(at)]
    seen: dict[str, tuple[str, datetime | None, bool]] = {}
    for gate in used:
        seen.setdefault(gate.session_member, (str(gate.machine), None, False))
    for supervisor, machine in _supervising([gate.session for gate in used]):
        seen.setdefault(supervisor, (machine, None, False))
    for gate in busy:
        seen.setdefault(gate.session_member, (str(gate.machine), gate.seen_at, True))
    for person, machine, ended in _lately(at):
        seen.setdefault(person, (machine, ended, False))
    people = display_names.names_of(seen)
    supervisors = _supervisors(people.values())
    return [PresentPerson(people[key], *where, key in supervisors) for key, where in seen.items()]


def _supervising(sessions: list[str]) -> list[tuple[str, str]]:
    rows = UsageSession.objects.filter(id__in=sessions).exclude(supervisor=None).exclude(supervisor="")
    return [(row.supervisor or "", _named(row)) for row in _at_machines(rows)]


def _lately(at: datetime) -> list[tuple[str, str, datetime]]:
    rows = _at_machines(UsageSession.objects.filter(ended_at__gte=at - RECENT, ended_at__lte=at))
    seen = []
    for row in rows.order_by("-ended_at", "-id")[:MAX_SESSIONS]:
        assert row.ended_at is not None
        seen += [(key, _named(row), row.ended_at) for key in (row.used_by or row.member, row.supervisor) if key]
    return seen


def _at_machines(rows: QuerySet[UsageSession]) -> QuerySet[UsageSession]:
    """Select only the columns for people and machines; the three joined rows are wide."""
    people = ("member", "used_by", "supervisor", "ended_at")
    return rows.select_related("machine", "gate").only(*people, "machine__name", "machine__title", "gate__name")


def _named(row: UsageSession) -> str:
    return str(row.machine) if row.machine else row.gate.name


def _supervisors(people: Iterable[DisplayName]) -> set[str]:
    """Return the ids of those people who may supervise: by their level or as instructors. Blocked members may not."""
    day = today()
    blocked = set(Block.active(day).values_list("member", flat=True))
    members = [who.member for who in people if who.member is not None and who.member.pk not in blocked]
    members = [one for one in members if not (one.minor or one.supervised or is_over(one, day))]
    members = [one for one in members if not (one.left_on and one.left_on <= day)]
    by_level = {member.pk for member in members if member.level in Member.LEVELS[1:]}
    grants_of: dict[tuple[str, int], list[Grant]] = defaultdict(list)
    for grant in Grant.begun_by(day).select_related("training__prerequisite").filter(member__in=members):
        grants_of[grant.member_id, grant.training_id].append(grant)
    applicable = [one for grants in grants_of.values() if (one := Grant.applicable(grants, day)) is not None]
    holds = {(one.member_id, one.training_id) for one in applicable if one.stage != Grant.SUSPENDED}
    teaching = [one for one in applicable if one.stage == Grant.INSTRUCTOR]
    return by_level | {
        grant.member_id
        for grant in teaching
        if holds.issuperset((grant.member_id, one.pk) for one in grant.training.with_prerequisites())
    }
