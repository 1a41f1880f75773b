"""What does a further grant change for a member who may hold the training already?"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Final, NamedTuple

from fabgate.collector.models import Grant

#: From the least to the most; a suspension takes away even what is open by hand.
_ORDER: Final = (Grant.SUSPENDED, "", Grant.SUPERVISED, Grant.AUTONOMOUS, Grant.INSTRUCTOR)


class Effect(NamedTuple):
    """What a grant does to one member."""

    #: Whether they hold more on some day.
    gains: bool
    #: What they hold on the first day, today or later, on which the grant leaves them less; None: on no day.
    lowered: Grant | None


def effect(said: Sequence[Grant], fresh: Grant, today: date) -> Effect:
    """Return what `fresh` changes for a member, of whom `said` was said before, in the order in which it began.

    What it changes begins on its own first day, or when another grant ends: a grant that begins later decides with it as
    without it. A grant that is dated back lowers what is held from `today` on, not what was held before.
    """
    days = {fresh.since, max(fresh.since, today)}
    for grant in said:
        ends = grant.last_day
        after = None if ends is None or ends == date.max else ends + timedelta(days=1)
        days |= {day for day in (grant.revoked_on, after) if day is not None and day > fresh.since}
    together = sorted([*said, fresh], key=lambda grant: grant.since)  # of one day the newest stays last
    gains, lowered = False, None
    for day in sorted(days):
        was = Grant.deciding(said, day)
        before, now = _rank(was), _rank(Grant.deciding(together, day))
        gains = gains or now > before
        if lowered is None and now < before and day >= today:
            lowered = was or fresh
    return Effect(gains, lowered)


def _rank(grant: Grant | None) -> int:
    return _ORDER.index(grant.stage if grant is not None else "")
