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

import msgspec

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
    #: What only the gate's own log may say: a mistake in a file may quote a badge or an address in clear.
    detail: str = ""

    def __post_init__(self) -> None:
        """Keep what can be written: a reason may quote text that no UTF-8 can hold."""
        for name in ("reason", "detail"):
            object.__setattr__(self, name, getattr(self, name).encode("utf-8", "backslashreplace").decode())


@dataclass(frozen=True, slots=True)
class RosterConfirmed:
    """The collector says that the stored roster is still the newest."""


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
        self._refused: str | None = None
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
            self._seen = None  # until it is stored: a full disk is no reason to wait for another change
            refusal = replace_stored(
                roster, self._stored, confirm_hint="list them as refused, or remove them in smaller steps"
            )
        except UsageError as error:
            if str(error) != self._refused:
                reason = self._in_public(str(error)) if version is None else str(error)
                self._post(RosterRefused(reason, version, detail=str(error)))
            self._refused = str(error)
            return
        self._seen, self._refused = stamp, None
        self._post(RosterStored(roster.version, len(roster.members)))
        if refusal is not None:
            self._post(RosterRefused(refusal, version))

    def _in_public(self, mistakes: str) -> str:
        """Return what the journal, the status and the broker may carry of a file's mistakes: how many, not what."""
        count = len(mistakes.splitlines())
        return f"{self._path.name}: {count} {'mistake' if count == 1 else 'mistakes'}; the gate's log names them"


def replace_stored(
    roster: wire.Roster, path: Path, *, confirm_hint: str = "a manager has to confirm it at the collector"
) -> str | None:
    """Put `roster` in place of the stored one; return why its member part was not taken whole, or None.

    When too many members vanish without a word, those keep what they had; whoever is refused or changed follows the
    new roster all the same, and so does the machine: a block and a lock always apply. Raises UsageError for a roster
    that means nothing or that the disk does not take; the stored one stays.
    """
    shrunk = not roster.shrink_confirmed and looks_shrunk(_last_ids(path), roster)
    last = _last_members(path) if shrunk else {}
    if not last:
        store(roster, path)
        return None
    gone = sorted(vanished(set(last), roster))
    taken = {digest for found in roster.members for digest in found.badges}
    taken |= {digest for refusal in roster.refusals for digest in refusal.badges}
    kept = [
        msgspec.structs.replace(last[id_], badges=[badge for badge in last[id_].badges if badge not in taken])
        for id_ in gone
    ]
    store(msgspec.structs.replace(roster, members=[*roster.members, *kept]), path)
    return (
        f"{len(gone)} of {len(last)} members would vanish ({', '.join(gone[:3])}…): they keep what the last good roster"
        f" gave them. If that is meant, {confirm_hint}"
    )


def _last_ids(path: Path) -> set[str]:
    """Return the ids of the stored roster's members; none where it is missing or damaged."""
    try:
        with contextlib.closing(Directory(path)) as directory:
            return directory.member_ids()
    except UsageError:
        return set()


def _last_members(path: Path) -> dict[str, wire.Member]:
    """Return the members of the stored roster; nobody where it is missing or damaged, for then it is to be replaced."""
    try:
        with contextlib.closing(Directory(path)) as directory:
            return directory.all_members()
    except UsageError:
        return {}
