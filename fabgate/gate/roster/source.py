"""The thread of a roster file, and the rules by which a new roster replaces the stored one.

A roster that cannot be read never replaces the last good one. Where too many members vanish without being refused, they
keep their last grants. The reason is recorded, and people continue to work.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from fabgate import wire
from fabgate.errors import UsageError
from fabgate.gate.roster import file, origin
from fabgate.gate.roster.directory import (
    Directory,
    drop_listed,
    is_stored,
    looks_shrunk,
    most_to_vanish,
    people_in,
    store,
)
from fabgate.gate.roster.lazy_roster import JoinedLists, PackedList

#: A file is read once it was the same in two polls: an editor or a copy that pauses for longer than this is not noticed.
POLL_S: Final = 1.0

#: What identifies the state of a file: times, size, inode and mode.
Stamp = tuple[int, ...]


class RosterStored(msgspec.Struct, frozen=True):
    """A new roster is in force; `adopted` where a person on the gate allowed it (``origin``)."""

    version: int
    members: int
    adopted: bool = False


class RosterRefused(msgspec.Struct, frozen=True):
    """A roster was refused, in whole or in part, and why."""

    reason: str
    version: int | None = None
    #: For the gate's own log only: a mistake in a file may quote a badge or an address in clear.
    detail: str = ""

    def __post_init__(self) -> None:
        """Make both texts encodable: they may quote text that UTF-8 cannot represent."""
        for name in ("reason", "detail"):
            text = getattr(self, name).encode("utf-8", "backslashreplace").decode()
            msgspec.structs.force_setattr(self, name, text)


class RosterConfirmed(msgspec.Struct, frozen=True):
    """The stored roster is still the newest, as the collector or the file says."""


class FileSource:
    """Reads a roster file when it changes, once it is no longer being written. `post` takes the events above.

    A half-written file may admit a blocked member, where it ends before their reasons. So a file is read when it was the
    same in two polls, and used when it is still the same after reading. Until then the last good roster stays in force.
    """

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
        #: The stamps of the file at the last poll and at the last read.
        self._last: Stamp | None = None
        self._seen: Stamp | None = None
        self._refused: str | None = None
        self._adoptions = origin.AdoptionFile(stored)
        self._damage_reported = threading.Event()
        #: The stored roster is damaged: the next one replaces it, even if it has the same version.
        self._is_damaged = False
        self._stop = threading.Event()

    def stop(self) -> None:
        """Ask the thread to end."""
        self._stop.set()

    def replace_damaged(self) -> None:
        """Read the file and replace the stored roster, which is damaged. Thread-safe."""
        self._damage_reported.set()

    def run(self) -> None:
        """Follow the file until asked to stop."""
        while not self._stop.is_set():
            self.poll()
            self._stop.wait(POLL_S)

    def poll(self) -> None:
        """Read the file if it has changed since the last read, or was adopted, and is the same as at the last poll."""
        if self._damage_reported.is_set():
            self._damage_reported.clear()
            self._is_damaged, self._seen = True, None
        stamp = _stamp(self._path)
        before, self._last = self._last, stamp
        if stamp == before and (stamp != self._seen or self._adoptions.waits()):
            self._load(stamp)

    def _load(self, stamp: Stamp | None) -> None:
        version = None
        try:
            roster = self._read(stamp)
            if roster is None:
                return
            version = roster.version
            adopted = self._adoptions.allows(roster, origin.FILE)
            self._check_source(stamp, adopted=adopted)
            self._seen = None  # until it is stored, so that a full disk does not need another change of the file
            changed, refusal = replace_stored(
                roster,
                self._stored,
                source=origin.FILE,
                confirm_hint=(
                    "give them reasons, which the display shows them, remove at most {} at a time, or"
                    f" {origin.HOW_TO_ADOPT}"
                ),
                always=self._is_damaged,
                unguarded=adopted,
            )
            if adopted:
                self._adoptions.use_up()
            self._is_damaged = False
        except UsageError as error:
            if str(error) != self._refused:
                reason = self._summary(str(error)) if version is None else str(error)
                self._post(RosterRefused(reason, version, detail=str(error)))
            self._refused = str(error)
            return
        self._seen, self._refused = stamp, None
        self._post(RosterStored(version, len(roster.members), adopted=adopted) if changed else RosterConfirmed())
        if refusal is not None:
            self._post(RosterRefused(refusal, version))

    def _check_source(self, stamp: Stamp | None, *, adopted: bool) -> None:
        """Raise UsageError where a collector's roster is in force and the file was not adopted."""
        stored = origin.RosterId.stored(self._stored)
        if stored is None or adopted or self._is_damaged:
            return
        if stored.source != origin.FILE:
            self._seen = stamp  # it is read again when it changes, or when a person adopts it
            raise UsageError(origin.refusal(stored.source, origin.FILE))

    def _read(self, stamp: Stamp | None) -> wire.Roster | None:
        """Read the file; return None where it changed during that. Raises UsageError for a file with mistakes."""
        try:
            roster = file.read(self._path, key=self._badge_key, topics=self._topics, fallback=self._fallback)
        except UsageError:
            if _stamp(self._path) != stamp:
                return None
            self._seen = stamp
            raise
        return roster if _stamp(self._path) == stamp else None

    def _summary(self, mistakes: str) -> str:
        """Return the part of a file's mistakes that may be published: how many, not which."""
        count = len(mistakes.splitlines())
        return f"{self._path.name}: {count} {'mistake' if count == 1 else 'mistakes'}; the gate's log names them"


def _stamp(path: Path) -> Stamp | None:
    """Return a value that changes with the file. A copy may keep the modification time, but not the ctime."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino, status.st_mode


class Replaced(NamedTuple):
    """The result of ``replace_stored``: whether the stored roster changed, and why a part was refused, or None."""

    changed: bool
    refusal: str | None


def replace_stored(
    roster: wire.Roster,
    path: Path,
    *,
    source: str = "",
    confirm_hint: str = f"{origin.HOW_TO_ADOPT}; otherwise add them at the collector again",
    always: bool = False,
    unguarded: bool = False,
) -> Replaced:
    """Replace the stored roster with `roster`, unless both have the same content and `always` is False.

    `source` is where it came from; `unguarded` skips the guard below, because a person adopted the roster.

    When too many members vanish without being refused, they keep their last grants. Changed or refused members follow
    the new roster, and so does the machine: a block and a lock always apply. A {} in `confirm_hint` becomes the number of
    members who may vanish at once. Raises UsageError for an invalid roster, or one that cannot be written; the stored
    one stays.
    """
    refusal = None
    gone, before, shrunk = (set[str](), 0, False) if unguarded else would_vanish(path, roster)
    if shrunk:
        kept = _kept_members(path, gone, roster)
        if len(kept):
            names = ", ".join(sorted(gone)[:3])
            refusal = (
                f"{len(gone)} of {before} members are missing without a reason ({names}…): they keep their grants of the"
                f" last good roster, and everything else in version {roster.version} is in force. If they really left,"
                f" {confirm_hint.format(most_to_vanish(before))}"
            )
            roster = msgspec.structs.replace(roster, members=JoinedLists(roster.members, kept))
    changed = always or not is_stored(roster, path, source=source)
    if changed:
        store(roster, path, source=source)
    return Replaced(changed, refusal)


def _kept_members(path: Path, gone: set[str], roster: wire.Roster) -> PackedList[wire.Member]:
    """Return the members who would vanish, without the badges that belong to another person now."""
    last = _last_members(path, gone)
    their_badges = {badge for member in last for badge in member.badges}
    lists = itertools.chain((each.badges for each in roster.members), (each.badges for each in roster.refusals))
    reassigned = {badge.lower() for badges in lists for badge in badges if badge.lower() in their_badges}
    kept = PackedList(wire.Member)
    for member in sorted(last, key=lambda member: member.id):
        badges = [badge for badge in member.badges if badge not in reassigned]
        kept.append(msgspec.structs.replace(member, badges=badges))
    return kept


def would_vanish(path: Path, roster: wire.Roster) -> tuple[set[str], int, bool]:
    """Return which members of the stored roster would vanish, how many it has, and whether too many would vanish.

    None vanish where the stored roster is missing or damaged, or where the collector confirms that they left.
    """
    if roster.shrink_confirmed:
        return set(), 0, False
    try:
        with contextlib.closing(Directory(path)) as directory:
            gone = directory.member_ids()
    except UsageError:
        return set(), 0, False
    before, people_before = len(gone), people_in(gone)
    drop_listed(gone, roster)
    return gone, before, looks_shrunk(people_in(gone), people_before, roster)


def _last_members(path: Path, only: set[str]) -> list[wire.Member]:
    """Return these members of the stored roster; an empty list where it is missing or damaged."""
    try:
        with contextlib.closing(Directory(path)) as directory:
            return directory.all_members(only)
    except UsageError:
        return []
