"""Whose session is it: who pays, what are they counted as, and was the badge still theirs? Asked once a batch.

A snapshot: what a session says of its member stays as it was when it was heard of, whatever becomes of the member.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from fabgate.collector.db import statements
from fabgate.collector.db.rows import RowReader
from fabgate.collector.entries import queries
from fabgate.collector.models import Badge, Group
from fabgate.collector.models.words import OWN
from fabgate.collector.sessions.merge import Usage


@dataclass(frozen=True, slots=True)
class _Carried:
    """One assignment of a badge."""

    holder: str
    group: Group | None
    since: datetime
    until: datetime | None

    def covers(self, moment: datetime) -> bool:
        return self.since <= moment and (self.until is None or moment < self.until)


def note(usages: Collection[Usage], now: datetime) -> None:
    """Write onto `usages` what is known of their members and badges at this moment."""
    if not usages:
        return
    people = queries.people({_who(usage) for usage in usages})
    badges = _badges({usage.badge for usage in usages})
    for usage in usages:
        who = _who(usage)
        usage.category, payer = people.get(who, ("", None))
        moment = usage.started_at or usage.last_at or now
        carried = badges.get(usage.badge, ())
        group = next((one.group for one in carried if one.group is not None and one.covers(moment)), None)
        if "payer" not in usage.corrected:
            usage.payer = (group.payer_id_or_own if group else payer) or who
        if group is not None and usage.purpose == OWN and "purpose" not in usage.corrected:
            usage.purpose = "group"
        usage.earlier_holder = _was_earlier(usage.member, carried, moment)


def _was_earlier(member: str, carried: Iterable[_Carried], moment: datetime) -> bool:
    """Return whether `member` had the badge before `moment`, and not at it."""
    own = [one for one in carried if one.holder == member]
    ended = any(one.until is not None and one.until <= moment for one in own)
    return ended and not any(one.covers(moment) for one in own)


def _who(usage: Usage) -> str:
    return usage.used_by if "member" in usage.corrected else usage.member


def _badges(digests: Collection[str]) -> dict[str, list[_Carried]]:
    """Return every assignment of each badge."""
    rows = [row for chunk in statements.chunks(sorted(digests)) for row in _BADGES.where(digest=chunk)]
    groups = {row.group_id for row in rows if row.group_id is not None}
    by_pk = Group.objects.in_bulk(groups) if groups else {}
    found: dict[str, list[_Carried]] = defaultdict(list)
    for row in rows:
        if row.group_id is not None:
            row.group = by_pk[row.group_id]
        ends = [end for end in (row.ended_at, row.until) if end is not None]
        found[row.digest].append(_Carried(row.holder, row.group, row.since, min(ends, default=None)))
    return found


_BADGES: Final = RowReader(Badge)
