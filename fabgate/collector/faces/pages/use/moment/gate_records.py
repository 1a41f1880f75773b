"""How complete the records of a machine are at a moment: what each of its gates may be missing.

If no session covers the moment (covering.py), and every gate of the machine at that time has sent all entries around
it, no one used the machine.
"""

from __future__ import annotations

import bisect
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q
from django.utils import timezone

from fabgate import wire
from fabgate.collector.faces.pages.words import session_labels
from fabgate.collector.ground.models import Change, Entry, Gate, Hole, Journal, Machine, UsageMonth
from fabgate.collector.recording.entries import journals


@dataclass(frozen=True, slots=True)
class Missing:
    """A range of missing entries whose neighbours have dates around the moment."""

    first: int
    last: int
    #: Whether the gate may still have them; if not, they are lost.
    is_awaited: bool

    @property
    def count(self) -> int:
        """Return how many entries are missing."""
        return self.last - self.first + 1


@dataclass(frozen=True, slots=True)
class GateRecords:
    """The records of a gate up to the moment, and how complete they are."""

    gate: Gate
    #: What blocked the machine at that time, as texts.
    causes: list[str]
    #: The last dated entry before the moment, and the first one after it.
    last: Entry | None
    next: Entry | None
    is_synced: bool | None
    holes: list[Missing]
    #: How many entries, of whatever date, have not arrived yet.
    awaited: int
    #: Every entry before this has arrived; None if the gate has never been online.
    until: datetime | None
    #: Whether the gate had entries by then, and no entry about the moment can be missing.
    is_complete: bool

    @property
    def missing(self) -> int:
        """Return how many missing entries may be from the moment."""
        return sum(hole.count for hole in self.holes)


def of(machine: Machine, moment: datetime) -> list[GateRecords]:
    """Return the records of each gate that a machine had at a moment, by name."""
    return [_records(gate, moment) for gate in concerned(machine, moment)]


def concerned(machine: Machine, moment: datetime) -> list[Gate]:
    """Return the gates that a machine had at a moment, according to the audit log.

    A gate that is not in the log counts if it is at the machine now, or has sessions there.
    """
    moves: dict[str, list[Change]] = {}
    for change in Change.objects.filter(kind="gate").order_by("at", "id"):
        if "machine" in change.before or "machine" in change.after:
            moves.setdefault(change.key, []).append(change)
    used = set(UsageMonth.objects.filter(machine_key=machine.pk).values_list("gate", flat=True).distinct())
    gates = []
    for gate in Gate.objects.order_by("name"):
        log = moves.get(gate.name)
        was_there = _machine_at(log, moment) == machine.pk if log else gate.machine_id == machine.pk or gate.pk in used
        if was_there:
            gates.append(gate)
    return gates


def _machine_at(log: list[Change], moment: datetime) -> int | None:
    """Return the id of the machine that a gate had at a moment, by the changes of the gate in order."""
    place: int | None = log[0].before.get("machine", log[0].after.get("machine"))
    for change in log:
        if change.at <= moment:
            place = change.after.get("machine")
    return place


def _records(gate: Gate, moment: datetime) -> GateRecords:
    own = list(Journal.objects.filter(gate=gate).order_by("id"))
    place = next((found for journal in reversed(own) if (found := _place(journal, moment))), None)
    missing = [(journal, one) for journal in own for one in _missing(journal)]
    holes = [one for journal, one in missing if _may_hold(journal, one, moment)]
    until = _until(gate, own)
    return GateRecords(
        gate=gate,
        causes=_causes(place) if place else [],
        last=place,
        next=_next(place) if place else None,
        is_synced=_is_synced(place) if place else None,
        holes=holes,
        awaited=sum(one.count for _, one in missing if one.is_awaited),
        until=until,
        is_complete=place is not None and not holes and until is not None and until >= moment,
    )


def _missing(journal: Journal) -> list[Missing]:
    """Return the missing ranges of a journal, lost or awaited."""
    lost = Hole.objects.filter(journal=journal, state=Hole.LOST).order_by("first").values_list("first", "last")
    missing = [Missing(first, last, is_awaited=False) for first, last in lost]
    last = Entry.objects.filter(journal=journal).order_by("-seq").values_list("seq", flat=True).first() or 0
    # in a superseded journal, missing entries are already recorded as lost
    head = last if journal.superseded_by_id else max(last, journal.head)
    awaited = journals.missing(journal, min(head, journal.last_own))
    return missing + [Missing(first, end, is_awaited=True) for first, end in awaited]


def _may_hold(journal: Journal, missing: Missing, moment: datetime) -> bool:
    """Return whether missing entries may be from the moment: whether it is between the dates of their neighbours."""
    dated = Entry.objects.filter(journal=journal, occurred_at__isnull=False)
    before = dated.filter(seq__lt=missing.first).order_by("-seq").values_list("occurred_at", flat=True).first()
    after = dated.filter(seq__gt=missing.last).order_by("seq").values_list("occurred_at", flat=True).first()
    return (before is None or before <= moment) and (after is None or after >= moment)


def _until(gate: Gate, own: list[Journal]) -> datetime | None:
    """Return the time up to which all of the gate's entries have arrived.

    If every entry that it reported is stored, this is now, or its last report if it is offline; otherwise the date of
    the newest stored entry.
    """
    current = [journal for journal in own if journal.superseded_by_id is None]
    dates = [last.at_latest for journal in own if (last := _last(journal))]
    newest = max(dates, default=None)
    if any(journal.ack_seq < journal.head for journal in current) or gate.seen_at is None:
        return newest
    now = timezone.now()
    seen = now if gate.is_online(now) else gate.seen_at
    return seen if newest is None else max(newest, seen)


def _last(journal: Journal) -> Entry | None:
    stored = Entry.objects.filter(journal=journal)
    if journal.superseded_by_id is None:
        stored = stored.filter(seq__lte=journal.ack_seq)
    return stored.order_by("-seq").first()


def _place(journal: Journal, moment: datetime) -> Entry | None:
    """Return the last entry of a journal with a date before the moment, by bisection, because no index has the date."""
    bounds = Entry.objects.filter(journal=journal).order_by("seq")
    first, last = bounds.first(), bounds.last()
    if first is None or last is None:
        return None

    def is_later(seq: int) -> bool:
        dated = Entry.objects.filter(journal=journal, seq__gte=seq, occurred_at__isnull=False).order_by("seq")
        at = dated.values_list("occurred_at", flat=True).first()
        return at is None or at > moment

    beyond = bisect.bisect_left(range(first.seq, last.seq + 1), x=True, key=is_later) + first.seq
    dated = Entry.objects.filter(journal=journal, seq__lt=beyond, occurred_at__lte=moment)
    return dated.order_by("-seq").first()


def _next(entry: Entry) -> Entry | None:
    later = Entry.objects.filter(journal=entry.journal_id, seq__gt=entry.seq, occurred_at__isnull=False)
    return later.order_by("seq").first()


def _is_synced(entry: Entry) -> bool | None:
    data = _data(entry)
    return data.clock.synced if data is not None else None


def _causes(place: Entry) -> list[str]:
    """Return what blocked the machine then, as text: causes raised and not cleared up to that entry."""
    held: dict[str, bool] = {}
    is_cause = Q(type="machine.blocked") | Q(type="machine.cleared")
    rows = Entry.objects.filter(is_cause, journal=place.journal_id, seq__lte=place.seq).only("body")
    for entry in rows.order_by("-seq").iterator(chunk_size=200):
        data = _data(entry)
        if isinstance(data, wire.MachineBlocked | wire.MachineCleared):
            held.setdefault(data.cause, isinstance(data, wire.MachineBlocked))
    return [session_labels.cause(cause) for cause, is_held in held.items() if is_held]


def _data(entry: Entry) -> wire.Data | None:
    try:
        return wire.decode_data(entry.decode())
    except ValueError:
        return None
