"""What follows from new entries: which journal followed which, when boots were, who used what?

Nothing here depends on the order in which entries arrive; what each rule does to one session is in sessions.py.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from django.db.models import Q

from fabgate import wire
from fabgate.collector import journals, sql
from fabgate.collector.models import Boot, Entry, Gate, Hole, Journal, UsageSession
from fabgate.collector.received import Fact
from fabgate.collector.sessions import SESSION_DATA, Sight, Tie, Usage, absorb, settle

log = logging.getLogger(__name__)

#: (gate's row, boot id)
BootKey = tuple[int, str]


@dataclass
class Followed:
    """What a batch changed beside its own entries: sessions of these must be concluded anew."""

    gates: set[int] = field(default_factory=set)
    images: list[Journal] = field(default_factory=list)


def named_journal(data: wire.Data | None) -> str | None:
    """Return the journal that the first entry of a new one says it follows."""
    if isinstance(data, wire.GateStarted):
        return data.replaces
    return data.journal if isinstance(data, wire.JournalForked) else None


def follow(facts: Iterable[Fact], known: dict[str, Journal], now: datetime) -> Followed:
    """Note which journals ended, and name what never arrived of them. Adds the journals that it changes to `known`."""
    found = Followed()
    for fact in facts:
        forked = fact.data if isinstance(fact.data, wire.JournalForked) else None
        if fact.origin[1] != 1 and forked is None:
            _watch_for_clone(fact, known)
            continue
        journal = known[fact.origin[0]]
        named = known.get(named_journal(fact.data) or "")
        if named is not None and named.gate_id != journal.gate_id:
            log.error("%s/%s cannot follow the journal %s, which is another gate's", fact.gate, journal, named)
            named = None
        journal.predecessor, journal.is_root = (named.name, False) if named else ("", True)
        if forked is not None and named is not None:
            # It may fork more than once: the image that is furthest back decides.
            named.fork_mark = min(forked.mark, forked.mark if named.fork_mark is None else named.fork_mark)
            named.fork_head = max(forked.head, named.fork_head or 0)
            found.images.append(named)
            log.error("%s forked at entry %d: a restored image or a cloned card", named, forked.mark)
            named.save(update_fields=["fork_mark", "fork_head"])
        journal.save(update_fields=["predecessor", "is_root"])
        found.gates.add(journal.gate_id)
    ended = [old for gate in sorted(found.gates) for old in _end_journals(gate, known)]
    for old in {old.pk: old for old in (*ended, *found.images)}.values():
        _name_lost(old, now)
    return found


def _end_journals(gate: int, known: dict[str, Journal]) -> list[Journal]:
    """Work out anew which journals of `gate` have ended; return those that have now."""
    for other in Journal.objects.filter(gate=gate):
        known.setdefault(other.name, other)
    mine = {journal.pk: journal for journal in known.values() if journal.gate_id == gate}
    after = journals.successors([journals.Kin(j.pk, j.name, j.predecessor, j.is_root) for j in mine.values()])
    changed = [mine[pk] for pk, successor in after.items() if mine[pk].superseded_by_id != successor]
    for journal in changed:
        journal.superseded_by_id = after[journal.pk]
        journal.save(update_fields=["superseded_by"])
    return [journal for journal in changed if journal.superseded_by_id is not None]


def usage(facts: Iterable[Fact], gates: Mapping[str, Gate], known: dict[str, Journal], followed: Followed) -> None:
    """Bring the session rows up to date with new entries, new boot times and ended journals: one row a session."""
    news = [(f, f.data) for f in facts if isinstance(f.data, SESSION_DATA)]
    tied = _tie(facts, gates)
    hints = {gate.hint_session: gate for gate in gates.values() if gate.hint_session}
    rows = sql.load_sessions({data.session for _, data in news} | _others(followed, tied) | set(hints))
    before = {session: replace(row) for session, row in rows.items()}
    for fact, data in news:
        gate, origin = gates[fact.gate], known[fact.origin[0]]
        sight = Sight(gate.id, gate.machine_id, origin.id, fact.origin[1], fact.time)
        rows[data.session] = row = absorb(rows.get(data.session), data, sight)
        if row.gate_id != gate.id:
            log.error("%s entry %d is about the session %s of another gate", fact.gate, fact.seq, data.session)
    for session, gate in hints.items():
        if session in rows and rows[session].gate_id == gate.pk:
            rows[session].hint_ms = max(rows[session].hint_ms, gate.hint_energised_ms)
    _settle(list(rows.values()), known.values())
    sql.save_sessions([row for session, row in rows.items() if row != before.get(session)])


def _settle(rows: Sequence[Usage], known: Iterable[Journal]) -> None:
    by_pk = {journal.pk: journal for journal in known}
    by_pk.update(Journal.objects.in_bulk({row.opened_in_id for row in rows} - set(by_pk)))
    undated = {(row.gate_id, row.start_boot) for row in rows if row.has_start and not row.start_timed}
    undated |= {(row.gate_id, row.last_boot) for row in rows if not row.last_timed}
    ties = _ties(undated)
    for row in rows:
        journal = by_pk[row.opened_in_id]
        is_clone = journal.fork_head is not None and row.opened_seq > journal.fork_head
        settle(
            row,
            start_tie=ties.get((row.gate_id, row.start_boot)),
            last_tie=ties.get((row.gate_id, row.last_boot)),
            abandoned=journal.superseded_by_id is not None and not is_clone,
            image=journal.fork_mark is not None and row.opened_seq > journal.fork_mark,
        )


def _tie(facts: Iterable[Fact], gates: Mapping[str, Gate]) -> set[BootKey]:
    """Keep the latest clock.synced of each boot; return the boots whose times changed."""
    latest: dict[BootKey, Tie] = {}
    for fact in facts:
        if isinstance(fact.data, wire.ClockSynced) and fact.time is not None:
            clock = fact.data.clock
            key = (gates[fact.gate].pk, clock.boot)
            if key not in latest or (latest[key].boottime_ms, latest[key].at) < (clock.boottime_ms, fact.time):
                latest[key] = Tie(clock.boottime_ms, fact.time)
    known = _ties(set(latest)) if latest else {}
    changed = {
        key: tie
        for key, tie in latest.items()
        if key not in known or (known[key].boottime_ms, known[key].at) < (tie.boottime_ms, tie.at)
    }
    Boot.objects.bulk_create(
        [Boot(gate_id=gate, boot=boot, boottime_ms=t.boottime_ms, at=t.at) for (gate, boot), t in changed.items()],
        update_conflicts=True,
        unique_fields=["gate", "boot"],
        update_fields=["boottime_ms", "at"],
    )
    return set(changed)


def _ties(keys: set[BootKey]) -> dict[BootKey, Tie]:
    if not keys:
        return {}
    rows = Boot.objects.filter(gate__in={gate for gate, _ in keys}, boot__in={boot for _, boot in keys})
    return {(row.gate_id, row.boot): Tie(row.boottime_ms, row.at) for row in rows}


def _others(followed: Followed, tied: set[BootKey]) -> set[str]:
    """Return the sessions that change although no entry of theirs arrived."""
    ids: set[str] = set()
    if followed.gates:
        ids.update(UsageSession.objects.filter(has_end=False, gate__in=followed.gates).values_list("id", flat=True))
    for old in followed.images:
        image = UsageSession.objects.filter(gate=old.gate_id, opened_in=old, opened_seq__gt=old.fork_mark)
        ids.update(image.values_list("id", flat=True))
    for gate, boot in tied:
        undated = Q(start_boot=boot, start_timed=False) | Q(last_boot=boot, last_timed=False)
        ids.update(UsageSession.objects.filter(undated, gate=gate).values_list("id", flat=True))
    return ids


def _name_lost(old: Journal, now: datetime) -> None:
    """Name what will never arrive of an ended journal: up to its last known head, unless the next one copied it."""
    missing = journals.name_missing(old, max(old.head, old.fork_head or 0), now)
    if not missing:
        return
    log.error("%s: of the ended journal, entries %s are missing", old.name, missing)
    copies = Entry.objects.filter(journal__gate=old.gate_id, copyof__startswith=f"{old.name}/")
    copied = {int(copyof.split("/")[1]) for copyof in copies.values_list("copyof", flat=True) if copyof}
    if copied:
        journals.fill(old, copied, Hole.COPIED, now)


def _watch_for_clone(fact: Fact, known: Mapping[str, Journal]) -> None:
    journal = known[fact.journal]
    if journal.fork_head is not None and fact.seq > journal.fork_head and not journal.cloned:
        log.error("clone: %s still writes the journal %s, which was forked from", fact.gate, journal.name)
        journal.cloned = True
        journal.save(update_fields=["cloned"])
