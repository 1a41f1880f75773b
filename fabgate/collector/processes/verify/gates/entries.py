"""Checks the entries: their bytes, hashes and chain, the columns that repeat their contents, journals, gaps and boots.

The chain is the gate's own (fabgate/seal.py). Notes in the workspace which entries each session has.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any, Final, NamedTuple

from django.db.models import QuerySet

from fabgate import seal, wire
from fabgate.collector.ground.db import statements
from fabgate.collector.ground.models import Boot, Gate, Hole, Journal, Quarantine
from fabgate.collector.processes.verify import guard
from fabgate.collector.processes.verify.findings import Advance, Report
from fabgate.collector.processes.verify.snapshot import PAGE, Workspace, moment, pages
from fabgate.collector.recording.broker.message import Received
from fabgate.collector.recording.entries import boots, decode, first_dates, journals, succession
from fabgate.collector.recording.entries.boots import BootEntry, BootKey
from fabgate.collector.recording.entries.decode import SESSION_DATA, ValidEntry

_ENTRIES: Final = (
    "SELECT seq, id, uid, type, body, hash, occurred_at, copyof, is_copy FROM collector_entry WHERE journal_id = %s AND"
)
#: Bodies in quarantine that are as long as this may have been cut (recording/intake/quarantine.py).
_MAY_BE_CUT: Final = 4 * 1024
_BYTES: Final = (bytes, memoryview)
_LOWEST: Final = -(1 << 63)
#: The columns of a boot that follow from its entries.
_BOOT_COLUMNS: Final = (
    *("journal_id", "seq", "from_ms", "tie_ms", "tie_at", "first_ms", "first_at", "last_ms", "last_at"),
)


class StoredEntry(NamedTuple):
    """The columns of an entry as the database returns them."""

    seq: int
    id: int
    uid: str
    type: str
    body: bytes
    hash: bytes
    occurred_at: Any
    copyof: str | None
    is_copy: bool


class Previous(NamedTuple):
    """The number before: its stored hash, and that of its stored bytes."""

    seq: int
    hash: bytes
    computed: bytes
    #: A message in quarantine, which takes the place of its number without being checked against the next entry.
    is_quarantined: bool = False


@dataclass
class Contents:
    """What the entries of all journals say about journals and boots."""

    #: By journal's id: the predecessor and is_root that its first entries give.
    named: dict[int, set[tuple[str, bool]]] = field(default_factory=lambda: defaultdict(set))
    #: By journal's name: the marks and heads of the forks that name it.
    forks: dict[str, list[wire.JournalForked]] = field(default_factory=lambda: defaultdict(list))
    boots: dict[BootKey, Boot] = field(default_factory=dict)
    #: By journal's id: the highest number that is not a copy.
    last: dict[int, int] = field(default_factory=dict)
    #: How many entries record a refusal, without copies.
    refusals: int = 0


def check(report: Report, workspace: Workspace, site: str, advance: Advance) -> int:
    """Check every journal and its entries; return how many entries record a refusal.

    Raises LookupError if a journal cannot be read, which is a finding already: what follows from all would be wrong.
    """
    known = {journal.name: journal for journal in all_journals()}
    for journal in Journal.objects.exclude(gate__in=Gate.objects.all()).order_by("id"):
        report.changed("journal", journal.name, "gate_id", journal.gate_id, "the id of a gate")
    contents = Contents()
    readable = [
        guard.carry_out(
            report,
            "journal",
            partial(_Reader(report, workspace, site, known, contents, journal).check, advance),
            row=journal.name,
        )
        for journal in known.values()
    ]
    guard.carry_out(report, "gate", partial(_check_gates, report))
    if not all(readable):
        raise LookupError("a journal cannot be read, so boots and gaps were not compared either")
    _check_orphans(report)
    workspace.index("session_entry", "session")
    workspace.index("copied", "journal", "seq")
    _check_copied_gaps(report, workspace)
    _check_journals(report, known, contents)
    _check_boots(report, contents)
    return contents.refusals


def all_journals() -> QuerySet[Journal]:
    """Return all journals with the names of their gates: a report of a gate that cannot be read hides no journal."""
    own = [field.name for field in Journal._meta.concrete_fields]  # noqa: SLF001 (Django's name for it)
    return Journal.objects.select_related("gate").only(*own, "gate__name").order_by("id")


def decoded(row: StoredEntry, journal: Journal, site: str) -> ValidEntry | decode.InvalidMessage:
    """Decode a stored entry again, as it was when it arrived."""
    body = bytes(row.body)
    message = Received(_topic(site, journal.gate.name, row.type), body, journal.name, str(row.seq))
    found = decode.read(message, site=site)
    if isinstance(found, decode.InvalidMessage) and found.reason == "type":
        # The column is wrong, or the type is of another program, whose name is stored unchanged.
        own = wire.GateTopics(site, journal.gate.name).event(wire.decode_entry(body).type)
        found = decode.read(Received(own, body, journal.name, str(row.seq)), site=site)
    assert isinstance(found, (ValidEntry, decode.InvalidMessage))
    return found


@lru_cache(4096)  # a site has few gates and types, and every entry repeats them
def _topic(site: str, gate: str, type_: str) -> str:
    return wire.GateTopics(site, gate).event(wire.full_type(type_))


class _Reader:
    """Reads one journal in the order of its numbers."""

    def __init__(
        self,
        report: Report,
        workspace: Workspace,
        site: str,
        known: Mapping[str, Journal],
        contents: Contents,
        journal: Journal,
    ) -> None:
        self._report, self._workspace, self._site = report, workspace, site
        self._known, self._contents, self._journal = known, contents, journal
        self._quarantined: dict[int, Quarantine] = {}
        self._stored: list[tuple[int, int]] = []
        self._before: Previous | None = None

    def check(self, advance: Advance) -> None:
        """Check the entries, then what the journal's own row says about them."""
        counted = Quarantine.objects.filter(journal=self._journal, counts=True).order_by("seq")
        self._quarantined = {row.seq: row for row in counted.defer("topic", "detail")}
        for page in pages(_ENTRIES, "seq", values=[self._journal.pk], after=_LOWEST):
            rows = [row for row in map(StoredEntry._make, page) if self._is_readable(row)]
            entries = [self._entry(row) for row in rows]
            self._note([(row.id, entry) for row, entry in zip(rows, entries, strict=True) if entry and not row.is_copy])
            self._check_copies([row for row in rows if row.is_copy])
            self._workspace.insert(
                "copied", [entry.origin for entry in entries if entry is not None and entry.copyof is not None]
            )
            self._report.compared["entry"] += len(page)
            advance(len(page))
        for row in self._quarantined.values():
            self._quarantine(row)
        self._check_ack()
        self._check_gaps()

    def _is_readable(self, row: StoredEntry) -> bool:
        """Return whether number, bytes and hash are such; SQLite stores any value in any column."""
        if isinstance(row.seq, int) and isinstance(row.body, _BYTES) and isinstance(row.hash, _BYTES):
            return True
        self._report.unchecked("entry", f"{self._journal.name}/{row.seq}", "wanted a number, bytes and a hash")
        return False

    def _entry(self, row: StoredEntry) -> ValidEntry | None:
        name, body = f"{self._journal.name}/{row.seq}", bytes(row.body)
        found = decoded(row, self._journal, self._site)
        self._follow(
            row.seq, bytes(row.hash), seal.entry_hash(body), found.prev if isinstance(found, ValidEntry) else None
        )
        if not isinstance(found, ValidEntry):
            is_intact = seal.entry_hash(body) == bytes(row.hash)
            self._report.changed("entry", name, "seq" if is_intact else "body", found.detail, "a valid entry")
            return None
        stored = (row.uid, row.type, row.copyof, moment(row.occurred_at))
        wanted = (found.uid, found.type, found.copyof, found.time)
        if stored != wanted:
            for column, one, right in zip(("uid", "type", "copyof", "occurred_at"), stored, wanted, strict=True):
                if one != right:
                    self._report.changed("entry", name, column, one, right)
        return found

    def _follow(self, seq: int, stored: bytes, computed: bytes, prev: bytes | None) -> None:
        """Check one more number of the chain. What is wrong with an entry is known once the next one names its hash."""
        if self._before is not None and self._before.seq < seq - 1:
            self._pass_over(seq)
        before = self._before
        if before is not None:
            self._judge(before, prev if before.seq == seq - 1 else None)
        elif seq == 1 and prev not in (None, seal.first_prev(self._journal.name)):
            self._report.changed("entry", f"{self._journal.name}/1", "body", prev, seal.first_prev(self._journal.name))
        self._before = Previous(seq, stored, computed)
        if self._stored and self._stored[-1][1] == seq - 1:
            self._stored[-1] = (self._stored[-1][0], seq)
        else:
            self._stored.append((seq, seq))

    def _pass_over(self, seq: int) -> None:
        """Insert into the chain what is in quarantine in place of the numbers before `seq`."""
        assert self._before is not None
        number = self._before.seq + 1
        while number < seq and (row := self._quarantined.get(number)) is not None:
            self._judge(self._before, None)
            self._before = Previous(number, bytes(row.hash), bytes(row.hash), is_quarantined=True)
            number += 1

    def _judge(self, entry: Previous, named: bytes | None) -> None:
        """Check the hash of an entry. `named` is the hash that the next entry or the ack has of it, if any."""
        name = f"{self._journal.name}/{entry.seq}"
        if entry.is_quarantined:
            return
        if named is not None and named not in (entry.hash, entry.computed):
            self._report.changed("entry", name, "body", entry.computed, named)
        elif entry.hash != entry.computed:
            if named == entry.computed:
                self._report.changed("entry", name, "hash", entry.hash, entry.computed)
            else:
                self._report.changed("entry", name, "body", entry.computed, entry.hash)

    def _quarantine(self, row: Quarantine) -> None:
        name = f"{self._journal.name}/{row.seq}"
        if len(row.body) < _MAY_BE_CUT and seal.entry_hash(bytes(row.body)) != bytes(row.hash):
            self._report.changed("quarantine", name, "body", seal.entry_hash(bytes(row.body)), bytes(row.hash))
        if any(first <= row.seq <= last for first, last in self._stored):
            self._report.added("quarantine", name, "an entry with this number is stored")

    def _check_ack(self) -> None:
        """Check the number up to which everything is stored, and its hash."""
        journal, name = self._journal, self._journal.name
        last = self._before
        hashes = {seq: bytes(row.hash) for seq, row in self._quarantined.items()}
        if last is not None:
            self._judge(last, bytes(journal.ack_hash) if journal.ack_seq == last.seq else None)
        wanted: bytes | None
        if journal.ack_seq == 0:
            wanted = seal.ZERO_HASH
        else:
            wanted = hashes.get(journal.ack_seq) or _hash_at(journal.pk, journal.ack_seq)
        if wanted is None:
            self._report.changed("journal", name, "ack_seq", journal.ack_seq, "the number of a stored entry")
        elif wanted != bytes(journal.ack_hash):
            self._report.changed("journal", name, "ack_hash", bytes(journal.ack_hash), wanted)
        after = journal.ack_seq + 1
        if after in hashes or any(first <= after <= end for first, end in self._stored):
            self._report.changed("journal", name, "ack_seq", journal.ack_seq, f"at least {after}, which is stored")

    def _check_gaps(self) -> None:
        """Check that every number up to the ack is stored or named as a gap, and that no gap is named wrongly."""
        there = sorted([*self._stored, *((seq, seq) for seq in self._quarantined)])
        holes = list(Hole.objects.filter(journal=self._journal).order_by("first", "id"))
        named = sorted((hole.first, hole.last) for hole in holes if hole.state != Hole.FILLED)
        for first, last in journals.gaps(iter(there), 1, self._journal.ack_seq):
            for low, high in journals.gaps(iter(named), first, last):
                self._report.missing("entry", f"{self._journal.name}/{_range(low, high)}", "it was acknowledged")
        end = 0
        for hole in holes:
            name = f"{self._journal.name}/{_range(hole.first, hole.last)}"
            absent = list(journals.gaps(iter(there), hole.first, hole.last))
            if hole.state not in (Hole.LOST, Hole.COPIED, Hole.FILLED):
                self._report.changed("hole", name, "state", hole.state, Hole.LOST if absent else Hole.FILLED)
            elif hole.state != Hole.FILLED and hole.first <= end:
                self._report.added("hole", name, "another row has some of these numbers")
            if hole.state == Hole.FILLED and absent:
                self._report.changed("hole", name, "state", hole.state, Hole.LOST)
            elif hole.state != Hole.FILLED and absent != [(hole.first, hole.last)]:
                self._report.added("hole", name, "entries with these numbers are stored")
            end = max(end, hole.last) if hole.state != Hole.FILLED else end

    def _check_copies(self, rows: list[StoredEntry]) -> None:
        """Check that the original of each copy is stored."""
        originals = _originals({row.uid for row in rows})
        for row in rows:
            if row.uid not in originals:
                self._report.changed("entry", f"{self._journal.name}/{row.seq}", "is_copy", True, False)

    def _note(self, entries: list[tuple[int, ValidEntry]]) -> None:
        """Note sessions, boots and the names of journals; `entries` are no copies of stored entries."""
        contents, gate = self._contents, self._journal.gate
        by_boot: dict[BootKey, list[BootEntry]] = defaultdict(list)
        sessions = []
        for pk, entry in entries:
            if entry.origin[1] == 1 or isinstance(entry.data, wire.JournalForked):
                self._name(entry)
            if entry.data is None:
                continue
            by_boot[gate.pk, entry.data.clock.boot].append((entry.data.clock.boottime_ms, entry.origin[1], entry))
            if isinstance(entry.data, SESSION_DATA):
                sessions.append((entry.data.session, pk))
            elif isinstance(entry.data, wire.AccessRefused):
                contents.refusals += 1
        if entries:
            contents.last[self._journal.pk] = max(entry.seq for _, entry in entries)
        for key, of_boot in by_boot.items():
            if any(entry.origin[0] not in self._known for _, _, entry in of_boot):
                continue  # the journal of the originals is missing, which is a finding of its own
            is_new = key not in contents.boots
            row = contents.boots.setdefault(key, Boot(gate_id=key[0], boot=key[1]))
            boots.merge(row, of_boot, self._known, is_new=is_new)
        self._workspace.insert("session_entry", sessions)

    def _name(self, entry: ValidEntry) -> None:
        journal = self._known.get(entry.origin[0])
        forked = entry.data if isinstance(entry.data, wire.JournalForked) else None
        if journal is None:
            return
        named = self._known.get(succession.named_journal(entry.data) or "")
        if named is not None and named.gate_id != journal.gate_id:
            named = None
        self._contents.named[journal.pk].add((named.name, False) if named else ("", True))
        if forked is not None and named is not None:
            self._contents.forks[named.name].append(forked)


def _hash_at(journal: int, seq: int) -> bytes | None:
    with statements.cursor() as cursor:
        cursor.execute("SELECT hash FROM collector_entry WHERE journal_id = %s AND seq = %s", [journal, seq])
        found = cursor.fetchall()
    return bytes(found[0][0]) if found else None


def _range(first: int, last: int) -> str:
    return str(first) if first == last else f"{first}-{last}"


def _check_orphans(report: Report) -> None:
    """Report entries without their journal: a tool that ignores foreign keys may have deleted it."""
    with statements.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT journal_id FROM collector_entry WHERE journal_id NOT IN (SELECT id FROM collector_journal)"
        )
        for (pk,) in cursor.fetchall():
            report.missing("journal", pk, "it has entries")


def _check_copied_gaps(report: Report, workspace: Workspace) -> None:
    """Check that the entries of each gap that counts as copied were copied."""
    for hole in Hole.objects.filter(state=Hole.COPIED).select_related("journal").order_by("id"):
        found = workspace.query(
            "SELECT count(DISTINCT seq) FROM copied WHERE journal = ? AND seq BETWEEN ? AND ?",
            [hole.journal.name, hole.first, hole.last],
        )
        if found[0][0] != hole.last - hole.first + 1:
            name = f"{hole.journal.name}/{_range(hole.first, hole.last)}"
            report.changed("hole", name, "state", hole.state, Hole.LOST)


def _originals(uids: Iterable[str]) -> set[str]:
    found: set[str] = set()
    for chunk in statements.chunks(sorted(uids)):
        places, padded = statements.listed(chunk)
        with statements.cursor() as cursor:
            cursor.execute(f"SELECT uid FROM collector_entry WHERE uid IN ({places}) AND NOT is_copy", padded)  # noqa: S608
            found.update(uid for (uid,) in cursor.fetchall())
    return found


def _check_journals(report: Report, known: Mapping[str, Journal], contents: Contents) -> None:
    """Check which journal followed which, and forks."""
    of_gate: dict[int, list[journals.JournalOrigin]] = defaultdict(list)
    for journal in known.values():
        named = contents.named.get(journal.pk) or {("", False)}
        found = (journal.predecessor, journal.is_root)
        if found not in named:
            wanted = min(named)
            for column, stored, right in zip(("predecessor", "is_root"), found, wanted, strict=True):
                if stored != right:
                    report.changed("journal", journal.name, column, stored, right)
        origin = journals.JournalOrigin(journal.pk, journal.name, *(found if found in named else min(named)))
        of_gate[journal.gate_id].append(origin)
        _check_fork(report, journal, contents.forks.get(journal.name, []), contents.last.get(journal.pk, 0))
        report.compared["journal"] += 1
    ended = {pk: by for own in of_gate.values() for pk, by in journals.successors(own).items()}
    names = {journal.pk: journal.name for journal in known.values()}
    for journal in known.values():
        if journal.superseded_by_id != ended[journal.pk]:
            stored = names.get(journal.superseded_by_id or 0, journal.superseded_by_id)
            report.changed("journal", journal.name, "superseded_by", stored, names.get(ended[journal.pk] or 0))


def _check_fork(report: Report, journal: Journal, forks: list[wire.JournalForked], last: int) -> None:
    """Check the fork of a journal. Its head also depends on what had arrived when the fork became known."""
    mark = min((fork.mark for fork in forks), default=None)
    if journal.fork_mark != mark:
        report.changed("journal", journal.name, "fork_mark", journal.fork_mark, mark)
    head = max((fork.head for fork in forks), default=None)
    if (journal.fork_head is None) != (head is None) or (journal.fork_head or 0) < (head or 0):
        report.changed("journal", journal.name, "fork_head", journal.fork_head, head)
    is_beyond = journal.fork_head is not None and last > journal.fork_head
    least = min((fork.head for fork in forks), default=last)
    if (is_beyond and not journal.cloned) or (journal.cloned and last <= least):
        report.changed("journal", journal.name, "cloned", journal.cloned, is_beyond)


def _check_boots(report: Report, contents: Contents) -> None:
    wanted = dict(contents.boots)
    for row in Boot.objects.order_by("id").iterator(chunk_size=PAGE):
        name = f"{row.gate_id}/{row.boot}"
        right = wanted.pop((row.gate_id, row.boot), None)
        if right is None:
            report.added("boot", name, "no entry is of this boot")
            continue
        for column in _BOOT_COLUMNS:
            if getattr(row, column) != getattr(right, column):
                report.changed("boot", name, column, getattr(row, column), getattr(right, column))
    for gate, boot in wanted:
        report.missing("boot", f"{gate}/{boot}", "there are entries of this boot")
    report.compared["boot"] += len(contents.boots)


def _check_gates(report: Report) -> None:
    """Check the earliest possible date of each gate's entries."""
    gates = list(Gate.objects.order_by("id").only("name", "earliest_at"))
    wanted = first_dates.earliest({gate.pk for gate in gates})
    for gate in gates:
        if gate.earliest_at != wanted.get(gate.pk):
            report.changed("gate", gate.name, "earliest_at", gate.earliest_at, wanted.get(gate.pk))
