"""How is a member kept from every machine, and how do the gates hear of it?

A block is state, like a lock: from then on every roster carries the member among its refusals, with every reason, so
that the gates' guard does not take them for somebody who vanished. A session that runs is not cut: the gate switches
off when the machine is idle (`revoked`).
"""

from __future__ import annotations

import argparse
import difflib
import logging
import sys
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import DatabaseError, transaction
from django.utils.translation import gettext as _

from fabgate.collector.access import roster
from fabgate.collector.db import audit, pulse
from fabgate.collector.models import Block, Change, Gate, Member
from fabgate.errors import UsageError

log = logging.getLogger(__name__)


def block(args: argparse.Namespace) -> int:
    """Block a member, for one reason; the same reason again only changes until when."""
    mistakes = []
    known = dict(Block.REASONS)
    if args.reason not in known:
        near = difflib.get_close_matches(args.reason, known, 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        mistakes.append(f"--reason: found {args.reason!r}, wanted one of {', '.join(known)}{hint}")
    until = _until(args.until, mistakes)
    member = find_member(args.id, mistakes)
    if mistakes or member is None:
        raise UsageError("\n".join(mistakes))
    change = hold(member, args.reason, until, actor=audit.cli_actor(args.actor))
    gates = roster.known_by(change.rosters).gates
    sys.stdout.write(f"{member} is blocked: {', '.join(reasons(member))}; {roster.tell(gates)}\n")
    return 0


def unblock(args: argparse.Namespace) -> int:
    """Lift every block of a member."""
    mistakes: list[str] = []
    member = find_member(args.id, mistakes)
    if member is None:
        raise UsageError("\n".join(mistakes))
    change = lift(member, actor=audit.cli_actor(args.actor))
    gates = roster.known_by(change.rosters).gates
    sys.stdout.write(f"{member} is not blocked any more; {roster.tell(gates)}\n")
    return 0


def hold(member: Member, reason: str, until: date | None, *, actor: str) -> Change:
    """Block a member for one reason, until the day before `until`; return the change. The caller tells the gates."""
    with transaction.atomic():
        # Two that block for one reason at once wait for each other here: there is no block yet that could be held.
        Member.objects.select_for_update(no_key=True).get(pk=member.pk)
        held = Block.objects.select_for_update(no_key=True).filter(member=member, reason=reason, lifted_at=None).first()
        held = held or Block(member=member, reason=reason)
        with audit.change(actor, "block.set", held, reason=reason) as change:
            held.until, held.actor, held.at = until, actor, datetime.now(UTC)
            held.save()
            change.rosters = roster.versions(roster.rebuild())
    log.info("%s blocked by %s: %s%s", member.id, actor, reason, f" until {until}" if until else "")
    return change


def lift(member: Member, *, only: int | None = None, actor: str, why: str = "") -> Change:
    """Lift every block of a member, or `only` one; return the last change. Raises UsageError where there is none."""
    with transaction.atomic(), pulse.deferred():
        wanted = member.blocks.filter(lifted_at=None)
        held = list((wanted if only is None else wanted.filter(pk=only)).select_for_update(no_key=True))
        if not held:
            raise UsageError(_("%(member)s is not blocked") % {"member": member})
        for found in held:
            with audit.change(actor, "block.lifted", found, reason=why) as change:
                found.lifted_at, found.lifted_by = datetime.now(UTC), actor
                found.save(update_fields=["lifted_at", "lifted_by"])
                if found is held[-1]:
                    change.rosters = roster.versions(roster.rebuild())
    log.info("%s unblocked by %s", member.id, actor)
    return change


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
        with transaction.atomic(), pulse.deferred():
            held = list(ended.select_related("member").select_for_update(of=("self",), no_key=True))
            if not held:  # another thread was faster
                return []
            for found in held:
                log.info("%s unblocked: %s held until %s", found.member_id, found.reason, found.until)
                with audit.change(audit.WORKER, "block.lifted", found, reason="its day came"):
                    found.lifted_at, found.lifted_by = datetime.now(UTC), "its day came"
                    found.save(update_fields=["lifted_at", "lifted_by"])
            return roster.rebuild()
    except DatabaseError as error:
        log.warning("blocks that ended are not lifted yet: %s", error)
        return []


def today() -> date:
    """Return the day it is where the site is."""
    return datetime.now(ZoneInfo(settings.ENVIRONMENT.tz)).date()


def find_member(wanted: str, mistakes: list[str]) -> Member | None:
    """Return the member of that id; add what is wrong where there is none."""
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
