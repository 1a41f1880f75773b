"""Is the clock of a gate right? What an entry says of the time, against when it can have been written.

A gate knows whether its clock is synchronised, not whether it is right. An entry cannot have been written after it
arrived; nor before its gate said that its journal ended below it. That holds for what waited on the gate's disk for
days too, so that a backlog raises nothing. Beyond the limits of the two the entry's time is wrong, and by at least so
much: nothing is refused, and nothing is dated anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final

from fabgate import wire
from fabgate.collector.entries.decode import Fact
from fabgate.collector.models import Gate
from fabgate.collector.models.arrivals import AHEAD

#: A status takes 90 s at most to arrive: then the broker drops a connection that is stuck.
BEHIND: Final = timedelta(minutes=5)
_MS: Final = timedelta(milliseconds=1)

#: By how many milliseconds the clock was off (ahead: more than 0), by the journal and number of the entry.
Off = dict[tuple[str, int], int]


def note(facts: Iterable[Fact], gates: Mapping[str, Gate], now: datetime) -> Off:
    """Return which of the new `facts` carry a wrong time, and note on `gates` what that says of their clocks now.

    Call it once the batch's statuses are heard: a later one may say that an entry had been there before.
    """
    found: Off = {}
    latest: dict[str, tuple[int, int | None]] = {}
    limit = now + AHEAD
    for fact in facts:
        time, gate = fact.time, gates[fact.gate]
        if time is None:
            continue
        # What was copied out of an older journal was written long before.
        is_new = fact.seq > gate.head and fact.copyof is None and fact.journal == gate.journal
        since = gate.head_at if is_new else None
        if time > limit:
            off = found[fact.journal, fact.seq] = (time - now) // _MS
        elif since is not None and time < since - BEHIND:
            off = found[fact.journal, fact.seq] = (time - since) // _MS
        elif since is not None or isinstance(fact.data, wire.ClockSynced):
            off = None  # it is right, or it was set since and nothing more is known against it
        else:
            continue
        if fact.journal == gate.journal:
            latest[fact.gate] = max(latest.get(fact.gate, (0, None)), (fact.seq, off), key=_seq)
    for name, (_, off) in latest.items():
        gates[name].clock_off_ms = off
    return found


def _seq(judged: tuple[int, int | None]) -> int:
    return judged[0]
