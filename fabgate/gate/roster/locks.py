"""Is the machine locked? A lock is state, not a message, and falls only when it is named.

Locks stand beside each other, each under its id: the machine is locked while any of them stands, the strictest rules,
and taking one off leaves the others.

It arrives in the sealed roster, or ahead of it by a command that carries the version of the roster it belongs to. A
roster without the lock does not lift it: yesterday's database, restored, knows nothing of today's lock. A roster
lifts it by naming its id, and so does the unlock command. What holds is kept in the journal, so that a machine that
was switched off wakes up locked.

Versions are compared only within one source (fabgate.gate.roster.origin). A roster or command of another source counts as
newer: what an earlier source said about locks is no reason to ignore a lock of this one. Locks of an earlier source
stay until they are named.
"""

from __future__ import annotations

import msgspec

from fabgate import wire
from fabgate.errors import JournalError
from fabgate.gate.roster.origin import Relation, merged, relation


class Locked(msgspec.Struct, frozen=True):
    """What holds now: the locks, the last one to come at the end, and the roster version of the last word about them.

    `source` is the source of that version; empty where an earlier version of the gate wrote it.
    """

    locks: tuple[wire.Lock, ...] = ()
    version: int = 0
    source: str = ""

    @property
    def lock(self) -> wire.Lock | None:
        """Return the lock that rules, and that members read: the strictest, and of those the newest."""
        return max(reversed(self.locks), key=lambda lock: lock.when == "now", default=None)

    def by_roster(self, rules: wire.MachineRules, version: int, source: str = "") -> Locked:
        """Return what holds once a roster came."""
        lock, named, last = rules.lock, set(rules.lifted), self._version_in(source)
        # A roster from before the last word may bring a lock that this word took off, or made stricter.
        locks = self.locks if lock is None or version < last else self._with(lock)
        standing = tuple(one for one in locks if one.id not in named or one == lock)
        return Locked(standing, max(version, last), merged(self.source, source))

    def by_command(
        self,
        verb: str,
        lock: wire.Lock,
        version: int,
        roster_version: int,
        *,
        source: str = "",
        roster_source: str = "",
    ) -> Locked | None:
        """Return what holds once a lock or unlock command came, or None when it is older than what is known.

        `source` made the command; `roster_version` is that of the roster in force, which `roster_source` made.
        """
        in_force = 0 if relation(source, roster_source) is Relation.OTHER else roster_version
        if version <= max(self._version_in(source), in_force):
            return None
        without = tuple(one for one in self.locks if one.id != lock.id)
        return Locked(self._with(lock) if verb == "lock" else without, version, merged(self.source, source))

    def _version_in(self, source: str) -> int:
        """Return the version of the last word as far as it can be compared with versions of this source."""
        return 0 if relation(self.source, source) is Relation.OTHER else self.version

    def agrees(self, verb: str, lock: wire.Lock) -> bool:
        """Whether what a command asks for holds already."""
        return any(one.id == lock.id for one in self.locks) == (verb == "lock")

    def _with(self, lock: wire.Lock) -> tuple[wire.Lock, ...]:
        """Return the locks with this one among them, in its old place where it has one."""
        return tuple({**{one.id: one for one in self.locks}, lock.id: lock}.values())

    def to_text(self) -> str:
        """Return the form that the journal keeps."""
        kept = {"locks": self.locks, "version": self.version, "source": self.source}
        return msgspec.json.encode(kept).decode()

    @classmethod
    def from_text(cls, text: str | None) -> Locked:
        """Read what the journal kept. Raises JournalError where it is damaged: a machine is not unlocked by a guess."""
        if text is None:
            return cls()
        try:
            found = msgspec.json.decode(text, type=_Kept)
        except msgspec.MsgspecError as error:
            raise JournalError(
                f"the machine's lock on record is damaged ({error})."
                " Put journal.db aside to start a new one, and lock the machine again where it was locked"
            ) from error
        return cls(found.locks or (() if found.lock is None else (found.lock,)), found.version, found.source)


class _Kept(msgspec.Struct):
    """What the journal keeps; `lock` where an earlier version wrote it, when there was one at most."""

    version: int
    locks: tuple[wire.Lock, ...] = ()
    lock: wire.Lock | None = None
    source: str = ""
