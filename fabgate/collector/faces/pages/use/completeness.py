"""How complete the records of each gate are, with the numbers of missing entries, and whether the books were altered."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone

from fabgate.collector.faces.pages.lists.sorting import Sorting
from fabgate.collector.faces.pages.use import verified
from fabgate.collector.faces.pages.use.tab import render_page
from fabgate.collector.ground.models import Entry, Hole, Journal, Quarantine, Verification
from fabgate.collector.money.paper.verification import pdf
from fabgate.collector.recording.entries import completeness

#: How many quarantined messages are shown, newest first.
_QUARANTINE_SHOWN = 20


@dataclass(frozen=True, slots=True)
class GateRecords:
    """How complete the records of one gate are."""

    journal: Journal
    #: Ranges of numbers that may still arrive: later entries have arrived, or the gate has reported these.
    awaited: list[tuple[int, int]]
    lost: list[Hole]
    clones: list[Journal]
    until: datetime | None
    #: When the last entry arrived, if the gate's clock is wrong and its own date may look old.
    arrived_at: datetime | None

    @property
    def state(self) -> str:
        """Return the state that gives the colour."""
        if self.lost or self.clones:
            return "bad"
        return "warn" if self.awaited else "ok"

    @property
    def awaited_count(self) -> int:
        """Return how many entries have not arrived yet."""
        return sum(last - first + 1 for first, last in self.awaited)

    @property
    def lost_count(self) -> int:
        """Return how many entries are lost."""
        return sum(hole.last - hole.first + 1 for hole in self.lost)


#: Column -> its value, in the list of gates. A first click on the state shows the worst first.
_SORTS: Final[Mapping[str, Callable[[GateRecords], Any]]] = {
    "gate": lambda row: row.journal.gate.name,
    "state": lambda row: ("bad", "warn", "ok").index(row.state),
    "-last": lambda row: row.until,
    "-entries": lambda row: row.journal.ack_seq,
}


def verification(_request: HttpRequest) -> HttpResponse:
    """Send the last verification as PDF. Raises Http404 before the first one."""
    run = Verification.last()
    if run is None:
        raise Http404
    name = f'attachment; filename="{pdf.file_name(run)}"'
    return HttpResponse(pdf.of(run), content_type="application/pdf", headers={"Content-Disposition": name})


def records(request: HttpRequest) -> HttpResponse:
    """Show which entries of each gate are stored here, and which are missing."""
    quarantine = Quarantine.objects.select_related("gate").defer("body").order_by("-last_at", "-id")
    sorting = Sorting(request.GET, _SORTS, "gate")
    gates = _gate_records(sorted(Journal.newest(), key=lambda journal: journal.gate.name))
    shown = {
        "now": completeness.now(),
        "gates": sorting.sorted(gates, _SORTS),
        "sorting": sorting,
        "quarantine": list(quarantine[:_QUARANTINE_SHOWN]),
        "verified": verified.last(timezone.now()),
    }
    return render_page(request, "complete.html", shown)


def _gate_records(newest: list[Journal]) -> list[GateRecords]:
    """Return the records of each gate, with one query of each kind for all gates."""
    stored = completeness.last_stored(newest)
    awaited = completeness.awaited(newest)
    lost: dict[int, list[Hole]] = defaultdict(list)
    for hole in Hole.objects.filter(state=Hole.LOST).select_related("journal").order_by("journal", "first"):
        lost[hole.journal.gate_id].append(hole)
    clones: dict[int, list[Journal]] = defaultdict(list)
    for clone in Journal.objects.filter(cloned=True).order_by("id"):
        clones[clone.gate_id].append(clone)
    return [
        GateRecords(
            journal,
            awaited[journal.pk],
            lost[journal.gate_id],
            clones[journal.gate_id],
            *_moments(journal, stored.get(journal.pk)),
        )
        for journal in newest
    ]


def _moments(journal: Journal, last: Entry | None) -> tuple[datetime | None, datetime | None]:
    """Return the date of the last entry, and when it arrived if the gate's clock is wrong."""
    if last is None:
        return None, None
    return last.at_latest, last.arrived_at if journal.gate.clock_off_ms is not None else None
