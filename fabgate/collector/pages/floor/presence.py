"""Who is in the workshop now, as far as badges tell: who uses a machine, and who did a while ago?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db.models import QuerySet

from fabgate.collector.access.eligibility import is_over
from fabgate.collector.models import Block, Grant, Member, UsageSession
from fabgate.collector.pages.floor import stations
from fabgate.collector.people import display_names
from fabgate.collector.people.blocks import today
from fabgate.collector.people.display_names import Who

#: Who ended a session before that is taken to have gone home.
LATELY: Final = timedelta(hours=2)
#: So many people at most; the newest.
MOST: Final = 40


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody and the machine at which they were seen; `at` is None while they use it.

    Of a machine whose gate is silent nobody knows: then it is when that was heard last.
    """

    who: Who
    machine: str
    at: datetime | None
    is_silent: bool
    is_supervisor: bool


def now(at: datetime) -> list[Person]:
    """Return who is here, those who use a machine first; each of them once."""
    busy = [gate for gate in stations.used(at - LATELY) if gate.session_member]
    used = [gate for gate in busy if gate.is_heard(at)]
    seen: dict[str, tuple[str, datetime | None, bool]] = {}
    for gate in used:
        seen.setdefault(gate.session_member, (str(gate.machine), None, False))
    for helper, machine in _supervising([gate.session for gate in used]):
        seen.setdefault(helper, (machine, None, False))
    for gate in busy:
        seen.setdefault(gate.session_member, (str(gate.machine), gate.seen_at, True))
    for person, machine, ended in _lately(at):
        seen.setdefault(person, (machine, ended, False))
    people = display_names.called(seen)
    supervisors = _supervisors(people.values())
    return [Person(people[one], *where, one in supervisors) for one, where in seen.items()]


def _supervising(sessions: list[str]) -> list[tuple[str, str]]:
    rows = UsageSession.objects.filter(id__in=sessions).exclude(supervisor=None).exclude(supervisor="")
    return [(row.supervisor or "", _named(row)) for row in _at_machines(rows)]


def _lately(at: datetime) -> list[tuple[str, str, datetime]]:
    rows = _at_machines(UsageSession.objects.filter(ended_at__gte=at - LATELY, ended_at__lte=at))
    found = []
    for row in rows.order_by("-ended_at", "-id")[:MOST]:
        assert row.ended_at is not None
        found += [(one, _named(row), row.ended_at) for one in (row.used_by or row.member, row.supervisor) if one]
    return found


def _at_machines(rows: QuerySet[UsageSession]) -> QuerySet[UsageSession]:
    """Return of each session who and where it was, and none of the rest of three wide rows."""
    people = ("member", "used_by", "supervisor", "ended_at")
    return rows.select_related("machine", "gate").only(*people, "machine__name", "machine__title", "gate__name")


def _named(row: UsageSession) -> str:
    return str(row.machine) if row.machine else row.gate.name


def _supervisors(people: Iterable[Who]) -> set[str]:
    """Return which of them may supervise somebody: by their level, or as instructors of something; nobody who is blocked."""
    day = today()
    blocked = set(Block.holding(day).values_list("member", flat=True))
    members = [one.member for one in people if one.member is not None and one.member.pk not in blocked]
    members = [one for one in members if not (one.minor or one.supervised or is_over(one, day))]
    members = [one for one in members if not (one.left_on and one.left_on <= day)]
    found = {member.pk for member in members if member.level in Member.LEVELS[1:]}
    said: dict[tuple[str, int], list[Grant]] = defaultdict(list)
    for grant in Grant.said_by(day).select_related("training__prerequisite").filter(member__in=members):
        said[grant.member_id, grant.training_id].append(grant)
    deciding = [one for grants in said.values() if (one := Grant.deciding(grants, day)) is not None]
    holds = {(one.member_id, one.training_id) for one in deciding if one.stage != Grant.SUSPENDED}
    taught = [one for one in deciding if one.stage == Grant.INSTRUCTOR]
    return found | {
        grant.member_id
        for grant in taught
        if holds.issuperset((grant.member_id, one.pk) for one in grant.training.with_first())
    }
