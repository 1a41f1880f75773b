"""What verification finds: a row that is not as it should be, in which column, and what to do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, Final, TypedDict

#: What is wrong with a row.
CHANGED, MISSING, ADDED = "changed", "missing", "added"
#: It could not be compared: `found` says why.
UNCHECKED: Final = "unchecked"
#: How many findings of each table are kept with their values; the others are only counted.
MOST_KEPT: Final = 200
#: How many characters of a value are shown.
_MOST_SHOWN: Final = 200


@dataclass(frozen=True, slots=True)
class Finding:
    """One row that is not as it should be.

    `column` is empty if the whole row is missing, or should not be there. `found` and `wanted` are values as text; None
    is NULL, or not known. `row` is empty if a part of the verification about the whole table failed. `since` is when the
    audit log got the wanted value, as text, if that is known.
    """

    table: str
    row: str
    problem: str
    column: str = ""
    found: str | None = None
    wanted: str | None = None
    since: str | None = None

    @property
    def text(self) -> str:
        """Return the finding as one line."""
        where = f"{self.table} {self.row}".rstrip()
        if self.problem == UNCHECKED:
            return f"{where}: could not be compared ({self.found})"
        if not self.column:
            why = f": {self.wanted}" if self.wanted else ""
            return f"{where}: {_PROBLEMS[self.problem]}{why}"
        since = f", in the audit log since {self.since}" if self.since else ""
        return f"{where}: {self.column}: found {_shown(self.found)}, wanted {_shown(self.wanted)}{since}"


_PROBLEMS: Final = {CHANGED: "was changed", MISSING: "is missing", ADDED: "should not be there"}
#: What to do about a finding in a table; in another one, `_LOGGED`.
_ADVICE: Final = {
    "entry": "put back a copy from before; gates do not send acknowledged entries again",
    "journal": "put back a copy from before, or correct the row as shown",
    "hole": "put back a copy from before, or correct the row as shown",
    "quarantine": "put back a copy from before",
    "refusal": "put back a copy from before, or correct the row as shown",
    "boot": "correct the row as shown",
    "usagesession": "correct the row as shown; if the value on record is right, a correction on the session's page says so",
    "correction": "compare with the audit log, which has each correction with its author",
    "review": "compare with the audit log, which has each decision with its author",
    "ledgerline": "put back a copy from before; programs that read the ledger may have the right line",
    "usageday": "stop the collector, empty rolled_tz of collector_collector and start it: the sums are computed again",
    "usagemonth": "stop the collector, empty rolled_tz of collector_collector and start it: the sums are computed again",
    "closedmonth": "compare its charges, lines and prepaid entries with a copy from before, and put that back",
    "prepaidentry": "compare with the audit log, which has each entry with its author, and with the till",
    "charge": "stop the collector, delete its row, set position to 0 and terms to '' in collector_billingprogress, and start it:"
    " charges are made again",
    "chargeterms": "put back a copy from before",
    "tariffrule": "write back what the audit log has: charges of open months follow",
    "vatrate": "write back what the audit log has: totals with VAT follow",
    "plan": "write back what the audit log has: charges of open months follow",
    "planchange": "write back what the audit log has: charges of open months follow",
    "payer": "correct the record on the page of the payer, or write back what the audit log has",
    "payerreference": "correct the reference on the page of the payer, or write back what the audit log has",
    "change": "put back a copy from before, and find out who can write the database",
    "audithead": "compare the log with a head that was written down (--head), or with the newest copy; if no row is missing,"
    " say so with --confirm-head, which the log keeps",
}
#: For tables of which the log has each change.
_LOGGED: Final = (
    "compare with the audit log, which has each change with its author, and write back what it has; gates follow with the"
    " next change of a person or a machine"
)


_UNCHECKED: Final = (
    "correct what the other findings name, and verify again; if this line stays, a row that it does not know cannot be read:"
    " put back a copy from before"
)


def advice(table: str, *, is_compared: bool = True) -> str:
    """Return what to do about findings in a table, also if it could only not be compared."""
    if not is_compared:
        return _UNCHECKED
    return _ADVICE.get(table, _LOGGED)


class Note(TypedDict):
    """A fact for people that is no finding.

    `note` is RESTORED, with the head that the audit log had before and the moment of the restore, or LATER.
    """

    note: str
    head: str
    at: str


RESTORED: Final = "restored"
#: Charges of open months do not follow all sessions yet: the others are compared.
LATER: Final = "charges-later"


#: How many findings are kept, and the counts of a report.
Mark = tuple[int, Counter[str], Counter[str]]


@dataclass
class Report:
    """The findings of a run, and how many rows each part compared."""

    findings: list[Finding] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    compared: Counter[str] = field(default_factory=Counter)
    notes: list[Note] = field(default_factory=list)
    #: The head of the audit log as text.
    head: str = ""
    #: For the next checkpoint: the ids before the first and of the last new ledger line, and their digest; and the last
    #: entry of each journal.
    new_lines: tuple[int, int, str] | None = None
    last_entries: dict[str, str] = field(default_factory=dict)

    def add(self, finding: Finding) -> None:
        """Add a finding."""
        self.counts[finding.table] += 1
        if self.counts[finding.table] <= MOST_KEPT:
            self.findings.append(finding)

    def changed(self, table: str, row: object, column: str, found: Any, wanted: Any, *, since: Any = None) -> None:
        """Add a finding about one column."""
        self.add(Finding(table, as_text(row) or "", CHANGED, column, as_text(found), as_text(wanted), as_text(since)))

    def changed_as_a_whole(self, table: str, row: object, why: str) -> None:
        """Add a finding about a row that no longer fits what belongs to it."""
        self.add(Finding(table, as_text(row) or "", CHANGED, wanted=why))

    def missing(self, table: str, row: object, why: str = "") -> None:
        """Add a finding about a row that is missing."""
        self.add(Finding(table, as_text(row) or "", MISSING, wanted=why or None))

    def added(self, table: str, row: object, why: str = "") -> None:
        """Add a finding about a row that should not be there."""
        self.add(Finding(table, as_text(row) or "", ADDED, wanted=why or None))

    def unchecked(self, table: str, row: object, why: str) -> None:
        """Add that a row, or a part of the verification about a table, could not be compared."""
        self.add(Finding(table, as_text(row) or "", UNCHECKED, found=as_text(why)))

    def mark(self) -> Mark:
        """Return what was found until now, for `back_to`."""
        return len(self.findings), Counter(self.counts), Counter(self.compared)

    def back_to(self, mark: Mark) -> None:
        """Forget what was found since `mark`."""
        found, self.counts, self.compared = mark
        del self.findings[found:]

    @property
    def total(self) -> int:
        """Return how many findings there are, also those that are only counted."""
        return self.counts.total()

    def as_json(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return {
            "ok": not self.total,
            "compared": dict(self.compared),
            "findings": [asdict(finding) for finding in self.findings],
            "counts": dict(self.counts),
            "notes": self.notes,
            "head": self.head,
        }


#: Reports that so many more rows were compared.
Advance = Callable[[int], None]


def as_text(value: Any) -> str | None:
    """Return a value as a finding shows it."""
    if value is None:
        return None
    if isinstance(value, (bytes, memoryview)):
        return bytes(value).hex()
    text = value.isoformat() if hasattr(value, "isoformat") else str(value)
    # The result is stored, and PostgreSQL has no NUL and no half of a character in a text.
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")


def _shown(value: str | None) -> str:
    if value is None:
        return "nothing"
    return repr(value if len(value) <= _MOST_SHOWN else f"{value[:_MOST_SHOWN]}…")
