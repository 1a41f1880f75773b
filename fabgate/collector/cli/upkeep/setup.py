"""``fabgate-collector setup``, ``renew-certificates`` and ``authority-turn``."""

from __future__ import annotations

import argparse
import os
import sys

from fabgate import installed
from fabgate.collector.cli import first_start
from fabgate.collector.ground.base.local_times import zone_of_computer
from fabgate.collector.setup import run, turn
from fabgate.collector.setup.authority import own_names
from fabgate.collector.setup.site import Suggestions, Wishes
from fabgate.computer import Computer
from fabgate.errors import UsageError


def setup(args: argparse.Namespace) -> int:
    """Set up the collector of this computer; exit code 1 if the doctor found something, or the person said no."""
    _need_package("setup")
    if not args.yes and not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(
            "found no terminal to ask, wanted answers: run it in a terminal, or with --yes --site NAME; nothing was changed"
        )
    suggested = Suggestions(
        zone_of_computer(os.environ), first_start.language_of_computer(), own_names.hosts(), own_names.addresses()
    )
    wishes = Wishes(args.site or "", args.tz or "", args.lang or "", args.name)
    return run.setup(
        Computer(),
        wishes,
        suggested,
        ask=None if args.yes else _ask,
        say=_say,
        taken=args.authority,
        is_new=args.new_authority,
    )


def renew_certificates(_args: argparse.Namespace) -> int:
    """Renew what ends soon."""
    _need_package("renew-certificates")
    return run.renew(Computer(), own_names.addresses(), say=_say)


def authority_turn(args: argparse.Namespace) -> int:
    """Let another authority take the place of the one in force; exit code 1 if gates lack it."""
    _need_package("authority-turn")
    return turn.turn(Computer(), own_names.addresses(), names=args.name, is_now=args.now, drops=args.drop, say=_say)


def _need_package(verb: str) -> None:
    if installed.package() != installed.COLLECTOR:
        raise UsageError(
            f"found fabgate installed by hand, wanted the Debian package {installed.COLLECTOR}, which {verb} is a part of:"
            " docs/install-by-hand.md says how to install either"
        )


def _ask(question: str, suggestion: str) -> str:
    suggested = f" [{suggestion}]" if suggestion else ""
    sys.stderr.write(f"{question}{suggested}: ")
    sys.stderr.flush()
    return sys.stdin.readline().strip() or suggestion


def _say(text: str) -> None:
    """Write a line to the person, at once: programs that setup starts write to the same terminal."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
