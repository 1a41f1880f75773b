"""What does one transaction of the journal do: which facts does it append, and what does it change beside them?"""

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
    """The durable checkpoint of the session that has the power. `slack_ms` is what a power cut adds to its doubt."""

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
    """What one transaction does beside appending. A session is opened, or the one named is closed."""

    opens: OpenSession | None = None
    closes: frozenset[str] = frozenset()
    latch: frozenset[str] = frozenset()
    unlatch: frozenset[str] = frozenset()
    lock: str | None = None


NO_CHANGE: Final = Change()


class Holding(msgspec.Struct, frozen=True):
    """What the transactions so far add up to, beside the entries."""

    session: OpenSession | None = None
    latched: frozenset[str] = frozenset()
    lock: str | None = None

    def after(self, change: Change) -> Holding:
        """Return it after a change, as ``Journal._apply`` writes it."""
        ended = self.session is not None and self.session.session in change.closes
        session = change.opens or (None if ended else self.session)
        lock = self.lock if change.lock is None else change.lock
        return Holding(session, (self.latched | change.latch) - change.unlatch, lock)

    def at(self, session: str, energised_ms: int, running_ms: int, boot_ms: int) -> Holding:
        """Return it after a checkpoint of a session; the same when that one is not open."""
        if self.session is None or self.session.session != session:
            return self
        counted = msgspec.structs.replace(
            self.session, energised_ms=energised_ms, running_ms=running_ms, boot_ms=boot_ms
        )
        return msgspec.structs.replace(self, session=counted)
