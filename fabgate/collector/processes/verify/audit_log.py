"""Checks the audit log: the numbers and seals of its rows (ground/db/chains.py), and its head."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from fabgate.collector.ground.base import data_folder
from fabgate.collector.ground.db.chains import CHANGES, FIRST, Head, SealedRow
from fabgate.collector.processes.verify import audit_head
from fabgate.collector.processes.verify.findings import CHANGED, RESTORED, Advance, Finding, Report
from fabgate.collector.processes.verify.snapshot import PAGE
from fabgate.errors import SealError

#: A seal shows that one of the values was changed, not which one.
_VALUES: Final = f"one of {', '.join(CHANGES.columns)}"


def check(report: Report, kept: Head | None, noted: Head | None, advance: Advance) -> Head:
    """Check every row; return the head.

    `kept` is the head in FABGATE_DATA, read before the rows; `noted` one that a person wrote down. Raises SealError if no
    row has the right seal, because ``secret.key`` is another one.
    """
    wanted = [head for head in dict.fromkeys((kept, noted)) if head is not None and head.number]
    reader = _Reader(report, {head.number for head in wanted})
    rows = 0
    for rows, row in enumerate(CHANGES.rows(), 1):
        reader.read(row)
        if rows % PAGE == 0:
            advance(PAGE)
    report.compared["change"] += rows
    if reader.wrong and not reader.right:
        raise SealError(
            "no row of the audit log has the right seal: put back the secret.key of FABGATE_DATA with which the rows were"
            " written"
        )
    reader.finish()
    _check_heads(report, reader, wanted, kept)
    return CHANGES.head()


@dataclass(slots=True)
class _Suspect:
    """A row with a wrong seal. Whether the seal or a value was changed is known once the next row follows one of them."""

    name: str
    stored: bytes
    right: bytes


class _Reader:
    """Reads the rows in the order of their ids."""

    def __init__(self, report: Report, wanted: set[int]) -> None:
        self._report, self._wanted = report, wanted
        #: The last number, and the seals that the next row may follow; none if the row before is missing.
        self.number = 0
        self._before: tuple[bytes, ...] = (FIRST,)
        self._suspect: _Suspect | None = None
        #: The seals of the wanted numbers; how many rows have the right seal, and how many a wrong one.
        self.seals: dict[int, bytes] = {}
        self.right = self.wrong = 0

    def read(self, row: SealedRow) -> None:
        """Check one row."""
        name, following = str(row.pk), self.number + 1
        if row.number is None and row.seal is None:
            self._report.added("change", name, "the collector did not write it")
            return
        computed = [] if row.values is None else [CHANGES.seal(seal, following, row.values) for seal in self._before]
        is_right = row.seal in computed
        if row.number != following:
            if is_right or row.number is None:
                self._report.changed("change", name, "number", row.number, following)
            elif row.number < following:
                self._report.added("change", name, f"a row before it has the number {row.number} or a higher one")
                return
            else:
                self._report.missing("change", _numbers(following, row.number - 1))
                self.finish()
                self._go_on(row.number, (row.seal,) if row.seal else ())
                return
        if is_right:
            self.right += 1
            self._name_suspect(computed.index(row.seal or b""))
        elif row.seal is None:
            self.finish()
            self._report.changed("change", name, "seal", None, computed[0] if computed else None)
        elif self._before:
            self.finish()
            self.wrong += 1
            self._suspect = _Suspect(name, row.seal, computed[0] if computed else b"")
        seals = ([row.seal] if row.seal else []) + [seal for seal in computed if seal != row.seal]
        self._go_on(following, tuple(seals))

    def finish(self) -> None:
        """Report a row with a wrong seal that no row follows."""
        if (suspect := self._suspect) is not None:
            self._report.add(Finding("change", suspect.name, CHANGED, wanted=f"{_VALUES}, or its seal"))
        self._suspect = None

    def _name_suspect(self, followed: int) -> None:
        """Report the row before, of which this row follows the stored seal (0), or the computed one."""
        if (suspect := self._suspect) is not None:
            if followed:
                self._report.changed("change", suspect.name, "seal", suspect.stored, suspect.right)
            else:
                self._report.add(Finding("change", suspect.name, CHANGED, wanted=_VALUES))
        self._suspect = None

    def _go_on(self, number: int, seals: tuple[bytes, ...]) -> None:
        self.number, self._before = number, seals
        if number in self._wanted and seals:
            self.seals[number] = seals[0]


def _check_heads(report: Report, reader: _Reader, wanted: list[Head], kept: Head | None) -> None:
    """Check that the log still has the heads that were kept outside of the database."""
    restored = audit_head.restored_heads()
    for text, row in restored.items():
        report.notes.append({"note": RESTORED, "head": text, "at": row.at.isoformat()})
    if kept is None and reader.number:
        why = "somebody may have deleted it together with the newest rows of the log"
        report.missing("audithead", data_folder.AUDIT_HEAD, why)
    for head in wanted:
        if reader.seals.get(head.number) == head.seal or (head == kept and str(head) in restored):
            continue
        if head.number > reader.number:
            why = "they were deleted, or an older copy of the database was put back"
            report.missing("change", _numbers(reader.number + 1, head.number), why)
        else:
            report.changed("change", f"number {head.number}", "seal", reader.seals.get(head.number), head.seal)


def _numbers(first: int, last: int) -> str:
    return f"number {first}" if first == last else f"numbers {first} to {last}"
