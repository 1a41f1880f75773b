"""One finding of a doctor: what was found, and what to do; and how all of them are reported."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final


class Outcome(StrEnum):
    """How a check ended. What cannot be determined on this computer is `NOT_CHECKED`, never `OK`."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    NOT_CHECKED = "not-checked"


@dataclass(frozen=True, slots=True)
class Finding:
    """`id` names the check (docs/reference.md lists them), `text` what was found, `next_step` what to do, or ""."""

    id: str
    outcome: Outcome
    text: str
    next_step: str = ""


#: How each outcome begins its line.
_MARKS: Final = {Outcome.OK: "ok", Outcome.WARN: "warn", Outcome.FAIL: "FAIL", Outcome.NOT_CHECKED: "-"}
_ROOT: Final = "run the command as root: sudo fabgate doctor, or sudo fabgate-collector doctor"


def ok(name: str, text: str) -> Finding:
    """Return a finding that all is well."""
    return Finding(name, Outcome.OK, text)


def warn(name: str, text: str, next_step: str) -> Finding:
    """Return a finding that a person should look at."""
    return Finding(name, Outcome.WARN, text, next_step)


def fail(name: str, text: str, next_step: str) -> Finding:
    """Return a finding that must be put right before members use the machine, or the collector."""
    return Finding(name, Outcome.FAIL, text, next_step)


def not_checked(name: str, why: str, next_step: str = "") -> Finding:
    """Return a finding that could not be determined, and why."""
    return Finding(name, Outcome.NOT_CHECKED, why, next_step)


class UndeterminedError(Exception):
    """A check is not possible; the message says why."""


def checked(name: str, check: Callable[[], Finding]) -> Finding:
    """Run one check. Whatever cannot be read leaves its finding undetermined, and never ends the doctor."""
    try:
        return check()
    except UndeterminedError as error:
        return not_checked(name, str(error))
    except PermissionError as error:
        return not_checked(
            name, f"this account has no right to read {error.filename or 'what this check needs'}", _ROOT
        )
    except Exception as error:  # noqa: BLE001 - of a driver, a database, a file of another shape: the others go on
        return not_checked(name, f"reading failed ({type(error).__name__}: {error})")


def exit_code(findings: Iterable[Finding]) -> int:
    """Return 1 if a check failed, otherwise 0: warnings and checks that were not possible are no failures."""
    return int(any(finding.outcome is Outcome.FAIL for finding in findings))


def lines(findings: Sequence[Finding], said: Callable[[str], str] = str) -> list[str]:
    """Return the findings as text for a terminal, in their order, and a last line with their numbers.

    `said` returns a text in the reader's language (fabgate/phrases.py); ids of checks and commands stay as they are.
    """
    width = max(len(finding.id) for finding in findings)
    shown: list[str] = []
    for finding in findings:
        text = f"not checked: {finding.text}" if finding.outcome is Outcome.NOT_CHECKED else finding.text
        shown.append(f"{_MARKS[finding.outcome]:<6}{finding.id:<{width}}  {said(text)}")
        if finding.next_step:
            shown.append(f"{'':<{8 + width}}→ {said(finding.next_step)}")
    counts = Counter(finding.outcome for finding in findings)
    warnings = counts[Outcome.WARN]
    total = (
        f"{counts[Outcome.FAIL]} failed",
        f"{warnings} warning{'' if warnings == 1 else 's'}",
        f"{counts[Outcome.OK]} ok",
        f"{counts[Outcome.NOT_CHECKED]} not checked",
    )
    return [*shown, "", ", ".join(map(said, total))]


def as_json(findings: Sequence[Finding]) -> dict[str, Any]:
    """Return the findings for programs."""
    return {
        "ok": not exit_code(findings),
        "findings": [
            {"id": one.id, "outcome": str(one.outcome), "text": one.text, "next": one.next_step} for one in findings
        ],
    }
