"""Lists sessions, one a line, for ``fabgate collector sessions``.

Rows are read and written one by one, so that years fit in memory. Times are in the requested zone.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Iterator
from datetime import datetime, tzinfo
from typing import Any, TextIO
from zoneinfo import ZoneInfo

from django.conf import settings

from fabgate.collector.cli import text_table
from fabgate.collector.cli.usage import between, interval
from fabgate.collector.ground.models import Member, UsageSession
from fabgate.collector.ground.tables.csv_safety import escape_row

#: Column → width in the table; 0: not in the table.
COLUMNS = {
    "state": 0,
    "session": 0,
    "member": 0,
    "name": 24,
    "gate": 0,
    "machine": 14,
    "start": 20,
    "end": 20,
    "energised_ms": 11,
    "running_ms": 11,
    "uncertainty_ms": 11,
    "reason": 13,
    "basis": 10,
    "review": 0,
    "not_before": 0,
    "not_after": 0,
    "corrected": 0,
    "energy_wh": 0,
}
_HEADS = {
    "name": "member",
    "energised_ms": "powered on",
    "running_ms": "running",
    "uncertainty_ms": "up to more",
    "basis": "allowed by",
}


def show(args: argparse.Namespace) -> int:
    """Print the sessions that ended in the period, ordered by their ends, then the open ones."""
    start, end = interval(args.start, args.end, args.tz)
    rows = lines(start, end, ZoneInfo(args.tz or settings.TIME_ZONE))
    write = {"csv": write_csv, "json": write_json}.get(args.form, write_table)
    if write is write_table:
        sys.stdout.write(f"Sessions {between(start, end)} (by their end; h:mm:ss)\n\n")
    write(rows, sys.stdout)
    return 0


def lines(start: datetime, end: datetime, zone: tzinfo) -> Iterator[dict[str, Any]]:
    """Yield a row for each session."""
    names = Member.names()
    for state, sessions in (("ended", UsageSession.ended_between(start, end)), ("open", UsageSession.open())):
        for session in sessions.iterator(chunk_size=500):
            yield _line(state, session, names, zone)


def write_csv(rows: Iterator[dict[str, Any]], out: TextIO) -> None:
    """Write CSV: exact milliseconds, times with their offset, and text that no spreadsheet executes."""
    writer = csv.DictWriter(out, list(COLUMNS), lineterminator="\n")
    writer.writeheader()
    writer.writerows(escape_row(row) for row in rows)


def write_json(rows: Iterator[dict[str, Any]], out: TextIO) -> None:
    """Write one JSON object a line."""
    out.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def write_table(rows: Iterator[dict[str, Any]], out: TextIO) -> None:
    """Write a table: times in whole seconds, durations as h:mm:ss, '~' before a value that is not exact."""
    shown = {name: width for name, width in COLUMNS.items() if width}
    heads = [
        _HEADS.get(name, name).rjust(width) if name.endswith("_ms") else _HEADS.get(name, name).ljust(width)
        for name, width in shown.items()
    ]
    count = 0
    for count, row in enumerate(rows, 1):
        if count == 1:
            out.write("  ".join([*heads, "review"]) + "\n")
        about = row["not_after"] is not None
        row["name"] = f"{row['member']} {row['name']}".strip()
        row["start"] = _shown(row["start"] or row["not_before"], about=about and row["start"] is None)
        row["end"] = "open" if row["state"] == "open" else _shown(row["end"], about=about)
        cells = [
            text_table.clock(row[name]).rjust(width)
            if name.endswith("_ms")
            else text_table.plain(row[name]).ljust(width)
            for name, width in shown.items()
        ]
        out.write("  ".join([*cells, row["review"] or ""]).rstrip() + "\n")
    out.write(f"{count or 'no'} session{'' if count == 1 else 's'}\n")


def _line(state: str, session: UsageSession, names: dict[str, str], zone: tzinfo) -> dict[str, Any]:
    return {
        "state": state,
        "session": session.id,
        "member": session.used_by,
        "name": names.get(session.used_by, ""),
        "gate": session.gate.name,
        "machine": session.machine_name,
        "start": _at(session.started_at, zone),
        "end": _at(session.ended_at, zone),
        "energised_ms": session.counted_ms,
        "running_ms": session.counted_running_ms,
        "uncertainty_ms": session.counted_uncertainty_ms,
        "reason": session.reason,
        "basis": session.basis,
        "review": session.review,
        "not_before": _at(session.not_before, zone),
        "not_after": _at(session.not_after, zone),
        "corrected": session.corrected,
        "energy_wh": session.energy_wh,
    }


def _at(moment: datetime | None, zone: tzinfo) -> str | None:
    return None if moment is None else moment.astimezone(zone).isoformat()


def _shown(moment: str | None, *, about: bool) -> str:
    if moment is None:
        return "?"
    return f"{'~' if about else ''}{datetime.fromisoformat(moment):%Y-%m-%d %H:%M:%S}"
