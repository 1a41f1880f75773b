"""Keeps in the audit log what the books held when they were last found right.

The rows of the log are sealed, so nobody can change such a *checkpoint* unnoticed. It has a digest of the ledger lines that
were new, and the last entry of each gate's journal: the gate's chain of hashes vouches for all entries before it.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final, NamedTuple

from fabgate import seal
from fabgate.collector.ground.db import audit
from fabgate.collector.ground.models import Change, Collector, Entry, Hole, Journal
from fabgate.collector.processes.verify.findings import Report
from fabgate.collector.recording.entries import journals

VERB: Final = "books.verified"
#: The fields of a checkpoint: the last line of the one before, the last line, and the digest of those between; and by
#: journal the number and the hash of its last entry and its gaps before that, as ``seq:hash:first-last,first-last``.
_AFTER, _LAST, _DIGEST, _JOURNALS = "ledger_after", "ledger_last", "ledger_digest", "journals"
_PARTS: Final = 3


class _Segment(NamedTuple):
    after: int
    last: int
    digest: str


class Digests:
    """Computes the digests of ledger lines, which are added in the order of their ids."""

    def __init__(self) -> None:
        self._segments = _segments()
        self._computed: list[_Segment] = []
        self._after = 0
        self._last = 0
        self._hash = _new()

    def add(self, pk: int, line: bytes) -> None:
        """Add a line, packed in a form that is the same on each database."""
        while len(self._computed) < len(self._segments) and pk > self._segments[len(self._computed)].last:
            self._end(self._segments[len(self._computed)].last)
        self._hash.update(line)
        self._last = pk

    def check(self, report: Report) -> None:
        """Compare the lines with the checkpoints."""
        while len(self._computed) < len(self._segments):
            self._end(self._segments[len(self._computed)].last)
        for wanted, found in zip(self._segments, self._computed, strict=True):
            if wanted.digest != found.digest:
                rows = f"{wanted.after + 1}-{wanted.last}"
                report.changed("ledgerline", rows, "a line", found.digest, wanted.digest)
        report.new_lines = _Segment(self._after, max(self._last, self._after), self._hash.hexdigest())

    def _end(self, last: int) -> None:
        self._computed.append(_Segment(self._after, last, self._hash.hexdigest()))
        self._after, self._hash = last, _new()


def _new() -> Any:
    return hashlib.blake2b(digest_size=32)


def _rows() -> list[dict[str, Any]]:
    rows = Change.objects.filter(verb=VERB).order_by("id").values_list("after", flat=True)
    return [row for row in rows if isinstance(row, dict)]


def _segments() -> list[_Segment]:
    found: list[_Segment] = []
    for row in _rows():
        try:
            segment = _Segment(int(row[_AFTER]), int(row[_LAST]), str(row[_DIGEST]))
        except (LookupError, TypeError, ValueError):
            continue  # somebody wrote it: the log's seals show that
        if segment.after == (found[-1].last if found else 0) and segment.last >= segment.after:
            found.append(segment)
    return found


def check_entries(report: Report) -> None:
    """Check that the entries that checkpoints name are still the same, and note those for the next checkpoint.

    Of each journal only the newest is compared: the chain of hashes vouches for those before it. Entries that were stored
    then cannot be lost now, so a gap that a checkpoint does not have was added to hide deleted ones.
    """
    for journal, (number, digest, gaps) in sorted(_newest().items()):
        seq = int(number)
        found = Entry.objects.filter(journal__name=journal, seq=seq).values_list("hash", flat=True).first()
        if found is None:
            report.missing("entry", f"{journal}/{seq}", "a checkpoint in the audit log names it")
        elif seal.to_text(bytes(found)) != digest:
            report.changed("entry", f"{journal}/{seq}", "body", seal.to_text(bytes(found)), digest)
        known = _ranges(gaps)
        for hole in (
            Hole.objects.filter(journal__name=journal, first__lte=seq).exclude(state=Hole.FILLED).order_by("id")
        ):
            if list(journals.gaps(iter(known), hole.first, min(hole.last, seq))):
                why = "entries with these numbers were stored when a checkpoint was written"
                report.added("hole", f"{journal}/{hole.first}-{hole.last}", why)
    for row in Journal.newest("ack_seq", "ack_hash"):
        if Entry.objects.filter(journal=row, seq=row.ack_seq).exists():  # it may be one in quarantine
            holes = (
                Hole.objects.filter(journal=row, first__lte=row.ack_seq).exclude(state=Hole.FILLED).order_by("first")
            )
            gaps = ",".join(f"{first}-{last}" for first, last in holes.values_list("first", "last"))
            report.last_entries[row.name] = ":".join((*map(str, row.ack), gaps))


def _newest() -> dict[str, list[str]]:
    """Return the parts of the newest text about each journal."""
    newest: dict[str, list[str]] = {}
    for values in _rows():
        named = values.get(_JOURNALS)
        for journal, text in (named if isinstance(named, dict) else {}).items():
            parts = str(text).split(":")
            if len(parts) == _PARTS and parts[0].isdecimal():
                newest[journal] = parts
    return newest


def _check_gaps(report: Report, journal: str, seq: int, known: list[tuple[int, int]]) -> None:
    """Report gaps up to the number `seq` that are not among those `known` when a checkpoint was written."""
    holes = Hole.objects.filter(journal__name=journal, first__lte=seq).exclude(state=Hole.FILLED).order_by("id")
    for hole in holes:
        if list(journals.gaps(iter(known), hole.first, min(hole.last, seq))):
            why = "entries with these numbers were stored when a checkpoint was written"
            report.added("hole", f"{journal}/{hole.first}-{hole.last}", why)


def _ranges(text: str) -> list[tuple[int, int]]:
    """Return the ranges in ``first-last,first-last``."""
    pairs = [one.partition("-") for one in text.split(",") if one]
    return sorted((int(first), int(last)) for first, _, last in pairs if first.isdecimal() and last.isdecimal())


def write(report: Report, *, actor: str = audit.WORKER) -> None:
    """Write a checkpoint for a run without findings, unless the ledger has nothing new."""
    segment, row = report.new_lines, Collector.objects.filter(id=1).first()
    if segment is None or row is None or segment[1] == segment[0]:
        return
    after, last, digest = segment
    values = {_AFTER: after, _LAST: last, _DIGEST: digest, _JOURNALS: report.last_entries}
    audit.record(actor, VERB, row, after=values)
