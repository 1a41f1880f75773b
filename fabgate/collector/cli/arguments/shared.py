"""The arguments that several verbs have."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any, Protocol

#: Adds a verb to those of the collector, and returns its parser: ``_verb`` of verbs.py says with what.
Add = Callable[..., argparse.ArgumentParser]


class Parser(Protocol):
    """A parser of argparse, or a group of one."""

    def add_argument(self, *names: str, **how: Any) -> Any:
        """Add an argument."""


def month(parser: Parser) -> None:
    """Add a month, which has to be given."""
    parser.add_argument("month", metavar="MONTH", help="such as 2027-01")


def payer(parser: Parser, *, is_optional: bool = False) -> None:
    """Add the id of a payer."""
    parser.add_argument(
        "payer",
        metavar="PAYER",
        nargs="?" if is_optional else None,
        help="the id of a member, a group or an organisation",
    )


def actor(parser: Parser) -> None:
    """Add who does what the verb does, for the audit log."""
    parser.add_argument("--actor", metavar="NAME", help="who does it (default: the account of this computer)")


def as_json(parser: Parser) -> None:
    """Add the choice to print JSON."""
    parser.add_argument("--json", action="store_true", help="print JSON")
