"""Shows or saves what a month comes to, and explains the price of a session: ``bill-month`` and ``bill-session``."""

from __future__ import annotations

import argparse
import csv
import io
import json
import sys
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.utils import translation

from fabgate.collector.cli import text_table
from fabgate.collector.cli.billing import following
from fabgate.collector.cli.books.save_file import save
from fabgate.collector.ground.base import called
from fabgate.collector.ground.db import one_state
from fabgate.collector.ground.models import BillingTerms
from fabgate.collector.ground.tables.csv_file import dialect_of, write_csv
from fabgate.collector.ground.tables.csv_safety import escape_row
from fabgate.collector.ground.tables.xlsx_file import write_xlsx
from fabgate.collector.members.people.display_names import names_of
from fabgate.collector.money.billing import explain, month, rating, summary, terms
from fabgate.collector.money.billing.charges import history
from fabgate.collector.money.billing.currencies import decimal_text, text
from fabgate.collector.money.billing.month import RatedSession, Sum
from fabgate.collector.money.paper.month import tables
from fabgate.collector.money.paper.month.read import MonthRead
from fabgate.errors import UsageError

_COLUMNS: Final = ("payer", "payer_name", "kind", "sessions", "counted_ms", "amount_minor")


def show_month(args: argparse.Namespace) -> int:
    """Print what a month comes to."""
    found = terms.get()
    first = month_of(args.month, "MONTH")
    if first < found.first_month:
        raise UsageError(f"found {first:%Y-%m}, wanted {found.first_month:%Y-%m} or later, because billing starts then")
    following.follow()
    if args.to:
        return _save(first, Path(args.to))
    sums = summary.of(first)
    shown = names_of(sums.payers)
    lines: list[dict[str, Any]] = [
        dict(zip(_COLUMNS, (payer, str(shown.get(payer, "")), kind, *total), strict=True))
        for payer, by_class in sorted(sums.payers.items())
        for kind, total in by_class.items()
    ]
    classes = sums.classes
    if args.form == "json":
        total = {kind: found_sum._asdict() for kind, found_sum in classes.items()}
        money = {name: getattr(found, name) for name in ("currency", "digits", "includes_vat")}
        json.dump({"month": f"{first:%Y-%m}", **money, "lines": lines, "classes": total}, sys.stdout, indent=2)
        sys.stdout.write("\n")
    elif args.form == "csv":
        writer = csv.writer(sys.stdout)
        writer.writerow((*_COLUMNS, "currency"))
        writer.writerows(escape_row({**line, "currency": found.currency}).values() for line in lines)
    else:
        _write_month(lines, classes, found)
    return 0


def _save(first: date, folder: Path) -> int:
    """Save the month for people, and print the names of the files."""
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"--to: found the file {folder}, wanted a folder")
    lang = settings.ENVIRONMENT.lang
    with translation.override(lang), one_state.reading():
        month = MonthRead.of(first)
        book = io.BytesIO()
        write_xlsx(book, tables.payers(month), tables.lines(month))
        files = {f"{tables.file_name(month)}.xlsx": [book.getvalue()]}
        for table in (tables.payers(month), tables.lines(month)):
            files[f"{tables.file_name(month, table)}.csv"] = list(write_csv(table, *dialect_of(lang)))
    for name, chunks in files.items():
        save(folder / name, chunks)
        sys.stdout.write(f"{name}\n")
    return 0


def show_session(args: argparse.Namespace) -> int:
    """Print what a session is charged, and its price step by step."""
    found = terms.get()
    rules = terms.for_rating(found)
    session, payer, rated = rate_session(args.session, rules)
    following.follow()
    charged = history.of(session.pk)
    applied = charged.applied
    kind, amount_minor = (applied.kind, applied.amount_minor) if applied else (rated.kind, rated.amount_minor)
    lines = explain.lines(rated, rules.zone, found.currency, found.digits) if charged.is_as(rated) else []
    if args.json:
        answer = {
            "session": session.pk,
            "payer": payer,
            "kind": kind,
            "amount_minor": amount_minor,
            "currency": found.currency,
            "rule": applied.rule_id if applied else rated.rule.id if rated.rule and rated.price else None,
            "steps": lines,
            "charges": [
                {
                    "charge_id": charge.pk,
                    "month": f"{charge.month:%Y-%m}",
                    "payer": charge.payer,
                    "kind": charge.kind,
                    "amount_minor": charge.amount_minor,
                    "reverses": charge.reverses or None,
                }
                for charge in charged.charges
            ],
        }
        json.dump(answer, sys.stdout, indent=2)
        sys.stdout.write("\n")
        return 0
    sys.stdout.write(f"{session.pk}: {session.used_by} at {session.machine_name}, paid by {payer}: {kind}\n")
    sys.stdout.writelines(f"  {line}\n" for line in lines)
    if not lines:
        amount = text(amount_minor, found.currency, found.digits)
        sys.stdout.write(f"  charged: {amount}; rated by the rules and plans of today it would cost something else\n")
    if len(charged.charges) > 1:
        for charge in charged.charges:
            what = "reversal" if charge.reverses else charge.kind
            amount = text(charge.amount_minor, found.currency, found.digits)
            sys.stdout.write(f"  charged in {charge.month:%Y-%m} to {charge.payer}: {what}, {amount}\n")
    return 0


def rate_session(name: str, rules: rating.Terms) -> RatedSession:
    """Return a session and what it costs. Raises UsageError for an unknown session, or one that is still open."""
    found = month.rate_one(name, rules)
    if found is None:
        raise UsageError(f"found no session {name!r} that has ended; '{called.command('sessions')}' lists them")
    return found


def _write_month(lines: list[dict[str, Any]], classes: Mapping[str, Sum], found: BillingTerms) -> None:
    """Write the payers, and below them the classes, whose sums are those of all sessions."""
    if not lines:
        sys.stdout.write("nothing is charged in this month\n")
        return
    rows = [
        (
            line["payer"],
            line["payer_name"],
            line["kind"],
            str(line["sessions"]),
            text_table.clock(line["counted_ms"]),
            decimal_text(line["amount_minor"], found.digits),
        )
        for line in lines
    ]
    rows += [
        (
            "all",
            "",
            kind,
            str(total.sessions),
            text_table.clock(total.counted_ms),
            decimal_text(total.amount_minor, found.digits),
        )
        for kind, total in classes.items()
        if total != Sum()
    ]
    whole = Sum(*map(sum, zip(*classes.values(), strict=True)))
    rows.append(
        (
            "all",
            "",
            "",
            str(whole.sessions),
            text_table.clock(whole.counted_ms),
            decimal_text(whole.amount_minor, found.digits),
        )
    )
    heads = ("payer", "name", "class", "sessions", "time", found.currency)
    text_table.write([heads, *rows], sys.stdout, right=(3, 4, 5), rule_before=1 + len(lines))


def month_of(text: str, option: str) -> date:
    """Return the first day of ``2027-01``. Raises UsageError."""
    try:
        return date.fromisoformat(f"{text}-01")
    except ValueError:
        raise UsageError(f"{option}: found {text!r}, wanted a month such as 2027-01") from None
