"""Who was refused a little while ago, and why?"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from fabgate.collector.models import Refusal
from fabgate.collector.pages import reasons, who
from fabgate.collector.pages.who import Who

#: What is older is among the refusals of the tab Use.
LATELY: Final = timedelta(hours=12)
MOST: Final = 8


@dataclass(frozen=True, slots=True)
class Refused:
    """A refusal in words; `who` is None where nobody knew the badge, and `owner` is who has such a badge by now."""

    row: Refusal
    machine: str
    who: Who | None
    reasons: list[str]
    owner: Who | None


def lately(at: datetime) -> list[Refused]:
    """Return the newest refusals."""
    rows = list(Refusal.between(at - LATELY).select_related("gate", "machine")[:MOST])
    people = who.called(row.member for row in rows)
    owners = who.having(row.badge for row in rows if not row.member)
    return [
        Refused(
            row,
            str(row.where),
            people.get(row.member),
            reasons.all_refused(row.reasons),
            None if row.member else owners.get(row.badge),
        )
        for row in rows
    ]
