"""Dates the boots of gates: ties a boot's clock to wall time, or else finds the dated entries before and after it.

Most Pis have no clock chip: until the network gives them the time, their entries carry none. The latest
``clock.synced`` of a boot dates its other entries. In a boot without ``clock.synced``, the first entry with a time
dates them. A boot that never synchronised lies between the last dated entry before it and the first one after it.

Every stored value of a boot is a minimum or a maximum, so the order of arrival does not matter.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from copy import copy
from dataclasses import dataclass, field
from datetime import datetime
from operator import itemgetter
from typing import Final

from fabgate import wire
from fabgate.collector.ground.db import bulk, statements
from fabgate.collector.ground.db.rows import RowReader
from fabgate.collector.ground.models import Boot, Gate, Journal
from fabgate.collector.recording.entries import queries
from fabgate.collector.recording.entries.decode import ValidEntry
from fabgate.collector.recording.entries.wall_time import BootDates, Tie

_BOOT_COLUMNS = (
    *("gate_id", "boot", "journal_id", "seq", "from_ms"),
    *("tie_ms", "tie_at", "first_ms", "first_at", "last_ms", "last_at"),
)
_BOOT = (
    f"INSERT INTO collector_boot ({', '.join(_BOOT_COLUMNS)}) VALUES ({', '.join(['%s'] * len(_BOOT_COLUMNS))})"  # noqa: S608
    f" ON CONFLICT (gate_id, boot) DO UPDATE SET {', '.join(f'{c} = excluded.{c}' for c in _BOOT_COLUMNS[2:])}"
)

#: (gate's id, boot id)
BootKey = tuple[int, str]
#: (boot clock in milliseconds, wall time)
Reading = tuple[int, datetime]
#: (journal's id, number)
Position = tuple[int, int]
#: (boot clock in milliseconds, number, entry)
BootEntry = tuple[int, int, ValidEntry]
_MS_AND_SEQ = itemgetter(0, 1)
_BOOTS: Final = RowReader(Boot)
#: How many journals are searched for a dated entry in each direction: a gate may have had thousands without one.
MAX_JOURNALS: Final = 100


@dataclass
class Redated:
    """What a batch changed: boots whose sessions have new dates, and gates whose undated sessions may get dates."""

    boots: set[BootKey] = field(default_factory=set)
    gates: set[int] = field(default_factory=set)
    #: By gate: the first position of each dated boot that moved or changed its date, both before and after that change.
    dated: dict[int, set[Position]] = field(default_factory=lambda: defaultdict(set))
    #: By gate: the date before which its entries have to be checked again (``first_dates.update``).
    early: dict[int, datetime] = field(default_factory=dict)


def update(fresh: Iterable[ValidEntry], gates: Mapping[str, Gate], known: Mapping[str, Journal]) -> Redated:
    """Update the boots of the entries in `fresh`."""
    entries_of: dict[BootKey, list[BootEntry]] = defaultdict(list)
    for entry in fresh:
        if entry.data is not None:
            clock = entry.data.clock
            entries_of[gates[entry.gate].id, clock.boot].append((clock.boottime_ms, entry.origin[1], entry))
    rows = _rows(set(entries_of))
    found, changed = Redated(), []
    ends_moved: list[Boot] = []
    for key, entries in entries_of.items():
        before = rows.get(key)
        row = Boot(gate_id=key[0], boot=key[1]) if before is None else copy(before)
        merge(row, entries, known, is_new=before is None)
        if before is not None and _kept(before) == _kept(row):
            continue
        changed.append(row)
        if row.first_at is not None and (before is None or _tie_and_place(before) != _tie_and_place(row)):
            found.dated[row.gate_id] |= {(boot.journal_id, boot.seq) for boot in (row, before or row)}
        if row.first_at is None or before is None or tie_of(before) != tie_of(row):
            found.boots.add(key)
        if row.first_at is not None and (before is None or _place(before) != _place(row)):
            found.gates.add(row.gate_id)
        elif row.first_at is not None:
            ends_moved.append(row)
    found.gates |= _followed_by_undated(ends_moved, {journal.pk: journal for journal in known.values()})
    save_boots(changed)
    return found


def dates_of(keys: set[BootKey]) -> dict[BootKey, BootDates]:
    """Return the known dates of each boot."""
    found = {}
    for key, row in _rows(keys).items():
        tie = tie_of(row)
        found[key] = BootDates(tie=tie) if tie else BootDates(not_before=_last_before(row), not_after=_first_after(row))
    return found


def tie_of(row: Boot) -> Tie | None:
    """Return the tie of a boot's clock to wall time: its latest clock.synced, or else its first entry with a time."""
    readings = (*_reading(row.tie_ms, row.tie_at), *_reading(row.first_ms, row.first_at))
    return Tie(*readings[0]) if readings else None


def _rows(keys: set[BootKey]) -> dict[BootKey, Boot]:
    found = {}
    for chunk in statements.chunks(sorted(keys)):
        for row in _BOOTS.where(gate_id={gate for gate, _ in chunk}, boot={boot for _, boot in chunk}):
            found[row.gate_id, row.boot] = row
    return {key: row for key, row in found.items() if key in keys}


def merge(row: Boot, entries: list[BootEntry], known: Mapping[str, Journal], *, is_new: bool) -> None:
    """Update `row` with more entries of its boot."""
    ms, seq, entry = min(entries, key=_MS_AND_SEQ)
    if is_new or (ms, seq) < (row.from_ms, row.seq):
        row.from_ms, row.seq, row.journal = ms, seq, known[entry.origin[0]]
    dated: list[Reading] = [(ms, entry.time) for ms, _, entry in entries if entry.time is not None]
    if not dated:
        return
    row.first_ms, row.first_at = min([*dated, *_reading(row.first_ms, row.first_at)])
    row.last_ms, row.last_at = max([*dated, *_reading(row.last_ms, row.last_at)])
    ties: list[Reading] = [
        (ms, entry.time)
        for ms, _, entry in entries
        if entry.time is not None and isinstance(entry.data, wire.ClockSynced)
    ]
    if ties:
        row.tie_ms, row.tie_at = max([*ties, *_reading(row.tie_ms, row.tie_at)])


def _kept(row: Boot) -> tuple[object, ...]:
    return (*_place(row), row.tie_ms, row.tie_at, row.last_ms, row.last_at)


def _tie_and_place(row: Boot) -> tuple[object, ...]:
    return (*_place(row), tie_of(row))


def _place(row: Boot) -> tuple[object, ...]:
    """Return the values that decide which undated boots come before this one."""
    return row.journal_id, row.seq, row.from_ms, row.first_ms, row.first_at


def _reading(ms: int | None, at: datetime | None) -> list[Reading]:
    return [] if ms is None or at is None else [(ms, at)]


def _followed_by_undated(rows: list[Boot], known: Mapping[int, Journal]) -> set[int]:
    """Return the gates of those `rows` that an undated boot may have followed.

    Only entries that arrive late have such a boot after them. The others are left out, because each batch would
    otherwise date every undated session again.
    """
    if not rows:
        return set()
    last = queries.last_undated({row.journal_id for row in rows})
    current = {pk for pk, journal in known.items() if journal.superseded_by_id is None}
    return {row.gate_id for row in rows if row.journal_id not in current or last.get(row.journal_id, 0) > row.seq}


def _last_before(row: Boot) -> datetime | None:
    """Return the time of the last dated entry before a boot, or None."""
    journal: Journal | None = row.journal
    boots = Boot.objects.filter(seq__lt=row.seq)
    seen: set[int] = set()
    while journal is not None and journal.pk not in seen and len(seen) < MAX_JOURNALS:
        seen.add(journal.pk)
        found = boots.filter(journal=journal, first_at__isnull=False).order_by("-seq").first()
        if found is not None:
            return found.last_at
        # Continue with the journal that this one names, or else with one that this one ended.
        ended = Journal.objects.filter(superseded_by=journal).order_by("id")
        journal = ended.filter(name=journal.predecessor).first() or ended.last()
        boots = Boot.objects.all()
    return None


def _first_after(row: Boot) -> datetime | None:
    """Return the time of the first dated entry after a boot, or None."""
    journal: Journal | None = row.journal
    boots = Boot.objects.filter(seq__gt=row.seq)
    seen: set[int] = set()
    while journal is not None and journal.pk not in seen and len(seen) < MAX_JOURNALS:
        seen.add(journal.pk)
        found = boots.filter(journal=journal, first_at__isnull=False).order_by("seq").first()
        if found is not None:
            return found.first_at
        journal = journal.superseded_by
        boots = Boot.objects.all()
    return None


def save_boots(boots: Iterable[Boot]) -> None:
    """Insert or update boots. No boot may be passed twice."""
    time = bulk.to_database()
    bulk.many(
        _BOOT,
        [[time(getattr(boot, c)) if c.endswith("_at") else getattr(boot, c) for c in _BOOT_COLUMNS] for boot in boots],
    )
