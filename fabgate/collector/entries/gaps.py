"""Prints which numbers are missing, and the messages in quarantine: ``fabgate collector holes``.

`missing`: lost, because the gate no longer keeps those numbers, or will never write to that journal again.
`awaited`: not stored yet although later numbers are; the gate still has them and sends them again.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from fabgate.collector.entries import completeness, journals
from fabgate.collector.models import Hole, Journal, Quarantine

FOUND = 1


def command(args: argparse.Namespace) -> int:
    """Print the report; return 1 if entries are missing."""
    missing, awaited = _missing(), _awaited()
    clones = [
        {"gate": journal.gate.name, "journal": journal.name}
        for journal in Journal.objects.filter(cloned=True).select_related("gate").order_by("id")
    ]
    quarantine = [_kept(row) for row in Quarantine.objects.select_related("gate").order_by("id").defer("body")]
    if args.json:
        found = {"missing": missing, "awaited": awaited, "clones": clones, "quarantine": quarantine}
        sys.stdout.write(json.dumps(found, indent=2, ensure_ascii=False) + "\n")
        return FOUND if missing else 0
    out = sys.stdout
    for row in missing:
        out.write(f"{row['gate']}: {_numbers(row)} missing (journal {row['journal']}, known since {row['since']})\n")
    for row in awaited:
        out.write(f"{row['gate']}: {_numbers(row)} awaited (journal {row['journal']})\n")
    for row in clones:
        out.write(f"{row['gate']}: clone: something still writes the journal {row['journal']}, which has forked\n")
    for row in quarantine:
        out.write(
            f"{row['gate'] or row['topic']!s}: in quarantine: {row['reason']}: {row['detail']}"
            f" (entry {row['journal'] or '?'}/{row['seq'] or '?'}, {_times(row['times'])}, last {row['last_at']})\n"
        )
    if not missing:
        out.write("Nothing is missing.\n")
    return FOUND if missing else 0


def _missing() -> list[dict[str, Any]]:
    holes = Hole.objects.filter(state=Hole.LOST).select_related("journal__gate")
    return [
        _range(hole.journal, hole.first, hole.last, since=hole.found_at.isoformat())
        for hole in holes.order_by("journal", "first")
    ]


def _awaited() -> list[dict[str, Any]]:
    """Return the gaps before stored entries, except those below entries of a clone."""
    rows = list(Journal.objects.select_related("gate").order_by("id"))
    last = {pk: entry.seq for pk, entry in completeness.last_stored(rows).items()}
    found = journals.missing_of([(journal, min(last.get(journal.pk, 0), journal.last_own)) for journal in rows])
    return [_range(journal, first, end) for journal in rows for first, end in found[journal.pk]]


def _range(journal: Journal, first: int, last: int, **more: str) -> dict[str, Any]:
    return {"gate": journal.gate.name, "journal": journal.name, "first": first, "last": last, **more}


def _numbers(row: dict[str, Any]) -> str:
    if row["first"] == row["last"]:
        return f"entry {row['first']}"
    return f"entries {row['first']} to {row['last']}"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _kept(row: Quarantine) -> dict[str, Any]:
    return {
        "gate": row.gate.name if row.gate else None,
        "topic": row.topic,
        "journal": row.journal_name,
        "seq": row.seq,
        "reason": row.reason,
        "detail": row.detail,
        "counts": row.counts,
        "times": row.times,
        "first_at": row.first_at.isoformat(),
        "last_at": row.last_at.isoformat(),
    }
