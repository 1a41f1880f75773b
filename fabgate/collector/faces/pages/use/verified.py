"""What the last verification of the books found, in words for the page Completeness."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fabgate.collector.ground.base import called
from fabgate.collector.ground.models import Verification
from fabgate.collector.money.paper.figures import NOTHING
from fabgate.collector.money.paper.verification.words import PROBLEMS, TABLES


@dataclass(frozen=True, slots=True)
class Found:
    """A finding as the page shows it."""

    table: str
    row: str
    problem: str
    column: str
    found: str
    wanted: str


@dataclass(frozen=True, slots=True)
class Verified:
    """The last verification."""

    run: Verification
    is_stale: bool
    findings: list[Found]
    #: (name of the table, number of rows that were compared)
    compared: list[tuple[str, int]]
    #: When the database was restored, and the head of the log before.
    restores: list[tuple[datetime, str]]
    #: Whether charges did not follow all sessions yet; those that did were compared.
    is_behind: bool

    @property
    def state(self) -> str:
        """Return the state that gives the colour of the message."""
        if self.run.trouble or self.run.findings:
            return "error"
        return "warning" if self.is_stale else "success"

    @property
    def more(self) -> int:
        """Return how many findings are not shown."""
        return max(0, self.run.findings - len(self.findings))

    @property
    def command(self) -> str:
        """Return the command that shows all."""
        return called.command("verify")


def last(now: datetime) -> Verified | None:
    """Return the last verification; None before the first one."""
    run = Verification.last()
    if run is None:
        return None
    restored = [note for note in run.notes if note["note"] == "restored"]
    return Verified(
        run=run,
        is_stale=run.is_stale(now),
        findings=[_found(row) for row in run.shown],
        compared=[(str(name), run.compared[table]) for table, name in TABLES.items() if run.compared.get(table)],
        restores=[(datetime.fromisoformat(note["at"]), note["head"]) for note in restored],
        is_behind=any(note["note"] == "charges-later" for note in run.notes),
    )


def _found(row: Mapping[str, Any]) -> Found:
    """Return a finding; without a column, `wanted` is an explanation in English, which is left out.

    `found` is then why a row could not be compared, if it could not.
    """
    table, problem = str(row["table"]), str(row["problem"])
    wanted = (row["wanted"] or NOTHING) if row["column"] else NOTHING
    return Found(
        str(TABLES.get(table, table)),
        str(row["row"]) or NOTHING,
        str(PROBLEMS.get(problem, problem)),
        row["column"],
        row["found"] or (NOTHING if row["column"] else ""),
        wanted,
    )
