"""Recent refusals, and their reasons."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from fabgate.collector.ground.models import Refusal
from fabgate.collector.members.access.short_forms import BADGE_SHARED
from fabgate.collector.members.people import display_names, reasons
from fabgate.collector.members.people.display_names import DisplayName, Holder

#: Older refusals are on the Refusals page.
RECENT: Final = timedelta(hours=12)
MAX_SHOWN: Final = 8


@dataclass(frozen=True, slots=True)
class RecentRefusal:
    """A refusal for display; `who` is None if the badge was unknown.

    `holder` had the badge at the time of the refusal, or last before it. `now` is the current or last holder; the
    page's buttons depend on it.
    """

    row: Refusal
    machine: str
    who: DisplayName | None
    reasons: list[str]
    holder: Holder | None
    now: Holder | None

    @property
    def owner(self) -> Holder | None:
        """Return the person to whom the badge was assigned after the refusal, or None."""
        is_given = self.now is not None and self.now.until is None
        is_same = (
            self.holder is not None and self.holder.until is None and self.holder.who == (self.now and self.now.who)
        )
        return self.now if is_given and not is_same else None

    @property
    def is_unassigned(self) -> bool:
        """Return whether the badge has no holder now and can be assigned."""
        return self.who is None and not self.is_shared and (self.now is None or self.now.until is not None)

    @property
    def is_shared(self) -> bool:
        """Return whether the reader gives the number of several people's badges."""
        return BADGE_SHARED in self.row.reasons

    @property
    def why(self) -> list[str]:
        """Return the reasons, except those that the name shows already: badge unknown or lost."""
        in_name = {reasons.refused("unknown-badge")}
        if self.holder is not None and self.holder.is_lost:
            in_name.add(reasons.refused("badge-lost"))
        return [reason for reason in self.reasons if self.who is not None or reason not in in_name]

    @property
    def name(self) -> str:
        """Return the person's name, or else a description of the badge."""
        return str(self.who or display_names.badge_title(self.holder, self.row.reasons))


def recent(at: datetime) -> list[RecentRefusal]:
    """Return the newest refusals."""
    rows = list(Refusal.between(at - RECENT).select_related("gate", "machine")[:MAX_SHOWN])
    people = display_names.names_of(row.member for row in rows)
    then, now = (
        display_names.holders_at_refusal(rows),
        display_names.last_holders(row.badge for row in rows if not row.member),
    )
    return [
        RecentRefusal(
            row,
            str(row.where),
            people.get(row.member),
            reasons.all_refused(row.reasons),
            then.get(row.pk),
            None if row.member else now.get(row.badge),
        )
        for row in rows
    ]
