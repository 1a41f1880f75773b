"""What does the floor show of a moment? Each part is read when it is drawn first, so that what nobody asks for costs nothing."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Final

from django.utils.html import format_html

from fabgate.collector.models import Account
from fabgate.collector.pages.floor import actions, presence, recent_commands, recent_refusals, stations
from fabgate.collector.pages.floor.presence import Person
from fabgate.collector.pages.floor.recent_commands import Given
from fabgate.collector.pages.floor.recent_refusals import Refused
from fabgate.collector.pages.floor.stations import Station
from fabgate.collector.pages.formatting import STATES
from fabgate.collector.pages.live_regions import Asked

#: In which order states are counted above the machines: what needs a person first.
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
class Shown:
    """The floor at the moment `at` to who is signed in, as far as it was `asked` for."""

    at: datetime
    account: Account
    asked: Asked

    @property
    def is_part(self) -> bool:
        """Whether there are cards of some gates alone."""
        return self.asked.gates is not None

    @cached_property
    def cards(self) -> list[Station]:
        """Return the stations whose cards are drawn."""
        return self._stations if self.asked.gates is None else stations.now(self.at, self.asked.gates)

    @property
    def unlockable(self) -> set[str]:
        """Return the ids of the locks on the cards that this person may take off."""
        return actions.unlockable(self.account, self.cards)

    @property
    def counted(self) -> list[tuple[str, int, str]]:
        """Return each state, how many stations are in it, and that in words; an open page counts its cards by itself."""
        counts = Counter(station.state for station in self._stations)
        told = '{} · <span data-count=".station.is-{}">{}</span>'
        return [(one, counts[one], format_html(told, STATES[one][1], one, counts[one])) for one in _COUNTED]

    @property
    def deaf_since(self) -> datetime | None:
        """Return since when nothing at all was heard: then it is the collector that hears nothing, not the gates."""
        heard = [station.gate.seen_at for station in self._stations if station.gate and station.gate.seen_at]
        online = [station for station in self._stations if station.gate and station.gate.online]
        is_deaf = bool(online) and all(station.state == "silent" for station in self._stations)
        return max(heard) if is_deaf and heard else None

    @cached_property
    def people(self) -> list[Person]:
        """Return who is here."""
        return presence.now(self.at)

    @property
    def has_supervisor(self) -> bool:
        """Whether one of them may supervise somebody."""
        return any(person.is_supervisor for person in self.people)

    @property
    def supervisors(self) -> list[str]:
        """Return those who may, without their surnames."""
        return [person.who.given for person in self.people if person.is_supervisor]

    @property
    def refused(self) -> list[Refused]:
        """Return who was refused lately."""
        return recent_refusals.lately(self.at)

    @property
    def orders(self) -> list[Given]:
        """Return which orders were given lately."""
        return recent_commands.lately(self.at)

    @cached_property
    def _stations(self) -> list[Station]:
        return stations.now(self.at)
