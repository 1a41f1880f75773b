"""Ends everything that a leaving person has, at once: badges, accounts and keys.

Grants stay on record, for later questions. It also lists what another person must take over.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from typing import Final

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from fabgate.collector.ground.db import audit, bulk, pulse, statements
from fabgate.collector.ground.models import Account, ApiKey, Badge, Change, Grant, Group, Member, Training
from fabgate.collector.members.access import roster
from fabgate.collector.members.accounts import manage
from fabgate.collector.members.people import badges, blocks
from fabgate.errors import UsageError

log = logging.getLogger(__name__)
_GONE: Final = "left"


class LastManager(UsageError):  # noqa: N818 (it names what is in the way)
    """No manager would be left."""


@dataclass(frozen=True, slots=True)
class Ties:
    """What ends with a person, and what another person must take over."""

    badges: list[Badge]
    accounts: list[Account]
    keys: list[ApiKey]
    #: The members that they pay for.
    pays_for: list[Member]
    pays_for_groups: list[Group]
    #: the trainings that would have no instructor left
    last_instructor_of: list[Training]


def ties(member: Member) -> Ties:
    """Return everything that would end or needs another person if a member left now."""
    return Ties(
        badges=list(member.badges.filter(ended_at=None).order_by("since")),
        accounts=list(Account.objects.filter(member=member, is_active=True).order_by("name")),
        keys=list(ApiKey.valid().filter(made_by__member=member).order_by("name")),
        pays_for=list(Member.objects.filter(payer=member.pk, left_on=None).order_by("folded")),
        pays_for_groups=list(Group.objects.filter(payer=member.pk, ended_on=None).order_by("name")),
        last_instructor_of=_alone(member, blocks.today()),
    )


def leave(*members: Member, actor: str, reason: str = "") -> Change:
    """End everything that members have, now; rosters are rebuilt once. Raises UsageError.

    Raises LastManager if no manager would be left.
    """
    today, ids = blocks.today(), sorted(member.pk for member in members)
    with transaction.atomic(), pulse.deferred():
        held = [
            member
            for some in statements.chunks(ids)
            for member in Member.objects.select_for_update(no_key=True).filter(pk__in=some).order_by("pk")
        ]
        for member in held:
            if member.left_on is not None and member.left_on <= today:
                raise UsageError(_("%(member)s already left on %(day)s") % {"member": member, "day": member.left_on})
        _end_all(set(ids), actor)
        for member in held:
            member.left_on = today
        with audit.changes(actor, "member.left", held[:-1], reason=reason):
            bulk.update(held[:-1], ["left_on"])
        with audit.change(actor, "member.left", held[-1], reason=reason) as change:
            held[-1].save(update_fields=["left_on"])
            if not Account.has_manager() and _led(ids):
                raise LastManager(
                    _("%(names)s: no manager would be left; make someone else manager first")
                    % {"names": ", ".join(map(str, members))}
                )
            change.rosters = roster.versions(roster.rebuild(only_changed=True))
    for member in members:
        member.left_on = today
    log.info("%s left; ended by %s", ", ".join(ids), actor)
    return change


def come_back(member: Member, *, actor: str) -> Change:
    """Readmit a member. Their grants are still valid; they need a new badge and, if they had one, a new account."""
    with audit.change(actor, "member.back", member) as change:
        held = Member.objects.select_for_update(no_key=True).get(pk=member.pk)
        held.left_on = None
        held.save(update_fields=["left_on"])
        change.rosters = roster.versions(roster.rebuild(only_changed=True))
    member.refresh_from_db()
    return change


def _end_all(ids: Collection[str], actor: str) -> None:
    """End keys, accounts and badges of these members."""
    own = [one.pk for one in Account.objects.exclude(member=None) if one.member_id in ids]
    # Accounts are locked before their keys, as where an account is switched off, so that neither waits for the other.
    theirs = list(Account.objects.select_for_update(no_key=True).filter(pk__in=own).order_by("pk"))
    for key in ApiKey.valid().filter(made_by__in=theirs).order_by("name"):
        manage.revoke(key, actor=actor, reason=_GONE)
    for account in theirs:
        if account.is_active:
            manage.switch_off(account, actor=actor, reason=_GONE)
    ended = badges.lock_carried(ids)
    with audit.changes(actor, "badge.ended", ended, reason=_GONE):
        badges.end_all(ended, Badge.LEFT, actor, timezone.now())


def _led(ids: Collection[str]) -> bool:
    """Return whether one of these members is a manager."""
    managers = Account.objects.filter(role=Account.MANAGER, member__isnull=False).values_list("member", flat=True)
    return not set(managers).isdisjoint(ids)


def _alone(member: Member, today: date) -> list[Training]:
    """Return the trainings that only this member may teach."""
    by_training: dict[tuple[int, str], list[Grant]] = {}
    for grant in Grant.begun_by(today).filter(member__left_on=None):
        by_training.setdefault((grant.training_id, grant.member_id), []).append(grant)
    teachers: dict[int, set[str]] = {}
    for (training, who), grants in by_training.items():
        applicable = Grant.applicable(grants, today)
        if applicable is not None and applicable.stage == Grant.INSTRUCTOR:
            teachers.setdefault(training, set()).add(who)
    alone = [training for training, who in teachers.items() if who == {member.pk}]
    return list(Training.objects.filter(pk__in=alone).order_by("name"))
