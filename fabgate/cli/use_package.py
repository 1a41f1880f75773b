"""``fabgate use-package``: moves the gate of this computer to the Debian package."""

from __future__ import annotations

import argparse

from fabgate.by_hand import use_package as moving
from fabgate.by_hand.part import GATE
from fabgate.computer import Computer


def use_package(arguments: argparse.Namespace) -> int:
    """Move the gate to the package, as root; exit code 1 when the move failed and was undone."""
    ask = (lambda _question: True) if arguments.yes else moving.ask_person
    return moving.run(Computer(), GATE, ask=ask, say=moving.say_person, ends_session=arguments.end_session)
