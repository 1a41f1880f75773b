"""Blocks members from all machines, and lifts blocks.

A block is state, like a lock: every roster lists the member among its refusals, with every reason, so that gates do not
keep their old entry, as they do for a missing member. A running session is not cut: the gate ends it when the machine
is idle (`revoked`).
"""

from __future__ import annotations

import logging
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import DatabaseError, transaction
from django.utils.translation import gettext as _

from fabgate.collector.ground.db import audit, pulse
from fabgate.collector.ground.models import Block, Change, Gate, Member
from fabgate.collector.members.access import roster
from fabgate.errors import UsageError

log = logging.getLogger(__name__)


def block_member(member: Member, reason: str, until: date | None, *, actor: str) -> Change:
    """Block a member for one reason, until the day before `until`; return the change. The caller announces rosters."""
    with transaction.atomic():
        # Two requests for the same reason wait for each other here, because there is no block yet to lock.
        Member.objects.select_for_update(no_key=True).get(pk=member.pk)
        held = Block.objects.select_for_update(no_key=True).filter(member=member, reason=reason, lifted_at=None).first()
        held = held or Block(member=member, reason=reason)
        with audit.change(actor, "block.set", held, reason=reason) as change:
            held.until, held.actor, held.at = until, actor, datetime.now(UTC)
            held.save()
            change.rosters = roster.versions(roster.rebuild())
    log.info("%s blocked by %s: %s%s", member.id, actor, reason, f" until {until}" if until else "")
    return change


def unblock_member(member: Member, *, only: int | None = None, actor: str) -> Change:
    """Lift every block of a member, or `only` one; return the last change. Raises UsageError if there is no block."""
    with transaction.atomic(), pulse.deferred():
        active = member.blocks.filter(lifted_at=None)
        held = list((active if only is None else active.filter(pk=only)).select_for_update(no_key=True))
        if not held:
            raise UsageError(_("%(member)s is not blocked") % {"member": member})
        for block_held in held:
            with audit.change(actor, "block.lifted", block_held) as change:
                block_held.lifted_at, block_held.lifted_by = datetime.now(UTC), actor
                block_held.save(update_fields=["lifted_at", "lifted_by"])
                if block_held is held[-1]:
                    change.rosters = roster.versions(roster.rebuild())
    log.info("%s unblocked by %s", member.id, actor)
    return change


def reasons(member: Member) -> list[str]:
    """Return the reasons why `member` is blocked now."""
    return list(Block.active(today()).filter(member=member).values_list("reason", flat=True))


def lift_ended() -> list[Gate]:
    """Lift expired blocks and rebuild the rosters; gates get them with their next request.

    Called for each roster request of a gate. If the database is busy, the next request tries again.
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
        log.warning("expired blocks are not lifted yet: %s", error)
        return []


def today() -> date:
    """Return today's date at the site."""
    return datetime.now(ZoneInfo(settings.ENVIRONMENT.tz)).date()
