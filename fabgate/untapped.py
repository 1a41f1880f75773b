"""Which sessions may have begun without a tap?

Gates before decision 0058 could take a card that only lay on the reader for tapped: when they were started with the card
on the reader, when the card could not be read for a moment, and when another card was held over it. Journals do not
record bad reads, so no entry proves such a start. What can be listed are starts that followed, within seconds, something
that could have caused them. Some of these are honest: a member who taps right after another session ended.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from msgspec import Struct

from fabgate import wire

#: A false start came with the first or second poll that read the card again; reading it again can take some seconds.
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
    """A session that may have begun without a tap: `cause` is one of ``CAUSES``, `after_ms` how long before its start."""

    session: str
    cause: str
    after_ms: int


@dataclass(slots=True)
class _Seen:
    """What happened on one boot of one gate that a false start can have followed. Times are boot milliseconds."""

    boot: str
    #: When a start of the gate, or a fault or an opening of its reader, last left open what lay on the reader, and which of the two.
    blind: tuple[int, str] | None = None
    #: When each badge was last on the reader, as far as entries say.
    badges: dict[str, int] = field(default_factory=dict)
    #: When a session of each badge last ended in another way than by a badge.
    ends: dict[str, int] = field(default_factory=dict)

    def add(self, entry: wire.Entry, data: wire.Data) -> None:
        """Remember what one entry says."""
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
        """Return why a start is in doubt, by what last happened before it; None if nothing did within the time."""
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
    """Yield each doubtful start among the entries of one journal, which come in the order of their numbers.

    A session that continues another one after a handover did not begin by itself. Raises UsageError for an entry whose
    data does not fit its type.
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
