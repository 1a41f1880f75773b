"""Shows and saves statements, and archives of closed months.

The verbs ``bill-statement``, ``bill-send``, ``bill-archive`` and ``bill-erase-names``.
"""

from __future__ import annotations

import argparse
import json
import sys
from datetime import UTC, date, datetime
from pathlib import Path

from django.utils import translation

from fabgate.collector.cli import text_table
from fabgate.collector.cli.billing import following
from fabgate.collector.cli.billing.month import month_of
from fabgate.collector.cli.books.save_file import save
from fabgate.collector.ground import mails
from fabgate.collector.ground.base import called
from fabgate.collector.ground.db import audit
from fabgate.collector.ground.models import ClosedMonth, IssuedStatement, StatementMail
from fabgate.collector.money.billing import contests, terms
from fabgate.collector.money.billing.paying import payers
from fabgate.collector.money.billing.statements import archive, issue, read, values
from fabgate.collector.money.billing.statements.compose import Statement
from fabgate.collector.money.paper.statements import csv_file, language, mailing, pdf, rows
from fabgate.errors import AlteredError, FabgateError, UsageError


def show_statement(args: argparse.Namespace) -> int:
    """Print a statement, or save it."""
    month, payer = _billed(args.month), _payer(args.payer)
    following.follow()
    statement = read.of(month, payer)
    if args.pdf:
        save(Path(args.pdf), [pdf.of(statement)])
    elif args.csv:
        save(Path(args.csv), [csv_file.of(statement)])
    elif args.json:
        json.dump(values.of(statement), sys.stdout, indent=2, ensure_ascii=False)
        sys.stdout.write("\n")
    else:
        _print(statement)
    return 0


def send_statements(args: argparse.Namespace) -> int:
    """Send statements of a closed month. Raises FabgateError if one was not sent, or if that is not known of one."""
    first, author = _closed(args.month).month, audit.cli_actor(args.actor)
    if not mails.can_send():
        raise UsageError(
            "no mail server is configured; set FABGATE_SMTP_URL, or save statements with bill-statement --pdf"
        )
    if args.payer:
        problem = mailing.send_one(first, _payer(args.payer), author=author)
        _print_result(args.payer, problem)
        failed, uncertain = int(bool(problem)), 0
    else:
        mailing.queue(first, author=author)
        failed, uncertain = _send_waiting(first), _print_others(first)
    problems = []
    if failed:
        problems.append("some statements were not sent; fix the problems above, and run bill-send again")
    if uncertain:
        problems.append(
            f"{uncertain} may have been sent: a process ended while it sent them, or another one is sending them now;"
            " ask each payer, or send it again with --payer"
        )
    if problems:
        raise FabgateError("\n".join(problems))
    return 0


def _send_waiting(month: date) -> int:
    """Send what waits, and print what became of each; return how many were not sent."""
    failed = 0
    while sent := mailing.send_waiting(month):
        for mail in sent:
            _print_result(f"{mail.statement.payer} {mail.email}", mail.problem)
            failed += mail.state == StatementMail.FAILED
    return failed


def _print_others(month: date) -> int:
    """Print the statements that may have been sent, and those that cannot or need not be sent; return how many may have been sent."""
    uncertain = 0
    for one in mailing.of_month(month):
        if one.is_uncertain and one.last is not None:
            uncertain += 1
            sys.stdout.write(text_table.plain(f"{one.statement.payer} {one.last.email}") + ": may have been sent\n")
        elif not one.has_lines:
            sys.stdout.write(f"{one.statement.payer}: not sent, because nothing is charged\n")
        elif not one.email:
            sys.stdout.write(f"{one.statement.payer}: no e-mail address\n")
    return uncertain


def _print_result(who: str, problem: str) -> None:
    sys.stdout.write(f"{text_table.plain(who)}: {f'not sent: {problem}' if problem else 'sent'}\n")


def save_archive(args: argparse.Namespace) -> int:
    """Save the archive of a closed month. Raises AlteredError if it differs from what was closed."""
    closed = _closed(args.month)
    first = closed.month
    folder = Path(args.to)
    sums = {name: save(folder / name, make()) for name, make in archive.files(first).items()}
    named = archive.names_file(first)
    sums[named] = save(folder / named, archive.names(first))
    save(folder / f"{first:%Y-%m}-SHA256SUMS", ["".join(f"{sha}  {name}\n" for name, sha in sums.items()).encode()])
    sys.stdout.writelines(f"{sha}  {name}\n" for name, sha in sums.items())
    wrong = [name for name, sha in closed.archive.items() if sums.get(name) != sha]
    if wrong:
        raise AlteredError(
            f"{', '.join(wrong)}: differs from what was closed on {closed.closed_at:%Y-%m-%d}; run '{called.command('verify')}'"
        )
    return 0


def erase_names(args: argparse.Namespace) -> int:
    """Erase names, addresses and reasons in statements, and the words of contests."""
    before, actor, at = month_of(args.before, "--before"), audit.cli_actor(args.actor), datetime.now(UTC)
    count = issue.erase_words(before, actor=actor, at=at)
    contested = contests.erase_words(before, actor=actor, at=at)
    sys.stdout.write(
        f"names erased in {count} statements, words in {contested} contests, of months before {before:%Y-%m}\n"
    )
    return 0


def _billed(typed: str) -> date:
    """Return a month that is billed. Raises UsageError."""
    first, found = month_of(typed, "MONTH"), terms.get()
    if first < found.first_month:
        raise UsageError(f"found {first:%Y-%m}, wanted {found.first_month:%Y-%m} or later, because billing starts then")
    return first


def _closed(typed: str) -> ClosedMonth:
    first = _billed(typed)
    closed = ClosedMonth.objects.filter(pk=first).first()
    if closed is None:
        raise UsageError(
            f"MONTH: {first:%Y-%m} is not closed; close it with '{called.command(f'bill-close {first:%Y-%m}')}'"
        )
    return closed


def _payer(typed: str) -> str:
    if payers.get(typed) is None and not IssuedStatement.objects.filter(payer=typed).exists():
        raise UsageError(f"PAYER: found {typed[:64]!r}, wanted the id of a member, a group or an organisation")
    return typed


def _print(statement: Statement) -> None:
    with translation.override(language.of(statement)):
        sys.stdout.write(
            f"{rows.title()}: {text_table.plain(statement.payer_name)}, {rows.month_name(statement.head)}\n"
        )
        for label, value in rows.facts(statement):
            sys.stdout.write(f"{label}: {text_table.plain(value)}\n")
        sys.stdout.write("\n")
        shown = [
            (row.day, row.span, row.time, row.text, " · ".join(filter(None, [*row.steps, row.note])), row.amount)
            for row in rows.of(statement)
        ]
        text_table.write(shown, sys.stdout, right={2, 5}, rule_before=len(shown) - 1)
