"""The locks of the machine. A lock is state, not a message, and is lifted only by naming its id.

A machine can have several locks, each with its id. It is locked while it has any; the strictest one applies, and lifting
one leaves the others.

A lock arrives in the sealed roster, or earlier, by a command with the version of the roster that it belongs to. A roster
without the lock does not lift it: yesterday's database, restored, does not know today's lock. A roster lifts a lock by
naming its id, and so does the unlock command. The locks are kept in the journal, so that a machine that was switched off
starts locked.

Versions are compared only within one source (fabgate.gate.roster.origin). A roster or command of another source counts as
newer, so that its lock is never ignored. Locks of an earlier source stay until they are named.
"""

from __future__ import annotations

from typing import Final

import msgspec

from fabgate import wire
from fabgate.errors import JournalError


class Locks(msgspec.Struct, frozen=True):
    """The locks in force, the newest last, the roster version of their last change, and its source (roster/origin.py)."""

    locks: tuple[wire.Lock, ...] = ()
    version: int = 0
    source: str = ""

    @property
    def lock(self) -> wire.Lock | None:
        """Return the lock that applies and that the display shows: the strictest, and of those the newest."""
        return max(reversed(self.locks), key=lambda lock: lock.when == "now", default=None)

    def by_roster(self, rules: wire.MachineRules, version: int, source: str = "") -> Locks:
        """Return the locks after a roster came."""
        lock, lifted, last = rules.lock, set(rules.lifted), self._version_in(source)
        # A roster from before the last change may contain a lock that this change lifted, or made stricter.
        locks = self.locks if lock is None or version < last else self._with(lock)
        remaining = tuple(each for each in locks if each.id not in lifted or each == lock)
        return Locks(remaining, max(version, last), source)

    def by_command(
        self,
        verb: str,
        lock: wire.Lock,
        version: int,
        roster_version: int,
        *,
        source: str = "",
        roster_source: str = "",
    ) -> Locks | None:
        """Return the locks after a lock or unlock command, or None where the command is older than the last change.

        `source` made the command; `roster_version` is that of the roster in force, which `roster_source` made.
        """
        in_force = roster_version if source == roster_source else 0
        if version <= max(self._version_in(source), in_force):
            return None
        without = tuple(each for each in self.locks if each.id != lock.id)
        return Locks(self._with(lock) if verb == "lock" else without, version, source)

    def _version_in(self, source: str) -> int:
        """Return the version of the last change, or 0 where it cannot be compared with versions of this source."""
        return self.version if source == self.source else 0

    def agrees(self, verb: str, lock: wire.Lock) -> bool:
        """Return whether the locks are already as a command asks: it would change nothing."""
        return any(each.id == lock.id for each in self.locks) == (verb == "lock")

    def _with(self, lock: wire.Lock) -> tuple[wire.Lock, ...]:
        """Return the locks with `lock` added; it replaces a lock with the same id."""
        return tuple({**{each.id: each for each in self.locks}, lock.id: lock}.values())

    def to_text(self) -> str:
        """Return the text for the journal."""
        return msgspec.json.encode(_Kept(self.locks, self.version, self.source)).decode()

    @classmethod
    def from_text(cls, text: str | None) -> Locks:
        """Read the text of the journal. Raises JournalError where it is damaged: no machine is unlocked by a guess."""
        if text is None:
            return cls()
        try:
            kept = msgspec.json.decode(text, type=_Kept)
        except msgspec.MsgspecError as error:
            raise JournalError(
                f"the machine's lock in the journal is damaged ({error})."
                " Move journal.db away to start a new one, and lock the machine again if it was locked"
            ) from error
        return cls(kept.locks, kept.version, kept.source)


NO_LOCKS: Final = Locks()


class _Kept(msgspec.Struct, forbid_unknown_fields=True):
    """The text in the journal. Each part is required: a text of another form must not be read as no lock."""

    locks: tuple[wire.Lock, ...]
    version: int
    source: str
