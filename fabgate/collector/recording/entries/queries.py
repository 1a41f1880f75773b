"""The queries that run with every batch, as SQL: the ORM takes longer to build them than the database to answer."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from fabgate.collector.ground.db import statements
from fabgate.collector.ground.models import Hole


def with_gaps(journals: Collection[int], *, beyond_ack: bool = False) -> set[int]:
    """Return which of `journals` have gaps; with `beyond_ack`, gaps above the stored ack."""
    condition = " AND h.last > j.ack_seq" if beyond_ack else ""
    statement = (
        "SELECT DISTINCT h.journal_id FROM collector_hole h JOIN collector_journal j ON j.id = h.journal_id"  # noqa: S608
        f" WHERE h.state <> %s AND h.journal_id IN ({{}}){condition}"
    )
    return {row[0] for row in _query(statement, journals, Hole.FILLED)}


def last_undated(journals: Collection[int]) -> dict[int, int]:
    """Return by journal the highest number at which an undated boot begins; journals without one are left out."""
    statement = "SELECT journal_id, MAX(seq) FROM collector_boot WHERE first_at IS NULL AND journal_id IN ({}) GROUP BY journal_id"
    return {row[0]: row[1] for row in _query(statement, journals)}


def places_of(uids: Collection[str]) -> dict[str, tuple[int, tuple[int, int]]]:
    """Return (gate's id, (journal's id, seq)) of each of `uids` that is stored and not a copy."""
    statement = (
        "SELECT e.uid, j.gate_id, e.journal_id, e.seq FROM collector_entry e JOIN collector_journal j"
        " ON j.id = e.journal_id WHERE e.uid IN ({}) AND NOT e.is_copy"
    )
    return {uid: (gate, (journal, seq)) for uid, gate, journal, seq in _query(statement, uids)}


def longest_s(versions: Collection[int]) -> dict[tuple[int, int], int]:
    """Return by (gate's id, version) the longest session, in seconds, that each roster of `versions` allows."""
    rows = _query("SELECT gate_id, version, longest_s FROM collector_rosterlimit WHERE version IN ({})", versions)
    return {(gate, version): longest for gate, version, longest in rows}


def people(ids: Collection[str]) -> dict[str, tuple[str, str | None]]:
    """Return (category, payer's id) of each member."""
    rows = _query("SELECT id, category, payer_id FROM collector_member WHERE id IN ({})", ids)
    return {member: (category, payer) for member, category, payer in rows}


def _query(statement: str, wanted: Collection[Any], *before: Any) -> Iterator[tuple[Any, ...]]:
    """Run a statement with the values of `wanted` in place of its braces, in chunks, and yield the rows."""
    for chunk in statements.chunks(sorted(set(wanted))):
        places, padded = statements.listed(chunk)
        with statements.cursor() as cursor:
            cursor.execute(statement.format(places), [*before, *padded])
            found = cursor.fetchall()
        yield from found
