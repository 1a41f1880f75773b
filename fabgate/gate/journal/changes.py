"""The parts of one journal transaction: the facts that it appends, and what else it changes."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import msgspec

from fabgate import wire


class Draft(msgspec.Struct, frozen=True):
    """A fact on its way into the journal. `uid` is made by the caller, so that a retry is the same fact."""

    uid: str
    type: str
    data: wire.Data
    time: datetime | None


class OpenSession(msgspec.Struct, frozen=True):
    """The durable checkpoint of the running session. `slack_ms` is what a power cut adds to its uncertainty."""

    session: str
    member: str
    badge: str
    roster: int
    energised_ms: int
    running_ms: int
    boot: str
    boot_ms: int
    slack_ms: int


class Change(msgspec.Struct, frozen=True):
    """What one transaction changes besides appending entries: the open session, latched causes, the lock."""

    opens: OpenSession | None = None
    closes: frozenset[str] = frozenset()
    latch: frozenset[str] = frozenset()
    unlatch: frozenset[str] = frozenset()
    lock: str | None = None


NO_CHANGE: Final = Change()


class JournalState(msgspec.Struct, frozen=True):
    """The result of all changes so far: the open session, latched causes, the lock."""

    session: OpenSession | None = None
    latched: frozenset[str] = frozenset()
    lock: str | None = None

    def after(self, change: Change) -> JournalState:
        """Return the state after a change, as ``Journal._apply`` writes it."""
        ended = self.session is not None and self.session.session in change.closes
        session = change.opens or (None if ended else self.session)
        lock = self.lock if change.lock is None else change.lock
        return JournalState(session, (self.latched | change.latch) - change.unlatch, lock)

    def after_checkpoint(self, session: str, energised_ms: int, running_ms: int, boot_ms: int) -> JournalState:
        """Return the state after a checkpoint of a session; the same state where another session is open."""
        if self.session is None or self.session.session != session:
            return self
        checkpoint = msgspec.structs.replace(
            self.session, energised_ms=energised_ms, running_ms=running_ms, boot_ms=boot_ms
        )
        return msgspec.structs.replace(self, session=checkpoint)
