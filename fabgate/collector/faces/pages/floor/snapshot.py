"""The floor at one moment. Each part is read from the database only when it is first used."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Final

from django.utils.html import format_html

from fabgate.collector.faces.pages.events.live_regions import Requested
from fabgate.collector.faces.pages.floor import (
    actions,
    first_steps,
    presence,
    recent_commands,
    recent_refusals,
    stations,
)
from fabgate.collector.faces.pages.floor.first_steps import FirstStep
from fabgate.collector.faces.pages.floor.presence import PresentPerson
from fabgate.collector.faces.pages.floor.recent_commands import SentCommand
from fabgate.collector.faces.pages.floor.recent_refusals import RecentRefusal
from fabgate.collector.faces.pages.floor.stations import Station
from fabgate.collector.faces.pages.words.formatting import STATES
from fabgate.collector.ground.models import Account

#: The order of the counts above the machines: states that need attention come first.
_COUNTED: Final = (
    "left-on",
    "blocked",
    "locked",
    "silent",
    "in-use",
    "running",
    "starting",
    "finishing",
    "closed",
    "free",
)


@dataclass(frozen=True)
class Snapshot:
    """The floor at the moment `at` for an `account`, limited to the parts that were `asked` for."""

    at: datetime
    account: Account
    asked: Requested

    @property
    def is_part(self) -> bool:
        """Return whether only the cards of some gates are drawn."""
        return self.asked.gates is not None

    @cached_property
    def cards(self) -> list[Station]:
        """Return the stations to draw."""
        return self._stations if self.asked.gates is None else stations.now(self.at, self.asked.gates)

    @property
    def unlockable(self) -> set[str]:
        """Return the ids of the locks on these cards that the account may remove."""
        return actions.unlockable(self.account, self.cards)

    @property
    def counted(self) -> list[tuple[str, int, str]]:
        """Return (state, count, label) for each state. An open page updates the counts from its cards."""
        counts = Counter(station.state for station in self._stations)
        label = '{} · <span data-count=".station.is-{}">{}</span>'
        return [(one, counts[one], format_html(label, STATES[one][1], one, counts[one])) for one in _COUNTED]

    @property
    def first_steps(self) -> list[FirstStep]:
        """Return the first steps of a new collector, as far as the account may take them."""
        return first_steps.of(self.account.role)

    @property
    def cut_off_since(self) -> datetime | None:
        """Return since when all gates have been offline, which means that the collector is cut off; or None."""
        heard = [station.gate.seen_at for station in self._stations if station.gate and station.gate.seen_at]
        online = [station for station in self._stations if station.gate and station.gate.online]
        is_cut_off = bool(online) and all(station.state == "silent" for station in self._stations)
        return max(heard) if is_cut_off and heard else None

    @cached_property
    def people(self) -> list[PresentPerson]:
        """Return the people present."""
        return presence.now(self.at)

    @property
    def has_supervisor(self) -> bool:
        """Return whether one of them may supervise."""
        return any(person.is_supervisor for person in self.people)

    @property
    def refused(self) -> list[RecentRefusal]:
        """Return the recent refusals."""
        return recent_refusals.recent(self.at)

    @property
    def commands(self) -> list[SentCommand]:
        """Return the recent commands."""
        return recent_commands.recent(self.at)

    @cached_property
    def _stations(self) -> list[Station]:
        return stations.now(self.at)
