"""Determines which journal followed which: the ends of journals, forks, and the entries that are lost with them.

The order in which entries arrive does not matter.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.db.models import Max

from fabgate import wire
from fabgate.collector.ground.db import statements
from fabgate.collector.ground.models import Entry, Journal
from fabgate.collector.recording.entries import journals
from fabgate.collector.recording.entries.decode import ValidEntry

log = logging.getLogger(__name__)

#: The types of a journal's first entry, which may name an earlier journal.
NAMING = (wire.GateStarted, wire.JournalForked)


@dataclass
class Succession:
    """What a batch changed about journals. Sessions of these gates and journals have to be concluded again."""

    gates: set[int] = field(default_factory=set)
    forked: list[Journal] = field(default_factory=list)
    #: Journals that have ended, now or earlier, whose missing entries are now lost.
    ended: dict[int, Journal] = field(default_factory=dict)
    #: Journals that had ended and still received entries. A gate may write one of them again: see `record_lost`.
    late: dict[int, Journal] = field(default_factory=dict)


def named_journal(data: wire.Data | None) -> str | None:
    """Return the earlier journal that the first entry of a new journal names, or None."""
    if isinstance(data, wire.GateStarted):
        return data.replaces
    return data.journal if isinstance(data, wire.JournalForked) else None


def link(entries: Sequence[ValidEntry], known: dict[str, Journal]) -> Succession:
    """Find out which journals ended because of `entries`; add those journals to `known`.

    `entries` are in the order of their arrival, because the entries after a fork show which journal continues.
    """
    found = Succession()
    for index, entry in enumerate(entries):
        journal = known[entry.origin[0]]
        forked = entry.data if isinstance(entry.data, wire.JournalForked) else None
        if entry.origin[1] != 1 and forked is None:
            _watch_for_clone(entry, known[entry.journal])
            if journal.superseded_by_id is not None:
                found.late[journal.pk] = journal
            continue
        named = known.get(named_journal(entry.data) or "")
        if named is not None and named.gate_id != journal.gate_id:
            log.error("%s/%s cannot follow the journal %s, which belongs to another gate", entry.gate, journal, named)
            named = None
        journal.predecessor, journal.is_root = (named.name, False) if named else ("", True)
        if forked is not None and named is not None:
            _fork(named, forked, {later.seq for later in entries[index:] if later.journal == named.name})
            found.forked.append(named)
        journal.save(update_fields=["predecessor", "is_root"])
        found.gates.add(journal.gate_id)
    found.ended = {old.pk: old for old in (*_end_journals(found.gates, known), *found.forked)}
    return found


def _fork(old: Journal, forked: wire.JournalForked, later: set[int]) -> None:
    """Record that a restored image or a cloned card opened another journal. This may happen more than once.

    `fork_mark` is the lowest confirmed number (mark) among the images. `fork_head` is the last number written before
    the fork: only a clone writes new entries above it. The image may contain fewer entries than are stored already.
    """
    stored = Entry.objects.filter(journal=old).exclude(seq__in=later).aggregate(last=Max("seq"))["last"]
    old.fork_mark = min(forked.mark, forked.mark if old.fork_mark is None else old.fork_mark)
    old.fork_head = max(forked.head, old.fork_head or 0, old.head, stored or 0)
    log.error("%s forked at entry %d: a restored image or a cloned card", old, forked.mark)
    old.save(update_fields=["fork_mark", "fork_head"])


def _end_journals(gates: Collection[int], known: dict[str, Journal]) -> list[Journal]:
    """Find out again which journals of `gates` have ended; return those that ended just now.

    One query for all gates: after a power cut, every gate of a workshop may begin a new journal.
    """
    if not gates:
        return []
    of_gate: dict[int, list[journals.JournalOrigin]] = {gate: [] for gate in sorted(gates)}
    ended_before: dict[int, int | None] = {}
    rows = Journal.objects.filter(gate__in=gates).order_by("id")  # `link` has saved its changes
    columns = ("gate_id", "superseded_by_id", "id", "name", "predecessor", "is_root")
    for gate, ended_by, pk, name, predecessor, is_root in rows.values_list(*columns).iterator():
        of_gate[gate].append(journals.JournalOrigin(pk, name, predecessor, is_root))
        ended_before[pk] = ended_by
    changed = {
        pk: successor
        for own in of_gate.values()
        for pk, successor in journals.successors(own).items()
        if ended_before[pk] != successor
    }
    by_pk = {journal.pk: journal for journal in known.values()}
    for chunk in statements.chunks(sorted(changed.keys() - by_pk.keys())):
        by_pk.update(Journal.objects.in_bulk(chunk))
    ended = []
    for pk, successor in changed.items():
        journal = known[by_pk[pk].name] = by_pk[pk]
        journal.superseded_by_id = successor
        journal.save(update_fields=["superseded_by"])
        if successor is not None and ended_before[pk] is None:
            ended.append(journal)
    return ended


def record_lost(changed: Succession, now: datetime) -> None:
    """Record which entries of the ended journals will never arrive.

    A journal that its gate writes again is left out: its entries may still arrive.
    """
    again = {pk for pk, old in changed.late.items() if old.name == old.gate.journal}
    old_ones = {pk: old for pk, old in changed.late.items() if pk not in again} | changed.ended
    for old in old_ones.values():
        _record_lost(old, now)


def _record_lost(old: Journal, now: datetime) -> None:
    """Record the missing numbers up to the last known head, except those that the next journal copied."""
    stored = Entry.objects.filter(journal=old).aggregate(last=Max("seq"))["last"] or 0
    missing = journals.record_missing(old, min(max(old.head, old.fork_head or 0, stored), old.last_own), now)
    if missing:
        log.error("%s: the journal has ended, and its entries %s are missing", old.name, missing)
        journals.fill_copied_gaps(old, now)


def _watch_for_clone(entry: ValidEntry, journal: Journal) -> None:
    if entry.seq > journal.last_own and not journal.cloned:
        log.error("clone: %s still writes the journal %s, which has forked", entry.gate, journal.name)
        journal.cloned = True
        journal.save(update_fields=["cloned"])
