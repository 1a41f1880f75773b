"""Stores the last good roster as an indexed SQLite file, and looks up the holder of a badge in it.

At 100,000 members a dict would take half a second and hundreds of megabytes to load; a look-up here takes some
microseconds from the first tap after a start. A new file is built under another name, fsynced and renamed over the old
one, so the file is always whole; a look-up never waits for that.

Badges are stored as keyed digests: a stolen SD card does not show UIDs at a glance (but see fabgate.badge).
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
from fabgate.gate.roster.people import StoredPerson, holder, hours, machine_rules, member, stored_member
from fabgate.rules import vocabulary

#: The share of the last good roster's members who may vanish without appearing in `refusals`.
VANISH_SHARE: Final = 0.2
#: This many may vanish in any case: in a workshop of four, one member is a quarter.
VANISH_FEW: Final = 5
#: What reading a damaged file raises: SQLite's errors, and those of wrong values in the code that uses them.
_DAMAGE: Final = (sqlite3.Error, msgspec.MsgspecError, TypeError, ValueError, OverflowError)
_FIND: Final = "SELECT person.body FROM badge JOIN person USING (person) WHERE badge.digest = ?"


class Directory:
    """A stored roster, opened for look-ups by one thread; another may close it.

    Raises UsageError if no roster is stored, or if it is damaged.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        if not path.is_file():
            # Checked first: a connection that sqlite3 failed to open is never closed, and newer Pythons warn about it.
            raise UsageError(f"{path}: no usable roster (there is none yet)")
        try:
            address = f"{path.absolute().as_uri()}?mode=ro"
            self._db = sqlite3.connect(address, uri=True, isolation_level=None, check_same_thread=False)
        except sqlite3.Error as error:
            raise UsageError(f"{path}: no usable roster ({error})") from error
        try:
            # The lock of the first look-up is kept: the file is never written, and locking takes as long as a look-up.
            self._db.execute("PRAGMA locking_mode=EXCLUSIVE")
            meta = dict(self._db.execute("SELECT key, value FROM meta").fetchall())
            self.version = int(meta["version"])
            self.members = int(meta["members"])
            self.tz = _zone(str(meta["tz"]))
            self.fresh_for_s = int(meta["fresh_for_s"])
            #: The id of the key under which its badges were digested, where the roster names it.
            self.badge_key_id: str | None = meta["badge_key_id"]
            #: The mark of that key (``badge.key_mark``), where the roster has it.
            self.badge_key_mark: str | None = meta["badge_key_mark"]
            #: The hash of its content (``content_of``).
            self.content = bytes(meta["content"])
            #: The JSON of its prices, which only the panel reads.
            self.prices = bytes(meta["prices"])
            #: Its source (fabgate.gate.roster.origin).
            self.source = str(meta["source"])
            self.machine = wire.decode(meta["machine"], wire.MachineRules)
            machine_rules(self.machine)
            self._hours = hours(msgspec.json.decode(meta["hours"], type=list[wire.Window]))
        except KeyError as error:
            self._db.close()
            raise UsageError(
                f"{path}: no usable roster (it has no {error}: another version of fabgate stored it; fetch or save it again)"
            ) from error
        except _DAMAGE as error:
            self._db.close()
            raise UsageError(f"{path}: no usable roster ({error})") from error

    def find(self, digest: str) -> vocabulary.Holder | None:
        """Return the holder of a badge, or None for an unknown badge. Raises UsageError when the file is damaged.

        A row that cannot be read completely is an error: no member is admitted on a guess.
        """
        try:
            row = self._db.execute(_FIND, (bytes.fromhex(digest),)).fetchone()
            return None if row is None else holder(row[0], self._hours)
        except _DAMAGE as error:
            raise self._damaged(error) from error

    def wire_member(self, digest: str) -> wire.Member | None:
        """Return the member who holds a badge, as in the roster, for the panel; None if it is refused or unknown.

        Raises UsageError when the file is damaged.
        """
        try:
            row = self._db.execute(_FIND, (bytes.fromhex(digest),)).fetchone()
            return None if row is None else stored_member(row[0])
        except _DAMAGE as error:
            raise self._damaged(error) from error

    def find_member(self, member: str) -> vocabulary.Holder | None:
        """Return a member by id, admitted or refused; of several rows the first, which has their own badges.

        Slower than ``find``: ids have no index.
        """
        try:
            sql = "SELECT body FROM person WHERE id = ? ORDER BY admitted, person LIMIT 1"
            row = self._db.execute(sql, (member,)).fetchone()
            return None if row is None else holder(row[0], self._hours)
        except _DAMAGE as error:
            raise self._damaged(error) from error

    def all_members(self, only: Collection[str] | None = None) -> list[wire.Member]:
        """Return all members, or `only` these, with their badges. Raises UsageError when the file is damaged."""
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
        members: dict[int, wire.Member] = {}
        for person, id_, body in self._db.execute("SELECT person, id, body FROM person WHERE admitted = 1"):
            if only is None or id_ in only:
                stored = msgspec.json.decode(body, type=StoredPerson).member
                if stored is None:
                    raise ValueError(f"no member in row {person}")
                members[int(person)] = msgspec.structs.replace(stored, badges=[])
        for person, digest in self._db.execute("SELECT person, digest FROM badge"):
            if person in members:
                members[person].badges.append(bytes.hex(digest))
        return list(members.values())

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def _damaged(self, error: Exception) -> UsageError:
        return UsageError(f"{self._path}: the stored roster is damaged ({error}); fetch or save it again")


def store(roster: wire.Roster, path: Path, *, source: str = "") -> None:
    """Replace the stored roster, durably and completely. Raises UsageError; the stored one then stays.

    `source` is where the roster came from (fabgate.gate.roster.origin). The stored roster is replaced only if the new
    one has no mistake and was written completely.
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
            fresh.unlink()  # frees room on a full disk
        if isinstance(error, UsageError):
            raise
        if isinstance(error, sqlite3.IntegrityError):
            raise UsageError(f"the roster gives one badge to two people: {_duplicates(roster)}") from None
        raise UsageError(f"{path}: the roster could not be stored ({error}); the last one stays in force") from error


def _check(roster: wire.Roster) -> None:
    machine_rules(roster.machine)
    hours(roster.hours)
    _zone(roster.tz)
    if not 0 <= roster.version < 1 << 63:
        raise UsageError(f"the roster has the version {roster.version}, wanted 0 to {(1 << 63) - 1}")
    if not 0 < roster.fresh_for_s < 1 << 63:
        raise UsageError(f"the roster has fresh_for_s {roster.fresh_for_s}, wanted 1 or more seconds")
    for wire_member in roster.members:
        member(wire_member)


def _write(roster: wire.Roster, fresh: Path, source: str) -> None:
    with contextlib.closing(sqlite3.connect(fresh, isolation_level=None)) as db:
        # The file is not used before it is renamed, so it needs no rollback journal: one fsync at the end is enough.
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
    # Row by row, and sorted by SQLite: lists of 100,000 rows would block the loop that owns the power.
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
        "badge_key_mark": roster.badge_key_mark,
        "machine": wire.encode(roster.machine),
        "hours": msgspec.json.encode(roster.hours),
        "prices": msgspec.json.encode(roster.prices),
        "content": content.digest(),
        "source": source,
    }
    db.executemany("INSERT INTO meta VALUES (?, ?)", meta.items())


#: The id, whether the person is admitted, the stored body, the digests of the badges.
PersonRow = tuple[str | None, int, bytes, list[bytes]]


def _rows(roster: wire.Roster) -> Iterator[PersonRow]:
    """Yield the rows of all people. Raises UsageError for a badge that is not a digest."""
    encode = msgspec.json.Encoder().encode
    for wire_member in roster.members:
        body = encode(StoredPerson(member=msgspec.structs.replace(wire_member, badges=[])))
        yield wire_member.id, 1, body, [_digest_bytes(badge) for badge in wire_member.badges]
    for barred in roster.refusals:
        body = encode(StoredPerson(barred=msgspec.structs.replace(barred, badges=[])))
        yield barred.id, 0, body, [_digest_bytes(badge) for badge in barred.badges]


class _Content:
    """The hash of a roster's content, independent of how its JSON is written."""

    def __init__(self, roster: wire.Roster) -> None:
        self._hash = hashlib.blake2b(
            wire.encode(msgspec.structs.replace(roster, members=[], refusals=[], shrink_confirmed=False)),
            digest_size=32,
        )

    def add(self, row: PersonRow) -> None:
        _, _, body, digests = row
        self._hash.update(b"\n%b %d %b" % (body, len(digests), b"".join(digests)))

    def digest(self) -> bytes:
        return self._hash.digest()


def is_whole(path: Path) -> bool:
    """Return whether there is a stored roster of which all members can be read."""
    try:
        with contextlib.closing(Directory(path)) as directory:
            directory.all_members()
    except UsageError:
        return False
    return True


def is_stored(roster: wire.Roster, path: Path, *, source: str = "") -> bool:
    """Return whether the stored roster has this version, source and content. Raises UsageError for a wrong badge."""
    try:
        with contextlib.closing(Directory(path)) as directory:
            version, stored, stored_source = directory.version, directory.content, directory.source
    except UsageError:
        return False
    return (version, stored_source) == (roster.version, source) and content_of(roster) == stored


def content_of(roster: wire.Roster) -> bytes:
    """Return the hash of a roster's content. Raises UsageError for a badge that is not a digest."""
    content = _Content(roster)
    for row in _rows(roster):
        content.add(row)
    return content.digest()


def _digest_bytes(text: str) -> bytes:
    try:
        digest = bytes.fromhex(text)
    except ValueError:
        digest = b""
    if len(digest) != 32:
        raise UsageError(f"the roster has the badge {text[:16]!r}…, wanted a digest of 64 hex digits")
    return digest


def _duplicates(roster: wire.Roster) -> str:
    seen: dict[str, str] = {}
    duplicates = []
    for who, digests in [(m.id, m.badges) for m in roster.members] + [(r.id or "?", r.badges) for r in roster.refusals]:
        for text in digests:
            digest = _digest_bytes(text).hex()  # upper and lower case are the same badge
            if digest in seen:
                duplicates.append(f"{seen[digest]} and {who} (badge …{digest[-6:]})")
            seen[digest] = who
    return "; ".join(duplicates)


def _zone(name: str) -> str:
    try:
        return ZoneInfo(name).key
    except (KeyError, ValueError, OSError) as error:  # OSError: the name of a directory of zones, such as "Europe"
        raise UsageError(f"found the time zone {name!r}, wanted one such as Europe/Paris") from error


def drop_listed(ids: set[str], roster: wire.Roster) -> None:
    """Remove from the ids of the last good roster those that a new one admits or refuses: the others vanish.

    A blocked member moves to `refusals`; only members that are in neither list count. `ids` itself is changed, because a
    copy of 100,000 ids, and freeing them at once, would each block the loop that owns the power for 4 ms.
    """
    ids.difference_update(member.id for member in roster.members)
    ids.difference_update(barred.id for barred in roster.refusals)


def people_in(ids: Iterable[str]) -> int:
    """Return how many of these ids are people. The others are groups, whose absence does not show a broken export.

    Earlier collectors listed a group only while it had a badge, so a missing group has returned its badge.
    """
    return sum(not id_.startswith(wire.GROUP_PREFIX) for id_ in ids)


def most_to_vanish(before: int) -> int:
    """Return how many of `before` members may vanish at once without being refused.

    A fifth, or a few in a small workshop, because people do leave. What breaks in an export (a page, a filter, the end of
    the file) loses more than a handful.
    """
    return max(VANISH_FEW, int(VANISH_SHARE * before))


def looks_shrunk(gone: int, before: int, roster: wire.Roster) -> bool:
    """Return whether the roster is probably broken: `gone` of `before` members are too many.

    A roster without any member counts as broken in any case: it would lock everybody out.
    """
    return gone > most_to_vanish(before) or (gone > 0 and not len(roster.members))
