"""Advances the acks of journals after a batch."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from fabgate.collector.ground.models import Journal
from fabgate.collector.recording.entries import journals, queries
from fabgate.collector.recording.intake.placement import Placement
from fabgate.collector.recording.sessions.derive import Passed


@dataclass(slots=True)
class Advance:
    """Which acks moved, forward or back."""

    moved: list[Journal] = field(default_factory=list)
    #: Ranges whose sessions are to be judged again: (journal, after which number, up to which). An end in one is
    #: acknowledged now, which had arrived earlier, beyond a gap; or it is no longer acknowledged.
    passed: list[Passed] = field(default_factory=list)
    #: Names of the journals in which entries arrived only beyond a gap.
    beyond_gap: set[str] = field(default_factory=set)


def advance(
    known: Mapping[str, Journal], placement: Placement, *, asked: Collection[str], lowered: Collection[str]
) -> Advance:
    """Move the acks of the journals, without saving them.

    `asked` are journals whose gates wait for an answer. In journals of `lowered` the gate has older entries than before;
    an ack that passed some of them as lost goes back.
    """
    arrived: dict[int, list[int]] = defaultdict(list)
    for pk, entry, _ in placement.new:
        arrived[pk].append(entry.seq)
    found = Advance()
    with_gaps = queries.with_gaps([journal.pk for journal in known.values()], beyond_ack=True)
    for name, journal in known.items():
        before = journal.ack_seq
        if name in lowered and journals.go_back(journal):
            # The starts of sessions that have only an end may arrive now.
            found.passed.append((journal, journal.ack_seq, before))
            found.moved.append(journal)
            continue
        if _move(journal, placement, has_gaps=journal.pk in with_gaps):
            # This batch may have entries below the old ack, too, and beyond another gap.
            if journal.ack_seq - before > sum(before < seq <= journal.ack_seq for seq in arrived[journal.pk]):
                found.passed.append((journal, before, journal.ack_seq))
            found.moved.append(journal)
        elif journal.pk in arrived and name not in asked:
            found.beyond_gap.add(name)
    return found


def _move(journal: Journal, placement: Placement, *, has_gaps: bool) -> bool:
    """Move the ack: by the numbers that are loaded already, or with a query if they do not suffice."""
    seq = journal.ack_seq
    while (journal.pk, seq + 1) in placement.hashes:
        seq += 1
    if has_gaps or (seq > journal.ack_seq and (journal.pk, seq) in placement.edges):
        return journals.advance(journal)
    if seq == journal.ack_seq:
        return False  # the number after the ack is still missing: otherwise the ack would have been higher before
    journal.ack_seq, journal.ack_hash = seq, placement.hashes[journal.pk, seq]
    return True
