"""Which sessions recorded since a copy would the gates send again, and which ones are on no gate any more?

A gate keeps what was acknowledged for `journal.keep_days`, and at most `journal.max_entries` entries (gate.yaml). What it
still has begins at the floor of its journal, which it reports with its status.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import msgspec

from fabgate.collector.processes import ends
from fabgate.collector.processes.rollback.database import Database

#: What gates do unless their gate.yaml says otherwise (gate/config/gate_yaml.py); a test compares them.
KEEP_DAYS: Final = 90
MAX_ENTRIES: Final = 100_000
#: The entries without which a session is missing, or has no end; those of its progress are not needed.
_TYPES: Final = ("session.started", "session.ended")
#: How many rows are read at once.
_PAGE: Final = 2_000


@dataclass(frozen=True, slots=True)
class Sessions:
    """How many sessions began or ended in entries stored since the copy, and how many of them no gate has any more."""

    recorded: int
    gone: int


class _Data(msgspec.Struct):
    session: str = ""


class _Body(msgspec.Struct):
    data: _Data


@dataclass(frozen=True, slots=True)
class _Stored:
    """An entry: its place, the fact in it, and whether that is stored elsewhere, too."""

    journal: int
    seq: int
    uid: str
    is_copy: bool
    session: str


def count(database: Database, last: ends.Ends) -> Sessions | None:
    """Return the sessions in entries after the ends of a copy; None if this version does not know the tables."""
    if not (
        database.has("collector_entry", "id", "journal_id", "seq", "uid", "type", "body", "is_copy")
        and database.has("collector_journal", "id", "name", "gate_id", "floor", "superseded_by_id")
        and database.has("collector_gate", "id", "journal")
    ):
        return None
    floors = _floors(database)
    entries = [entry for entry in _entries(database, int(last.get("collector_entry", 0)) + 1) if entry.session]
    held = {entry.uid for entry in entries if entry.journal in floors and entry.seq >= floors[entry.journal]}
    recorded = {entry.session for entry in entries if not entry.is_copy}
    gone = {entry.session for entry in entries if not entry.is_copy and entry.uid not in held}
    return Sessions(len(recorded), len(gone))


def _floors(database: Database) -> dict[int, int]:
    """Return the lowest number that each gate has in the journal that it writes; other journals are on no gate."""
    rows = database.rows(
        "SELECT j.id, j.floor FROM collector_journal j JOIN collector_gate g ON g.id = j.gate_id"
        " WHERE j.name = g.journal OR (g.journal = '' AND j.superseded_by_id IS NULL)"
    )
    return dict(rows)


def _entries(database: Database, first: int) -> Iterator[_Stored]:
    page = (
        "SELECT id, journal_id, seq, uid, is_copy, body FROM collector_entry"
        " WHERE id >= %s AND type IN (%s, %s) ORDER BY id LIMIT %s"
    )
    while rows := database.rows(page, first, *_TYPES, _PAGE):
        for _id, journal, seq, uid, is_copy, body in rows:
            yield _Stored(journal, seq, uid, bool(is_copy), _session(bytes(body)))
        first = int(rows[-1][0]) + 1


def _session(body: bytes) -> str:
    try:
        return msgspec.json.decode(body, type=_Body).data.session
    except msgspec.MsgspecError:
        return ""  # entries were checked when they arrived, so this one was damaged since; `verify` names it
