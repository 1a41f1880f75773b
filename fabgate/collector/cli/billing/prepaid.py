"""Credit of payers who prepay: ``bill-prepaid``, ``bill-credit``, ``bill-refund``, ``bill-balance``, ``bill-credits``."""

from __future__ import annotations

import argparse
import json
import sys
from datetime import UTC, datetime
from typing import Any

from fabgate.collector.cli import text_table
from fabgate.collector.cli.billing import following
from fabgate.collector.cli.billing.closing import minor_of
from fabgate.collector.cli.billing.month import month_of
from fabgate.collector.cli.days import read_day
from fabgate.collector.ground.db import audit
from fabgate.collector.ground.models import BillingTerms, Gate, PrepaidChange
from fabgate.collector.members.access import roster
from fabgate.collector.money.billing import terms
from fabgate.collector.money.billing.currencies import text
from fabgate.collector.money.billing.paying import payers
from fabgate.collector.money.billing.prepaid import balances, daily, if_accepted, ledger, modes, standing, words
from fabgate.collector.money.billing.prepaid.ledger import Paid
from fabgate.collector.recording.broker import announcing
from fabgate.errors import UsageError

_NOT_A_RECEIPT = "this is an acknowledgement, not a receipt; receipts come from the till or the accounting"


def set_mode(args: argparse.Namespace) -> int:
    """Set from which month a payer prepays; without a payer, print the settings."""
    found = terms.get()
    if args.warn_below is not None:
        _warn_below(minor_of(args.warn_below, found.digits), audit.cli_actor(args.actor))
    if args.payer is None and not args.everybody:
        _print_modes(found)
        return 0
    first = month_of(args.since, "--from") if args.since else terms.today(found).replace(day=1)
    payer = modes.EVERYBODY if args.everybody else args.payer
    is_new = modes.set_mode(payer, first, prepays=not args.off, actor=audit.cli_actor(args.actor))
    does = "is billed by statement" if args.off else "prepays"
    already = "" if is_new else " already"
    who = "every other payer" if args.everybody else args.payer
    sys.stdout.write(f"{who} {does}{already}, from {first:%Y-%m}; {_announced(roster.rebuild(only_changed=True))}\n")
    return 0


def credit(args: argparse.Namespace) -> int:
    """Add credit that a payer paid in, and update the gates."""
    found = terms.get()
    done = ledger.credit(
        args.payer,
        minor_of(args.amount, found.digits),
        Paid(args.method, args.till or ""),
        author=audit.cli_actor(args.actor),
        now=datetime.now(UTC),
        is_meant=args.again,
        rebuild=_rebuild,
    )
    return _report(done, found)


def refund(args: argparse.Namespace) -> int:
    """Refund credit, or reverse a credit that was entered by mistake."""
    found, actor, now = terms.get(), audit.cli_actor(args.actor), datetime.now(UTC)
    if args.entry is not None:
        if args.payer is not None or args.amount is not None or args.method is not None:
            raise UsageError("--entry reverses one whole credit: omit PAYER, AMOUNT and --method")
        return _report(ledger.take_back(args.entry, author=actor, now=now, reason=args.reason, rebuild=_rebuild), found)
    if args.payer is None or args.amount is None or args.method is None:
        raise UsageError("found no PAYER, AMOUNT or --method; wanted all three, or --entry with the number of a credit")
    paid = Paid(args.method, args.till or "", args.reason)
    amount = minor_of(args.amount, found.digits)
    return _report(ledger.refund(args.payer, amount, paid, author=actor, now=now, rebuild=_rebuild), found)


def balance(args: argparse.Namespace) -> int:
    """Print balances: of one payer, or of all who prepay or have credit left."""
    found = terms.get()
    day = read_day(args.at, "--at") if args.at else None
    if args.payer is not None and payers.get(args.payer) is None:
        raise modes.unknown(args.payer)
    following.follow()
    on = day or terms.today(found)
    known, named = modes.Modes.now(), None if args.payer is None else [args.payer]
    held, out = balances.all_of(named, day), standing.of(named)
    more = {} if day else if_accepted.more_of(named)
    listed = named or sorted({*held, *more, *(payer for payer, prepays in known.with_own(on).items() if prepays)})
    rows = [
        {
            "payer": payer,
            "balance_minor": held.get(payer, 0),
            "accepted_minor": None if day else held.get(payer, 0) - more.get(payer, 0),
            "settlement": known.settlement(payer, on),
            "out_of_credit": out.is_out(payer),
        }
        for payer in listed
    ]
    if args.json:
        _print_json({"currency": found.currency, "digits": found.digits, "at": day and day.isoformat(), "payers": rows})
        return 0
    lines = [(str(row["payer"]), _amount(int(str(row["balance_minor"])), found), _note(row, found)) for row in rows]
    if lines:
        text_table.write([("payer", "balance", "note"), *lines], sys.stdout, right=(1,))
    else:
        sys.stdout.write("no payer prepays\n")
    return 0


def credits_of_day(args: argparse.Namespace) -> int:
    """Print the credits and refunds of a day, by method."""
    found = terms.get()
    day = read_day(args.day, "DAY") if args.day else terms.today(found)
    listed = daily.of(day)
    if args.json:
        entries = [
            {
                "number": entry.pk,
                "payer": entry.payer,
                "kind": entry.kind,
                "amount_minor": entry.amount_minor,
                "method": entry.method,
                "till_number": entry.till_number,
                "reason": entry.reason,
                "takes_back": entry.takes_back_id,
                "author": entry.author,
                "at": entry.at.isoformat(),
            }
            for entry in listed.entries
        ]
        sums = {method: sum_._asdict() | {"net_minor": sum_.net_minor} for method, sum_ in listed.methods.items()}
        _print_json(
            {
                "day": day.isoformat(),
                "currency": found.currency,
                "digits": found.digits,
                "entries": entries,
                "methods": sums,
            }
        )
        return 0
    rows = [
        (str(entry.pk), entry.payer, entry.kind, entry.method, entry.till_number, _amount(entry.amount_minor, found))
        for entry in listed.entries
    ]
    totals = [("", "all", "", method, "", _amount(sum_.net_minor, found)) for method, sum_ in listed.methods.items()]
    if rows:
        header = ("number", "payer", "kind", "method", "till number", "amount")
        text_table.write([header, *rows, *totals], sys.stdout, right=(0, 5), rule_before=len(rows) + 1)
    else:
        sys.stdout.write(f"nothing was paid on {day}\n")
    return 0


def _rebuild() -> dict[str, int]:
    return roster.versions(roster.rebuild(only_changed=True))


def _report(done: ledger.Done, found: BillingTerms) -> int:
    entry = done.entry
    gates = list(Gate.objects.filter(name__in=done.change.rosters).order_by("name")) if done.change else []
    line = f"number {entry.pk}, {entry.day}: {entry.payer}: {entry.kind} {_amount(entry.amount_minor, found)}"
    sys.stdout.write(f"{line}, {entry.method}; balance {_amount(balances.of(entry.payer), found)}\n")
    if gates:
        sys.stdout.write(f"{announcing.announce_and_describe(gates)}\n")
    sys.stdout.write(f"{_NOT_A_RECEIPT}\n")
    return 0


def _announced(gates: list[Gate]) -> str:
    return announcing.announce_and_describe(gates) if gates else "no roster changes"


def _print_modes(found: BillingTerms) -> None:
    rows = [
        (row.payer or "every other payer", f"{row.since:%Y-%m}", "prepaid" if row.prepays else "by statement")
        for row in PrepaidChange.objects.order_by("payer", "since")
    ]
    if rows:
        text_table.write([("payer", "from", "mode"), *rows], sys.stdout)
    else:
        sys.stdout.write("no payer prepays\n")
    if found.low_credit_minor:
        sys.stdout.write(f"warning below {_amount(found.low_credit_minor, found)}\n")


def _warn_below(amount_minor: int, actor: str) -> None:
    found = terms.get()
    if not 0 <= amount_minor <= ledger.MOST_MINOR:
        amount, most = _amount(amount_minor, found), _amount(ledger.MOST_MINOR, found)
        raise UsageError(f"--warn-below: found {amount}, wanted 0 to {most}")
    with audit.change(actor, "prepaid.warning", found):
        found.low_credit_minor = amount_minor
        found.save(update_fields=["low_credit_minor"])


def _note(row: dict[str, Any], found: BillingTerms) -> str:
    notes = [] if row["settlement"] == words.PREPAID else ["billed by statement"]
    if row["accepted_minor"] not in (None, row["balance_minor"]):
        notes.append(f"{_amount(row['accepted_minor'], found)} if the sessions in review are accepted")
    return ", ".join([*notes, "out of credit"] if row["out_of_credit"] else notes)


def _amount(amount_minor: int, found: BillingTerms) -> str:
    return text(amount_minor, found.currency, found.digits)


def _print_json(found: dict[str, Any]) -> None:
    json.dump(found, sys.stdout, indent=2, ensure_ascii=False)
    sys.stdout.write("\n")
