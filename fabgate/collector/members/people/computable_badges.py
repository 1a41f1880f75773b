"""Which badges can be copied by somebody who has a gate's SD card?

The card holds the digests of all badges, and their key: somebody who has both can try all numbers until one fits. For numbers
of up to 5 bytes that takes hours or days; for those of 7 bytes it takes too long (docs/decisions/0025). Readers ask a badge for
its number only, so a copy needs nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from fabgate import badge
from fabgate.collector.ground.models import Badge, BadgeForm

#: UIDs of 7 and 10 bytes are too long. All badges of other kinds have at most 5 bytes.
_SHORT_UID: Final = 4


@dataclass(frozen=True, slots=True)
class Found:
    """The badges that members and groups have now.

    `short`: those whose number can be computed. `unknown`: those that were enrolled by a tap on a gate, so that the collector has
    only the digest; their numbers may be short.
    """

    short: list[Badge]
    unknown: list[Badge]


def find(now: datetime) -> Found:
    """Return these badges, in the order of their holders' names."""
    accepted = set(BadgeForm.objects.filter(state=BadgeForm.ACCEPTED).values_list("badge", flat=True))
    found = Found([], [])
    rows = Badge.assigned(now).select_related("member", "group").order_by("member__folded", "group__folded", "pk")
    for row in rows:
        if not row.spelling:
            found.unknown.append(row)
        elif row.pk in accepted or is_short(row.spelling):
            found.short.append(row)
    return found


def is_short(spelling: str) -> bool:
    """Return whether the number of a badge can be computed from its digest by somebody who has the key."""
    known = badge.parse(spelling)
    return known.kind is not badge.Kind.ISO14443A or len(known.raw) <= _SHORT_UID
