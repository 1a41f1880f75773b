"""What does every batch ask? By hand: the ORM takes longer to ask than the database to answer."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from fabgate.collector.db import statements
from fabgate.collector.models import Hole


def holed(journals: Collection[int], *, beyond_ack: bool = False) -> set[int]:
    """Return which of `journals` lack numbers, named lost or copied; `beyond_ack`: above the ack that is stored."""
    condition = " AND h.last > j.ack_seq" if beyond_ack else ""
    statement = (
        "SELECT DISTINCT h.journal_id FROM collector_hole h JOIN collector_journal j ON j.id = h.journal_id"  # noqa: S608
        f" WHERE h.state <> %s AND h.journal_id IN ({{}}){condition}"
    )
    return {row[0] for row in _asked(statement, journals, Hole.FILLED)}


def last_undated(journals: Collection[int]) -> dict[int, int]:
    """Return for each of `journals` that has a boot without a date the highest number at which one begins."""
    statement = "SELECT journal_id, MAX(seq) FROM collector_boot WHERE first_at IS NULL AND journal_id IN ({}) GROUP BY journal_id"
    return {row[0]: row[1] for row in _asked(statement, journals)}


def places_of(uids: Collection[str]) -> dict[str, tuple[int, tuple[int, int]]]:
    """Return (gate's row, (journal's row, seq)) of each of `uids` that is stored and counted."""
    statement = (
        "SELECT e.uid, j.gate_id, e.journal_id, e.seq FROM collector_entry e JOIN collector_journal j"
        " ON j.id = e.journal_id WHERE e.uid IN ({}) AND NOT e.is_copy"
    )
    return {uid: (gate, (journal, seq)) for uid, gate, journal, seq in _asked(statement, uids)}


def longest_s(versions: Collection[int]) -> dict[tuple[int, int], int]:
    """Return by (gate's row, version) for how many seconds a session may last by each roster of `versions`."""
    rows = _asked("SELECT gate_id, version, longest_s FROM collector_rosterlimit WHERE version IN ({})", versions)
    return {(gate, version): longest for gate, version, longest in rows}


def people(ids: Collection[str]) -> dict[str, tuple[str, str | None]]:
    """Return of each member what they are counted as, and who pays for them."""
    rows = _asked("SELECT id, category, payer_id FROM collector_member WHERE id IN ({})", ids)
    return {member: (category, payer) for member, category, payer in rows}


def _asked(statement: str, wanted: Collection[Any], *before: Any) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of a statement with what is `wanted` in its braces, a chunk of them at a time."""
    for some in statements.chunks(sorted(set(wanted))):
        places, chunk = statements.listed(some)
        with statements.cursor() as cursor:
            cursor.execute(statement.format(places), [*before, *chunk])
            found = cursor.fetchall()
        yield from found
