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
from fabgate.collector.recording.entries.decode import ValidEntry

#: Allows for a status that takes long to arrive: up to 90 s, after which the broker drops a stuck connection.
BEHIND: Final = timedelta(minutes=5)
_MS: Final = timedelta(milliseconds=1)

#: By how many milliseconds the clock was wrong (positive if ahead), by journal name and number of the entry.
ClockOffsets = dict[tuple[str, int], int]


def check(entries: Iterable[ValidEntry], gates: Mapping[str, Gate], now: datetime) -> ClockOffsets:
    """Return which of the new `entries` have a wrong time, and set `clock_off_ms` of their gates.

    Call it after the statuses of the batch are applied: a later one may report that an entry was written earlier.
    """
    found: ClockOffsets = {}
    latest: dict[str, tuple[int, int | None]] = {}
    limit = now + AHEAD
    for entry in entries:
        time, gate = entry.time, gates[entry.gate]
        if time is None:
            continue
        # a copy from an older journal was written long before it arrives
        is_new = entry.seq > gate.head and entry.copyof is None and entry.journal == gate.journal
        since = gate.head_at if is_new else None
        if time > limit:
            off_ms = found[entry.journal, entry.seq] = (time - now) // _MS
        elif since is not None and time < since - BEHIND:
            off_ms = found[entry.journal, entry.seq] = (time - since) // _MS
        elif since is not None or isinstance(entry.data, wire.ClockSynced):
            off_ms = None  # the clock is right, or it was set since and no more is known
        else:
            continue
        if entry.journal == gate.journal:
            latest[entry.gate] = max(latest.get(entry.gate, (0, None)), (entry.seq, off_ms), key=_seq)
    for name, (_, off_ms) in latest.items():
        gates[name].clock_off_ms = off_ms
    return found


def _seq(judged: tuple[int, int | None]) -> int:
    return judged[0]
