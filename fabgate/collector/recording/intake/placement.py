"""Finds the place of each entry: it is new, already stored, or goes to quarantine.

A repeated number with other bytes, or an entry that does not continue the hash chain, is a fork: it is quarantined,
never counts and never moves an ack.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from operator import itemgetter

from fabgate import seal
from fabgate.collector.ground.models import Entry, Hole, Journal
from fabgate.collector.recording.entries import journals, queries, rows
from fabgate.collector.recording.entries.decode import InvalidMessage, ValidEntry
from fabgate.collector.recording.entries.rows import Number
from fabgate.collector.recording.intake import quarantine
from fabgate.collector.recording.intake.loading import Loaded

log = logging.getLogger(__name__)


class Placement:
    """The places of the entries of a batch."""

    def __init__(self, entries: Sequence[ValidEntry | InvalidMessage], loaded: Loaded) -> None:
        """Find the place of each of `entries`, which are in the order of their arrival; nothing is stored yet."""
        self._gates, self._journals = loaded.gates, loaded.journals
        #: The hash of each number that is stored or new, as far as loaded.
        self.hashes: dict[Number, bytes] = {}
        #: The last number of each range that was loaded: whether the next number is stored is unknown.
        self.edges: set[Number] = set()
        #: (journal's id, entry, whether its original is stored too)
        self.new: list[tuple[int, ValidEntry, bool]] = []
        self.quarantined: list[quarantine.Quarantined] = []
        #: Names of the journals with entries in this batch.
        self.touched: set[str] = set()
        #: For journals with a fork: a stored number and its hash, which differs from the gate's entry.
        self.witnesses: dict[str, tuple[int, bytes]] = {}
        self._place(entries)
        ids = {id(entry) for _, entry, is_copy in self.new if not is_copy}
        #: The new entries in the order of their arrival, without copies of stored ones.
        self.fresh = [entry for entry in entries if isinstance(entry, ValidEntry) and id(entry) in ids]

    @property
    def copies(self) -> list[ValidEntry]:
        """Return the new entries whose originals are stored."""
        return [entry for _, entry, is_copy in self.new if is_copy]

    def save(self, now: datetime) -> None:
        """Store the new and the quarantined entries, and close the gaps that they fill."""
        rows.insert_entries(self.new, now)
        dropped = quarantine.store(self.quarantined, now)
        for gate in self._gates.values():
            gate.quarantine_dropped += dropped[gate.pk]
        self._fill_gaps(now)

    def _place(self, entries: Sequence[ValidEntry | InvalidMessage]) -> None:
        placed: list[tuple[int, int, ValidEntry | InvalidMessage, Journal]] = []
        for message in entries:
            journal = self._journal_of(message)
            if journal is None:
                self._reject(message)
            else:
                placed.append((journal.id, message.seq, message, journal))
                self.touched.add(journal.name)
        # By number, so that each entry is checked against the one before it. The sort is stable, so the first arrival
        # stays first.
        placed.sort(key=itemgetter(0, 1))
        ranges = rows.around((pk, seq) for pk, seq, _, _ in placed)
        self.edges = {(pk, last) for pk, _, last in ranges}
        self.hashes = hashes = rows.hashes(ranges)
        stored = frozenset(hashes)
        uids = queries.places_of({message.uid for _, _, message, _ in placed if isinstance(message, ValidEntry)})
        for pk, seq, message, journal in placed:
            number = (pk, seq)
            if number in hashes:
                if hashes[number] != message.hash:
                    self._fork(message, journal, number, "found other bytes than those stored under its number")
            elif isinstance(message, InvalidMessage):
                hashes[number] = message.hash
                self._quarantine(message, journal, counts=True)
            elif broken := self._chain_break(message, journal, stored):
                self._fork(message, journal, *broken)
            elif self._journals[message.origin[0]].gate_id != journal.gate_id:
                hashes[number] = message.hash
                unfit = _as_unfit(message, "copyof", "its original is in a journal of another gate")
                self._quarantine(unfit, journal, counts=True)
            else:
                hashes[number] = message.hash
                gate, place = uids.setdefault(message.uid, (journal.gate_id, number))
                if gate != journal.gate_id:
                    unfit = _as_unfit(message, "uid", "another gate's entry has this uid")
                    self._quarantine(unfit, journal, counts=True)
                else:
                    self.new.append((pk, message, place != number))

    def _journal_of(self, message: ValidEntry | InvalidMessage) -> Journal | None:
        """Return the journal to which the message's number belongs, or None."""
        journal = self._journals.get(message.journal)
        if journal is None or not message.gate or not message.seq or journal.gate_id != self._gates[message.gate].id:
            return None
        return journal

    def _chain_break(self, entry: ValidEntry, journal: Journal, stored: frozenset[Number]) -> tuple[Number, str] | None:
        """Return the stored neighbour with which the entry breaks the hash chain, and a text; None if it fits."""
        before = (journal.id, entry.seq - 1)
        expected = seal.first_prev(journal.name) if entry.seq == 1 else self.hashes.get(before)
        if expected is not None and expected != entry.prev:
            return before, "its prev is not the hash of the entry before it"
        after = (journal.id, entry.seq + 1)
        if after in stored:
            later = Entry.objects.filter(journal=journal, seq=after[1]).first()
            if later is not None and later.decode().prev != seal.to_text(entry.hash):
                return after, "the prev of the entry after it is not its hash"
        return None

    def _fork(self, message: ValidEntry | InvalidMessage, journal: Journal, witness: Number, detail: str) -> None:
        """Quarantine a message that contradicts the stored entry `witness`; it never counts."""
        log.error("fork in %s/%s entry %d: %s", message.gate, message.journal, message.seq, detail)
        self._quarantine(_as_unfit(message, "fork", detail), journal, counts=False)
        if witness in self.hashes:
            self.witnesses.setdefault(journal.name, (witness[1], self.hashes[witness]))

    def _reject(self, message: ValidEntry | InvalidMessage) -> None:
        """Quarantine a message whose number belongs to no journal."""
        if not isinstance(message, InvalidMessage):
            message = _as_unfit(message, "gate", f"the journal {message.journal} belongs to another gate")
        self._quarantine(message, None, counts=False)

    def _quarantine(self, unfit: InvalidMessage, journal: Journal | None, *, counts: bool) -> None:
        log.warning(
            "quarantined %s entry %s/%d: %s: %s", unfit.topic, unfit.journal, unfit.seq, unfit.reason, unfit.detail
        )
        gate = self._gates[unfit.gate].pk if unfit.gate else None
        self.quarantined.append((gate, journal.pk if journal else None, unfit, counts))

    def _fill_gaps(self, now: datetime) -> None:
        """Close the gaps that this batch fills: with its entries, and in older journals with the copies of theirs."""
        copied: dict[int, set[int]] = defaultdict(set)
        for pk, entry, _ in self.new:
            if entry.copyof is not None:
                copied[self._journals[entry.origin[0]].pk].add(pk)
        named = {pk for pk, _, _ in self.new} | {pk for _, pk, _, _ in self.quarantined if pk is not None}
        with_gaps = queries.with_gaps(named | copied.keys())
        if not with_gaps:
            return
        arrived: dict[int, set[int]] = defaultdict(set)
        for pk, entry, _ in self.new:
            arrived[pk].add(entry.seq)
        for _, journal_pk, unfit, counts in self.quarantined:
            if counts and journal_pk is not None:
                arrived[journal_pk].add(unfit.seq)
        by_pk = {journal.pk: journal for journal in self._journals.values()}
        for pk in with_gaps & arrived.keys():
            journals.fill_gaps(by_pk[pk], arrived[pk], Hole.FILLED, now)
        for pk in with_gaps & copied.keys():
            journals.fill_copied_gaps(by_pk[pk], now, by=copied[pk])


def _as_unfit(message: ValidEntry | InvalidMessage, reason: str, detail: str) -> InvalidMessage:
    if isinstance(message, InvalidMessage):
        return replace(message, reason=reason, detail=detail)
    return InvalidMessage(
        message.gate, message.topic, message.journal, message.seq, message.hash, message.body, reason, detail
    )
