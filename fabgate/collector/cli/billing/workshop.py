"""Sets and shows the details of the workshop on statements: ``bill-workshop``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from typing import Final

from django.core.exceptions import ValidationError
from django.db import transaction

from fabgate.collector.cli import text_table
from fabgate.collector.ground.db import audit
from fabgate.collector.ground.models import Workshop
from fabgate.collector.members.people import names
from fabgate.collector.money.billing.paying import numbers
from fabgate.errors import UsageError

#: The columns, in the order in which they are shown; each is set by the option of its name.
COLUMNS: Final = (
    *("name", "address", "contact", "registration_number", "vat_number"),
    *("account_holder", "iban", "bic", "due_days", "payment_text", "payments_kept"),
)
_CHECKS: Final[Mapping[str, Callable[[str], str]]] = {
    "registration_number": numbers.registration_number,
    "vat_number": numbers.vat_number,
    "iban": numbers.iban,
    "bic": numbers.bic,
}


@transaction.atomic
def workshop(args: argparse.Namespace) -> int:
    """Change the details that are given, and show all of them."""
    row = Workshop.objects.select_for_update(no_key=True).first() or Workshop()
    typed = {name: value for name in COLUMNS if (value := getattr(args, name)) is not None}
    if typed:
        mistakes: list[str] = []
        with audit.change(audit.cli_actor(args.actor), "workshop.updated", row):
            for name, value in typed.items():
                _set(row, name, value, mistakes)
            try:
                row.full_clean()
            except ValidationError as error:
                mistakes.extend(f"{_option(name)}: {' '.join(why)}" for name, why in error.message_dict.items())
            if mistakes:
                raise UsageError("\n".join(mistakes))
            row.save()
    rows = [(_option(name)[2:], _shown(row, name)) for name in COLUMNS]
    text_table.write(rows, sys.stdout)
    return 0


def _set(row: Workshop, name: str, typed: str, mistakes: list[str]) -> None:
    lines = [names.line(line) for line in typed.splitlines()] if name == "address" else [names.line(typed)]
    text = "\n".join(line for line in lines if line)
    if sign := names.unseen(text.replace("\n", "")):
        mistakes.append(f"{_option(name)}: found an invisible character ({sign}); type the text instead of pasting it")
    elif name == "due_days":
        if text and not text.isdecimal():
            mistakes.append(
                f"--due-days: found {text[:20]!r}, wanted a number of days such as 30, or '' for no due date"
            )
        else:
            row.due_days = int(text) if text else None
    else:
        try:
            setattr(row, name, _CHECKS[name](text) if name in _CHECKS else text)
        except UsageError as error:
            mistakes.append(f"{_option(name)}: {error}")


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _shown(row: Workshop, name: str) -> str:
    value = getattr(row, name)
    return "-" if value in (None, "") else ", ".join(str(value).splitlines())
