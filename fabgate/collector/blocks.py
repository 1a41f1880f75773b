"""How is a member kept from every machine, and how do the gates hear of it?

A block is state, like a lock: from then on every roster carries the member among its refusals, with every reason, so
that the gates' guard does not take them for somebody who vanished. A session that runs is not cut: the gate switches
off when the machine is idle (`revoked`).
"""

from __future__ import annotations

import argparse
import difflib
import getpass
import logging
import re
import sys
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import DatabaseError, transaction

from fabgate.collector import roster
from fabgate.collector.models import Block, Gate, Member
from fabgate.errors import UsageError

log = logging.getLogger(__name__)

_WORD = re.compile(r"[a-z][a-z0-9-]{0,63}")


def block(args: argparse.Namespace) -> int:
    """Block a member, for one reason; the same reason again only changes until when."""
    mistakes = []
    if not _WORD.fullmatch(args.reason):
        mistakes.append(f"--reason: found {args.reason!r}, wanted a word of lower-case letters such as payment-due")
    until = _until(args.until, mistakes)
    member = _member(args.id, mistakes)
    if mistakes or member is None:
        raise UsageError("\n".join(mistakes))
    actor = args.actor or getpass.getuser()
    with transaction.atomic():
        Block.objects.update_or_create(
            member=member,
            reason=args.reason,
            lifted_at=None,
            defaults={"until": until, "actor": actor, "at": datetime.now(UTC)},
        )
        gates = roster.rebuild()
    log.info("%s blocked by %s: %s%s", member.id, actor, args.reason, f" until {until}" if until else "")
    sys.stdout.write(f"{member} is blocked: {', '.join(reasons(member))}; {roster.tell(gates)}\n")
    return 0


def unblock(args: argparse.Namespace) -> int:
    """Lift every block of a member."""
    mistakes: list[str] = []
    member = _member(args.id, mistakes)
    if member is None:
        raise UsageError("\n".join(mistakes))
    actor = args.actor or getpass.getuser()
    with transaction.atomic():
        lifted = member.blocks.filter(lifted_at=None).update(lifted_at=datetime.now(UTC), lifted_by=actor)
        if not lifted:
            raise UsageError(f"{member} is not blocked")
        gates = roster.rebuild()
    log.info("%s unblocked by %s", member.id, actor)
    sys.stdout.write(f"{member} is not blocked any more; {roster.tell(gates)}\n")
    return 0


def reasons(member: Member) -> list[str]:
    """Return why `member` is blocked now."""
    return list(Block.holding(today()).filter(member=member).values_list("reason", flat=True))


def lift_ended() -> list[Gate]:
    """Lift the blocks whose day has come, and rebuild the rosters; the gates find them when they ask next.

    Asked for whenever a gate asks for its roster. A database that is busy is asked the next time.
    """
    ended = Block.objects.filter(lifted_at=None, until__lte=today())
    try:
        if not ended.exists():
            return []
        with transaction.atomic():
            for found in ended.select_related("member"):  # again: another thread may have been faster
                log.info("%s unblocked: %s held until %s", found.member_id, found.reason, found.until)
            if not ended.update(lifted_at=datetime.now(UTC), lifted_by="its day came"):
                return []
            return roster.rebuild()
    except DatabaseError as error:
        log.warning("blocks that ended are not lifted yet: %s", error)
        return []


def today() -> date:
    """Return the day it is where the site is."""
    return datetime.now(ZoneInfo(settings.ENVIRONMENT.tz)).date()


def _member(wanted: str, mistakes: list[str]) -> Member | None:
    member = Member.objects.filter(id=wanted).first()
    if member is None:
        near = difflib.get_close_matches(wanted, Member.objects.values_list("id", flat=True), 3)
        hint = f"did you mean {' or '.join(near)}?" if near else "wanted the id of an imported member"
        mistakes.append(f"found no member {wanted!r}; {hint}")
    return member


def _until(text: str | None, mistakes: list[str]) -> date | None:
    if text is None:
        return None
    try:
        until = date.fromisoformat(text)
    except ValueError:
        mistakes.append(f"--until: found {text!r}, wanted a date such as 2027-03-01")
        return None
    if until <= today():
        mistakes.append(f"--until: found {text}, wanted a day after today: on that day the block holds no more")
    return until
