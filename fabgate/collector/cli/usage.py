"""Reports who used which machine, and for how long: ``fabgate collector usage``.

A session belongs to the period [from, to) in which it ended, so that each session counts once however time is divided.
If its boot never synchronised, its latest possible end counts; "about" is the number of such sessions. CSV and JSON
contain exact milliseconds; only the table rounds.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from dataclasses import asdict, dataclass, fields
from datetime import datetime, time, tzinfo
from typing import Any, TextIO
from zoneinfo import ZoneInfo

from django.conf import settings

from fabgate import days
from fabgate.collector.cli import text_table
from fabgate.collector.ground.base import called, local_times
from fabgate.collector.ground.models import Member, UsageSession
from fabgate.collector.ground.tables.csv_safety import escape_row
from fabgate.errors import UsageError

TOTAL = "total"
#: Outside these years time zones cannot be computed, because the calendar ends.
_YEARS = range(1900, 9999)
#: The columns with numbers, which are aligned right.
_RIGHT = (2, 3, 4)


@dataclass(frozen=True, slots=True)
class Line:
    """Sums of sessions. `uncertain` of them are not exact or await a review; `about` of them have no exact date.

    `energy_wh` is that of the `measured` ones among them, None if there is none.
    """

    state: str  # `ended`; open and undated sessions have lines of their own
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
    energy_wh: int | None = None
    measured: int = 0


@dataclass(frozen=True, slots=True)
class Report:
    """The report: `lines` and their `total`, and separately the open sessions and those without a certain date."""

    start: datetime
    end: datetime
    lines: list[Line]
    total: Line
    open: list[Line]
    about: list[Line]


def show(args: argparse.Namespace) -> int:
    """Print the report of the period in the requested form."""
    start, end = interval(args.start, args.end, args.tz)
    report = collect(start, end)
    write = {"csv": write_csv, "json": write_json}.get(args.form, write_table)
    write(report, sys.stdout)
    return 0


def interval(start: str, end: str, tz: str | None) -> tuple[datetime, datetime]:
    """Parse the arguments. Raises UsageError with a line for each mistake."""
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
            moment = days.any_moment(text)
        except ValueError:
            mistakes.append(f"{option}: found {text!r}, wanted a moment such as 2026-11-01 or 2026-11-01T08:00+01:00")
            continue
        if moment.year not in _YEARS:
            mistakes.append(f"{option}: found {text!r}, wanted a year from {_YEARS[0]} to {_YEARS[-1]}")
        elif moment.tzinfo is None and zone is not None:
            moment, mistake = _in_zone(text, moment, zone)
            mistakes += [f"{option}: {mistake}"] if mistake else []
        moments.append(moment)
    if not mistakes and moments[0] >= moments[1]:
        mistakes.append(f"--to: found {end!r}, wanted a moment after --from ({start})")
    if mistakes:
        raise UsageError("\n".join(mistakes))
    return moments[0], moments[1]


def _in_zone(text: str, local: datetime, zone: tzinfo) -> tuple[datetime, str]:
    """Return the moment at which clocks in `zone` show `local`, and what is wrong with it.

    A skipped midnight becomes the first moment after it.
    """
    moment = local.replace(tzinfo=zone)
    if local.time() == time():
        return moment, ""
    shown = local_times.moments(local, zone)
    if len(shown) == 1:
        return moment, ""
    why = "came twice" if shown else "never was"
    meant = [moment.astimezone(zone) for moment in shown] or local_times.beside(local, zone)
    return moment, f"found {text!r}, which {why} in {zone}, wanted {' or '.join(time.isoformat() for time in meant)}"


def collect(start: datetime, end: datetime) -> Report:
    """Return the usage in [start, end)."""
    names = Member.names()
    lines = [
        Line(
            state="ended",
            member=row["used_by"],
            name=names.get(row["used_by"], ""),
            machine=row["where"],
            sessions=row["sessions"],
            energised_ms=row["energised_ms"],
            running_ms=row["running_ms"],
            uncertainty_ms=row["uncertainty_ms"],
            uncertain=row["uncertain"],
            about=row["about"],
            energy_wh=row["energy_wh"],
            measured=row["measured"],
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
        energy_wh=sum(line.energy_wh or 0 for line in lines) if any(line.measured for line in lines) else None,
        measured=sum(line.measured for line in lines),
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
    """Write a line for each member and machine, then the open sessions; `state` distinguishes them."""
    names = [field.name for field in fields(Line) if field.name != "until"]
    writer = csv.DictWriter(out, names, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(escape_row(asdict(line)) for line in (*report.lines, *report.open))


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
    """Write a table with hours, minutes and seconds, and '~' before values that are not exact."""
    out.write(f"Usage {between(report.start, report.end)} (by the end of a session; h:mm:ss)\n\n")
    head = ("member", "machine", "sessions", "powered on", "of which running", "")
    rows = [_cells(line) for line in report.lines]
    if rows:
        text_table.write([head, *rows, _cells(report.total)], out, right=_RIGHT, rule_before=len(rows) + 1)
    else:
        out.write("No session ended in this time.\n")
    if report.open:
        out.write("\nStill open (not in the sums):\n")
        zone = report.start.tzinfo
        opened = [(*_cells(line)[:2], _since(line, zone), *_cells(line)[3:]) for line in report.open]
        text_table.write(
            [("member", "machine", "since", "powered on", "of which running", ""), *opened], out, right=(3, 4)
        )
    if report.about:
        out.write("\nAbout (in the sums by the latest possible end; the gate's clock was never synchronised):\n")
        placed = [(*_cells(line)[:2], _between(line, report.start.tzinfo), *_cells(line)[3:]) for line in report.about]
        text_table.write(
            [("member", "machine", "between", "powered on", "of which running", ""), *placed], out, right=(3, 4)
        )
    if report.total.uncertain:
        out.write(
            "\n~ not exactly known: it may have been longer by the time shown, or awaits a review"
            f" (see `{called.command('sessions')}`)\n"
        )


def _single(state: str, session: UsageSession, names: dict[str, str]) -> Line:
    return Line(
        state=state,
        member=session.used_by,
        name=names.get(session.used_by, ""),
        machine=session.machine_name,
        sessions=1,
        energised_ms=session.counted_ms,
        running_ms=session.counted_running_ms,
        uncertainty_ms=session.counted_uncertainty_ms,
        uncertain=int(session.is_uncertain),
        session=session.id,
        about=int(session.is_about),
        since=_iso(session.not_before if session.is_about else session.started_at),
        until=_iso(session.not_after),
        energy_wh=session.energy_wh,
        measured=int(session.energy_wh is not None),
    )


def _iso(moment: datetime | None) -> str:
    return moment.isoformat() if moment else ""


def between(start: datetime, end: datetime) -> str:
    """Return the period in words."""
    return f"from {_moment(start)} to {_moment(end)}"


def _moment(moment: datetime) -> str:
    """Return a time in its own zone, with the zone's name; seconds only if they are not 0."""
    return f"{moment:%Y-%m-%d %H:%M:%S %Z}" if moment.second else f"{moment:%Y-%m-%d %H:%M %Z}"


def _since(line: Line, zone: tzinfo | None) -> str:
    return _local(line.since, zone) if line.since else "a moment that is not known"


def _between(line: Line, zone: tzinfo | None) -> str:
    until = _local(line.until, zone)
    return f"{_local(line.since, zone)} and {until}" if line.since else f"before {until}"


def _local(moment: str, zone: tzinfo | None) -> str:
    return f"{datetime.fromisoformat(moment).astimezone(zone):%Y-%m-%d %H:%M:%S}"


def _sums(line: Line) -> dict[str, Any]:
    return {key: value for key, value in asdict(line).items() if key not in {"state", "session", "since", "until"}}


def _cells(line: Line) -> tuple[str, ...]:
    who = TOTAL if line.state == TOTAL else f"{line.member} {line.name}".strip()
    notes = [f"up to {text_table.clock(line.uncertainty_ms)} more"] if line.uncertainty_ms else []
    notes += [f"{line.about} about"] if line.about else []
    doubt = f"~ {', '.join(notes) or 'to review'}" if line.uncertain else ""
    times = text_table.clock(line.energised_ms), text_table.clock(line.running_ms)
    return who, line.machine, str(line.sessions), *times, doubt
