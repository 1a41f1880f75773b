"""Proposes the number of a new person.

A number that no member has may still be in use: after a restore, gates send sessions of people who were added after the
copy. These sessions would be assigned to a new person with the same number.
"""

from __future__ import annotations

import re
from collections import Counter
from datetime import datetime
from typing import Final

from django.db import connection
from django.db.models import Count, Max

from fabgate.collector.ground.models import Member, UsageSession

#: The number proposed for the first person.
FIRST: Final = "m-001"
_NUMBERED: Final = re.compile(r"(.*?)(\d{1,12})")
#: Everyone with an ended session, found with one index step for each person (a "loose index scan").
_USERS: Final = """
WITH RECURSIVE users (id) AS (
    SELECT MIN(used_by) FROM collector_usagesession WHERE ended_at IS NOT NULL
    UNION ALL
    SELECT (SELECT MIN(s.used_by) FROM collector_usagesession s WHERE s.ended_at IS NOT NULL AND s.used_by > users.id)
    FROM users WHERE users.id IS NOT NULL)
SELECT id FROM users WHERE id IS NOT NULL"""


def next_id() -> str:
    """Return the number after the highest one with the most common prefix; FIRST for a new workshop.

    Numbers that only sessions have are not proposed either.
    """
    found: Counter[str] = Counter()
    highest: dict[str, tuple[int, int]] = {}
    members = set(Member.objects.values_list("pk", flat=True))
    for pk in members | _users():
        if match := _NUMBERED.fullmatch(pk):
            prefix, digits = match[1], match[2]
            found[prefix] += pk in members
            highest[prefix] = max(highest.get(prefix, (0, 0)), (int(digits), len(digits)))
    prefix, count = next(iter(found.most_common(1)), ("", 0))
    if not count:
        return FIRST if not members else ""
    number, width = highest[prefix]
    return f"{prefix}{number + 1:0{width}d}"


def sessions_of(pk: str) -> tuple[int, datetime | None]:
    """Return how many ended sessions have this number, and when the last one ended."""
    ended = UsageSession.objects.filter(used_by=pk, ended_at__isnull=False)
    totals = ended.aggregate(count=Count("id"), last=Max("ended_at"))
    return totals["count"], totals["last"]


def _users() -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute(_USERS)
        ended = {row[0] for row in cursor.fetchall()}
    return ended | set(UsageSession.open().values_list("used_by", flat=True))
