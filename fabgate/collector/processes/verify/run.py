"""Runs all parts of the verification on one snapshot of the database, and stores the result.

A part is one function, which adds to the report what it finds. Another part is one more file and one more line in
`_parts`. A part that cannot be carried out is a finding itself, and the others go on (guard.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from fabgate.collector.ground.db import one_state, statements
from fabgate.collector.ground.db.chains import Head
from fabgate.collector.ground.models import (
    BillingTerms,
    Change,
    Collector,
    Entry,
    LedgerLine,
    UsageSession,
    Verification,
)
from fabgate.collector.money.billing import closing
from fabgate.collector.processes.verify import (
    audit_head,
    audit_log,
    checkpoints,
    guard,
    sessions,
    snapshot,
    sums,
)
from fabgate.collector.processes.verify.findings import Advance, Report
from fabgate.collector.processes.verify.gates import entries, refusals
from fabgate.collector.processes.verify.money import charges, prepaid, prices
from fabgate.collector.processes.verify.tables import forms, logged
from fabgate.errors import FabgateError, SealError

#: Is called with how many of how many rows are compared.
Progress = Callable[[int, int], None]


#: How many findings the page shows.
SHOWN: Final = 50


class CannotVerifyError(FabgateError):
    """The books cannot be checked; exit code 1."""


def run(data: Path, *, noted: Head | None = None, progress: Progress = lambda _done, _all: None) -> Report:
    """Compare everything, and return the report.

    `noted` is a head of the audit log that a person wrote down. Raises CannotVerifyError.
    """
    # Read before the snapshot: the log of the snapshot is at least as long.
    kept = audit_head.noted(data)
    try:
        with one_state.reading(), snapshot.workspace() as workspace:
            row = _site_and_zone()
            report = Report()
            for table, part in _parts(report, workspace, *row, kept, noted, _counted(progress)):
                guard.carry_out(report, table, part)
    except SealError as error:
        raise CannotVerifyError(str(error)) from error
    except FabgateError:
        raise
    except Exception as error:  # all else must be stored as the result, too
        raise CannotVerifyError(
            f"the books cannot be read ({guard.reason(error)}); check the database and the disk, or put back a copy"
        ) from error
    return report


def _site_and_zone() -> tuple[str, str]:
    """Return them. No other column is read: one that cannot be read is a finding like those of all tables."""
    row = Collector.objects.filter(id=1).values_list("site", "rolled_tz").first()
    if row is None or not row[1]:
        raise CannotVerifyError("found no time zone in the database; start the collector once")
    return row


def _parts(
    report: Report,
    workspace: snapshot.Workspace,
    site: str,
    zone: str,
    kept: Head | None,
    noted: Head | None,
    advance: Advance,
) -> Iterator[tuple[str, Callable[[], object]]]:
    """Yield each part, with the table that a finding names if the part cannot be carried out."""

    def audit() -> None:
        report.head = str(audit_log.check(report, kept, noted, advance))

    read: list[int | None] = []
    yield "entry", lambda: forms.check(report)
    yield "entry", lambda: read.append(entries.check(report, workspace, site, advance))
    refused = read[0] if read else None
    yield "refusal", lambda: refusals.check(report, refused, site)
    yield "journal", lambda: checkpoints.check_entries(report)
    if refused is None:
        report.unchecked("usagesession", "", "some entries cannot be read")
    else:
        yield "usagesession", lambda: sessions.check(report, workspace, advance)
    yield "usageday", lambda: sums.check(report, ZoneInfo(zone), advance)
    yield "change", audit
    yield "change", lambda: logged.check(report)
    yield "planchange", lambda: prices.check(report)
    yield "prepaidentry", lambda: prepaid.check(report)
    yield "closedmonth", lambda: _check_closed_months(report)
    yield "charge", lambda: charges.check(report, advance)


def _check_closed_months(report: Report) -> None:
    """Compare the months that are closed with their charges and lines, and with the audit log."""
    for month, _sha256, wrong in closing.verify():
        report.compared["closedmonth"] += 1
        for why in wrong:
            report.changed_as_a_whole("closedmonth", month, why)


def _counted(progress: Progress) -> Advance:
    """Return a function that adds up the compared rows.

    Sessions are read by themselves, for the sums and, where billing was started, for the charges.
    """
    size = sum(_count(model._meta.db_table) for model in (Entry, LedgerLine, Change))  # noqa: SLF001 (Django's name for it)
    times = 3 if _count(BillingTerms._meta.db_table) else 2  # noqa: SLF001 (as above)
    size += times * _count(UsageSession._meta.db_table)  # noqa: SLF001 (as above)
    done = 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        progress(min(done, size), size)

    progress(0, size)
    return advance


def _count(table: str) -> int:
    with statements.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {table}")  # noqa: S608
        return int(cursor.fetchall()[0][0])


def save(report: Report, began_at: datetime, ended_at: datetime, *, actor: str) -> None:
    """Store the result of a run, and a checkpoint by `actor` if nothing was found."""
    if not report.total:
        checkpoints.write(report, actor=actor)
    _store(
        began_at,
        ended_at,
        findings=report.total,
        shown=[asdict(finding) for finding in report.findings[:SHOWN]],
        compared=dict(report.compared),
        notes=report.notes,
        head=report.head,
    )


def save_trouble(trouble: str, began_at: datetime, ended_at: datetime) -> None:
    """Store that the books could not be compared."""
    _store(began_at, ended_at, trouble=trouble[:500])


def _store(began_at: datetime, ended_at: datetime, **values: Any) -> None:
    empty = {"trouble": "", "findings": 0, "shown": [], "compared": {}, "notes": [], "head": ""}
    Verification.objects.update_or_create(
        id=1, defaults={"began_at": began_at, "ended_at": ended_at, **empty, **values}
    )
