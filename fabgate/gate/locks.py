"""Is the machine locked? A lock is state, not a message, and falls only when it is named.

It arrives in the sealed roster, or ahead of it by a command that carries the version of the roster it belongs to. A
roster without the lock does not lift it: yesterday's database, restored, knows nothing of today's lock. A roster
lifts it by naming its id, and so does the unlock command. What holds is kept in the journal, so that a machine that
was switched off wakes up locked.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from fabgate import wire


@dataclass(frozen=True, slots=True)
class Locked:
    """What holds now: the lock, and the roster version of the last word about it."""

    lock: wire.Lock | None = None
    version: int = 0

    def by_roster(self, rules: wire.MachineRules, version: int) -> Locked:
        """Return what holds once a roster came."""
        if rules.lock is not None and not (version < self.version and self.lock is None):
            return Locked(rules.lock, max(version, self.version))
        if self.lock is not None and self.lock.id in rules.lifted:
            return Locked(None, max(version, self.version))
        return Locked(self.lock, max(version, self.version) if rules.lock is None else self.version)

    def by_command(self, verb: str, lock: wire.Lock, version: int, roster_version: int) -> Locked | None:
        """Return what holds once a lock or unlock command came, or None when it is older than what is known."""
        if version <= max(self.version, roster_version):
            return None
        if verb == "lock":
            return Locked(lock, version)
        if self.lock is not None and self.lock.id != lock.id:
            return None
        return Locked(None, version)

    def agrees(self, verb: str, lock: wire.Lock) -> bool:
        """Whether what a command asks for holds already."""
        here = self.lock is not None and self.lock.id == lock.id
        return here if verb == "lock" else not here

    def to_text(self) -> str:
        """Return the form that the journal keeps."""
        return msgspec.json.encode({"lock": self.lock, "version": self.version}).decode()

    @classmethod
    def from_text(cls, text: str | None) -> Locked:
        """Read what the journal kept."""
        if text is None:
            return cls()
        found = msgspec.json.decode(text)
        lock = None if found["lock"] is None else msgspec.convert(found["lock"], wire.Lock)
        return cls(lock, found["version"])
