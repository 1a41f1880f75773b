"""What happens to the messages of one transaction? Entries once, sessions once, holes named, acks computed.

``Batch.run`` is the order of events; it must run inside a transaction. A repeated number with other bytes, or an entry
that does not follow the one before it, is a fork: it is kept in quarantine, never counts and never moves an ack.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from operator import itemgetter

from django.db.models import F

from fabgate import seal, wire
from fabgate.collector import derive, journals, sql
from fabgate.collector.models import Entry, Gate, Hole, Journal
from fabgate.collector.received import Fact, Told, Unfit

log = logging.getLogger(__name__)

_STATUS_COLUMNS = ("online", "boot", "journal", "reported_roster", "seen_at", "hint_session", "hint_energised_ms")


class Batch:
    """One transaction's worth of messages, read already."""

    def __init__(self, messages: Sequence[Fact | Unfit | Told], now: datetime) -> None:
        self.now = now
        self.numbered = [m for m in messages if isinstance(m, (Fact, Unfit))]
        self.told = [m for m in messages if isinstance(m, Told)]
        self.gates = _gates({m.gate for m in messages if m.gate})
        self.journals = self._journals()
        #: The hash under each number that the batch names or touches, and the numbers that were looked up for it.
        self.known: dict[sql.Number, bytes] = {}
        self.looked_up: set[sql.Number] = set()
        self.new: list[tuple[int, Fact, bool]] = []
        self.quarantined: list[tuple[int | None, int | None, Unfit, bool]] = []
        #: Journals whose ack is to be published, and those of them where only entries beyond a gap arrived.
        self.touched: set[str] = set()
        self.beyond_gap: set[str] = set()

    def run(self) -> None:
        """Store everything. Afterwards `touched` names the journals whose acks are due."""
        self._sort_out()
        sql.insert_entries(self.new, self.now)
        sql.insert_quarantine(self.quarantined, self.now)
        self._fill_holes()
        facts = [fact for _, fact, is_copy in self.new if not is_copy]
        followed = derive.follow(facts, self.journals, self.now)
        self._hear()
        derive.usage(facts, self.gates, self.journals, followed)
        self._move_acks()

    def _journals(self) -> dict[str, Journal]:
        """Return every journal that the batch names, made for the gate whose topic first carried it."""
        wanted: dict[str, str] = {}
        for message in self.numbered:
            if message.gate and message.journal:
                wanted.setdefault(message.journal, message.gate)
            if isinstance(message, Fact):
                wanted.setdefault(message.origin[0], message.gate)
                named = derive.named_journal(message.data)
                if named is not None:
                    wanted.setdefault(named, message.gate)
        for told in self.told:
            if isinstance(told.message, wire.Status) and told.message.journal:
                wanted.setdefault(told.message.journal, told.gate)
        found = {j.name: j for j in Journal.objects.filter(name__in=wanted).select_related("gate")}
        for name, gate in wanted.items():
            if name not in found:
                found[name] = Journal.objects.create(name=name, gate=self.gates[gate])
            row = found[name]
            row.gate = self.gates.get(row.gate.name, row.gate)  # one object a gate: what it reports is read back
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
        self.looked_up = {(pk, seq + step) for pk, seq, _, _ in mine for step in (-1, 0, 1)}
        self.known = known = sql.hashes(self.looked_up)
        stored = frozenset(known)
        uids = sql.places_of({message.uid for _, _, message, _ in mine if isinstance(message, Fact)})
        for pk, seq, message, row in mine:
            number = (pk, seq)
            if number in known:
                if known[number] != message.hash:
                    self._reject(message, row, fork="other bytes under a number that is stored")
            elif isinstance(message, Unfit):
                known[number] = message.hash
                self._quarantine(message, row, counts=True)
            elif broken := self._break(message, row, stored):
                self._reject(message, row, fork=broken)
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

    def _break(self, fact: Fact, row: Journal, stored: frozenset[sql.Number]) -> str:
        """Return how the entry breaks the chain with its stored neighbours; empty if it does not."""
        before = seal.first_prev(row.name) if fact.seq == 1 else self.known.get((row.id, fact.seq - 1))
        if before is not None and before != fact.prev:
            return "its prev is not the hash of the entry before"
        if (row.id, fact.seq + 1) in stored:
            after = Entry.objects.filter(journal=row, seq=fact.seq + 1).first()
            if after is not None and after.decode().prev != seal.to_text(fact.hash):
                return "the prev of the entry after is not its hash"
        return ""

    def _reject(self, message: Fact | Unfit, row: Journal | None, *, fork: str = "") -> None:
        """Quarantine what never counts."""
        if fork:
            log.error("fork in %s/%s entry %d: %s", message.gate, message.journal, message.seq, fork)
            self._quarantine(_as_unfit(message, "fork", fork), row, counts=False)
        elif isinstance(message, Unfit):
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
        arrived: dict[int, set[int]] = defaultdict(set)
        copied: dict[int, set[int]] = defaultdict(set)
        for row, fact, _ in self.new:
            arrived[row].add(fact.seq)
            if fact.copyof is not None:
                copied[self.journals[fact.origin[0]].pk].add(fact.origin[1])
        for _, row_or_none, unfit, counts in self.quarantined:
            if counts and row_or_none is not None:
                arrived[row_or_none].add(unfit.seq)
        holes = Hole.objects.filter(journal__in={*arrived, *copied}).exclude(state=Hole.FILLED)
        holed = set(holes.values_list("journal", flat=True))
        by_pk = {journal.pk: journal for journal in self.journals.values()}
        for state, numbers in ((Hole.FILLED, arrived), (Hole.COPIED, copied)):
            for row in holed & set(numbers):
                journals.fill(by_pk[row], numbers[row], state, self.now)

    def _hear(self) -> None:
        """Take what the gates say of themselves."""
        for told in self.told:
            gate, message = self.gates[told.gate], told.message
            gate.seen_at = self.now
            if isinstance(message, wire.Status):
                self._hear_status(gate, message)
            elif message.session:
                previous = gate.hint_energised_ms if gate.hint_session == message.session else 0
                gate.hint_session = message.session
                gate.hint_energised_ms = max(previous, message.energised_ms)
        heard = {told.gate for told in self.told}
        Gate.objects.bulk_update([self.gates[name] for name in heard], _STATUS_COLUMNS, batch_size=300)

    def _hear_status(self, gate: Gate, status: wire.Status) -> None:
        gate.online = status.online
        gate.boot = status.boot or gate.boot
        if status.roster is not None:
            gate.reported_roster = max(gate.reported_roster, status.roster.version)
        if status.journal is None:
            return  # the last will knows nothing of the journal
        journal = self.journals[status.journal]
        if journal.gate_id != gate.pk:
            log.error("%s reports the journal %s, which is another gate's", gate.name, journal.name)
            return
        gate.journal = journal.name
        if (status.floor, status.head) != (journal.floor, journal.head):
            journal.floor, journal.head = status.floor, max(journal.head, status.head)
            journal.save(update_fields=["floor", "head"])
        # A floor above the head would be nonsense, and would name numbers lost that are yet to be written.
        for first, last in journals.name_missing(journal, min(status.floor, status.head + 1) - 1, self.now):
            log.error("%s: entries %d to %d are missing", gate.name, first, last)
            self.touched.add(journal.name)
        if status.mark != journal.ack_seq or (status.hash or "") not in {"", seal.to_text(bytes(journal.ack_hash))}:
            self.touched.add(journal.name)

    def _move_acks(self) -> None:
        arrived = {row for row, _, _ in self.new}
        beyond = Hole.objects.filter(journal__in=self.journals.values(), last__gt=F("journal__ack_seq"))
        holed = set(beyond.exclude(state=Hole.FILLED).values_list("journal", flat=True))
        moved = []
        for name, journal in self.journals.items():
            if self._advance(journal, is_holed=journal.pk in holed):
                self.touched.add(name)
                moved.append(journal)
            elif journal.pk in arrived:
                self.beyond_gap.add(name)
        sql.save_acks(moved)

    def _advance(self, journal: Journal, *, is_holed: bool) -> bool:
        """Move the ack: from what was looked up already where that is enough, else by asking the database."""
        seq = journal.ack_seq
        while (journal.pk, seq + 1) in self.known:
            seq += 1
        if is_holed or (seq > journal.ack_seq and (journal.pk, seq + 1) not in self.looked_up):
            return journals.advance(journal)
        if seq == journal.ack_seq:
            return False  # the number after the ack was not there before, or the ack would have been higher
        journal.ack_seq, journal.ack_hash = seq, self.known[journal.pk, seq]
        return True


def _gates(names: Iterable[str]) -> dict[str, Gate]:
    """Return the gates, made where the broker has let in one that nobody registered."""
    wanted = set(names)
    found = {gate.name: gate for gate in Gate.objects.filter(name__in=wanted).select_related("machine")}
    for name in sorted(wanted - set(found)):
        log.info("gate %s is new here: give it a machine with 'fabgate collector gate-add'", name)
        found[name] = Gate.objects.create(name=name)
    return found


def _as_unfit(message: Fact | Unfit, reason: str, detail: str) -> Unfit:
    if isinstance(message, Unfit):
        return replace(message, reason=reason, detail=detail)
    return Unfit(message.gate, message.topic, message.journal, message.seq, message.hash, message.body, reason, detail)
