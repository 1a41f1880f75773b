"""Determines the earliest possible date of a gate's entries: a gate writes nothing before its first entry.

A journal begins with its first dated boot, in the order of its entries, not of their arrival. A gate's earliest journal
applies. So the dates of a gate that worked for months without a collector are accepted, and those of an older card that
is used again (docs/decisions/0038). The date is computed from all stored boots, so that the order of arrival does not
matter, and only when one of the first boots of a journal changes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, time, timedelta
from typing import Final

from django.db.models import F, Window
from django.db.models.functions import RowNumber

from fabgate import wire
from fabgate.collector.ground.models import Boot, Entry, Gate, Journal
from fabgate.collector.recording.entries.boots import Position, Redated, tie_of
from fabgate.collector.recording.entries.decode import SESSION_DATA

#: Allows for a clock that is slightly wrong or in another time zone.
TOLERANCE: Final = timedelta(days=1)
#: How many boots of a journal are looked at to find its beginning: the first one, unless all the others contradict it.
BOOTS: Final = 3
_SESSIONS: Final = ("session.started", "session.progress", "session.ended")


def update(redated: Redated, gates: Iterable[Gate]) -> None:
    """Update `earliest_at` of `gates`, without saving it, and note in `redated` what has to be checked again for it.

    Call it after the boots are saved.
    """
    touched = {gate for gate, places in redated.dated.items() if _are_first(places)}
    dates = earliest(touched)
    for gate in gates:
        if gate.pk in touched and gate.earliest_at != dates.get(gate.pk):
            redated.early[gate.pk] = max(at for at in (gate.earliest_at, dates.get(gate.pk)) if at is not None)
            gate.earliest_at = dates.get(gate.pk)
    if redated.early:
        redated.boots |= _boots_before(redated.early)


def sessions_before(limits: Mapping[int, datetime]) -> set[str]:
    """Return the sessions with an entry dated before the limit of their gate."""
    found = set()
    for gate, limit in limits.items():
        own_journals = list(Journal.objects.filter(gate=gate).values_list("pk", flat=True))
        early = Entry.objects.filter(journal__in=own_journals, type__in=_SESSIONS, occurred_at__lt=limit, is_copy=False)
        for entry in early.only("body").iterator(chunk_size=500):
            data = wire.decode_data(entry.decode())
            if isinstance(data, SESSION_DATA):
                found.add(data.session)
    return found


def began(row: Boot) -> datetime | None:
    """Return when the earliest known entry of a boot was written; None if it has no date, or an impossible one."""
    tie = tie_of(row)
    return tie.date(row.from_ms) if tie else None


def _boots_before(limits: Mapping[int, datetime]) -> set[tuple[int, str]]:
    """Return the boots (gate's id, boot id) that began before their gate's limit; they date entries without a time."""
    rows = Boot.objects.filter(gate__in=limits, first_at__isnull=False)
    return {
        (row.gate_id, row.boot)
        for row in rows.iterator()
        if (at := began(row)) is not None and at < limits[row.gate_id]
    }


def _are_first(places: Iterable[Position]) -> bool:
    """Return whether one of `places` is among the first dated boots of its journal."""
    for journal, seq in places:
        dated = Boot.objects.filter(journal=journal, first_at__isnull=False).order_by("seq")
        last = dated.values_list("seq", flat=True)[BOOTS - 1 : BOOTS].first()
        if last is None or seq <= last:
            return True
    return False


def earliest(gates: set[int]) -> dict[int, datetime]:
    """Return by gate the earliest possible date, a midnight (UTC); gates without a date are missing."""
    if not gates:
        return {}
    place = Window(RowNumber(), partition_by=F("journal"), order_by=F("seq").asc())
    dated = Boot.objects.filter(gate__in=gates, first_at__isnull=False)
    of_journal: dict[Position, list[datetime]] = defaultdict(list)
    for row in dated.annotate(place=place).filter(place__lte=BOOTS).order_by("journal", "seq"):
        if (at := began(row)) is not None:
            of_journal[row.gate_id, row.journal_id].append(at)
    found: dict[int, datetime] = {}
    for (gate, _), dates in of_journal.items():
        limit = datetime.combine(_first(*dates).date(), time(), tzinfo=UTC) - TOLERANCE
        found[gate] = min(limit, found.get(gate, limit))
    return found


def _first(first: datetime, *rest: datetime) -> datetime:
    """Return when a journal began, by the dates of its first boots.

    A first boot that is later than all others is ignored.
    """
    return first if not rest or first <= max(rest) else min(rest)
