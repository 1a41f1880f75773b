"""Who holds which badge? The last good roster, as an indexed SQLite file that is swapped whole.

Not a dict: at 100,000 members a dict takes half a second and hundreds of megabytes to load, while a look-up here takes
some microseconds from the first tap after a start. The new file is built beside the old one, fsynced and renamed over
it, so there is always a whole one; a look-up never waits for that.

Badges are stored as keyed digests; a stolen SD card gives no UIDs at a glance (but see fabgate.badge).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from fabgate import wire
from fabgate.errors import UsageError
from fabgate.gate.clock import fsync_directory
from fabgate.gate.roster.people import Stored, holder, hours, machine_rules, member
from fabgate.rules import vocabulary as w

#: Of the members of the last good roster, this share may vanish without appearing in `refusals`.
VANISH_SHARE: Final = 0.2
#: So many may vanish whatever their share: in a workshop of four, one who leaves is a quarter.
VANISH_FEW: Final = 5
#: What reading a damaged file raises: SQLite, or whatever meets what SQLite still gives.
_DAMAGE: Final = (sqlite3.Error, msgspec.MsgspecError, TypeError, ValueError, OverflowError)
_FIND: Final = "SELECT person.body FROM badge JOIN person USING (person) WHERE badge.digest = ?"


class Directory:
    """A stored roster, opened for look-ups by one thread. Raises UsageError when there is none or it is broken."""

    def __init__(self, path: Path) -> None:
        self._path = path
        if not path.is_file():
            # Asked here: a connection that sqlite3 cannot open is never closed, and newer Pythons complain of it.
            raise UsageError(f"{path}: no usable roster (there is none yet)")
        try:
            self._db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
        except sqlite3.Error as error:
            raise UsageError(f"{path}: no usable roster ({error})") from error
        try:
            # The lock of the first look is kept: nobody writes to this file, and asking for it takes as long as looking.
            self._db.execute("PRAGMA locking_mode=EXCLUSIVE")
            meta = dict(self._db.execute("SELECT key, value FROM meta").fetchall())
            self.version = int(meta["version"])
            self.members = int(meta["members"])
            self.tz = _zone(str(meta["tz"]))
            self.fresh_for_s = int(meta["fresh_for_s"])
            #: Under which key its badges were digested, where the roster says.
            self.badge_key_id: str | None = meta["badge_key_id"]
            #: What ``content`` said of the roster when it was stored; none where an earlier version stored it.
            self.content: bytes | None = meta.get("content")
            #: Where it came from (fabgate.gate.roster.origin); empty where an earlier version stored it.
            self.source: str = str(meta.get("source", ""))
            self.machine = wire.decode(meta["machine"], wire.MachineRules)
            machine_rules(self.machine)
            # A roster that was stored by an earlier version has none.
            self._hours = hours(msgspec.json.decode(meta.get("hours", b"[]"), type=list[wire.Window]))
        except (*_DAMAGE, KeyError) as error:
            self._db.close()
            raise UsageError(f"{path}: no usable roster ({error})") from error

    def find(self, digest: str) -> w.Holder | None:
        """Return who holds a badge, or None when nobody does. Raises UsageError when the file is damaged.

        Nobody is admitted on a guess: a row that cannot be read in full is no member.
        """
        try:
            row = self._db.execute(_FIND, (bytes.fromhex(digest),)).fetchone()
            return None if row is None else holder(row[0], self._hours)
        except _DAMAGE as error:
            raise self._damaged(error) from error

    def find_member(self, member: str) -> w.Holder | None:
        """Return a member by id, admitted or refused; of several rows the first, which is that of their own badges.

        Slower than ``find``: there is no index for it.
        """
        try:
            sql = "SELECT body FROM person WHERE id = ? ORDER BY admitted, person LIMIT 1"
            row = self._db.execute(sql, (member,)).fetchone()
            return None if row is None else holder(row[0], self._hours)
        except _DAMAGE as error:
            raise self._damaged(error) from error

    def all_members(self, only: Collection[str] | None = None) -> list[wire.Member]:
        """Return all members, or `only` those, with their badges: for the guard, which keeps those that vanish.

        Raises UsageError when the file is damaged.
        """
        try:
            return self._all_members(only)
        except _DAMAGE as error:
            raise self._damaged(error) from error

    def member_ids(self) -> set[str]:
        """Return the ids of all members. Raises UsageError when the file is damaged."""
        try:
            return {str(row[0]) for row in self._db.execute("SELECT id FROM person WHERE admitted = 1")}
        except _DAMAGE as error:
            raise self._damaged(error) from error

    def _all_members(self, only: Collection[str] | None) -> list[wire.Member]:
        found: dict[int, wire.Member] = {}
        for person, id_, body in self._db.execute("SELECT person, id, body FROM person WHERE admitted = 1"):
            if only is None or id_ in only:
                stored = msgspec.json.decode(body, type=Stored).member
                if stored is None:
                    raise ValueError(f"no member in row {person}")
                found[int(person)] = msgspec.structs.replace(stored, badges=[])
        for person, digest in self._db.execute("SELECT person, digest FROM badge"):
            if person in found:
                found[person].badges.append(bytes.hex(digest))
        return list(found.values())

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def _damaged(self, error: Exception) -> UsageError:
        return UsageError(f"{self._path}: the stored roster is damaged ({error}); fetch or save it again")


def store(roster: wire.Roster, path: Path, *, source: str = "") -> None:
    """Put a roster in place of the stored one, durably and whole. Raises UsageError; the stored one then stays.

    `source` is where it came from (fabgate.gate.roster.origin). All mistakes are found before anything is replaced, and a disk that is full or broken replaces nothing.
    """
    _check(roster)
    fresh = path.with_suffix(".new")
    try:
        fresh.unlink(missing_ok=True)
        os.close(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        _write(roster, fresh, source)
        fresh.replace(path)
        fsync_directory(path.parent)
    except (UsageError, sqlite3.Error, OSError) as error:
        with contextlib.suppress(OSError):
            fresh.unlink()  # a full disk needs the room
        if isinstance(error, UsageError):
            raise
        if isinstance(error, sqlite3.IntegrityError):
            raise UsageError(f"the roster gives one badge to two people: {_doubles(roster)}") from None
        raise UsageError(f"{path}: the roster could not be stored ({error}); the last one stays") from error


def _check(roster: wire.Roster) -> None:
    machine_rules(roster.machine)
    hours(roster.hours)
    _zone(roster.tz)
    if not 0 <= roster.version < 1 << 63:
        raise UsageError(f"the roster has the version {roster.version}, wanted 0 to {(1 << 63) - 1}")
    if not 0 < roster.fresh_for_s < 1 << 63:
        raise UsageError(f"the roster has fresh_for_s {roster.fresh_for_s}, wanted 1 or more seconds")
    for found in roster.members:
        member(found)


def _write(roster: wire.Roster, fresh: Path, source: str) -> None:
    with contextlib.closing(sqlite3.connect(fresh, isolation_level=None)) as db:
        # The file is useless until it is renamed, so it needs no journal of its own: one fsync at the end.
        db.execute("PRAGMA journal_mode=OFF")
        db.execute("PRAGMA synchronous=OFF")
        db.execute("BEGIN")
        db.execute("CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID")
        db.execute("CREATE TABLE person (person INTEGER PRIMARY KEY, id TEXT, admitted INTEGER, body BLOB)")
        db.execute("CREATE TABLE badge (digest BLOB PRIMARY KEY, person INTEGER NOT NULL) WITHOUT ROWID")
        _fill(db, roster, source)
        db.execute("COMMIT")
    fd = os.open(fresh, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _fill(db: sqlite3.Connection, roster: wire.Roster, source: str) -> None:
    content = _Content(roster)
    # Row by row, and sorted by SQLite: lists of 100,000, and sorting them, would hold up the loop that owns the power.
    db.execute("CREATE TEMP TABLE loose (digest BLOB, person INTEGER)")
    for number, row in enumerate(_rows(roster), 1):
        id_, admitted, body, digests = row
        db.execute("INSERT INTO person VALUES (?, ?, ?, ?)", (number, id_, admitted, body))
        db.executemany("INSERT INTO loose VALUES (?, ?)", [(digest, number) for digest in digests])
        content.add(row)
    db.execute("INSERT INTO badge SELECT digest, person FROM loose ORDER BY digest")
    meta = {
        "version": roster.version,
        "members": len(roster.members),
        "tz": roster.tz,
        "fresh_for_s": roster.fresh_for_s,
        "badge_key_id": roster.badge_key_id,
        "machine": wire.encode(roster.machine),
        "hours": msgspec.json.encode(roster.hours),
        "content": content.digest(),
        "source": source,
    }
    db.executemany("INSERT INTO meta VALUES (?, ?)", meta.items())


#: Id, whether they are admitted, the stored body, the badges' digests.
Row = tuple[str | None, int, bytes, list[bytes]]


def _rows(roster: wire.Roster) -> Iterator[Row]:
    """Make the rows of all people, one after the other. Raises UsageError at a badge that is no digest."""
    encode = msgspec.json.Encoder().encode
    for found in roster.members:
        body = encode(Stored(member=msgspec.structs.replace(found, badges=[])))
        yield found.id, 1, body, [_digest_bytes(one) for one in found.badges]
    for refusal in roster.refusals:
        body = encode(Stored(refusal=msgspec.structs.replace(refusal, badges=[])))
        yield refusal.id, 0, body, [_digest_bytes(one) for one in refusal.badges]


class _Content:
    """A hash of all that a roster says, whatever the bytes that it came in."""

    def __init__(self, roster: wire.Roster) -> None:
        self._hash = hashlib.blake2b(
            wire.encode(msgspec.structs.replace(roster, members=[], refusals=[], shrink_confirmed=False)),
            digest_size=32,
        )

    def add(self, row: Row) -> None:
        _, _, body, digests = row
        self._hash.update(b"\n%b %d %b" % (body, len(digests), b"".join(digests)))

    def digest(self) -> bytes:
        return self._hash.digest()


def is_whole(path: Path) -> bool:
    """Say whether there is a stored roster and all of its members can be read."""
    try:
        with contextlib.closing(Directory(path)) as directory:
            directory.all_members()
    except UsageError:
        return False
    return True


def is_stored(roster: wire.Roster, path: Path, *, source: str = "") -> bool:
    """Whether the stored roster has this version, source and content. Raises UsageError at a badge that is no digest."""
    try:
        with contextlib.closing(Directory(path)) as directory:
            version, stored, stored_source = directory.version, directory.content, directory.source
    except UsageError:
        return False
    if (version, stored_source) != (roster.version, source) or stored is None:
        return False
    return content_of(roster) == stored


def content_of(roster: wire.Roster) -> bytes:
    """Return a hash of everything in a roster. Raises UsageError at a badge that is no digest."""
    content = _Content(roster)
    for row in _rows(roster):
        content.add(row)
    return content.digest()


def _digest_bytes(text: str) -> bytes:
    try:
        found = bytes.fromhex(text)
    except ValueError:
        found = b""
    if len(found) != 32:
        raise UsageError(f"the roster has the badge {text[:16]!r}…, wanted a digest of 64 hex digits")
    return found


def _doubles(roster: wire.Roster) -> str:
    seen: dict[str, str] = {}
    doubles = []
    for who, digests in [(m.id, m.badges) for m in roster.members] + [(r.id or "?", r.badges) for r in roster.refusals]:
        for text in digests:
            digest = _digest_bytes(text).hex()  # as it is compared: upper case is the same badge
            if digest in seen:
                doubles.append(f"{seen[digest]} and {who} (badge …{digest[-6:]})")
            seen[digest] = who
    return "; ".join(doubles)


def _zone(name: str) -> str:
    try:
        return ZoneInfo(name).key
    except (KeyError, ValueError, OSError) as error:  # OSError: the name of a directory of zones, such as "Europe"
        raise UsageError(f"found the time zone {name!r}, wanted one such as Europe/Paris") from error


def vanished(last: Iterable[str], roster: wire.Roster) -> set[str]:
    """Return the members of the last good roster that a new one neither admits nor refuses.

    A block is a member who moved to `refusals`; only those who are gone without a word count against the guard.
    """
    gone = set(last)
    gone.difference_update(found.id for found in roster.members)
    gone.difference_update(found.id for found in roster.refusals)
    return gone


def people_in(ids: Iterable[str]) -> int:
    """Return how many of these ids are people's. The others are groups', which say nothing about an export.

    Collectors of before named a group only while it had a badge: one that is missing gave its badge back.
    """
    return sum(not id_.startswith(wire.GROUP_PREFIX) for id_ in ids)


def most_to_vanish(before: int) -> int:
    """Return how many of so many members may vanish at once without a word.

    A fifth; or a few, for of four members one is a quarter, and people do leave. What breaks in an export (a page, a
    filter, the tail of the file) takes more than a handful with it.
    """
    return max(VANISH_FEW, int(VANISH_SHARE * before))


def looks_shrunk(gone: int, before: int, roster: wire.Roster) -> bool:
    """Say whether so many of the members before are gone that the roster is rather broken than true.

    One that admits nobody any more is taken for broken however few they were: it would lock everybody out.
    """
    return gone > most_to_vanish(before) or (gone > 0 and not len(roster.members))
