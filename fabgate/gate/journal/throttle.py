"""Throttles entries that no person caused, so that a broken part cannot fill the journal.

A loose wire, a faulty reader, a roster server with ever new errors, a program that crashes at each start: each repeats
the same entry, up to many times a second. The journal is for what people did. So entries of these kinds are written
`BURST` times for each source, then once in `REFILL_MS`: the newest, with the number of omitted ones (`unrecorded`). The
last omitted entry is also written before the next entry that a person caused, so that the record of a session shows the
state in which it began.

Pure: no clock, no files. Times are boot milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from fabgate import wire
from fabgate.gate.journal.writer import Draft
from fabgate.rules import vocabulary

BURST: Final = 10
REFILL_MS: Final = 1_800_000
#: A start that finds this many entries in a row that no person caused is part of a crash loop: it begins without a burst.
CRASH_LOOP_ENTRIES: Final = 200
#: For how many badges refusals are counted at a time.
BADGES_MOST: Final = 50

#: Entries that only a person causes.
_BY_PERSON: Final = frozenset({"session.started", "session.progress", "session.ended", "machine.flagged"})
#: Causes that come and go without a person: a wire, a card, a disk, a network.
_AUTOMATIC_CAUSES: Final = frozenset(
    {
        vocabulary.Cause.ESTOP,
        vocabulary.Cause.OUTPUT_AWAY,
        vocabulary.Cause.JOURNAL,
        vocabulary.Cause.JOURNAL_FULL,
        vocabulary.Cause.READER,
        vocabulary.Cause.STALE,
    }
)
_READER: Final = frozenset({"reader.fault", "reader.recovered"})
_AUTOMATIC: Final = frozenset(
    {"gate.started", "gate.stopping", "clock.synced", "output.fault", "roster.replaced", "roster.rejected"}
)


def is_crash_loop(types: Sequence[str]) -> bool:
    """Whether the last entries of a journal, of these types (the newest first), are many and all without a person."""
    return len(types) >= CRASH_LOOP_ENTRIES and _BY_PERSON.isdisjoint(types[:CRASH_LOOP_ENTRIES])


def _source(draft: Draft) -> str | None:
    """Return the source of an entry that no person caused; None for an entry that a person caused."""
    data = draft.data
    if isinstance(data, wire.MachineBlocked | wire.MachineCleared):
        is_automatic = data.cause in _AUTOMATIC_CAUSES and getattr(data, "member", None) is None
        return f"cause {data.cause}" if is_automatic else None
    if isinstance(data, wire.AccessRefused):
        return f"badge {data.badge}"  # a card left at the edge of the field is read again and again
    if isinstance(data, wire.CommandExecuted):
        return "refused command" if data.outcome == "refused" else None
    if draft.type in _READER:
        return f"reader {getattr(data, 'reader', '')}"
    return draft.type if draft.type in _AUTOMATIC else None


class _Source:
    """How many entries of one source may still be written, and which were omitted."""

    __slots__ = ("budget", "newest", "omitted", "refilled_ms")

    def __init__(self, budget: int, now_ms: int) -> None:
        self.budget = budget
        self.refilled_ms = now_ms
        self.omitted = 0
        self.newest: Draft | None = None

    def refill(self, now_ms: int) -> None:
        more = (now_ms - self.refilled_ms) // REFILL_MS
        if more > 0:
            self.budget = min(BURST, self.budget + more)
            self.refilled_ms += more * REFILL_MS


class EntryThrottle:
    """Limits the entries of each source of one gate.

    In a `crash_loop` a source may write nothing until the gate has run for a while.
    """

    def __init__(self, *, crash_loop: bool = False) -> None:
        self._first = 0 if crash_loop else BURST
        self._sources: dict[str, _Source] = {}
        self._waiting = 0

    def admit(self, drafts: Iterable[Draft], now_ms: int) -> list[Draft]:
        """Return the entries to write now, in order.

        An entry that a person caused is always written, after all that were held back.
        """
        admitted: list[Draft] = []
        for draft in drafts:
            if draft.type in _BY_PERSON:
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
        """Return the entries that were held back and may be written now."""
        if not self._waiting:
            return []
        due = []
        for source in self._sources.values():
            source.refill(now_ms)
            if source.newest is not None and source.budget > 0:
                source.budget -= 1
                due.append(self._take(source))
        return due

    def _count(self, name: str, draft: Draft, now_ms: int) -> Draft | None:
        source = self._sources.pop(name, None) or _Source(self._first, now_ms)
        self._sources[name] = source  # moved to the end: the last one is the newest
        self._forget_badges()
        source.refill(now_ms)
        if source.newest is None:
            self._waiting += 1
        else:
            source.omitted += 1
        source.newest = draft
        if source.budget <= 0:
            return None
        source.budget -= 1
        return self._take(source)

    def _take(self, source: _Source) -> Draft:
        newest, omitted = source.newest, source.omitted
        assert newest is not None
        source.newest, source.omitted = None, 0
        self._waiting -= 1
        if not omitted:
            return newest
        return msgspec.structs.replace(newest, data=msgspec.structs.replace(newest.data, unrecorded=omitted))

    def _all_waiting(self) -> list[Draft]:
        return [self._take(source) for source in self._sources.values() if source.newest is not None]

    def _forget_badges(self) -> None:
        badges = [name for name in self._sources if name.startswith("badge ")]
        if len(badges) > BADGES_MOST and self._sources.pop(badges[0]).newest is not None:
            self._waiting -= 1
