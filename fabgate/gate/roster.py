"""Who holds which badge? The last good roster, as an indexed SQLite file that is swapped whole.

Not a dict: at 100,000 members a dict takes half a second and hundreds of megabytes to load, while a look-up here takes
some microseconds from the first tap after a start. The new file is built beside the old one, fsynced and renamed over
it, so there is always a whole one; a look-up never waits for that.

Badges are stored as keyed digests; a stolen SD card gives no UIDs at a glance (but see fabgate.badge).
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from fabgate import wire
from fabgate.errors import UsageError
from fabgate.gate.clock import fsync_directory
from fabgate.gate.people import Stored, barred, holder, machine_rules, member
from fabgate.rules import words as w

#: Of the members of the last good roster, this share may vanish without appearing in `refusals`.
VANISH_SHARE: Final = 0.2


class Directory:
    """A stored roster, opened for look-ups by one thread. Raises UsageError when there is none or it is broken."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._db = sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None)
            meta = dict(self._db.execute("SELECT key, value FROM meta").fetchall())
            self.version = int(meta["version"])
            self.members = int(meta["members"])
            self.tz = ZoneInfo(str(meta["tz"])).key
            self.fresh_for_s = int(meta["fresh_for_s"])
            self.machine = wire.decode(bytes(meta["machine"]), wire.MachineRules)
        except (sqlite3.Error, KeyError, ValueError, OSError) as error:
            raise UsageError(f"{path}: no usable roster ({error})") from error

    def find(self, digest: str) -> w.Holder | None:
        """Return who holds a badge, or None when nobody does."""
        row = self._db.execute(
            "SELECT person.body FROM badge JOIN person USING (person) WHERE badge.digest = ?", (bytes.fromhex(digest),)
        ).fetchone()
        return None if row is None else holder(row[0])

    def all_members(self) -> dict[str, wire.Member]:
        """Return all members by id, with their badges: for the guard, which keeps those that vanish."""
        found: dict[str, wire.Member] = {}
        badges: dict[int, list[str]] = {}
        for person, digest in self._db.execute("SELECT person, digest FROM badge"):
            badges.setdefault(int(person), []).append(bytes(digest).hex())
        for person, body in self._db.execute("SELECT person, body FROM person WHERE admitted = 1"):
            stored = msgspec.json.decode(body, type=Stored).member
            assert stored is not None
            found[stored.id] = msgspec.structs.replace(stored, badges=badges.get(int(person), []))
        return found

    def close(self) -> None:
        """Close the file."""
        self._db.close()


def store(roster: wire.Roster, path: Path) -> None:
    """Put a roster in place of the stored one, durably and whole. Raises UsageError for one that means nothing.

    All mistakes are found before anything is replaced.
    """
    machine_rules(roster.machine)
    fresh = path.with_suffix(".new")
    with contextlib.suppress(FileNotFoundError):
        fresh.unlink()
    os.close(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    db = sqlite3.connect(fresh, isolation_level=None)
    try:
        # The file is useless until it is renamed, so it needs no journal of its own: one fsync at the end.
        db.execute("PRAGMA journal_mode=OFF")
        db.execute("PRAGMA synchronous=OFF")
        db.execute("BEGIN")
        db.execute("CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID")
        db.execute("CREATE TABLE person (person INTEGER PRIMARY KEY, id TEXT, admitted INTEGER, body BLOB)")
        db.execute("CREATE TABLE badge (digest BLOB PRIMARY KEY, person INTEGER NOT NULL) WITHOUT ROWID")
        _fill(db, roster)
        db.execute("COMMIT")
    except sqlite3.IntegrityError:
        raise UsageError(f"the roster gives one badge to two people: {_doubles(roster)}") from None
    finally:
        db.close()
    fd = os.open(fresh, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
    fresh.replace(path)
    fsync_directory(path.parent)


def _fill(db: sqlite3.Connection, roster: wire.Roster) -> None:
    encode = msgspec.json.Encoder().encode
    number = 0
    people: list[tuple[int, str | None, int, bytes]] = []
    badges: list[tuple[bytes, int]] = []
    for found in roster.members:
        member(found)
        number += 1
        people.append((number, found.id, 1, encode(Stored(member=msgspec.structs.replace(found, badges=[])))))
        badges.extend((_digest_bytes(digest), number) for digest in found.badges)
    for refusal in roster.refusals:
        barred(refusal)
        number += 1
        people.append((number, refusal.id, 0, encode(Stored(refusal=msgspec.structs.replace(refusal, badges=[])))))
        badges.extend((_digest_bytes(digest), number) for digest in refusal.badges)
    db.executemany("INSERT INTO person VALUES (?, ?, ?, ?)", people)
    db.executemany("INSERT INTO badge VALUES (?, ?)", sorted(badges))
    meta = {
        "version": roster.version,
        "members": len(roster.members),
        "tz": roster.tz,
        "fresh_for_s": roster.fresh_for_s,
        "machine": wire.encode(roster.machine),
    }
    db.executemany("INSERT INTO meta VALUES (?, ?)", meta.items())


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
        for digest in digests:
            if digest in seen:
                doubles.append(f"{seen[digest]} and {who} (badge …{digest[-6:]})")
            seen[digest] = who
    return "; ".join(doubles)


def vanished(last: set[str], roster: wire.Roster) -> set[str]:
    """Return the members of the last good roster that a new one neither admits nor refuses.

    A block is a member who moved to `refusals`; only those who are gone without a word count against the guard.
    """
    named = {found.id for found in roster.members} | {found.id for found in roster.refusals}
    return last - named


def looks_shrunk(last: set[str], roster: wire.Roster) -> bool:
    """Say whether so many members vanished that the roster is rather broken than true."""
    return bool(last) and len(vanished(last, roster)) > VANISH_SHARE * len(last)
