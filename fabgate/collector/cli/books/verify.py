"""Compares the books with what was recorded: ``verify``."""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TextIO

from django.conf import settings
from django.db import DatabaseError, InterfaceError
from django.utils import translation

from fabgate.collector.cli.books import save_file
from fabgate.collector.cli.progress_bar import Bar
from fabgate.collector.ground.base import called
from fabgate.collector.ground.db import audit
from fabgate.collector.ground.db.chains import Head
from fabgate.collector.ground.models import Verification
from fabgate.collector.money.paper.verification import pdf
from fabgate.collector.processes.verify import audit_head, run
from fabgate.collector.processes.verify.findings import LATER, RESTORED, UNCHECKED, Note, Report, advice
from fabgate.errors import AlteredError, UsageError

log = logging.getLogger(__name__)

#: By how much the process of the worker lowers its priority.
_NICER: Final = 10
_NOUNS: Final = {
    "entry": "entries",
    "journal": "journals",
    "boot": "boots",
    "gate": "gates",
    "usagesession": "sessions",
    "correction": "corrections",
    "review": "reviews",
    "ledgerline": "ledger lines",
    "usageday": "sums of days",
    "usagemonth": "sums of months",
    "refusal": "refused badges",
    "member": "members",
    "group": "groups",
    "badge": "badges",
    "training": "trainings",
    "grant": "granted trainings",
    "block": "blocks",
    "machine": "machines",
    "opening": "opening hours",
    "specialday": "special days",
    "account": "accounts",
    "onetimelink": "one-time links",
    "apikey": "API keys",
    "workshop": "letterheads",
    "sink": "programs",
    "change": "rows of the audit log",
    "closedmonth": "closed months",
    "charge": "charges of open months",
    "chargeterms": "terms of charges",
    "billingterms": "terms of billing",
    "tariffrule": "rules",
    "vatrate": "VAT rates",
    "plan": "plans",
    "planchange": "plans of members",
    "payer": "payers",
    "payerreference": "references of payers",
    "waiver": "waived sessions",
    "manualline": "lines",
    "prepaidchange": "changes of settlement",
    "admission": "admissions",
    "prepaidentry": "prepaid entries",
    "contest": "contests",
    "issuedstatement": "statements",
}


def verify(args: argparse.Namespace) -> int:
    """Compare everything, and print what was altered. The exit code is that of AlteredError if anything was."""
    data, began_at = settings.ENVIRONMENT.data, datetime.now(UTC)
    noted = _head(args.head) if args.head else None
    if args.confirm_head:
        audit_head.confirm(data, actor=audit.cli_actor(None))
    if args.nightly:
        os.nice(_NICER)
    bar = Bar(sys.stderr)
    try:
        report = run.run(data, noted=noted, progress=bar.show)
    except run.CannotVerifyError as error:
        with contextlib.suppress(DatabaseError, InterfaceError):  # it may be why
            run.save_trouble(str(error), began_at, datetime.now(UTC))
        raise
    finally:
        bar.clear()
    actor = audit.WORKER if args.nightly else audit.cli_actor(None)
    run.save(report, began_at, datetime.now(UTC), actor=actor)
    if not report.total:
        audit_head.keep_up(data)
    if args.pdf and (last := Verification.last()) is not None:
        with translation.override(settings.ENVIRONMENT.lang):
            save_file.save(Path(args.pdf), [pdf.of(last)])
    if args.nightly:
        log.log(logging.ERROR if report.total else logging.INFO, "the books: %d findings", report.total)
    elif args.json:
        sys.stdout.write(json.dumps(report.as_json(), indent=2, ensure_ascii=False) + "\n")
    else:
        _print(report, sys.stdout)
    return AlteredError.exit_code if report.total else 0


def _print(report: Report, out: TextIO) -> None:
    compared = ", ".join(
        f"{report.compared[table]:,} {noun}" for table, noun in _NOUNS.items() if report.compared[table]
    )
    out.write(f"Compared: {compared or 'nothing, because nothing is stored yet'}.\n")
    out.writelines(f"Note: {_note(note)}.\n" for note in report.notes)
    if report.head:
        out.write(f"Head of the audit log: {report.head}\n")
    if not report.total:
        out.write("Nothing was altered.\n")
        return
    for table in dict.fromkeys(finding.table for finding in report.findings):
        found = [finding for finding in report.findings if finding.table == table]
        out.writelines(f"ALTERED {finding.text}\n" for finding in found)
        if (more := report.counts[table] - len(found)) > 0:
            out.write(f"  and {more:,} more\n")
        is_compared = any(finding.problem != UNCHECKED for finding in found)
        out.write(f"  What to do: {advice(table, is_compared=is_compared)}.\n")
    out.write(f"{report.total:,} finding{'' if report.total == 1 else 's'}. See docs/verify.md.\n")


def _head(text: str) -> Head:
    try:
        return Head.parse(text)
    except ValueError:
        raise UsageError(
            f"--head: found {text[:80]!r}, wanted a number, a colon and 64 hexadecimal digits; copy it from an earlier"
            f" output of `{called.command('verify')}`"
        ) from None


def _note(note: Note) -> str:
    if note["note"] == RESTORED:
        return f"the database was restored on {note['at'][:10]}; before, the head of the audit log was {note['head']}"
    assert note["note"] == LATER
    return "some sessions have no up-to-date charge yet; their charges were not compared"
