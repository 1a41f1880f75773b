"""Detects wrong clocks of gates: compares the time of an entry with the span in which it must have been written.

A gate knows whether its clock is synchronised, but not whether it is right. An entry was written before it arrived, and
after its gate reported a journal that did not contain it yet. This also holds for entries that waited on the gate's
disk for days, so a backlog causes no alarm. Outside these limits the time is wrong by at least the excess; nothing is
refused, and no date is changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final

from fabgate import wire
from fabgate.collector.ground.models import Gate
from fabgate.collector.ground.models.entries import AHEAD
from fabgate.collector.recording.entries.decode import Fact

#: Allows for a status that takes long to arrive: up to 90 s, after which the broker drops a stuck connection.
BEHIND: Final = timedelta(minutes=5)
_MS: Final = timedelta(milliseconds=1)

#: By how many milliseconds the clock was wrong (positive if ahead), by journal name and number of the entry.
ClockOffsets = dict[tuple[str, int], int]


def check(facts: Iterable[Fact], gates: Mapping[str, Gate], now: datetime) -> ClockOffsets:
    """Return which of the new `facts` have a wrong time, and set `clock_off_ms` of their gates.

    Call it after the statuses of the batch are applied: a later one may report that an entry was written earlier.
    """
    found: ClockOffsets = {}
    latest: dict[str, tuple[int, int | None]] = {}
    limit = now + AHEAD
    for fact in facts:
        time, gate = fact.time, gates[fact.gate]
        if time is None:
            continue
        # a copy from an older journal was written long before it arrives
        is_new = fact.seq > gate.head and fact.copyof is None and fact.journal == gate.journal
        since = gate.head_at if is_new else None
        if time > limit:
            off_ms = found[fact.journal, fact.seq] = (time - now) // _MS
        elif since is not None and time < since - BEHIND:
            off_ms = found[fact.journal, fact.seq] = (time - since) // _MS
        elif since is not None or isinstance(fact.data, wire.ClockSynced):
            off_ms = None  # the clock is right, or it was set since and no more is known
        else:
            continue
        if fact.journal == gate.journal:
            latest[fact.gate] = max(latest.get(fact.gate, (0, None)), (fact.seq, off_ms), key=_seq)
    for name, (_, off_ms) in latest.items():
        gates[name].clock_off_ms = off_ms
    return found


def _seq(judged: tuple[int, int | None]) -> int:
    return judged[0]
