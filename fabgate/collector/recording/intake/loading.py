"""Loads the gates and journals that a batch names, and creates new ones."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from fabgate import wire
from fabgate.collector.ground.base import called
from fabgate.collector.ground.db.rows import RowReader
from fabgate.collector.ground.models import Gate, Journal
from fabgate.collector.recording.entries import succession
from fabgate.collector.recording.entries.decode import GateReport, InvalidMessage, ValidEntry

log = logging.getLogger(__name__)

_GATES: Final = RowReader(Gate)
_JOURNALS: Final = RowReader(Journal)


@dataclass(frozen=True, slots=True)
class Loaded:
    """The gates and journals of a batch by name, one object for each; and the gates that had no row."""

    gates: dict[str, Gate]
    journals: dict[str, Journal]
    new: list[Gate]


def load(entries: Sequence[ValidEntry | InvalidMessage], reports: Sequence[GateReport]) -> Loaded:
    """Return the gates and journals that these messages name."""
    gates, new = _load_gates({message.gate for message in (*entries, *reports) if message.gate})
    return Loaded(gates, _load_journals(entries, reports, gates), new)


def _load_gates(names: Iterable[str]) -> tuple[dict[str, Gate], list[Gate]]:
    """Return the gates, and those of them that had no row: one that the broker admits is created."""
    wanted = set(names)
    found = {gate.name: gate for gate in _GATES.where(name=wanted)} if wanted else {}
    new = []
    for name in sorted(wanted - set(found)):
        log.info("gate %s is new here: give it a machine with '%s'", name, called.command("gate-add"))
        found[name] = Gate.objects.create(name=name)
        new.append(found[name])
    return found, new


def _load_journals(
    entries: Sequence[ValidEntry | InvalidMessage], reports: Sequence[GateReport], gates: dict[str, Gate]
) -> dict[str, Journal]:
    """Return the journals; a new one belongs to the gate on whose topic it was first seen."""
    # Backwards, so that the first message of each journal wins.
    wanted = {message.journal: message.gate for message in reversed(entries) if message.gate and message.journal}
    for entry in entries:
        if isinstance(entry, ValidEntry) and (entry.copyof is not None or isinstance(entry.data, succession.NAMING)):
            wanted.setdefault(entry.origin[0], entry.gate)
            if (named := succession.named_journal(entry.data)) is not None:
                wanted.setdefault(named, entry.gate)
    for report in reports:
        if isinstance(report.message, wire.Status) and report.message.journal:
            wanted.setdefault(report.message.journal, report.gate)
    found = {journal.name: journal for journal in _JOURNALS.where(name=wanted)} if wanted else {}
    by_pk = {gate.pk: gate for gate in gates.values()}
    for journal in found.values():
        if journal.gate_id in by_pk:
            # All journals of a gate share one object, so that each sees what its status changes.
            journal.gate = by_pk[journal.gate_id]
    new = [name for name in wanted if name not in found]
    if len(new) > 1:  # journals that name no other are ordered by their arrival
        arrived = {name: place for place, name in enumerate(dict.fromkeys(message.journal for message in entries))}
        new.sort(key=lambda name: arrived.get(name, len(arrived)))
    made = [Journal(name=name, gate=gates[wanted[name]]) for name in new]
    found.update((journal.name, journal) for journal in Journal.objects.bulk_create(made))
    return found
