"""What happens when a person leaves, and what is left to do then? Account, badges and keys end together, at once.

What they were granted stays written, so that a question about last March can be answered next year. What nobody can
end for them is listed: nothing of a workshop may depend on one person.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import date
from typing import Final

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from fabgate.collector import accounts, blocks, changes, roster
from fabgate.collector.models import Account, ApiKey, Badge, Change, Grant, Group, Member, Training
from fabgate.errors import UsageError

log = logging.getLogger(__name__)
_GONE: Final = "left"


class LastManager(UsageError):  # noqa: N818 (it names what is in the way)
    """Nobody would be manager any more."""


@dataclass(frozen=True, slots=True)
class Ties:
    """What ends with a person, and what somebody else must take over."""

    badges: list[Badge]
    accounts: list[Account]
    keys: list[ApiKey]
    #: For whom they pay.
    pays_for: list[Member]
    pays_for_groups: list[Group]
    #: Of these trainings nobody else would be instructor.
    last_instructor_of: list[Training]


def ties(member: Member) -> Ties:
    """Return what hangs on a member now."""
    return Ties(
        badges=list(member.badges.filter(ended_at=None).order_by("since")),
        accounts=list(Account.objects.filter(member=member, is_active=True).order_by("name")),
        keys=list(ApiKey.living().filter(made_by__member=member).order_by("name")),
        pays_for=list(Member.objects.filter(payer=member, left_on=None).order_by("folded")),
        pays_for_groups=list(Group.objects.filter(payer=member, ended_on=None).order_by("name")),
        last_instructor_of=_alone(member, blocks.today()),
    )


def leave(*members: Member, actor: str, reason: str = "") -> Change:
    """End everything that members have, from this moment on; the rosters are built once. Raises UsageError.

    As LastManager where nobody would be manager any more.
    """
    with transaction.atomic():
        for member in members:
            change = _leave(Member.objects.select_for_update(no_key=True).get(pk=member.pk), actor, reason)
        if not Account.has_manager() and Account.objects.filter(member__in=members, role=Account.MANAGER).exists():
            raise LastManager(
                _("%(names)s: nobody would be manager; make somebody else manager first")
                % {"names": ", ".join(map(str, members))}
            )
        change.rosters = roster.versions(roster.rebuild(only_changed=True))
        change.save(update_fields=["rosters"])
    for member in members:
        member.refresh_from_db()
    log.info("%s left; ended by %s", ", ".join(member.pk for member in members), actor)
    return change


def come_back(member: Member, *, actor: str) -> Change:
    """Let a member in again: they need a badge and, where it was one, an account; what they were granted still holds."""
    with changes.made(actor, "member.back", member) as change:
        held = Member.objects.select_for_update(no_key=True).get(pk=member.pk)
        held.left_on = None
        held.save(update_fields=["left_on"])
        change.rosters = roster.versions(roster.rebuild(only_changed=True))
    member.refresh_from_db()
    return change


def _leave(member: Member, actor: str, reason: str) -> Change:
    today = blocks.today()
    if member.left_on is not None and member.left_on <= today:
        raise UsageError(_("%(member)s left on %(day)s already") % {"member": member, "day": member.left_on})
    found = ties(member)
    for key in found.keys:
        accounts.revoke(key, actor=actor, reason=_GONE)
    for account in found.accounts:
        accounts.switch_off(account, actor=actor, reason=_GONE)
    for row in found.badges:
        with changes.made(actor, "badge.ended", row, reason=_GONE):
            row.end(Badge.LEFT, actor, timezone.now())
    with changes.made(actor, "member.left", member, reason=reason) as change:
        member.left_on = today
        member.save(update_fields=["left_on"])
    return change


def _alone(member: Member, today: date) -> list[Training]:
    """Return the trainings that only this member may teach."""
    teachers: dict[int, set[str]] = {}
    for grant in Grant.said_by(today).filter(stage=Grant.INSTRUCTOR, member__left_on=None):
        if grant.holds_on(today):
            teachers.setdefault(grant.training_id, set()).add(grant.member_id)
    alone = [training for training, who in teachers.items() if who == {member.pk}]
    return list(Training.objects.filter(pk__in=alone).order_by("name"))
