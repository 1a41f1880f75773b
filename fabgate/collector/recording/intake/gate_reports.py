"""Applies what gates report about themselves: their status, their roster, and which journal they write."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cached_property
from typing import Final

from django.conf import settings
from django.db.models import Q

from fabgate import seal, wire
from fabgate.collector.ground import authorities
from fabgate.collector.ground.models import Gate, Journal
from fabgate.collector.recording.entries import decode, journals
from fabgate.collector.recording.entries.decode import GateReport
from fabgate.collector.recording.entries.succession import Succession
from fabgate.collector.recording.intake import live_state
from fabgate.collector.recording.intake.loading import Loaded
from fabgate.mqtt.authorities import fingerprint

log = logging.getLogger(__name__)

#: A reported roster's age is cut to a year, so that its date can be computed.
_MAX_AGE_S: Final = 366 * 86_400
#: A reported roster version that is further ahead of our clock is ignored, unless we issued it. Versions never
#: decrease, so one absurd report could push all later versions above the largest number that a message can contain.
_MAX_AHEAD_MS: Final = 86_400_000
_MISSING: Final = (
    "it does not report each authority of the workshop, and cannot connect once the new one signs; update the gate, and see"
    " that it fetches its roster"
)


class ReportedStatus:
    """Applies the statuses of a batch, and collects which acks they ask for."""

    def __init__(self, loaded: Loaded, now: datetime, *, collector: str) -> None:
        self._gates, self._journals = loaded.gates, loaded.journals
        self._now, self._collector = now, collector
        #: Names of the journals whose ack is due, because entries are lost or the gate's mark differs from ours.
        self.due: set[str] = set()
        #: Names of the journals in `due` whose gate has another mark and waits for an answer.
        self.asked: set[str] = set()
        #: Names of the journals whose floor is lower than before: an image of the card was put back.
        self.lowered: set[str] = set()
        #: The journals between which each gate turned, by its id: within a batch it may turn away and back again. Also those
        #: that are out of order since this batch, or no more.
        self._turned: dict[int, set[str]] = defaultdict(set)

    @cached_property
    def _authorities(self) -> set[str]:
        """The authorities that each gate has to know while there are several; otherwise none is new."""
        named = authorities.named(settings.ENVIRONMENT)
        return set(map(fingerprint, named)) if len(named) > 1 else set()

    def apply(self, reports: Sequence[GateReport], succession: Succession) -> None:
        """Update gates and journals. Adds to `succession` what changes with the journal that a gate writes."""
        for report in reports:
            gate, message = self._gates[report.gate], report.message
            was_online = gate.online
            if isinstance(message, wire.Status):
                self._apply_status(gate, message, report.at)
            elif isinstance(message, wire.State):
                live_state.apply_state(gate, message, self._now)
            # On each connect of the collector, the broker repeats the retained messages of gates that no longer exist.
            if was_online or gate.online or gate.seen_at is None:
                gate.seen_at = self._now
        switched = self._turned.keys()
        placed = set(succession.gates)  # the first entry of a journal has arrived, and says what it follows
        if not switched | placed:
            return
        succession.gates |= switched
        written = {gate.pk: gate.journal for gate in self._gates.values()}
        named = set().union(*self._turned.values())
        old_ones = Journal.objects.filter(Q(superseded_by=None) | Q(name__in=named), gate__in=switched | placed)
        now_written = {old.gate_id: old for old in old_ones if old.name == written.get(old.gate_id)}
        for old in old_ones:
            newest = now_written.get(old.gate_id)
            if newest is None or old.pk == newest.pk:
                continue
            # An ended journal that its gate still wrote had no lost entries recorded until now. Where no entry will say that
            # the journal which the gate writes ended the others, its status does; a first entry ends only earlier ones.
            is_over = newest.has_ended(old) and (old.gate_id in switched or old.pk < newest.pk)
            if old.superseded_by_id is not None or is_over:
                succession.ended[old.pk] = old

    def _apply_status(self, gate: Gate, status: wire.Status, at: datetime | None) -> None:
        gate.online, gate.head_at = status.online, None
        gate.boot = status.boot or gate.boot
        if status.online:  # a last will lacks these fields
            gate.reader, gate.version = status.reader or "", (status.version or "")[: wire.MAX_TEXT]
            if gate.reader == Gate.READER_OK and not status.reader_supervised:
                gate.reader = Gate.READER_UNSUPERVISED
            gate.senses_work = status.senses_work
            gate.problems = decode.brief(status.problems)
            if not self._authorities <= set(status.authorities):
                gate.problems.append(f"{authorities.MISSING}: {_MISSING}")
            gate.head, gate.mark, gate.synced = status.head, status.mark, status.synced
        if status.roster is not None:
            self._apply_roster(gate, status.roster)
        if status.journal is None:
            return  # a last will names no journal
        journal = self._journals[status.journal]
        if journal.gate_id != gate.pk:
            log.error("%s reports the journal %s, which belongs to another gate", gate.name, journal.name)
            return
        if gate.journal != journal.name:
            self._turned[gate.pk] |= {gate.journal, journal.name}
            gate.journal = journal.name
        gate.head_at = at if status.online else None
        self._note_bounds(gate, journal, status)
        # A floor above the head is wrong, and would record unwritten numbers as lost.
        for first, last in journals.record_missing(journal, min(status.floor, status.head + 1) - 1, self._now):
            log.error("%s: entries %d to %d are missing", gate.name, first, last)
            self.due.add(journal.name)
        if status.mark != journal.ack_seq or (status.hash or "") not in {"", seal.to_text(bytes(journal.ack_hash))}:
            self.due.add(journal.name)
            self.asked.add(journal.name)

    def _note_bounds(self, gate: Gate, journal: Journal, status: wire.Status) -> None:
        was_out_of_order = journal.is_out_of_order
        if status.floor < journal.floor:
            self.lowered.add(journal.name)
        if (status.floor, status.head) != (journal.floor, journal.head):
            journal.floor, journal.head = status.floor, max(journal.head, status.head)
            journal.save(update_fields=["floor", "head"])
            if journal.is_out_of_order != was_out_of_order:
                self._turned[gate.pk].add(journal.name)

    def _apply_roster(self, gate: Gate, roster: wire.RosterInfo) -> None:
        if roster.source != f"collector:{self._collector}":
            # The roster is from a members file or another collector, whose versions cannot be compared with ours.
            gate.reported_roster, gate.roster_confirmed_at = 0, None
            return
        if roster.version > max(gate.roster_version, round(self._now.timestamp() * 1000) + _MAX_AHEAD_MS):
            problem = f"roster-ahead: version {roster.version} is more than a day ahead of the collector's clock"
            if problem not in gate.problems:
                gate.problems = [*gate.problems, problem]
            return
        gate.reported_roster = max(gate.reported_roster, roster.version)
        if roster.age_s is not None:
            gate.roster_confirmed_at = self._now - timedelta(seconds=min(roster.age_s, _MAX_AGE_S))
