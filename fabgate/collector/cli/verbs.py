"""The verbs of ``fabgate collector``. Each verb calls one function, and imports its module only when it runs."""

from __future__ import annotations

import argparse
import os
import sys
import textwrap
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from fabgate import installed, verb_groups
from fabgate.collector import DEFAULT_DATA
from fabgate.collector.cli.arguments import accounts, machines, people, records, services, setup, upkeep
from fabgate.collector.cli.arguments.billing import closing, month, prepaid, prices, sinks, statements
from fabgate.collector.ground.base import called, data_folder
from fabgate.errors import FabgateError, NewerTablesError, UsageError

#: The type that ``add_subparsers`` returns; it has no public name.
Subparsers = Any
#: Verbs that run until they are stopped; their log lines begin with their names, since `run` mixes them.
SERVICES = ("ingest", "web", "worker", "run")
Run = Callable[[argparse.Namespace], int]
_ABOUT: Final = (
    f"Every verb reads FABGATE_SITE (the site's name, as in the gates' gate.yaml; it has no default) and FABGATE_DATA"
    f" (the directory of database and keys; default: {DEFAULT_DATA}) from the environment, such as: FABGATE_SITE=lyon"
    f" FABGATE_DATA=/srv/fabgate {called.DEFAULT} gates. See docs/reference.md for the other variables."
)
_ABOUT_INSTALLED: Final = (
    "Every verb runs with the account of the collector and the settings of /etc/fabgate/collector.env."
)
_ENVIRONMENT: Final = f"""\
environment:
  FABGATE_SITE  the site's name, as in the gates' gate.yaml (required)
  FABGATE_DATA  the directory of database and keys (default: {DEFAULT_DATA})

"""
#: The files of arguments/, in the order in which an unknown verb is answered with the known ones.
AREAS: Final = (
    services,
    setup,
    upkeep,
    records,
    people,
    machines,
    accounts,
    prices,
    month,
    closing,
    prepaid,
    statements,
    sinks,
)
#: The verbs, by what people want to do.
GROUPS: Final = {
    "run the collector": ("run", "ingest", "web", "worker", "migrate", "broker-accounts"),
    "set up this computer": ("setup", "renew-certificates", "authority-turn", "use-package"),
    "give people access to the pages": ("first-link", "accounts", "account-add", "account-link"),
    "set up the workshop": (
        "gate-add",
        "join-code",
        "gate-revoke",
        "machine-set",
        "import-members",
        "import-trainings",
        "badge-forms",
    ),
    "work at the desk": (
        "lock",
        "unlock",
        "member-block",
        "member-unblock",
        "member-plan",
        "training-grant",
        "training-revoke",
    ),
    "see who used what": ("sessions", "usage"),
    "price what was used": (
        "bill-start",
        "bill-plan",
        "bill-rule",
        "bill-rule-remove",
        "bill-vat",
        "bill-try",
        "bill-month",
        "bill-session",
        "bill-payers",
        "bill-waive",
        "bill-line",
        "bill-line-remove",
        "bill-close",
        "bill-workshop",
        "bill-statement",
        "bill-send",
        "bill-archive",
        "bill-erase-names",
        "verify-periods",
    ),
    "take credit from those who prepay": (
        "bill-prepaid",
        "bill-credit",
        "bill-refund",
        "bill-balance",
        "bill-credits",
    ),
    "send to other programs": ("sinks", "sink-reconcile", "sink-retry", "sink-skip", "sink-replay"),
    "check that all data arrived": ("gates", "holes"),
    "check that nothing was altered": ("verify",),
    "find out what is wrong": ("doctor",),
    "back up and restore": ("backup", "restore", "rollback"),
}


def add_verbs(parser: argparse.ArgumentParser) -> None:
    """Add every verb. ``args.run(args)`` then returns the exit code, or raises FabgateError with its own."""
    is_installed = called.program() != called.DEFAULT
    if is_installed:
        parser.prog = called.program()
    subparsers = verb_groups.add_list(parser)
    for area in AREAS:
        area.add_verbs(partial(_verb, subparsers))
    about = textwrap.fill(_ABOUT_INSTALLED if is_installed else _ABOUT, 80, break_on_hyphens=False)
    parser.description = f"{about}\n\n{verb_groups.text_of(subparsers, GROUPS)}"
    parser.formatter_class = argparse.RawDescriptionHelpFormatter


def main(argv: list[str] | None = None) -> int:
    """Run ``python -m fabgate.collector``: the same verbs without the rest of fabgate."""
    parser = argparse.ArgumentParser(prog="python -m fabgate.collector")
    add_verbs(parser)
    args = parser.parse_args(argv)
    try:
        return int(args.run(args))
    except FabgateError as error:
        for line in str(error).splitlines():
            sys.stderr.write(f"error: {line}\n")
        return error.exit_code


def _verb(
    subparsers: Subparsers,
    name: str,
    module: str,
    text: str,
    function: str,
    *,
    about: str = "",
    example: str = "",
    makes: bool = False,
    prepares: bool = True,
    as_root: bool = False,
) -> argparse.ArgumentParser:
    """Add a verb. With `makes` it creates a missing collector; otherwise it fails, because there is nothing to show.

    Unless `prepares` is set, it runs without preparing or changing the data folder first. With `as_root` it stays root, and
    uses neither database nor folder itself.
    """

    def run(args: argparse.Namespace) -> int:
        if as_root:
            return function_of(args)(args)
        try:
            start = import_module("fabgate.collector.processes.start")
        except ModuleNotFoundError as error:
            raise UsageError(installed.collector(error)) from error
        data_folder.become_owner(Path(os.environ.get("FABGATE_DATA") or DEFAULT_DATA))
        try:
            if prepares:  # first, because models can be imported only once Django is set up
                serves = name in SERVICES
                complete = import_module("fabgate.collector.cli.first_start").complete
                start.prepare(
                    make=makes,
                    owns=serves,
                    process=name if serves else "",
                    first_start=partial(complete, asks=name == "run"),
                    **_before_update(args),
                )
            code: int = function_of(args)(args)
        except NewerTablesError as error:
            if name != "migrate":  # whose code tells the script of the Debian package a way back from a failure
                error.exit_code = UsageError.exit_code
            raise
        except FabgateError:
            raise
        except Exception as error:
            if not import_module("fabgate.collector.ground.base.disk_full").is_full(error):
                raise
            raise FabgateError(
                f"{name}: the disk is full, and the result was not saved; make room for FABGATE_DATA (or the database,"
                " or the output), and run it again"
            ) from error
        return code

    # filled here, because argparse would break lines anywhere in the example, and dates at their hyphens
    described = textwrap.fill(f"{text[0].upper()}{text[1:]}. {about}".strip(), 80, break_on_hyphens=False)
    parser: argparse.ArgumentParser = subparsers.add_parser(
        name,
        short=text,
        description=described,
        epilog=_example(f"{name} {example}".rstrip()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run, calls=(module, function))
    return parser


def _before_update(args: argparse.Namespace) -> dict[str, Any]:
    """Return what is done before the tables change: a copy, if the verb is to make one; a package refuses without a copy."""
    folder = getattr(args, "copy", None)
    if folder is None and not installed.package():
        return {}
    upkeep = import_module("fabgate.collector.cli.upkeep.rollback")
    return {"before_update": partial(upkeep.copy_before, folder=folder) if folder else upkeep.refuse_without_copy}


def _example(call: str) -> str:
    """Return the end of a verb's help: how it is called on this computer."""
    if called.program() != called.DEFAULT:
        return f"example:\n  {called.command(call)}"
    return f"{_ENVIRONMENT}example:\n  FABGATE_SITE=lyon {called.command(call)}"


def function_of(args: argparse.Namespace) -> Run:
    """Return the function that a verb calls; it takes the arguments and returns the exit code."""
    module, function = args.calls
    found: Run = getattr(import_module(f"fabgate.collector.cli.{module}"), function)
    return found
