"""Which entries that no person caused are written, so that nothing broken can fill the journal?

A loose wire, a sick reader, a roster server with other errors each time, a program that crashes at each start: each
says the same again and again, up to many times a second. The journal is kept for what people did. So entries of these
kinds are written `BURST` times for each source, then once in `REFILL_MS`: the newest, with the number of those that were
left out (`unrecorded`). What was left out last is also written before the next entry that a person caused: whoever reads
the record of a session finds the state in which it began.

Pure: no clock, no files. Times are boot milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from fabgate import wire
from fabgate.gate.journal.writer import Draft
from fabgate.rules import vocabulary as w

BURST: Final = 10
REFILL_MS: Final = 1_800_000
#: A start that finds so many entries in a row that no person caused is one of many: it begins without a burst.
CROWD: Final = 200
#: The badges whose refusals are counted at a time.
BADGES_MOST: Final = 50

#: What only a person causes.
_PERSONS: Final = frozenset({"session.started", "session.progress", "session.ended", "machine.flagged"})
#: Causes that come and go without a person: a wire, a card, a disk, a network.
_BY_ITSELF: Final = frozenset({w.Cause.ESTOP, w.Cause.JOURNAL, w.Cause.JOURNAL_FULL, w.Cause.READER, w.Cause.STALE})
_READER: Final = frozenset({"reader.fault", "reader.recovered"})
_ALONE: Final = frozenset(
    {"gate.started", "gate.stopping", "clock.synced", "output.fault", "roster.replaced", "roster.rejected"}
)


def is_crowd(types: Sequence[str]) -> bool:
    """Whether the last entries of a journal, by their types, are many and none of them is a person's."""
    return len(types) >= CROWD and _PERSONS.isdisjoint(types[:CROWD])


def _source(draft: Draft) -> str | None:
    """Return what an entry that no person caused comes from; None for one that a person caused."""
    data = draft.data
    if isinstance(data, wire.MachineBlocked | wire.MachineCleared):
        by_itself = data.cause in _BY_ITSELF and getattr(data, "member", None) is None
        return f"cause {data.cause}" if by_itself else None
    if isinstance(data, wire.AccessRefused):
        return f"badge {data.badge}"  # a card that was forgotten at the edge of the field is read again and again
    if isinstance(data, wire.CommandExecuted):
        return "refused command" if data.outcome == "refused" else None
    if draft.type in _READER:
        return "reader"
    return draft.type if draft.type in _ALONE else None


class _Source:
    """How often one source may still be written, and what of it was left out."""

    __slots__ = ("budget", "left_out", "newest", "refilled_ms")

    def __init__(self, budget: int, now_ms: int) -> None:
        self.budget = budget
        self.refilled_ms = now_ms
        self.left_out = 0
        self.newest: Draft | None = None

    def refill(self, now_ms: int) -> None:
        more = (now_ms - self.refilled_ms) // REFILL_MS
        if more > 0:
            self.budget = min(BURST, self.budget + more)
            self.refilled_ms += more * REFILL_MS


class Episodes:
    """The sources of one gate. `crowded`: this start is one of many, and says so only once it has lasted."""

    def __init__(self, *, crowded: bool = False) -> None:
        self._first = 0 if crowded else BURST
        self._sources: dict[str, _Source] = {}
        self._waiting = 0

    def admit(self, drafts: Iterable[Draft], now_ms: int) -> list[Draft]:
        """Return what is written of `drafts`, in order, behind what a person's entry needs to be understood."""
        admitted: list[Draft] = []
        for draft in drafts:
            if draft.type in _PERSONS:
                if self._waiting:
                    admitted += self._all_waiting()
                admitted.append(draft)
                continue
            name = _source(draft)
            if name is None:
                admitted.append(draft)
            elif (counted := self._count(name, draft, now_ms)) is not None:
                admitted.append(counted)
        return admitted

    def due(self, now_ms: int) -> list[Draft]:
        """Return what was left out and may be written now."""
        if not self._waiting:
            return []
        found = []
        for source in self._sources.values():
            source.refill(now_ms)
            if source.newest is not None and source.budget > 0:
                source.budget -= 1
                found.append(self._take(source))
        return found

    def _count(self, name: str, draft: Draft, now_ms: int) -> Draft | None:
        source = self._sources.pop(name, None) or _Source(self._first, now_ms)
        self._sources[name] = source  # the last of them is the newest
        self._forget_badges()
        source.refill(now_ms)
        if source.newest is None:
            self._waiting += 1
        else:
            source.left_out += 1
        source.newest = draft
        if source.budget <= 0:
            return None
        source.budget -= 1
        return self._take(source)

    def _take(self, source: _Source) -> Draft:
        newest, left_out = source.newest, source.left_out
        assert newest is not None
        source.newest, source.left_out = None, 0
        self._waiting -= 1
        if not left_out:
            return newest
        return msgspec.structs.replace(newest, data=msgspec.structs.replace(newest.data, unrecorded=left_out))

    def _all_waiting(self) -> list[Draft]:
        return [self._take(source) for source in self._sources.values() if source.newest is not None]

    def _forget_badges(self) -> None:
        badges = [name for name in self._sources if name.startswith("badge ")]
        if len(badges) > BADGES_MOST and self._sources.pop(badges[0]).newest is not None:
            self._waiting -= 1
