"""How complete are the records? In words for each gate, and unfolded by the numbers of what is missing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.http import HttpRequest, HttpResponse

from fabgate.collector import complete, journals
from fabgate.collector.models import Entry, Hole, Journal, Quarantine
from fabgate.collector.pages.use.frame import show

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
    lines = [_line(journal) for journal in sorted(Journal.newest(), key=lambda journal: journal.gate.name)]
    quarantine = Quarantine.objects.select_related("gate").defer("body").order_by("-last_at", "-id")
    shown = {
        "now": complete.now(),
        "lines": lines,
        "quarantine": list(quarantine[:_SHOWN]),
    }
    return show(request, "complete.html", shown)


def _line(journal: Journal) -> Line:
    last = Entry.objects.filter(journal=journal).order_by("-seq").first()
    head = max(journal.head, last.seq if last else 0)
    lost = Hole.objects.filter(journal__gate=journal.gate_id, state=Hole.LOST).select_related("journal")
    return Line(
        journal=journal,
        awaited=journals.missing(journal, min(head, journal.last_own)),
        lost=list(lost.order_by("journal", "first")),
        clones=list(Journal.objects.filter(gate=journal.gate_id, cloned=True)),
        until=last.at_latest if last else None,
        arrived_at=last.arrived_at if last and journal.gate.clock_off_ms is not None else None,
    )
