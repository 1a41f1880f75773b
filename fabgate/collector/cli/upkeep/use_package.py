"""``fabgate-collector use-package``: moves the collector of this computer to the Debian package."""

from __future__ import annotations

import argparse

from fabgate.by_hand import use_package as moving
from fabgate.by_hand.part import COLLECTOR
from fabgate.computer import Computer


def use_package(args: argparse.Namespace) -> int:
    """Move the collector to the package, as root; exit code 1 when the move failed and was undone."""
    ask = (lambda _question: True) if args.yes else moving.ask_person
    return moving.run(Computer(), COLLECTOR, ask=ask, say=moving.say_person, ends_session=False)
