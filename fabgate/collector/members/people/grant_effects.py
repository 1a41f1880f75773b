"""Computes what another grant changes for a member who may have the training already."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Final, NamedTuple

from fabgate.collector.ground.models import Grant

#: From the lowest to the highest; a suspension also removes individual access.
_ORDER: Final = (Grant.SUSPENDED, "", Grant.SUPERVISED, Grant.AUTONOMOUS, Grant.INSTRUCTOR)


class Effect(NamedTuple):
    """The effect of a grant on a member."""

    #: Whether they have a higher stage on at least one day.
    gains: bool
    #: The grant in force on the first day, today or later, on which the new one lowers their stage; None: never.
    lowered: Grant | None


def effect(earlier: Sequence[Grant], fresh: Grant, today: date) -> Effect:
    """Return the effect of `fresh` on a member with the grants `earlier`, which are in the order of `since`.

    The effect begins on its own first day, or when another grant ends. From the beginning of a later grant on, nothing
    changes. A backdated grant lowers stages from `today` on, not those of the past.
    """
    days = {fresh.since, max(fresh.since, today)}
    for grant in earlier:
        ends = grant.last_day
        after = None if ends is None or ends == date.max else ends + timedelta(days=1)
        days |= {day for day in (grant.revoked_on, after) if day is not None and day > fresh.since}
    together = sorted([*earlier, fresh], key=lambda grant: grant.since)  # of the same day, the new one stays last
    gains, lowered = False, None
    for day in sorted(days):
        was = Grant.applicable(earlier, day)
        before, now = _rank(was), _rank(Grant.applicable(together, day))
        gains = gains or now > before
        if lowered is None and now < before and day >= today:
            lowered = was or fresh
    return Effect(gains, lowered)


def _rank(grant: Grant | None) -> int:
    return _ORDER.index(grant.stage if grant is not None else "")
