"""Blocks members, and lifts blocks: ``member-block`` and ``member-unblock``."""

from __future__ import annotations

import argparse
import difflib
import sys
from datetime import date

from fabgate.collector.access import roster
from fabgate.collector.db import audit
from fabgate.collector.models import Block
from fabgate.collector.people import blocks
from fabgate.errors import UsageError


def block(args: argparse.Namespace) -> int:
    """Block a member for one reason; a second call for the same reason changes the end date."""
    mistakes = []
    known = dict(Block.REASONS)
    if args.reason not in known:
        near = difflib.get_close_matches(args.reason, known, 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        mistakes.append(f"--reason: found {args.reason!r}, wanted one of {', '.join(known)}{hint}")
    until = _until(args.until, mistakes)
    member = blocks.find_member(args.id, mistakes)
    if mistakes or member is None:
        raise UsageError("\n".join(mistakes))
    change = blocks.block_member(member, args.reason, until, actor=audit.cli_actor(args.actor))
    gates = roster.applied(change.rosters).gates
    sys.stdout.write(
        f"{member} is blocked: {', '.join(blocks.reasons(member))}; {roster.announce_and_describe(gates)}\n"
    )
    return 0


def unblock(args: argparse.Namespace) -> int:
    """Lift every block of a member."""
    mistakes: list[str] = []
    member = blocks.find_member(args.id, mistakes)
    if member is None:
        raise UsageError("\n".join(mistakes))
    change = blocks.unblock_member(member, actor=audit.cli_actor(args.actor))
    gates = roster.applied(change.rosters).gates
    sys.stdout.write(f"{member} is no longer blocked; {roster.announce_and_describe(gates)}\n")
    return 0


def _until(text: str | None, mistakes: list[str]) -> date | None:
    if text is None:
        return None
    try:
        until = date.fromisoformat(text)
    except ValueError:
        mistakes.append(f"--until: found {text!r}, wanted a date such as 2027-03-01")
        return None
    if until <= blocks.today():
        mistakes.append(f"--until: found {text}, wanted a later day than today: the block no longer applies on it")
    return until
