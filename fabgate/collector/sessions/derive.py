"""What follows from new entries: which journal followed which, when boots were, who used what?

Nothing here depends on the order in which entries arrive; what each rule does to one session is in sessions/merge.py.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from django.db.models import Max, Q

from fabgate import wire
from fabgate.collector.db import statements
from fabgate.collector.entries import boots, first_dates, journals, queries
from fabgate.collector.entries.boots import Redated
from fabgate.collector.entries.decode import SESSION_DATA, Fact
from fabgate.collector.entries.gate_clocks import Off
from fabgate.collector.entries.wall_time import When
from fabgate.collector.models import Entry, Gate, Journal, UsageSession
from fabgate.collector.models.words import CONTESTED
from fabgate.collector.sessions import attribution, overlaps, sums
from fabgate.collector.sessions import rows as session_rows
from fabgate.collector.sessions.merge import (
    BEFORE_FIRST,
    NO_START,
    OVERLAP,
    UNBOUNDED_MS,
    Sight,
    Usage,
    absorb,
    conclude,
    is_before,
    judge,
)

log = logging.getLogger(__name__)

_NEVER = When()
#: So late a gate may switch off after a limit, in seconds.
LATE_S: Final = 60


@dataclass
class Followed:
    """What a batch changed beside its own entries: sessions of these must be concluded anew."""

    gates: set[int] = field(default_factory=set)
    images: list[Journal] = field(default_factory=list)
    #: Journals that have ended, now or before: what is missing in them is to be named.
    ended: dict[int, Journal] = field(default_factory=dict)
    #: Of those that had ended before, the ones that something arrived of. One may be written again: see ``name_lost``.
    late: dict[int, Journal] = field(default_factory=dict)


#: What a journal's first entry may be, and names another journal in.
NAMING = (wire.GateStarted, wire.JournalForked)


def named_journal(data: wire.Data | None) -> str | None:
    """Return the journal that the first entry of a new one says it follows."""
    if isinstance(data, wire.GateStarted):
        return data.replaces
    return data.journal if isinstance(data, wire.JournalForked) else None


def follow(facts: Sequence[Fact], known: dict[str, Journal]) -> Followed:
    """Note which journals ended. Adds the journals that it changes to `known`.

    `facts` are in the order of their arrival, because a fork is told from what comes after it.
    """
    found = Followed()
    for index, fact in enumerate(facts):
        journal = known[fact.origin[0]]
        forked = fact.data if isinstance(fact.data, wire.JournalForked) else None
        if fact.origin[1] != 1 and forked is None:
            _watch_for_clone(fact, known[fact.journal])
            if journal.superseded_by_id is not None:
                found.late[journal.pk] = journal
            continue
        named = known.get(named_journal(fact.data) or "")
        if named is not None and named.gate_id != journal.gate_id:
            log.error("%s/%s cannot follow the journal %s, which is another gate's", fact.gate, journal, named)
            named = None
        journal.predecessor, journal.is_root = (named.name, False) if named else ("", True)
        if forked is not None and named is not None:
            _fork(named, forked, {later.seq for later in facts[index:] if later.journal == named.name})
            found.images.append(named)
        journal.save(update_fields=["predecessor", "is_root"])
        found.gates.add(journal.gate_id)
    found.ended = {old.pk: old for old in (*_end_journals(found.gates, known), *found.images)}
    return found


def _fork(old: Journal, forked: wire.JournalForked, later: set[int]) -> None:
    """Note that a restored image or a cloned card opened another journal. It may happen more than once.

    `fork_mark`: the image that is furthest back decides. `fork_head`: the last number that was written before; a new
    entry above it can only be a clone's. The image itself may have known less than what is stored already.
    """
    stored = Entry.objects.filter(journal=old).exclude(seq__in=later).aggregate(last=Max("seq"))["last"]
    old.fork_mark = min(forked.mark, forked.mark if old.fork_mark is None else old.fork_mark)
    old.fork_head = max(forked.head, old.fork_head or 0, old.head, stored or 0)
    log.error("%s forked at entry %d: a restored image or a cloned card", old, forked.mark)
    old.save(update_fields=["fork_mark", "fork_head"])


def _end_journals(gates: Collection[int], known: dict[str, Journal]) -> list[Journal]:
    """Work out anew which journals of `gates` have ended; return those that have now.

    Asked once for all of them: after a power cut every gate of a workshop begins anew.
    """
    if not gates:
        return []
    mine: dict[int, list[journals.Kin]] = {gate: [] for gate in sorted(gates)}
    now: dict[int, int | None] = {}
    rows = Journal.objects.filter(gate__in=gates).order_by("id")  # `follow` has saved its changes
    columns = ("gate_id", "superseded_by_id", "id", "name", "predecessor", "is_root")
    for gate, ended_by, pk, name, predecessor, is_root in rows.values_list(*columns).iterator():
        mine[gate].append(journals.Kin(pk, name, predecessor, is_root))
        now[pk] = ended_by
    changed = {
        pk: successor
        for own in mine.values()
        for pk, successor in journals.successors(own).items()
        if now[pk] != successor
    }
    by_pk = {journal.pk: journal for journal in known.values()}
    for some in statements.chunks(sorted(changed.keys() - by_pk.keys())):
        by_pk.update(Journal.objects.in_bulk(some))
    ended = []
    for pk, successor in changed.items():
        journal = known[by_pk[pk].name] = by_pk[pk]
        journal.superseded_by_id = successor
        journal.save(update_fields=["superseded_by"])
        if successor is not None and now[pk] is None:
            ended.append(journal)
    return ended


def usage(
    facts: Iterable[Fact],
    gates: Mapping[str, Gate],
    known: dict[str, Journal],
    followed: Followed,
    off: Off,
    passed: set[str],
    copies: Iterable[Fact],
    now: datetime,
) -> list[tuple[Usage | None, Usage]]:
    """Bring the session rows up to date with new entries, new boot times and ended journals.

    `copies` are new entries whose originals are stored: they say which sessions another journal goes on with. `known`
    has how far each journal reaches now, and `passed` the sessions whose end that has passed without a change.
    Returns those that changed, each as it was and as it is. Takes the live counters of sessions that have a row off `gates`; the caller saves those.
    """
    news = [(f, f.data) for f in facts if isinstance(f.data, SESSION_DATA)]
    reported = {gate.id: gate.journal for gate in gates.values()}
    redated = boots.note(facts, gates, known)
    early = first_dates.note(redated.dated, gates.values())
    if early:
        redated.boots |= first_dates.boots_before(early)
    hinted = {session for gate in gates.values() for session in gate.hints}
    others = _others(followed, redated) | _copied(copies) | first_dates.sessions_before(early)
    rows = session_rows.load_sessions({data.session for _, data in news} | others | hinted | passed)
    before = {session: session_rows.copy_of(row) for session, row in rows.items()}
    longest_s = queries.longest_s({data.roster for _, data in news if data.roster})
    for fact, data in news:
        gate, origin = gates[fact.gate], known[fact.origin[0]]
        clock_off_ms = off.get((fact.journal, fact.seq)) if off else None
        sight = Sight(
            gate.id,
            gate.machine_id,
            origin.id,
            fact.origin[1],
            fact.time,
            now,
            clock_off_ms,
            _allowed_ms(longest_s.get((gate.id, data.roster))),
        )
        rows[data.session] = row = absorb(rows.get(data.session), data, sight)
        if row.gate_id != gate.id:
            log.error("%s entry %d is about the session %s of another gate", fact.gate, fact.seq, data.session)
    for gate in gates.values():
        for session in gate.hints.keys() & rows.keys():
            hint_ms = gate.hints.pop(session)
            if rows[session].gate_id == gate.id:
                rows[session].hint_ms = max(rows[session].hint_ms, hint_ms)
    attribution.note([row for session, row in rows.items() if _is_new(row, before.get(session))], now)
    _settle(rows, before, known.values(), reported, {gate.pk: gate.earliest_at for gate in gates.values()})
    changed = [(before.get(session), row) for session, row in rows.items() if row != before.get(session)]
    session_rows.save_sessions([row for _, row in changed])
    sums.add(changed)
    doubted = [row for old, row in changed if (old.doubt if old else None) != row.doubt and row.review != CONTESTED]
    session_rows.save_reviews(
        [(row.id, row.doubt) for row in doubted if row.doubt is not None],
        [row.id for row in doubted if row.doubt is None],
        now,
    )
    return changed


def _allowed_ms(longest_s: int | None) -> int:
    """Return for how long a session may last, rounded up: limits are looked at now and then."""
    return UNBOUNDED_MS if longest_s is None else (longest_s + LATE_S) * 1000


def _is_new(row: Usage, before: Usage | None) -> bool:
    """Whether who uses the machine has just become known."""
    return before is None or _told(before) != _told(row)


def _told(row: Usage) -> tuple[object, ...]:
    return row.member, row.badge, row.has_start, row.start_boottime_ms


def _settle(
    rows: dict[str, Usage],
    before: dict[str, Usage],
    known: Iterable[Journal],
    reported: Mapping[int, str],
    earliest: dict[int, datetime | None],
) -> None:
    """Conclude what follows for `rows`, and for what overlaps them: it is added to `rows`, and to `before` as it was."""
    by_pk = {journal.pk: journal for journal in known}
    over = _conclude(list(rows.values()), by_pk, reported)
    overlapping, others = overlaps.find(rows.values(), before)
    if others:
        more = session_rows.load_sessions(others)
        before |= {session: session_rows.copy_of(row) for session, row in more.items()}
        over |= _conclude(list(more.values()), by_pk, reported)
        rows |= more
        overlapping, _ = overlaps.find(rows.values(), before)
    others_gates = {row.gate_id for row in rows.values()} - earliest.keys()  # an entry may name another gate's session
    earliest |= dict(Gate.objects.filter(pk__in=others_gates).values_list("pk", "earliest_at")) if others_gates else {}
    for row in rows.values():
        journal = by_pk[row.opened_in_id]
        impossible = None
        if is_before(row, earliest[row.gate_id]):
            impossible = BEFORE_FIRST
        elif row.id in overlapping:
            impossible = OVERLAP
        elif _is_start_lost(row, journal, is_over=journal.pk in over):
            impossible = NO_START
        image = journal.fork_mark is not None and row.opened_seq > journal.fork_mark
        judge(row, image=image, impossible=impossible)


def _is_start_lost(row: Usage, journal: Journal, *, is_over: bool) -> bool:
    """Whether an ended session's start cannot arrive any more: up to the end nothing is awaited."""
    return row.has_end and not row.has_start and (journal.ack_seq >= row.opened_seq or is_over)


def _conclude(rows: Sequence[Usage], by_pk: dict[int, Journal], reported: Mapping[int, str]) -> set[int]:
    """Conclude when `rows` were and how they ended; return which of their journals are over, by their rows."""
    by_pk.update(Journal.objects.in_bulk({row.opened_in_id for row in rows} - set(by_pk)))
    undated = {(row.gate_id, row.start_boot) for row in rows if row.has_start and not row.start_timed}
    undated |= {(row.gate_id, row.last_boot) for row in rows if not row.last_timed}
    when = boots.when(undated)
    over = _over([by_pk[pk] for pk in {row.opened_in_id for row in rows}], reported)
    abandoned = _abandoned([row for row in rows if not row.has_end and row.opened_in_id in over], by_pk, reported)
    for row in rows:
        conclude(
            row,
            start=when.get((row.gate_id, row.start_boot), _NEVER),
            last=when.get((row.gate_id, row.last_boot), _NEVER),
            abandoned=row.id in abandoned,
        )
    return over


def _over(some: Collection[Journal], reported: Mapping[int, str]) -> set[int]:
    """Return which journals are over, by their rows: their gate writes another one now.

    `reported`: by gate, which journal it said it writes. That may be one that had ended: an older card was put back, and
    what was written since is over instead (docs/decisions/0063).
    """
    unasked = {journal.gate_id for journal in some} - reported.keys()  # an entry may name another gate's session
    if unasked:
        reported = {**reported, **dict(Gate.objects.filter(pk__in=unasked).values_list("pk", "journal"))}
    others = [journal for journal in some if journal.name != reported.get(journal.gate_id)]
    alive = {journal.gate_id for journal in others if journal.superseded_by_id is None}
    names = [name for gate in alive if (name := reported.get(gate))]
    back: set[int] = set()
    if names:
        ended = Journal.objects.filter(name__in=names, gate__in=alive, superseded_by__isnull=False)
        back.update(ended.values_list("gate_id", flat=True))
    return {journal.pk for journal in others if journal.superseded_by_id is not None or journal.gate_id in back}


def _abandoned(rows: Sequence[Usage], by_pk: Mapping[int, Journal], reported: Mapping[int, str]) -> set[str]:
    """Return which of `rows`, open ones of journals that are over, no journal goes on with."""
    places: dict[tuple[str, str], str] = {}
    forked: set[int] = set()
    for row in rows:
        journal = by_pk[row.opened_in_id]
        if journal.fork_head is not None:
            forked.add(row.gate_id)
            if journal.cloned and row.opened_seq > journal.fork_head:
                continue  # the clone goes on with it
        places[row.id, f"{journal.name}/{row.opened_seq}/"] = row.id
    if forked:
        for place in _gone_on_with(forked, {origin for _, origin in places}, reported):
            places.pop(place, None)
    return set(places.values())


def _gone_on_with(gates: Collection[int], origins: set[str], reported: Mapping[int, str]) -> Iterator[tuple[str, str]]:
    """Yield (session, origin) for each of `origins` that a journal has a copy of which is not over.

    An origin is a journal and a number, as ``copyof`` begins. A card and its image may both have written it.
    """
    after_others = Journal.objects.filter(gate__in=gates).exclude(predecessor="")
    living = {journal.pk for journal in after_others} - _over(after_others, reported)
    copies = Entry.objects.filter(journal__in=living, type__startswith="session.", copyof__isnull=False)
    for pk, copyof in copies.values_list("pk", "copyof").iterator():
        journal, seq, _hash = (copyof or "//").split("/", 2)
        origin = f"{journal}/{seq}/"
        if origin in origins:
            data = wire.decode_data(Entry.objects.get(pk=pk).decode())
            if isinstance(data, SESSION_DATA):
                yield data.session, origin


def _copied(copies: Iterable[Fact]) -> set[str]:
    """Return the open sessions that another journal has entries of."""
    named = sorted({fact.data.session for fact in copies if isinstance(fact.data, SESSION_DATA)})
    found: set[str] = set()
    for some in statements.chunks(named):
        found.update(UsageSession.objects.filter(pk__in=some, has_end=False).values_list("pk", flat=True))
    return found


def _others(followed: Followed, redated: Redated) -> set[str]:
    """Return the sessions that change although no entry of theirs arrived."""
    ids: set[str] = set()
    if followed.gates:
        ids.update(UsageSession.objects.filter(has_end=False, gate__in=followed.gates).values_list("id", flat=True))
    for old in followed.images:
        image = UsageSession.objects.filter(gate=old.gate_id, opened_in=old, opened_seq__gt=old.fork_mark)
        ids.update(image.values_list("id", flat=True))
    for some in statements.chunks(sorted({boot for _, boot in redated.boots})):
        undated = Q(start_boot__in=some, start_timed=False) | Q(last_boot__in=some, last_timed=False)
        found = UsageSession.objects.filter(undated).values_list("id", "gate", "start_boot", "last_boot")
        ids.update(pk for pk, gate, first, last in found if not redated.boots.isdisjoint({(gate, first), (gate, last)}))
    if moved := redated.gates | followed.gates:
        placed = UsageSession.objects.filter(gate__in=moved, not_after__isnull=False)
        ids.update(placed.values_list("id", flat=True))
    return ids


def name_lost(followed: Followed, now: datetime) -> list[Journal]:
    """Name what will never arrive of the journals that ended; return those of which there was any.

    Not of one that its gate writes again: it may be on its way.
    """
    again = {pk for pk, old in followed.late.items() if old.name == old.gate.journal}
    old_ones = {pk: old for pk, old in followed.late.items() if pk not in again} | followed.ended
    return [old for old in old_ones.values() if _name_lost(old, now)]


def _name_lost(old: Journal, now: datetime) -> bool:
    """Name what will never arrive of an ended journal: up to its last known head, unless the next one copied it.

    Say whether there was any.
    """
    stored = Entry.objects.filter(journal=old).aggregate(last=Max("seq"))["last"] or 0
    missing = journals.name_missing(old, min(max(old.head, old.fork_head or 0, stored), old.last_own), now)
    if not missing:
        return False
    log.error("%s: of the ended journal, entries %s are missing", old.name, missing)
    journals.fill_copied(old, now)
    return True


def _watch_for_clone(fact: Fact, journal: Journal) -> None:
    if fact.seq > journal.last_own and not journal.cloned:
        log.error("clone: %s still writes the journal %s, which was forked from", fact.gate, journal.name)
        journal.cloned = True
        journal.save(update_fields=["cloned"])
