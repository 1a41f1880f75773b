"""All charges of one session, and the one that applies."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from fabgate.collector.ground.models import Charge
from fabgate.collector.money.billing.rating import Rated


class History(NamedTuple):
    """The charges of a session and their reversals, in the order in which they were made."""

    charges: list[Charge]

    @property
    def applied(self) -> Charge | None:
        """Return the charge that applies; None for a session that is not charged."""
        gone = {charge.reverses for charge in self.charges}
        return next((charge for charge in self.charges if not charge.reverses and charge.pk not in gone), None)

    def is_as(self, rated: Rated) -> bool:
        """Return whether the session is charged as it would be rated now, or not charged."""
        applied = self.applied
        return applied is None or (applied.kind, applied.amount_minor) == (rated.kind, rated.amount_minor)


def of(session: str) -> History:
    """Return the charges of a session, as they are stored now."""
    return stored([session])[session]


def stored(sessions: Collection[str]) -> dict[str, History]:
    """Return the charges of each of some sessions, as they are stored now."""
    found: dict[str, list[Charge]] = {session: [] for session in sessions}
    for charge in Charge.objects.filter(session__in=sessions):
        found[charge.session].append(charge)
    return {
        session: History(sorted(charges, key=lambda charge: (charge.month, not charge.reverses)))
        for session, charges in found.items()
    }
