"""Where does the roster come from, and is a new one good enough to replace the last? The roster's thread.

A roster that cannot be read, or from which more than a fifth of the members vanish without being refused, never
replaces the last good one: the reason is recorded and people go on working.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fabgate import wire
from fabgate.errors import UsageError
from fabgate.gate import roster_file
from fabgate.gate.roster import Directory, looks_shrunk, store, vanished

LOOK_EVERY_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class RosterStored:
    """A new roster is in place."""

    version: int
    members: int


@dataclass(frozen=True, slots=True)
class RosterRefused:
    """A roster was not taken, and why."""

    reason: str
    version: int | None = None


class FileSource:
    """Follows a roster file: reads it when it changes. `post` takes ``RosterStored`` and ``RosterRefused``."""

    def __init__(
        self,
        path: Path,
        stored: Path,
        post: Callable[[object], None],
        *,
        badge_key: bytes,
        topics: wire.GateTopics,
        fallback: wire.MachineRules,
    ) -> None:
        self._path = path
        self._stored = stored
        self._post = post
        self._badge_key = badge_key
        self._topics = topics
        self._fallback = fallback
        self._seen: tuple[int, int] | None = None
        self._stop = threading.Event()

    def stop(self) -> None:
        """Ask the thread to end."""
        self._stop.set()

    def run(self) -> None:
        """Follow the file until told to stop."""
        while not self._stop.is_set():
            self.look()
            self._stop.wait(LOOK_EVERY_S)

    def look(self) -> None:
        """Read the file if it changed since the last look."""
        stamp = None
        with contextlib.suppress(OSError):
            found = self._path.stat()
            stamp = (found.st_mtime_ns, found.st_size)
        if stamp == self._seen:
            return
        self._seen = stamp
        version = None
        try:
            roster = roster_file.read(self._path, key=self._badge_key, topics=self._topics, fallback=self._fallback)
            version = roster.version
            replace_stored(roster, self._stored)
        except UsageError as error:
            self._post(RosterRefused(str(error), version))
        else:
            self._post(RosterStored(roster.version, len(roster.members)))


def replace_stored(roster: wire.Roster, path: Path) -> None:
    """Put `roster` in place of the stored one unless it looks broken. Raises UsageError saying why not."""
    last: set[str] = set()
    with contextlib.suppress(UsageError):
        directory = Directory(path)
        last = directory.member_ids()
        directory.close()
    if looks_shrunk(last, roster):
        gone = vanished(last, roster)
        raise UsageError(
            f"{len(gone)} of {len(last)} members would vanish ({', '.join(sorted(gone)[:3])}…): the last good roster stays."
            " If that is meant, remove them in smaller steps or list them as refused"
        )
    store(roster, path)
