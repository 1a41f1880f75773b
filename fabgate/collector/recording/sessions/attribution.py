"""Records for each session who pays, the member's category, and whether the badge was still the member's.

A session keeps these values as they are at that time; they do not change when the member does.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from fabgate.collector.ground.db import statements
from fabgate.collector.ground.db.rows import RowReader
from fabgate.collector.ground.models import Badge, BadgeForm, Group
from fabgate.collector.ground.models.sessions.words import OWN
from fabgate.collector.recording.entries import queries
from fabgate.collector.recording.sessions.merge import DerivedSession


@dataclass(frozen=True, slots=True)
class _Assignment:
    """One assignment of a badge."""

    holder: str
    group: Group | None
    since: datetime
    until: datetime | None
    #: The badge was given by a short form, which badges of others may have, too.
    is_short: bool = False

    def covers(self, moment: datetime) -> bool:
        return self.since <= moment and (self.until is None or moment < self.until)


def update(sessions: Collection[DerivedSession], now: datetime) -> None:
    """Set on `sessions` what is known now about their members and badges, with a fixed number of queries."""
    if not sessions:
        return
    people = queries.people({_user(session) for session in sessions})
    badges = _badges({session.badge for session in sessions})
    for session in sessions:
        user = _user(session)
        session.category, payer = people.get(user, ("", None))
        moment = session.started_at or session.last_at or now
        assignments = badges.get(session.badge, ())
        group = next(
            (
                assignment.group
                for assignment in assignments
                if assignment.group is not None
                and assignment.covers(moment)
                and (not assignment.is_short or assignment.holder == session.member)
            ),
            None,
        )
        if "payer" not in session.corrected:
            session.payer = (group.payer_id_or_own if group else payer) or user
        if group is not None and session.purpose == OWN and "purpose" not in session.corrected:
            session.purpose = "group"
        session.earlier_holder = _is_earlier_holder(session.member, assignments, moment)


def _is_earlier_holder(member: str, carried: Iterable[_Assignment], moment: datetime) -> bool:
    """Return whether `member` had the badge before `moment`, but no longer at it."""
    own = [assignment for assignment in carried if assignment.holder == member]
    ended = any(assignment.until is not None and assignment.until <= moment for assignment in own)
    return ended and not any(assignment.covers(moment) for assignment in own)


def _user(session: DerivedSession) -> str:
    return session.used_by if "member" in session.corrected else session.member


def _badges(digests: Collection[str]) -> dict[str, list[_Assignment]]:
    """Return every assignment of each badge."""
    rows = [(row.digest, row) for chunk in statements.chunks(sorted(digests)) for row in _BADGES.where(digest=chunk)]
    rows += _by_short_forms(set(digests) - {digest for digest, _row in rows})
    groups = {row.group_id for _digest, row in rows if row.group_id is not None}
    by_pk = Group.objects.in_bulk(groups) if groups else {}
    found: dict[str, list[_Assignment]] = defaultdict(list)
    for digest, row in rows:
        if row.group_id is not None:
            row.group = by_pk[row.group_id]
        ends = [end for end in (row.ended_at, row.until) if end is not None]
        end, is_short = min(ends, default=None), row.digest != digest
        found[digest].append(_Assignment(row.holder, row.group, row.since, end, is_short))
    return found


def _by_short_forms(digests: Collection[str]) -> list[tuple[str, Badge]]:
    """Return (digest, assignment) for badges that a reader gave by a short form (members/access/short_forms.py)."""
    forms = [row for chunk in statements.chunks(sorted(digests)) for row in _FORMS.where(digest=chunk)]
    badges = {row.pk: row for row in Badge.objects.filter(pk__in={form.badge_id for form in forms})} if forms else {}
    return [(form.digest, badges[form.badge_id]) for form in forms]


_BADGES: Final = RowReader(Badge)
_FORMS: Final = RowReader(BadgeForm)
