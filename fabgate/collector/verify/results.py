"""Stores the result of a verification, and a checkpoint in the audit log if nothing was found."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any, Final

from fabgate.collector.models import Verification
from fabgate.collector.verify import checkpoints
from fabgate.collector.verify.findings import Report

#: How many findings the page shows.
SHOWN: Final = 50


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
