"""Where does the roster come from, and is a new one good enough to replace the last? The roster's thread.

A roster that cannot be read never replaces the last good one; of a roster from which too many members vanish without
being refused, those keep what they had. The reason is recorded and people go on working.
"""

from __future__ import annotations

import contextlib
import gc
import itertools
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from fabgate import wire
from fabgate.errors import UsageError
from fabgate.gate.roster import file, origin
from fabgate.gate.roster.directory import Directory, is_stored, looks_shrunk, most_to_vanish, people_in, store, vanished
from fabgate.gate.roster.parts import Joined, Packed

#: A file is read once it was the same in two looks: an editor or a copy that pauses for longer than this is not noticed.
LOOK_EVERY_S: Final = 1.0

#: By what a file is known to be the same: times, size, place and kind.
Stamp = tuple[int, ...]


class RosterStored(msgspec.Struct, frozen=True):
    """A new roster is in place; `adopted` where a person on the gate allowed it (roster_origin)."""

    version: int
    members: int
    adopted: bool = False


class RosterRefused(msgspec.Struct, frozen=True):
    """A roster was not taken, or not in all, and why."""

    reason: str
    version: int | None = None
    #: What only the gate's own log may say: a mistake in a file may quote a badge or an address in clear.
    detail: str = ""

    def __post_init__(self) -> None:
        """Keep what can be written: a reason may quote text that no UTF-8 can hold."""
        for name in ("reason", "detail"):
            told = getattr(self, name).encode("utf-8", "backslashreplace").decode()
            msgspec.structs.force_setattr(self, name, told)


class RosterConfirmed(msgspec.Struct, frozen=True):
    """The stored roster is still the newest: the collector, or the file, says the same."""


class FileSource:
    """Follows a roster file: reads it when it changes, once it lies still. `post` takes the events above.

    A file of which somebody has written the half says of a barred member that they are admitted, where the half ends
    before the reasons: so it is read when it was the same in two looks, and believed when it is still after reading.
    Meanwhile the last good roster holds.
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
        #: The file at the last look, and the one that was read and needs no reading again.
        self._last: Stamp | None = None
        self._seen: Stamp | None = None
        self._refused: str | None = None
        self._adoptions = origin.Adoptions(stored)
        self._damaged = threading.Event()
        #: What is stored is damaged: what is read next takes its place, even where it says the same.
        self._anew = False
        self._stop = threading.Event()

    def stop(self) -> None:
        """Ask the thread to end."""
        self._stop.set()

    def mend(self) -> None:
        """Say that the stored roster is damaged: it is read and stored anew; any thread may."""
        self._damaged.set()

    def run(self) -> None:
        """Follow the file until told to stop."""
        while not self._stop.is_set():
            self.look()
            self._stop.wait(LOOK_EVERY_S)

    def look(self) -> None:
        """Read the file if it changed since it was read, or a person adopts it, and not since the last look."""
        if self._damaged.is_set():
            self._damaged.clear()
            self._anew, self._seen = True, None
        stamp = _stamp(self._path)
        before, self._last = self._last, stamp
        if stamp == before and (stamp != self._seen or self._adoptions.waits()):
            with _without_collector():
                self._take(stamp)

    def _take(self, stamp: Stamp | None) -> None:
        version = None
        try:
            roster = self._read(stamp)
            if roster is None:
                return
            version = roster.version
            adopted = self._adoptions.allows(roster, origin.FILE)
            self._check_source(stamp, adopted=adopted)
            self._seen = None  # until it is stored: a full disk is no reason to wait for another change
            changed, refusal = replace_stored(
                roster,
                self._stored,
                source=origin.FILE,
                confirm_hint=f"give them reasons, which also tells them why, remove at most {{}} at a time, or {origin.HOW}",
                anew=self._anew,
                whole=adopted,
            )
            if adopted:
                self._adoptions.use_up()
            self._anew = False
        except UsageError as error:
            if str(error) != self._refused:
                reason = self._in_public(str(error)) if version is None else str(error)
                self._post(RosterRefused(reason, version, detail=str(error)))
            self._refused = str(error)
            return
        self._seen, self._refused = stamp, None
        self._post(RosterStored(version, len(roster.members), adopted=adopted) if changed else RosterConfirmed())
        if refusal is not None:
            self._post(RosterRefused(refusal, version))

    def _check_source(self, stamp: Stamp | None, *, adopted: bool) -> None:
        """Raise UsageError where a collector's roster is in force and nobody adopted the file."""
        stored = origin.Which.stored(self._stored)
        if stored is None or adopted or self._anew:
            return
        if origin.relation(stored.source, origin.FILE) is origin.Relation.OTHER:
            self._seen = stamp  # it is read again when it changes, or when a person adopts it
            raise UsageError(origin.refusal(stored.source, origin.FILE))

    def _read(self, stamp: Stamp | None) -> wire.Roster | None:
        """Read the file; return None where it changed meanwhile. Raises UsageError for a file with mistakes."""
        try:
            roster = file.read(self._path, key=self._badge_key, topics=self._topics, fallback=self._fallback)
        except UsageError:
            if _stamp(self._path) != stamp:
                return None
            self._seen = stamp
            raise
        return roster if _stamp(self._path) == stamp else None

    def _in_public(self, mistakes: str) -> str:
        """Return what the journal, the status and the broker may carry of a file's mistakes: how many, not what."""
        count = len(mistakes.splitlines())
        return f"{self._path.name}: {count} {'mistake' if count == 1 else 'mistakes'}; the gate's log names them"


def _stamp(path: Path) -> Stamp | None:
    """Return what changes when a file does: whoever keeps its time when copying changes its ctime."""
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino, found.st_mode


@contextlib.contextmanager
def _without_collector() -> Iterator[None]:
    """Do without Python's collector of cycles meanwhile.

    Each person of a file is some ten objects, and the collector looks at all of them again and again, holding the
    interpreter: 140 ms at a time for 100,000 members, against 8 ms without it. There are no cycles among them.
    """
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


class Replaced(NamedTuple):
    """What became of a roster: whether it differed from the stored one, and why not all of it was taken, or None."""

    changed: bool
    refusal: str | None


def replace_stored(
    roster: wire.Roster,
    path: Path,
    *,
    source: str = "",
    confirm_hint: str = f"{origin.HOW}; if not, add them at the collector again",
    anew: bool = False,
    whole: bool = False,
) -> Replaced:
    """Put `roster` in place of the stored one, unless that says the same already and need not be made `anew`.

    `source` is where it came from; `whole` takes it without the guard below, because a person adopted it.

    When too many members vanish without a word, those keep what they had; whoever is refused or changed follows the
    new roster all the same, and so does the machine: a block and a lock always apply. A {} in `confirm_hint` becomes
    how many members may vanish at once. Raises UsageError for a roster that means nothing or that the disk does not
    take; the stored one stays.
    """
    refusal = None
    gone, before, shrunk = (set[str](), 0, False) if whole else would_vanish(path, roster)
    if shrunk:
        kept = _kept(path, gone, roster)
        if len(kept):
            names = ", ".join(sorted(gone)[:3])
            refusal = (
                f"{len(gone)} of {before} members would vanish without a word ({names}…): they keep what the last good"
                f" roster gave them, and everything else in version {roster.version} is in force. If that is meant,"
                f" {confirm_hint.format(most_to_vanish(before))}"
            )
            roster = msgspec.structs.replace(roster, members=Joined(roster.members, kept))
    changed = anew or not is_stored(roster, path, source=source)
    if changed:
        store(roster, path, source=source)
    return Replaced(changed, refusal)


def _kept(path: Path, gone: set[str], roster: wire.Roster) -> Packed[wire.Member]:
    """Return the members who would vanish, without the badges that somebody else has now."""
    last = _last_members(path, gone)
    theirs = {badge for found in last for badge in found.badges}
    given = itertools.chain((one.badges for one in roster.members), (one.badges for one in roster.refusals))
    taken = {badge.lower() for badges in given for badge in badges if badge.lower() in theirs}
    kept = Packed(wire.Member)
    for found in sorted(last, key=lambda found: found.id):
        kept.append(msgspec.structs.replace(found, badges=[one for one in found.badges if one not in taken]))
    return kept


def would_vanish(path: Path, roster: wire.Roster) -> tuple[set[str], int, bool]:
    """Return who of the stored roster would vanish, of how many, and whether those are too many for the guard.

    Nobody where the stored one is missing or damaged, or where the collector says that so many are meant to.
    """
    if roster.shrink_confirmed:
        return set(), 0, False
    try:
        with contextlib.closing(Directory(path)) as directory:
            last = directory.member_ids()
    except UsageError:
        return set(), 0, False
    gone = vanished(last, roster)
    return gone, len(last), looks_shrunk(people_in(gone), people_in(last), roster)


def _last_members(path: Path, only: set[str]) -> list[wire.Member]:
    """Return these members of the stored roster; nobody where it is missing or damaged, for it is to be replaced then."""
    try:
        with contextlib.closing(Directory(path)) as directory:
            return directory.all_members(only)
    except UsageError:
        return []
