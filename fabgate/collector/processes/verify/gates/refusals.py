"""Compares the refused badges with the gates' entries.

Each entry that records a refusal has one row. The database has the times of both and compares them. Only where they differ
are they read and explained.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from operator import itemgetter
from typing import Any, Final, NamedTuple

import msgspec

from fabgate import wire
from fabgate.collector.ground.db import statements
from fabgate.collector.ground.models.entries import AHEAD
from fabgate.collector.processes.verify import guard
from fabgate.collector.processes.verify.findings import Report
from fabgate.collector.processes.verify.gates import entries
from fabgate.collector.processes.verify.snapshot import PAGE, moment
from fabgate.collector.recording.entries import decode, gate_clocks

_TABLE: Final = "refusal"
_TYPE: Final = "access.refused"
_FULL_TYPE: Final = wire.full_type(_TYPE)
_NO_ENTRY: Final = "no entry records it"
_MS: Final = timedelta(milliseconds=1)
#: The dates are read of few rows only, because reading them takes longer than all the rest.
_ROWS: Final = f"""
SELECT r.id, r.journal_id, r.seq, r.gate_id, j.gate_id, r.member, r.badge, r.reasons, r.is_timed, r.clock_off_ms, e.body,
    r.at = e.occurred_at AND r.seen_at = e.arrived_at AND r.clock_off_ms IS NULL AND e.occurred_at <= e.arrived_at
FROM collector_refusal r LEFT JOIN collector_journal j ON j.id = r.journal_id
LEFT JOIN collector_entry e ON e.journal_id = r.journal_id AND e.seq = r.seq AND e.type = '{_TYPE}' AND NOT e.is_copy
WHERE r.id > %s ORDER BY r.id LIMIT {PAGE}"""  # noqa: S608
_TIMES: Final = """
SELECT r.at, r.seen_at, e.occurred_at, e.arrived_at FROM collector_refusal r
JOIN collector_entry e ON e.journal_id = r.journal_id AND e.seq = r.seq WHERE r.id = %s"""
_DIFFERENT: Final = "SELECT count(*) FROM (SELECT DISTINCT journal_id, seq FROM collector_refusal) AS different"
_TWICE: Final = """
SELECT r.id, r.journal_id, r.seq FROM collector_refusal r
JOIN (SELECT journal_id, seq, min(id) AS first FROM collector_refusal GROUP BY journal_id, seq HAVING count(*) > 1) t
ON t.journal_id = r.journal_id AND t.seq = r.seq AND r.id > t.first ORDER BY r.id"""
_ABSENT: Final = f"""
SELECT e.journal_id, e.seq, e.id, e.uid, e.type, e.body, e.hash, e.occurred_at, e.copyof, e.is_copy FROM collector_entry e JOIN collector_journal j ON j.id = e.journal_id
LEFT JOIN collector_refusal r ON r.journal_id = e.journal_id AND r.seq = e.seq
WHERE e.type = '{_TYPE}' AND NOT e.is_copy AND r.id IS NULL ORDER BY e.id"""  # noqa: S608


class _Stored(NamedTuple):
    """A refusal, its entry, and whether the times agree at the first look."""

    id: int
    journal_id: int
    seq: int
    gate_id: int
    gate: int | None
    member: str
    badge: str
    reasons: Any
    is_timed: bool
    clock_off_ms: int | None
    body: bytes | None
    is_right: bool | None


class _Entry(msgspec.Struct):
    """The part of an entry that is compared: entries.py has read the whole."""

    type: str
    data: wire.AccessRefused


_decode: Final = msgspec.json.Decoder(_Entry).decode


def check(report: Report, count: int | None, site: str) -> None:
    """Compare all refusals; `count` is the number of entries that record one; None if it is not known."""
    after, compared, before = -(1 << 63), 0, report.counts[_TABLE]
    while True:
        with statements.cursor() as cursor:
            cursor.execute(_ROWS, [after])
            page = cursor.fetchall()
        guard.each(report, _TABLE, page, partial(_compare_some, report), itemgetter(0))
        compared += len(page)
        if len(page) < PAGE:
            break
        after = page[-1][0]
    report.compared[_TABLE] += compared
    # Each row has an entry, so as many different rows as entries leave none out.
    if report.counts[_TABLE] != before or compared != count or _different() != compared:
        _name_others(report, site)


def _compare_some(report: Report, page: Sequence[Sequence[Any]]) -> None:
    for values in page:
        row = _Stored(*values)
        if row.body is None:
            report.added(_TABLE, row.id, _NO_ENTRY)
        else:
            _compare(report, row, row.body)


def _compare(report: Report, row: _Stored, body: bytes) -> None:
    try:
        entry = _decode(bytes(body))
    except (msgspec.MsgspecError, ValueError):
        return  # entries.py names it
    if entry.type != _FULL_TYPE:  # a program's type without prefix or version is stored under the same short one
        report.added(_TABLE, row.id, _NO_ENTRY)
        return
    data = entry.data
    reasons = json.loads(row.reasons) if isinstance(row.reasons, str) else row.reasons
    for column, found, wanted in (
        ("gate_id", row.gate_id, row.gate),
        ("member", row.member, data.member or ""),
        ("badge", row.badge, data.badge),
        ("reasons", reasons, decode.brief(data.reasons)),
    ):
        if found != wanted:
            report.changed(_TABLE, row.id, column, found, wanted)
    if not (row.is_right and row.is_timed):
        _compare_times(report, row)


def _compare_times(report: Report, row: _Stored) -> None:
    """Compare when it happened and arrived, and what the entry alone says about the gate's clock."""
    with statements.cursor() as cursor:
        cursor.execute(_TIMES, [row.id])
        ((at, seen_at, occurred_at, arrived_at),) = cursor.fetchall()
    occurred, arrived = moment(occurred_at), moment(arrived_at)
    for column, found, wanted in (
        ("at", moment(at), occurred or arrived),
        ("is_timed", bool(row.is_timed), occurred is not None),
        ("seen_at", moment(seen_at), arrived),
    ):
        if found != wanted:
            report.changed(_TABLE, row.id, column, found, wanted)
    off_ms, ahead_ms = row.clock_off_ms, None
    if occurred is not None and arrived is not None and occurred > arrived + AHEAD:
        ahead_ms = (occurred - arrived) // _MS
    # A clock that is behind shows by an earlier report of the gate, which is not kept.
    is_behind = off_ms is not None and occurred is not None and off_ms < -(gate_clocks.BEHIND // _MS)
    if off_ms != ahead_ms and (ahead_ms is not None or not is_behind):
        report.changed(_TABLE, row.id, "clock_off_ms", off_ms, ahead_ms)


def _different() -> int:
    with statements.cursor() as cursor:
        cursor.execute(_DIFFERENT)
        return int(cursor.fetchall()[0][0])


def _name_others(report: Report, site: str) -> None:
    """Name repeated refusals, and entries without one."""
    journals = {journal.pk: journal for journal in entries.all_journals()}
    with statements.cursor() as cursor:
        cursor.execute(_TWICE)
        for pk, journal, seq in cursor.fetchall():
            report.added(_TABLE, pk, f"another row has the entry {journal}/{seq}")
        cursor.execute(_ABSENT)
        for pk, *values in cursor.fetchall():
            row, journal = entries.StoredEntry(*values), journals[pk]
            found = entries.decoded(row, journal, site)
            if isinstance(found, decode.ValidEntry) and isinstance(found.data, wire.AccessRefused):
                report.missing(_TABLE, f"{journal.name}/{row.seq}", "an entry records it")
