"""Checks the ledger: the lines of each session in their order, and the newest one against the session.

Older lines cannot be computed again, because they hold what was known then. So each night a row of the audit log keeps a
digest of the new ones (processes/verify/checkpoints.py), and they are compared with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import msgspec

from fabgate.collector.ground.models import LedgerLine
from fabgate.collector.ground.models.sessions import counted
from fabgate.collector.processes.verify import checkpoints
from fabgate.collector.processes.verify.decisions import Decisions
from fabgate.collector.processes.verify.findings import Advance, Report
from fabgate.collector.processes.verify.snapshot import Workspace, moment, pages
from fabgate.collector.recording.sessions.merge import DerivedSession

#: The values that a line repeats of its session.
_VALUES: Final = (
    *("used_by", "payer", "purpose", "category", "started_at", "ended_at", "not_before", "counted_ms", "running_ms"),
    *("uncertainty_ms", "reason", "review"),
)
_LINES: Final = f"SELECT id, session_id, kind, at, author, why, {', '.join(_VALUES)} FROM collector_ledgerline WHERE"  # noqa: S608


class _Line(msgspec.Struct, frozen=True, array_like=True):
    pk: int
    session: str
    kind: str
    at: datetime | None
    author: str
    why: str
    used_by: str
    payer: str
    purpose: str
    category: str
    started_at: datetime | None
    ended_at: datetime | None
    not_before: datetime | None
    counted_ms: int
    running_ms: int
    uncertainty_ms: int
    reason: str
    review: str

    @property
    def reported(self) -> tuple[Any, ...]:
        """Return the values of the session."""
        return tuple(getattr(self, name) for name in _VALUES)


_encode: Final = msgspec.msgpack.encode
_decode: Final = msgspec.msgpack.Decoder(_Line).decode


def load(report: Report, workspace: Workspace, advance: Advance) -> None:
    """Note all lines in the workspace, and compare the older ones with the digests in the audit log."""
    digests = checkpoints.Digests()
    for page in pages(_LINES, "id", after=-(1 << 63)):
        lines = []
        for values in page:
            plain: list[Any] = [moment(value) if isinstance(value, datetime) else value for value in values]
            line = _Line(*plain)
            packed = _encode(line)
            digests.add(line.pk, packed)
            lines.append((line.session, line.pk, packed))
        workspace.insert("line", lines)
        report.compared["ledgerline"] += len(page)
        advance(len(page))
    workspace.index("line", "session")
    digests.check(report)


def check(report: Report, workspace: Workspace, stored: Mapping[str, DerivedSession], decided: Decisions) -> None:
    """Check the lines of `stored` sessions."""
    found = workspace.of("line", list(stored))
    for session, row in stored.items():
        lines = [_decode(packed) for _pk, packed in found.get(session, ())]
        if not lines:
            if row.reason is not None:
                report.missing("ledgerline", session, "the session has ended")
            continue
        _check_order(report, lines, decided.authors(session))
        _check_newest(report, lines[-1], row)


def _check_order(report: Report, lines: list[_Line], authors: set[tuple[str, str]]) -> None:
    before: _Line | None = None
    for line in lines:
        name = f"{line.pk} ({line.session})"
        had_ended = before is not None and before.kind != LedgerLine.WITHDRAWN
        if before is not None and had_ended and before.reported == line.reported:
            report.added("ledgerline", name, "it repeats the line before")
        elif line.kind != (wanted := _kind(before if had_ended else None, line)):
            report.changed("ledgerline", name, "kind", line.kind, wanted)
        if line.author and (line.author, line.why) not in authors:
            known = {author for author, _why in authors}
            column, wanted_one = ("why", None) if line.author in known else ("author", None)
            report.changed("ledgerline", name, column, getattr(line, column), wanted_one)
        elif not line.author and line.why:
            report.changed("ledgerline", name, "why", line.why, "")
        before = line


def _kind(before: _Line | None, line: _Line) -> str:
    """Return the kind of a line, as recording/sessions/ledger.py does; `before` is the line before if the session had ended."""
    if before is None:
        return LedgerLine.ENDED
    if not line.reason:
        return LedgerLine.WITHDRAWN
    if not line.author:
        return LedgerLine.CHANGED
    is_same = before.reported[:-1] == line.reported[:-1]
    return LedgerLine.REVIEWED if is_same else LedgerLine.CORRECTED


def _check_newest(report: Report, line: _Line, row: DerivedSession) -> None:
    name = f"{line.pk} ({line.session})"
    if row.reason is None:
        if line.kind != LedgerLine.WITHDRAWN:
            report.added("ledgerline", name, "the session has not ended")
        return
    wanted: dict[str, Any] = {column: getattr(row, column, None) for column in _VALUES}
    wanted |= {"running_ms": counted.running_ms(row), "uncertainty_ms": counted.uncertainty_ms(row)}
    wanted |= {"reason": row.reason or "", "review": row.review or ""}
    for column in _VALUES:
        if (found := getattr(line, column)) != wanted[column]:
            report.changed("ledgerline", name, column, found, wanted[column])
