"""Rebuilds rosters when the price of a machine changes, and when the credit of a payer runs low or out, or is added.

Charges change every few seconds, and rosters are large. So they are built only if the terms by which machines are priced
are other ones, or if other payers are out of credit, or low, than before.
"""

from __future__ import annotations

from typing import NamedTuple

from fabgate.collector.ground.models import BillingProgress, Gate
from fabgate.collector.members.access import roster
from fabgate.collector.money.billing.prepaid import modes, standing
from fabgate.collector.money.billing.prepaid.standing import Standing


class _Seen(NamedTuple):
    """What rosters depend on: the prices of machines, and the payers out of credit or low; None if no payer prepays."""

    terms: str
    standing: Standing | None


class BillingWatch:
    """Remembers the values for which rosters were built; charges must be up to date before each check."""

    def __init__(self) -> None:
        self._pulse: int | None = None
        self._seen: _Seen | None = None

    def look(self) -> list[Gate]:
        """Rebuild the rosters if they have to change; return the gates that have another one.

        Unless charges follow a new pulse, nothing has changed. The newest pulse would not do: what happened since the last
        refresh is not charged yet, and would be taken for seen. The first look builds them always: they may be older.
        """
        pulse, terms = BillingProgress.objects.values_list("pulse", "terms").first() or (-1, "")
        if pulse == self._pulse:
            return []
        found = _Seen(terms, standing.of() if modes.are_in_use() else None)
        changed = roster.rebuild(only_changed=True) if found != self._seen else []
        # Only now: if the database is busy, the next look does it.
        self._seen, self._pulse = found, pulse
        return changed
