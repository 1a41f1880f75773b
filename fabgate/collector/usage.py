"""Who used which machine, and for how many minutes? ``fabgate collector usage`` prints it.

A session belongs to the interval [from, to) in which it ended, so that any partition of time counts each session once.
One whose boot never synchronised belongs to that of its latest possible end: "about" says how many those are.
CSV and JSON carry exact integer milliseconds; only the table for people rounds.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from datetime import datetime, tzinfo
from typing import Any, TextIO
from zoneinfo import ZoneInfo

from django.conf import settings

from fabgate.collector.models import Member, UsageSession
from fabgate.errors import UsageError

TOTAL = "total"


@dataclass(frozen=True, slots=True)
class Line:
    """A sum of sessions. `uncertain`: how many are not exactly known, or await a review; `about`: nor when they were."""

    state: str  # ended; open ones, and those that are about, are a line each
    member: str
    name: str
    machine: str
    sessions: int
    energised_ms: int
    running_ms: int
    uncertainty_ms: int
    uncertain: int
    about: int
    session: str = ""
    since: str = ""
    until: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """What is printed: `lines` and their `total`, apart from them what is open, and of them what has no sure date."""

    start: datetime
    end: datetime
    lines: list[Line]
    total: Line
    open: list[Line]
    about: list[Line]


def command(args: argparse.Namespace) -> int:
    """Print the report of the interval in the form asked for."""
    start, end = interval(args.start, args.end, args.tz)
    report = collect(start, end)
    write = {"csv": write_csv, "json": write_json}.get(args.form, write_table)
    write(report, sys.stdout)
    return 0


def interval(start: str, end: str, tz: str | None) -> tuple[datetime, datetime]:
    """Read the arguments. Raises UsageError with one line for each that is wrong."""
    mistakes: list[str] = []
    zone: tzinfo | None = None
    name = tz or settings.TIME_ZONE
    try:
        zone = ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        mistakes.append(f"--tz: found {name!r}, wanted the name of a time zone, such as Europe/Paris")
    moments: list[datetime] = []
    for option, text in (("--from", start), ("--to", end)):
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            mistakes.append(f"{option}: found {text!r}, wanted a moment such as 2026-11-01 or 2026-11-01T08:00+01:00")
            continue
        moments.append(moment if moment.tzinfo else moment.replace(tzinfo=zone))
    if not mistakes and moments[0] >= moments[1]:
        mistakes.append(f"--to: found {end!r}, wanted a moment after --from ({start})")
    if mistakes:
        raise UsageError("\n".join(mistakes))
    return moments[0], moments[1]


def collect(start: datetime, end: datetime) -> Report:
    """Return the usage of [start, end)."""
    names = Member.names()
    lines = [
        Line(
            state="ended",
            member=row["member"],
            name=names.get(row["member"], ""),
            machine=row["where"],
            sessions=row["sessions"],
            energised_ms=row["energised_ms"],
            running_ms=row["running_ms"],
            uncertainty_ms=row["uncertainty_ms"],
            uncertain=row["uncertain"],
            about=row["about"],
        )
        for row in UsageSession.totals(start, end)
    ]
    total = Line(
        TOTAL,
        "",
        "",
        "",
        sum(line.sessions for line in lines),
        sum(line.energised_ms for line in lines),
        sum(line.running_ms for line in lines),
        sum(line.uncertainty_ms for line in lines),
        sum(line.uncertain for line in lines),
        sum(line.about for line in lines),
    )
    return Report(
        start,
        end,
        lines,
        total,
        open=[_single("open", session, names) for session in UsageSession.open()],
        about=[_single("about", session, names) for session in UsageSession.placed_between(start, end)],
    )


def write_csv(report: Report, out: TextIO) -> None:
    """Write one line a member and machine, then the open sessions, told apart by `state`. Nothing is there twice."""
    names = [field.name for field in fields(Line) if field.name != "until"]
    writer = csv.DictWriter(out, names, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(asdict(line) for line in (*report.lines, *report.open))


def write_json(report: Report, out: TextIO) -> None:
    """Write the whole report."""
    document: dict[str, Any] = {
        "from": report.start.isoformat(),
        "to": report.end.isoformat(),
        "usage": [_sums(line) for line in report.lines],
        "total": {k: v for k, v in _sums(report.total).items() if k not in {"member", "name", "machine"}},
        "open": [asdict(line) for line in report.open],
        "about": [asdict(line) for line in report.about],
    }
    out.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")


def write_table(report: Report, out: TextIO) -> None:
    """Write a table for people: minutes with one decimal, a '~' where they are not exactly known."""
    out.write(f"Usage from {report.start.isoformat(' ')} to {report.end.isoformat(' ')} (by the end of a session)\n\n")
    head = ("member", "machine", "sessions", "minutes on", "of them running", "")
    rows = [_cells(line) for line in report.lines]
    if rows:
        _columns([head, *rows, _cells(report.total)], out, rule_before=len(rows) + 1)
    else:
        out.write("No session ended in this time.\n")
    if report.open:
        out.write("\nStill open (not in the sums):\n")
        _columns([(*_cells(line)[:2], line.since, *_cells(line)[3:]) for line in report.open], out)
    if report.about:
        out.write("\nAbout (in the sums by the latest possible end; the gate's clock was never synchronised):\n")
        _columns([(*_cells(line)[:2], _between(line), *_cells(line)[3:]) for line in report.about], out)
    if report.total.uncertain:
        out.write("\n~ not exactly known: the time may be longer by what stands behind it, or awaits a review\n")


def _single(state: str, session: UsageSession, names: dict[str, str]) -> Line:
    return Line(
        state=state,
        member=session.member,
        name=names.get(session.member, ""),
        machine=session.machine_name,
        sessions=1,
        energised_ms=session.energised_ms,
        running_ms=session.running_ms,
        uncertainty_ms=session.uncertainty_ms,
        uncertain=int(session.is_uncertain),
        session=session.id,
        about=int(session.is_about),
        since=_iso(session.not_before if session.is_about else session.started_at),
        until=_iso(session.not_after),
    )


def _iso(moment: datetime | None) -> str:
    return moment.isoformat() if moment else ""


def _between(line: Line) -> str:
    return f"{line.since} to {line.until}" if line.since else f"before {line.until}"


def _sums(line: Line) -> dict[str, Any]:
    return {key: value for key, value in asdict(line).items() if key not in {"state", "session", "since", "until"}}


def _cells(line: Line) -> tuple[str, ...]:
    who = TOTAL if line.state == TOTAL else f"{line.member} {line.name}".strip()
    about = f", {line.about} about" if line.about else ""
    doubt = f"~ +{_minutes(line.uncertainty_ms)}{about}" if line.uncertain else ""
    return who, line.machine, str(line.sessions), _minutes(line.energised_ms), _minutes(line.running_ms), doubt


def _minutes(ms: int) -> str:
    tenths = (ms + 3_000) // 6_000
    return f"{tenths // 10}.{tenths % 10}"


def _columns(rows: Iterable[tuple[str, ...]], out: TextIO, *, rule_before: int | None = None) -> None:
    table = [tuple(cell if cell.isprintable() else ascii(cell) for cell in row) for row in rows]
    widths = [max(len(cell) for cell in column) for column in zip(*table, strict=True)]
    for number, row in enumerate(table):
        if number == rule_before:
            out.write("-" * (sum(widths) + 2 * (len(widths) - 1)) + "\n")
        cells = [
            cell.ljust(width) if column < 2 or column == 5 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        out.write("  ".join(cells).rstrip() + "\n")
