"""How complete are the records? In words for each gate, and unfolded by the numbers of what is missing."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime

from django.http import HttpRequest, HttpResponse

from fabgate.collector.entries import completeness
from fabgate.collector.models import Entry, Hole, Journal, Quarantine
from fabgate.collector.pages.use.tab import show

#: So much of the quarantine is shown, the newest first.
_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Line:
    """What is known of one gate's records."""

    journal: Journal
    #: Numbers that are on their way: later ones are here, or the gate has said that it has them.
    awaited: list[tuple[int, int]]
    lost: list[Hole]
    clones: list[Journal]
    until: datetime | None
    #: When that arrived, where the gate's clock is wrong: by its own date it may seem silent since long.
    arrived_at: datetime | None

    @property
    def state(self) -> str:
        """Return how it is to be looked at."""
        if self.lost or self.clones:
            return "bad"
        return "warn" if self.awaited else "ok"

    @property
    def awaited_count(self) -> int:
        """Return how many entries are on their way."""
        return sum(last - first + 1 for first, last in self.awaited)

    @property
    def lost_count(self) -> int:
        """Return how many entries no gate has any more."""
        return sum(hole.last - hole.first + 1 for hole in self.lost)


def records(request: HttpRequest) -> HttpResponse:
    """Show what every gate has said that is stored here, and what is missing of it."""
    quarantine = Quarantine.objects.select_related("gate").defer("body").order_by("-last_at", "-id")
    shown = {
        "now": completeness.now(),
        "lines": _lines(sorted(Journal.newest(), key=lambda journal: journal.gate.name)),
        "quarantine": list(quarantine[:_SHOWN]),
    }
    return show(request, "complete.html", shown)


def _lines(newest: list[Journal]) -> list[Line]:
    """Return a line for each of these journals: each question is asked once for all gates."""
    stored = completeness.last_stored(newest)
    awaited = completeness.awaited(newest)
    lost: dict[int, list[Hole]] = defaultdict(list)
    for hole in Hole.objects.filter(state=Hole.LOST).select_related("journal").order_by("journal", "first"):
        lost[hole.journal.gate_id].append(hole)
    clones: dict[int, list[Journal]] = defaultdict(list)
    for clone in Journal.objects.filter(cloned=True).order_by("id"):
        clones[clone.gate_id].append(clone)
    return [
        Line(one, awaited[one.pk], lost[one.gate_id], clones[one.gate_id], *_moments(one, stored.get(one.pk)))
        for one in newest
    ]


def _moments(journal: Journal, last: Entry | None) -> tuple[datetime | None, datetime | None]:
    """Return when the last entry was written, and when it arrived where its gate's clock is wrong."""
    if last is None:
        return None, None
    return last.at_latest, last.arrived_at if journal.gate.clock_off_ms is not None else None
