"""Who was refused a little while ago, and why?"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from fabgate.collector.models import Refusal
from fabgate.collector.people import display_names, reasons
from fabgate.collector.people.display_names import Holder, Who

#: What is older is among the refusals of the tab Use.
LATELY: Final = timedelta(hours=12)
MOST: Final = 8


@dataclass(frozen=True, slots=True)
class Refused:
    """A refusal in words; `who` is None where nobody knew the badge.

    `holder` is who had the badge then, or had had it last; `now` is who has it today, or had it last: for what is
    offered.
    """

    row: Refusal
    machine: str
    who: Who | None
    reasons: list[str]
    holder: Holder | None
    now: Holder | None

    @property
    def owner(self) -> Holder | None:
        """Return who has got the badge since; None where nobody has, or who had it then has it still."""
        is_given = self.now is not None and self.now.until is None
        is_same = (
            self.holder is not None and self.holder.until is None and self.holder.who == (self.now and self.now.who)
        )
        return self.now if is_given and not is_same else None

    @property
    def is_nobodys(self) -> bool:
        """Whether nobody has such a badge now, so that it can be given to somebody."""
        return self.who is None and (self.now is None or self.now.until is not None)

    @property
    def why(self) -> list[str]:
        """Return the reasons, but for the one that the name says already: nobody knew the badge, or it was lost."""
        said = {reasons.refused("unknown-badge")}
        if self.holder is not None and self.holder.is_lost:
            said.add(reasons.refused("badge-lost"))
        return [reason for reason in self.reasons if self.who is not None or reason not in said]

    @property
    def name(self) -> str:
        """Return who it was, or else what badge."""
        return str(self.who or display_names.unnamed(self.holder))


def lately(at: datetime) -> list[Refused]:
    """Return the newest refusals."""
    rows = list(Refusal.between(at - LATELY).select_related("gate", "machine")[:MOST])
    people = display_names.called(row.member for row in rows)
    then, now = display_names.at_the_time(rows), display_names.holding(row.badge for row in rows if not row.member)
    return [
        Refused(
            row,
            str(row.where),
            people.get(row.member),
            reasons.all_refused(row.reasons),
            then.get(row.pk),
            None if row.member else now.get(row.badge),
        )
        for row in rows
    ]
