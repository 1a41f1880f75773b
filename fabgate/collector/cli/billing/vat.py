"""Sets and lists VAT rates: ``bill-vat``."""

from __future__ import annotations

import argparse
import sys

from fabgate.collector.cli import text_table
from fabgate.collector.ground.base import called
from fabgate.collector.ground.db import audit
from fabgate.collector.money.billing import terms
from fabgate.collector.money.billing.vat import rates
from fabgate.errors import UsageError


def set_rate(args: argparse.Namespace) -> int:
    """Set or remove the rate of a code; without a code, list the rates."""
    found = terms.get()
    if args.code is None and (args.percent is not None or args.remove or args.sure):
        raise UsageError(
            "found no code; wanted one such as S20, '' for prices without one, or bill-vat alone to list the rates"
        )
    if args.code is None:
        _list(includes_vat=found.includes_vat)
    elif args.remove:
        _remove(args)
    else:
        _set(args)
    return 0


def _set(args: argparse.Namespace) -> None:
    if args.percent is None:
        raise UsageError("found no rate; wanted a number of percent such as 20 or 5.5, or --remove")
    percent = rates.read_percent(args.percent)
    if not args.sure and args.code not in rates.known() and rates.is_final(args.code):
        raise UsageError(
            f"closed months have charges or lines with the VAT code {args.code!r}: they get totals with VAT, and the rate can"
            " never be changed; look at it again, and add --sure"
        )
    is_new = rates.set_rate(args.code, percent, actor=audit.cli_actor(args.actor))
    sys.stdout.write(f"{_name(args.code)}: {percent.normalize():f} %{'' if is_new else ', as before'}\n")


def _remove(args: argparse.Namespace) -> None:
    if args.percent is not None:
        raise UsageError("found a rate and --remove; wanted one of them")
    if not rates.remove(args.code, actor=audit.cli_actor(args.actor)):
        raise UsageError(f"found no rate of the VAT code {args.code!r}; '{called.command('bill-vat')}' lists the rates")
    sys.stdout.write(f"removed the rate of {_name(args.code)}\n")


def _list(*, includes_vat: bool | None) -> None:
    if includes_vat is None:
        sys.stdout.write("VAT is not applicable to this workshop (art. 293 B CGI)\n")
        return
    known = rates.known()
    rows = [
        (_name(code), f"{known[code]:f} %" if code in known else "none", "yes" if rates.is_final(code) else "no")
        for code in rates.codes()
    ]
    text_table.write([("code", "rate", "in closed months"), *rows], sys.stdout, right=(1,))


def _name(code: str) -> str:
    return code or "no code"
