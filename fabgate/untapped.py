"""Finds sessions that may have begun without a tap.

Gates before decision 0058 could count a card as tapped that had only been lying on the reader: when the gate was
started with the card on the reader, when the card could not be read for a moment, and when another card was held over
it. Journals do not record misreads, so no entry proves such a start. So this lists the starts that came within seconds
after an event that could have caused them. Some of these are genuine: a member who taps right after another session has
ended.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from msgspec import Struct

from fabgate import wire

#: A false start came with the first or second poll that read the card again, which can take some seconds.
WITHIN_MS: Final = 10_000

RESTART: Final = "restart"
READER: Final = "reader"
OTHER_BADGE: Final = "other-badge"
OWN_END: Final = "own-end"
CAUSES: Final = {
    RESTART: "the gate was started",
    READER: "the reader failed, recovered or was opened again",
    OTHER_BADGE: "another badge was on the reader",
    OWN_END: "the member's own session had ended without a tap",
}
#: Every entry type that ``untapped`` needs.
TYPES: Final = (
    "gate.started",
    "reader.fault",
    "reader.recovered",
    "command.executed",
    "access.refused",
    "session.started",
    "session.ended",
)


class Untapped(Struct, frozen=True):
    """A session that may have begun without a tap, `after_ms` after `cause`, which is one of ``CAUSES``."""

    session: str
    cause: str
    after_ms: int


@dataclass(slots=True)
class _Seen:
    """The events of one boot of a gate that can cause a false start. Times are boot milliseconds."""

    boot: str
    #: The last start of the gate, or fault or opening of its reader: after it the gate did not know which card is on
    #: the reader.
    blind: tuple[int, str] | None = None
    #: When each badge was last on the reader, as far as entries show.
    badges: dict[str, int] = field(default_factory=dict)
    #: When a session of each badge last ended without a badge.
    ends: dict[str, int] = field(default_factory=dict)

    def add(self, entry: wire.Entry, data: wire.Data) -> None:
        """Note the event of one entry."""
        at = data.clock.boottime_ms
        match data:
            case wire.GateStarted():
                self.blind = (at, RESTART)
            case wire.Fault() if wire.short_type(entry.type) in TYPES:
                self.blind = (at, READER)
            case wire.CommandExecuted(verb="clear-fault", outcome="done"):
                self.blind = (at, READER)
            case wire.AccessRefused() | wire.SessionStarted() | wire.SessionEnded(reason="badge"):
                self.badges[data.badge] = at
            case wire.SessionEnded() if data.reason != "handover":
                self.ends[data.badge] = at

    def doubt(self, started: wire.SessionStarted, *, within_ms: int) -> Untapped | None:
        """Return why a start is doubtful, judged by the last event before it; None if no event was close enough."""
        badge, at = started.badge, started.clock.boottime_ms
        causes = [(when, OTHER_BADGE) for other, when in self.badges.items() if other != badge]
        if self.blind is not None:
            causes.append(self.blind)
        if badge in self.ends:
            causes.append((self.ends[badge], OWN_END))
        recent = [(at - when, cause) for when, cause in causes if 0 <= at - when <= within_ms]
        if not recent:
            return None
        after_ms, cause = min(recent)
        return Untapped(started.session, cause, after_ms)


def untapped(entries: Iterable[wire.Entry], *, within_ms: int = WITHIN_MS) -> Iterator[Untapped]:
    """Yield each doubtful start among the entries of one journal, in the order of their numbers.

    A session that continues another one after a handover is never doubtful. Raises UsageError for an entry whose data
    does not fit its type.
    """
    seen = _Seen("")
    for entry in entries:
        data = wire.decode_data(entry)
        if data is None:
            continue
        if data.clock.boot != seen.boot:
            seen = _Seen(data.clock.boot)
        if isinstance(data, wire.SessionStarted) and data.continues is None:
            doubt = seen.doubt(data, within_ms=within_ms)
            if doubt is not None:
                yield doubt
        seen.add(entry, data)
