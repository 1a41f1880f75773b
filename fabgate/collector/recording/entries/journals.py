"""Finds out how far a journal is stored without a gap, what is lost in it, and which journal followed which."""

from __future__ import annotations

import heapq
import sys
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Max, Q

from fabgate import seal
from fabgate.collector.ground.db import statements
from fabgate.collector.ground.models import Entry, Hole, Journal, Quarantine
from fabgate.collector.recording.entries import rows

Range = tuple[int, int]


def reach(numbers: Iterable[int], passed: list[Range], start: int) -> int:
    """Return the highest of `numbers` (ascending, above `start`) with no gap below it; `passed` are no gaps."""
    stored = position = start
    holes = iter(sorted(passed))
    hole = next(holes, None)
    for number in numbers:
        while hole and hole[0] <= position + 1:
            position = max(position, hole[1])
            hole = next(holes, None)
        if number > position + 1:
            break
        position = max(position, number)
        stored = number
    return stored


def advance(journal: Journal) -> bool:
    """Move the journal's ack as far as its rows allow; return whether it moved. The caller saves it.

    The ack passes a recorded gap only below the journal's floor. Entries from the floor on are still on the gate, or on
    another of its cards, and the gate deletes what is acknowledged (docs/decisions/0063).
    """
    holes = Hole.objects.filter(journal=journal, last__gt=journal.ack_seq, first__lt=journal.floor)
    named = holes.exclude(state=Hole.FILLED).values_list("first", "last")
    passed = [(first, min(last, journal.floor - 1)) for first, last in named]
    seq = reach(_numbers(journal, journal.ack_seq), passed, journal.ack_seq)
    if seq == journal.ack_seq:
        return False
    journal.ack_seq, journal.ack_hash = seq, hash_at(journal, seq)
    return True


def go_back(journal: Journal) -> bool:
    """Move the journal's ack back below the first gap from the floor on; return whether it moved. The caller saves it.

    The ack may have passed that gap while the gate reported a higher floor. Then an image of its card was put back, which
    still has these entries: it sends them only if they are not acknowledged (docs/decisions/0063).
    """
    gap = (
        Hole.objects.filter(journal=journal, first__lte=journal.ack_seq, last__gte=journal.floor)
        .exclude(state=Hole.FILLED)
        .order_by("first")
        .first()
    )
    if gap is None:
        return False
    stored = {"journal": journal, "seq__lt": max(gap.first, journal.floor)}
    entry = Entry.objects.filter(**stored).aggregate(last=Max("seq"))["last"]
    quarantined = Quarantine.objects.filter(**stored, counts=True).aggregate(last=Max("seq"))["last"]
    journal.ack_seq = max(entry or 0, quarantined or 0)
    journal.ack_hash = hash_at(journal, journal.ack_seq)
    return True


def hash_at(journal: Journal, seq: int) -> bytes:
    """Return the hash stored under the number `seq`; the zero hash for 0."""
    if seq == 0:
        return seal.ZERO_HASH
    found = Entry.objects.filter(journal=journal, seq=seq).values_list("hash", flat=True).first()
    if found is None:
        found = Quarantine.objects.values_list("hash", flat=True).get(journal=journal, seq=seq, counts=True)
    return bytes(found)


def missing(journal: Journal, last: int) -> list[Range]:
    """Return the ranges up to `last` that have not arrived and are not recorded as lost."""
    return missing_of([(journal, last)])[journal.pk]


def missing_of(wanted: Collection[tuple[Journal, int]]) -> dict[int, list[Range]]:
    """Return the ranges that have not arrived and are not recorded as lost, by the journal's id.

    `wanted`: journals, each with the last number to look at. One query for any number of journals.
    """
    behind = {journal.pk: (journal.ack_seq + 1, last) for journal, last in wanted if last > journal.ack_seq}
    there: dict[int, list[Range]] = defaultdict(list)
    for pk, low, high in rows.runs([(pk, *numbers) for pk, numbers in behind.items()]):
        there[pk].append((low, high))
    named = Hole.objects.exclude(state=Hole.FILLED)
    for pk, first, end in statements.rows_among(named, "journal", list(behind), "first", "last"):
        there[pk].append((first, end))
    found = {pk: list(gaps(iter(sorted(there[pk])), *numbers)) for pk, numbers in behind.items()}
    return {journal.pk: found.get(journal.pk, []) for journal, _ in wanted}


def record_missing(journal: Journal, last: int, now: datetime) -> list[Range]:
    """Record as lost what has not arrived up to the number `last`; return the ranges."""
    found = missing(journal, last)
    Hole.objects.bulk_create(
        Hole(journal=journal, first=first, last=end, state=Hole.LOST, found_at=now) for first, end in found
    )
    return found


def fill_gaps(journal: Journal, numbers: Iterable[int], state: str, now: datetime) -> None:
    """Remove `numbers` from the journal's gaps, because they arrived late (FILLED) or exist as copies (COPIED)."""
    wanted = sorted(numbers)
    fillable = (Hole.LOST, Hole.COPIED) if state == Hole.FILLED else (Hole.LOST,)
    near = Hole.objects.filter(journal=journal, state__in=fillable, first__lte=wanted[-1], last__gte=wanted[0])
    for hole in list(near):
        inside = [number for number in wanted if hole.first <= number <= hole.last]
        if not inside:
            continue
        left = list(gaps(((number, number) for number in inside), hole.first, hole.last))
        hole.delete()
        Hole.objects.bulk_create(
            Hole(journal=journal, first=first, last=last, state=result, found_at=now)
            for result, ranges in ((hole.state, left), (state, _runs(inside)))
            for first, last in ranges
        )


def fill_copied_gaps(old: Journal, now: datetime, *, by: Collection[int] = ()) -> None:
    """Fill the gaps of a journal of which another journal has copied the same entries.

    `by`: ids of journals that have copies, although it is not known yet which journal they follow. An SD card and an
    image of it both continue with the same numbers, so a copy may be a different entry. If the entry after a gap is
    stored, it has the hash of the gap's last entry; copies with another hash do not belong to the gap.
    """
    if not Hole.objects.filter(journal=old, state=Hole.LOST).exists():
        return
    forks = Journal.objects.filter(~Q(predecessor="") | Q(pk__in=by), gate=old.gate_id)
    found = Entry.objects.filter(journal__in=forks, copyof__startswith=f"{old.name}/")
    copies: dict[int, dict[int, str]] = defaultdict(dict)
    for fork, copyof in found.values_list("journal_id", "copyof"):
        _name, seq, digest = (copyof or "//").split("/", 2)
        copies[fork][int(seq)] = digest
    holes = Hole.objects.filter(journal=old).exclude(state=Hole.FILLED).order_by("first").values_list("first", "last")
    numbers: set[int] = set()
    for first, last in _joined(holes):
        beyond = Entry.objects.filter(journal=old, seq=last + 1).first()
        for hashes in copies.values():
            if beyond is None or hashes.get(last) == beyond.decode().prev:
                numbers |= {seq for seq in hashes if first <= seq <= last}
    if numbers:
        fill_gaps(old, numbers, Hole.COPIED, now)


def _joined(ranges: Iterable[Range]) -> Iterator[Range]:
    """Yield ranges (ascending), with adjacent ones joined."""
    first, last = 0, -1
    for low, high in ranges:
        if low > last + 1:
            if first <= last:
                yield first, last
            first = low
        last = max(last, high)
    if first <= last:
        yield first, last


@dataclass(frozen=True, slots=True)
class JournalOrigin:
    """A journal of a gate, its predecessor, and whether its first entry names none."""

    pk: int
    name: str
    predecessor: str
    is_root: bool


def successors(gate: Sequence[JournalOrigin]) -> dict[int, int | None]:
    """Return for each journal of one gate the journal that ended it, or None if it has not ended.

    A journal ends when another one names it as its predecessor. If two journals name the same one, as after a card was
    restored twice, the second to arrive also ends the first. Journals that name no predecessor are ordered by their
    arrival: when a new history begins, its chain of journals ends all earlier chains, back to the last one that began a
    history. The result is computed from all known journals, so that late entries can correct it.
    """
    ended: dict[int, int | None] = {journal.pk: None for journal in gate}
    by_name = {journal.name: journal for journal in gate}
    # journal's name → the same name for all journals of a chain
    chain = {journal.name: journal.name for journal in gate}

    def head(name: str) -> str:
        top = name
        while chain[top] != top:
            top = chain[top]
        while chain[name] != top:  # shortens the next search: a chain may have thousands
            chain[name], name = top, chain[name]
        return top

    for journal in gate:
        older = by_name.get(journal.predecessor)
        if older is not None and older.pk != journal.pk:
            ended[older.pk] = max(journal.pk, ended[older.pk] or 0)
            chain[head(journal.name)] = head(older.name)
    alive = sorted(journal.pk for journal in gate if ended[journal.pk] is None)
    heads = {journal.pk: head(journal.name) for journal in gate}
    ended |= _by_the_next([(heads[pk], pk) for pk in alive])
    first_heard: dict[str, int] = {}
    for journal in gate:
        first_heard[head(journal.name)] = min(journal.pk, first_heard.get(head(journal.name), journal.pk))
    roots = sorted((first_heard[head(journal.name)], journal.pk) for journal in gate if journal.is_root)
    for journal in gate:
        if ended[journal.pk] is None:
            later = bisect_right(roots, (first_heard[head(journal.name)], sys.maxsize))
            ended[journal.pk] = roots[later][1] if later < len(roots) else None
    return ended


def _by_the_next(tips: Iterable[tuple[str, int]]) -> dict[int, int | None]:
    """Return the successor of each journal that was ended by the next one in its chain.

    `tips`: (chain, journal's id).
    """
    last: dict[str, int] = {}
    ended: dict[int, int | None] = {}
    for chain, pk in tips:
        if chain in last:
            ended[last[chain]] = pk
        last[chain] = pk
    return ended


def _numbers(journal: Journal, after: int) -> Iterator[int]:
    """Yield the stored numbers above `after` in order; pages of them are read only as needed."""
    beyond = Q(journal=journal, seq__gt=after)
    quarantined = Quarantine.objects.filter(beyond, counts=True).order_by("seq").values_list("seq", flat=True)
    entries = Entry.objects.filter(beyond).order_by("seq").values_list("seq", flat=True)
    return heapq.merge(entries.iterator(chunk_size=500), quarantined.iterator(chunk_size=500))


def gaps(there: Iterable[Range], first: int, last: int) -> Iterator[Range]:
    """Yield the ranges of [first, last] whose numbers are not in `there` (ascending)."""
    for low, high in there:
        if low > first:
            yield first, min(low - 1, last)
        first = max(first, high + 1)
        if first > last:
            return
    if first <= last:
        yield first, last


def _runs(numbers: list[int]) -> list[Range]:
    runs: list[Range] = []
    for number in numbers:
        if runs and runs[-1][1] + 1 == number:
            runs[-1] = (runs[-1][0], number)
        else:
            runs.append((number, number))
    return runs
