"""What happens to the messages of one transaction? Entries once, sessions once, holes named, acks computed.

``Batch.run`` is the order of events; it must run inside a transaction. A repeated number with other bytes, or an entry
that does not follow the one before it, is a fork: it is kept in quarantine, never counts and never moves an ack.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from operator import itemgetter
from typing import Final

from fabgate import seal, wire
from fabgate.collector.db import pulse
from fabgate.collector.db.rows import RowReader
from fabgate.collector.entries import gate_clocks, journals, queries
from fabgate.collector.entries import rows as entry_rows
from fabgate.collector.entries.decode import SESSION_DATA, Fact, Told, Unfit
from fabgate.collector.intake import live_state, quarantine
from fabgate.collector.models import Entry, Gate, Hole, Journal, Pulse
from fabgate.collector.models.arrivals import MAX_SEQ
from fabgate.collector.sessions import derive, ledger

log = logging.getLogger(__name__)

#: No age of a roster is believed beyond this: a year.
_OLDEST_S = 366 * 86_400
#: Nor a version that is further ahead of our clock, in milliseconds, but for our own: one word of a gate, never taken
#: back, would number all its rosters beyond what any message can carry.
_AHEAD_MS: Final = 86_400_000


class Batch:
    """One transaction's worth of messages, read already."""

    def __init__(self, messages: Sequence[Fact | Unfit | Told], now: datetime, *, collector: str) -> None:
        self.now = now
        #: The id of this collector's database.
        self.collector = collector
        self.numbered = [m for m in messages if isinstance(m, (Fact, Unfit))]
        self.told = [m for m in messages if isinstance(m, Told)]
        self.gates = _gates({m.gate for m in messages if m.gate})
        self.hints = {name: dict(gate.hints) for name, gate in self.gates.items()}
        self.shown = {name: gate.shown for name, gate in self.gates.items()}
        self.clocks = {name: gate.clock_off_ms for name, gate in self.gates.items()}
        self.earliest = {name: gate.earliest_at for name, gate in self.gates.items()}
        self.dropped = {name: gate.quarantine_dropped for name, gate in self.gates.items()}
        self.journals = self._journals()
        #: The hash under each number that the batch names or touches, and the last number of each range of them.
        self.known: dict[entry_rows.Number, bytes] = {}
        self.edges: set[entry_rows.Number] = set()
        self.new: list[tuple[int, Fact, bool]] = []
        self.quarantined: list[tuple[int | None, int | None, Unfit, bool]] = []
        #: Journals whose ack is to be published, and those of them where only entries beyond a gap arrived.
        self.touched: set[str] = set()
        self.beyond_gap: set[str] = set()
        #: Journals whose gate said that its mark is another one than ours: it waits for an answer.
        self.asked: set[str] = set()
        #: For journals in which a fork was found: a stored number with its hash that the gate does not have.
        self.witnesses: dict[str, tuple[int, bytes]] = {}

    def run(self) -> None:
        """Store everything. Afterwards `touched` names the journals whose acks are due."""
        self._sort_out()
        entry_rows.insert_entries(self.new, self.now)
        dropped = quarantine.store(self.quarantined, self.now)
        for gate in self.gates.values():
            gate.quarantine_dropped += dropped[gate.pk]
        self._fill_holes()
        facts = self._facts()
        followed = derive.follow(facts, self.journals)
        self._hear(followed)
        lost = derive.name_lost(followed, self.now)
        off = gate_clocks.note(facts, self.gates, self.now)
        refused = live_state.refusals(facts, self.gates, self.journals, off, self.now)
        # Before any sum of days: whoever has those holds what orders are told under (sums.add).
        answered = live_state.answers(facts, self.told, self.gates, self.now)
        moved, passed = self._advance_all()
        for old in lost:
            passed |= _ended_in(old, old.ack_seq)
        copies = [fact for _, fact, is_copy in self.new if is_copy]
        used = derive.usage(facts, self.gates, self.journals, followed, off, passed, copies, self.now)
        pulse.lock()  # before the gates' rows, as roster.rebuild does: or each would wait for the other
        self._save_gates()
        entry_rows.save_acks(moved)
        users = {fact.gate for fact in facts if isinstance(fact.data, SESSION_DATA)}
        turned = {name for name, shown in self.shown.items() if shown != self.gates[name].shown}
        ledger.add(used, self.now)
        pulse.notify(
            {
                Pulse.FLOOR: turned,
                Pulse.REFUSAL: refused,
                Pulse.ORDER: answered,
                Pulse.SESSION: users or ({""} if used else set()),
            },
            self.now,
        )

    def _facts(self) -> list[Fact]:
        """Return the new facts in the order of their arrival: a copy whose original is stored derives nothing."""
        fresh = {id(fact) for _, fact, is_copy in self.new if not is_copy}
        return [message for message in self.numbered if isinstance(message, Fact) and id(message) in fresh]

    def _journals(self) -> dict[str, Journal]:
        """Return every journal that the batch names, made for the gate whose topic first carried it."""
        # Backwards, so that the first one to carry a journal is the one that stays.
        wanted = {m.journal: m.gate for m in reversed(self.numbered) if m.gate and m.journal}
        for fact in self.numbered:
            if isinstance(fact, Fact) and (fact.copyof is not None or isinstance(fact.data, derive.NAMING)):
                wanted.setdefault(fact.origin[0], fact.gate)
                if (named := derive.named_journal(fact.data)) is not None:
                    wanted.setdefault(named, fact.gate)
        for told in self.told:
            if isinstance(told.message, wire.Status) and told.message.journal:
                wanted.setdefault(told.message.journal, told.gate)
        found = {journal.name: journal for journal in _JOURNALS.where(name=wanted)} if wanted else {}
        by_pk = {gate.pk: gate for gate in self.gates.values()}
        for journal in found.values():
            if journal.gate_id in by_pk:
                journal.gate = by_pk[journal.gate_id]  # one object a gate: what it reports is read back
        new = [name for name in wanted if name not in found]
        if len(new) > 1:  # journals that nothing ties together are told apart by which was heard of first
            heard = {name: place for place, name in enumerate(dict.fromkeys(m.journal for m in self.numbered))}
            new.sort(key=lambda name: heard.get(name, len(heard)))
        made = [Journal(name=name, gate=self.gates[wanted[name]]) for name in new]
        found.update((journal.name, journal) for journal in Journal.objects.bulk_create(made))
        return found

    def _sort_out(self) -> None:
        """Decide for each message: new, known already, or quarantined."""
        mine: list[tuple[int, int, Fact | Unfit, Journal]] = []
        for message in self.numbered:
            row = self._row(message)
            if row is None:
                self._reject(message, None)
            else:
                mine.append((row.id, message.seq, message, row))
                self.touched.add(row.name)
        # By number, so that each entry is checked against the one before; sorting is stable, the first comer stays.
        mine.sort(key=itemgetter(0, 1))
        ranges = entry_rows.around((pk, seq) for pk, seq, _, _ in mine)
        self.edges = {(pk, last) for pk, _, last in ranges}
        self.known = known = entry_rows.hashes(ranges)
        stored = frozenset(known)
        uids = queries.places_of({message.uid for _, _, message, _ in mine if isinstance(message, Fact)})
        for pk, seq, message, row in mine:
            number = (pk, seq)
            if number in known:
                if known[number] != message.hash:
                    self._fork(message, row, number, "other bytes under a number that is stored")
            elif isinstance(message, Unfit):
                known[number] = message.hash
                self._quarantine(message, row, counts=True)
            elif broken := self._break(message, row, stored):
                self._fork(message, row, *broken)
            else:
                known[number] = message.hash
                gate, place = uids.setdefault(message.uid, (row.gate_id, number))
                if gate != row.gate_id:
                    self._quarantine(_as_unfit(message, "uid", "another gate's entry has this uid"), row, counts=True)
                else:
                    self.new.append((pk, message, place != number))

    def _row(self, message: Fact | Unfit) -> Journal | None:
        """Return the journal in which the message's number counts, if any."""
        row = self.journals.get(message.journal)
        if row is None or not message.gate or not message.seq or row.gate_id != self.gates[message.gate].id:
            return None
        return row

    def _break(
        self, fact: Fact, row: Journal, stored: frozenset[entry_rows.Number]
    ) -> tuple[entry_rows.Number, str] | None:
        """Return with which stored neighbour the entry breaks the chain, and how."""
        before = (row.id, fact.seq - 1)
        expected = seal.first_prev(row.name) if fact.seq == 1 else self.known.get(before)
        if expected is not None and expected != fact.prev:
            return before, "its prev is not the hash of the entry before"
        after = (row.id, fact.seq + 1)
        if after in stored:
            entry = Entry.objects.filter(journal=row, seq=after[1]).first()
            if entry is not None and entry.decode().prev != seal.to_text(fact.hash):
                return after, "the prev of the entry after is not its hash"
        return None

    def _fork(self, message: Fact | Unfit, row: Journal, witness: entry_rows.Number, detail: str) -> None:
        """Quarantine, never to count, what cannot be true beside the stored number `witness`."""
        log.error("fork in %s/%s entry %d: %s", message.gate, message.journal, message.seq, detail)
        self._quarantine(_as_unfit(message, "fork", detail), row, counts=False)
        if witness in self.known:
            self.witnesses.setdefault(row.name, (witness[1], self.known[witness]))

    def _reject(self, message: Fact | Unfit, row: Journal | None) -> None:
        """Quarantine what counts nowhere."""
        if isinstance(message, Unfit):
            self._quarantine(message, row, counts=False)
        else:
            text = f"the journal {message.journal} belongs to another gate"
            self._quarantine(_as_unfit(message, "gate", text), row, counts=False)

    def _quarantine(self, unfit: Unfit, row: Journal | None, *, counts: bool) -> None:
        log.warning(
            "quarantined %s entry %s/%d: %s: %s", unfit.topic, unfit.journal, unfit.seq, unfit.reason, unfit.detail
        )
        gate = self.gates[unfit.gate].pk if unfit.gate else None
        self.quarantined.append((gate, row.pk if row else None, unfit, counts))

    def _fill_holes(self) -> None:
        """Take what arrived out of the holes of its journal, and what arrived as a copy out of its first original's."""
        copied: dict[int, set[int]] = defaultdict(set)
        for row, fact, _ in self.new:
            if fact.copyof is not None:
                copied[self.journals[fact.origin[0]].pk].add(row)
        named = {row for row, _, _ in self.new} | {row for _, row, _, _ in self.quarantined if row is not None}
        holed = queries.holed(named | copied.keys())
        if not holed:
            return
        arrived: dict[int, set[int]] = defaultdict(set)
        for row, fact, _ in self.new:
            arrived[row].add(fact.seq)
        for _, row_or_none, unfit, counts in self.quarantined:
            if counts and row_or_none is not None:
                arrived[row_or_none].add(unfit.seq)
        by_pk = {journal.pk: journal for journal in self.journals.values()}
        for row in holed & arrived.keys():
            journals.fill(by_pk[row], arrived[row], Hole.FILLED, self.now)
        for row in holed & copied.keys():
            journals.fill_copied(by_pk[row], self.now, by=copied[row])

    def _hear(self, followed: derive.Followed) -> None:
        """Take what the gates say of themselves. Adds to `followed` what changes because a gate writes another journal."""
        wrote = {gate.pk: gate.journal for gate in self.gates.values()}
        for told in self.told:
            gate, message = self.gates[told.gate], told.message
            was_online = gate.online
            if isinstance(message, wire.Status):
                self._hear_status(gate, message, told.at)
            elif isinstance(message, wire.State):
                live_state.hear_state(gate, message, self.now)
            # The broker repeats the retained words of a gate that is gone whenever the collector connects.
            if was_online or gate.online or gate.seen_at is None:
                gate.seen_at = self.now
        turned = {gate.pk for gate in self.gates.values() if gate.journal != wrote[gate.pk]}
        if not turned:
            return
        followed.gates |= turned
        # Nothing was named of one that had ended, while its gate wrote it all the same.
        old_ones = Journal.objects.filter(gate__in=turned, name__in=[wrote[pk] for pk in turned])
        followed.ended.update((old.pk, old) for old in old_ones if old.superseded_by_id is not None)

    def _save_gates(self) -> None:
        heard = {told.gate for told in self.told}
        changed = [
            gate
            for name, gate in self.gates.items()
            if name in heard
            or gate.hints != self.hints[name]
            or gate.clock_off_ms != self.clocks[name]
            or gate.earliest_at != self.earliest[name]
            or gate.quarantine_dropped != self.dropped[name]
        ]
        live_state.save_gates(changed)

    def _hear_status(self, gate: Gate, status: wire.Status, at: datetime | None) -> None:
        gate.online, gate.head_at = status.online, None
        gate.boot = status.boot or gate.boot
        if status.online:  # the last will knows nothing of these
            gate.reader, gate.version = status.reader or "", (status.version or "")[: wire.MAX_TEXT]
            gate.problems = live_state.brief(status.problems)
            gate.head, gate.mark, gate.synced = status.head, status.mark, status.synced
        if status.roster is not None:
            self._hear_roster(gate, status.roster)
        if status.journal is None:
            return  # the last will knows nothing of the journal
        journal = self.journals[status.journal]
        if journal.gate_id != gate.pk:
            log.error("%s reports the journal %s, which is another gate's", gate.name, journal.name)
            return
        gate.journal = journal.name
        gate.head_at = at if status.online else None
        if (status.floor, status.head) != (journal.floor, journal.head):
            journal.floor, journal.head = status.floor, max(journal.head, status.head)
            journal.save(update_fields=["floor", "head"])
        # A floor above the head would be nonsense, and would name numbers lost that are yet to be written.
        for first, last in journals.name_missing(journal, min(status.floor, status.head + 1) - 1, self.now):
            log.error("%s: entries %d to %d are missing", gate.name, first, last)
            self.touched.add(journal.name)
        if status.mark != journal.ack_seq or (status.hash or "") not in {"", seal.to_text(bytes(journal.ack_hash))}:
            self.touched.add(journal.name)
            self.asked.add(journal.name)

    def _hear_roster(self, gate: Gate, roster: wire.RosterInfo) -> None:
        if roster.source not in (None, "collector", f"collector:{self.collector}"):
            # Its members file, or another collector: that version was made by another clock and says nothing here.
            gate.reported_roster, gate.roster_confirmed_at = 0, None
            return
        if roster.version > max(gate.roster_version, round(self.now.timestamp() * 1000) + _AHEAD_MS):
            problem = f"roster-ahead: version {roster.version} is more than a day ahead of the collector's clock"
            if problem not in gate.problems:
                gate.problems = [*gate.problems, problem]
            return
        gate.reported_roster = max(gate.reported_roster, roster.version)
        if roster.age_s is not None:
            gate.roster_confirmed_at = self.now - timedelta(seconds=min(roster.age_s, _OLDEST_S))

    def _advance_all(self) -> tuple[list[Journal], set[str]]:
        """Move the acks of the journals; return those that moved, and the sessions whose end they passed.

        Of ends that arrived before, beyond a gap: now that nothing is awaited below them, it is known what never came.
        """
        arrived: dict[int, list[int]] = defaultdict(list)
        for row, fact, _ in self.new:
            arrived[row].append(fact.seq)
        passed: set[str] = set()
        holed = queries.holed([journal.pk for journal in self.journals.values()], beyond_ack=True)
        moved = []
        for name, journal in self.journals.items():
            was = journal.ack_seq
            if self._advance(journal, is_holed=journal.pk in holed):
                # What arrived beyond another gap is not among what the ack passed.
                if journal.ack_seq - was > sum(seq <= journal.ack_seq for seq in arrived[journal.pk]):
                    passed |= _ended_in(journal, was, journal.ack_seq)
                self.touched.add(name)
                moved.append(journal)
            elif journal.pk in arrived and name not in self.asked:
                self.beyond_gap.add(name)
        return moved, passed

    def _advance(self, journal: Journal, *, is_holed: bool) -> bool:
        """Move the ack: from what was looked up already where that is enough, else by asking the database."""
        seq = journal.ack_seq
        while (journal.pk, seq + 1) in self.known:
            seq += 1
        if is_holed or (seq > journal.ack_seq and (journal.pk, seq) in self.edges):
            return journals.advance(journal)
        if seq == journal.ack_seq:
            return False  # the number after the ack was not there before, or the ack would have been higher
        journal.ack_seq, journal.ack_hash = seq, self.known[journal.pk, seq]
        return True


def _ended_in(journal: Journal, after: int, upto: int = MAX_SEQ) -> set[str]:
    """Return the sessions whose end a journal has beyond the number `after`, up to `upto`."""
    found = set()
    rows = Entry.objects.filter(journal=journal, seq__gt=after, seq__lte=upto, type="session.ended")
    for entry in rows.iterator(chunk_size=500):
        data = wire.decode_data(entry.decode())
        if isinstance(data, wire.SessionEnded):
            found.add(data.session)
    return found


_GATES: Final = RowReader(Gate)
_JOURNALS: Final = RowReader(Journal)


def _gates(names: Iterable[str]) -> dict[str, Gate]:
    """Return the gates, made where the broker has let in one that nobody registered."""
    wanted = set(names)
    found = {gate.name: gate for gate in _GATES.where(name=wanted)} if wanted else {}
    for name in sorted(wanted - set(found)):
        log.info("gate %s is new here: give it a machine with 'fabgate collector gate-add'", name)
        found[name] = Gate.objects.create(name=name)
    return found


def _as_unfit(message: Fact | Unfit, reason: str, detail: str) -> Unfit:
    if isinstance(message, Unfit):
        return replace(message, reason=reason, detail=detail)
    return Unfit(message.gate, message.topic, message.journal, message.seq, message.hash, message.body, reason, detail)
