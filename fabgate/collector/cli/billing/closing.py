"""Closes months and checks closed ones, waives sessions, and adds lines.

The verbs ``bill-close``, ``bill-waive``, ``bill-line``, ``bill-line-remove`` and ``verify-periods``.
"""

from __future__ import annotations

import argparse
import json
import sys
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation

from fabgate.collector.cli.billing import following
from fabgate.collector.cli.billing.month import month_of
from fabgate.collector.cli.days import read_day
from fabgate.collector.ground.db import audit
from fabgate.collector.money.billing import closing, terms
from fabgate.collector.money.billing.charges import decisions
from fabgate.collector.money.billing.currencies import text
from fabgate.errors import AlteredError, UsageError


def close(args: argparse.Namespace) -> int:
    """Close a month."""
    found = terms.get()
    first = month_of(args.month, "MONTH")
    following.follow()
    closed = closing.close(first, datetime.now(UTC), actor=audit.cli_actor(args.actor), reason=args.reason or "")
    amount = text(closed.amount_minor, found.currency, found.digits)
    sys.stdout.write(f"{closed} is closed: {amount} (charges: {closed.charges}, lines: {closed.lines})\n")
    sys.stdout.write(f"sha256 {closed.sha256}\n")
    return 0


def waive(args: argparse.Namespace) -> int:
    """Let a session cost nothing, or cost again what it costs."""
    terms.get()
    actor = audit.cli_actor(args.actor)
    if args.withdraw:
        decisions.withdraw(args.session, author=actor, reason=args.reason)
        sys.stdout.write(f"{args.session} is no longer waived\n")
    else:
        decisions.waive(args.session, author=actor, reason=args.reason)
        sys.stdout.write(f"{args.session} is waived: {args.reason}\n")
    return 0


def add_line(args: argparse.Namespace) -> int:
    """Charge a payer for something besides sessions."""
    found = terms.get()
    day = read_day(args.day, "--day") if args.day else terms.today(found)
    line = decisions.add_line(
        args.payer,
        args.text,
        minor_of(args.amount, found.digits),
        day=day,
        author=audit.cli_actor(args.actor),
        session=args.session or "",
        vat_code=args.vat_code or "",
    )
    amount = text(line.amount_minor, found.currency, found.digits)
    why = f" ({day:%Y-%m} is closed)" if terms.is_closed(day) else ""
    sys.stdout.write(f"line {line.pk}, {line.month:%Y-%m}{why}: {line.payer}: {line.text}: {amount}\n")
    return 0


def remove_line(args: argparse.Namespace) -> int:
    """Remove a line of an open month."""
    terms.get()
    decisions.remove_line(args.line, author=audit.cli_actor(args.actor), reason=args.reason)
    sys.stdout.write(f"line {args.line} is removed\n")
    return 0


def verify(args: argparse.Namespace) -> int:
    """Check that closed months are as they were. Raises AlteredError if one was altered."""
    checked = list(closing.verify())
    wrong = [f"{month}: {line}" for month, _sha256, lines in checked for line in lines]
    if args.json:
        months = [{"month": month, "sha256": sha256, "altered": lines} for month, sha256, lines in checked]
        json.dump({"months": months}, sys.stdout, indent=2)
        sys.stdout.write("\n")
    else:
        for month, sha256, lines in checked:
            sys.stdout.write(f"{month}  {sha256}  {'altered' if lines else 'as closed'}\n")
    if wrong:
        raise AlteredError("\n".join(wrong))
    return 0


def minor_of(amount: str, digits: int) -> int:
    """Return an amount of the main unit, such as 12.50, in the smallest one. Raises UsageError."""
    try:
        found = Decimal(amount) * 10**digits
    except InvalidOperation:
        found = Decimal("NaN")
    if not found.is_finite() or found != found.to_integral_value():
        raise UsageError(f"AMOUNT: found {amount[:40]!r}, wanted a number such as 12.50 with at most {digits} decimals")
    return int(found)
