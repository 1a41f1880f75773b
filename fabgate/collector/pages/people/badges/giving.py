"""Assigns a badge for the person who is signed in. Nobody but a manager gives their own badge to somebody who pays for it."""

from __future__ import annotations

from typing import Any

from django.db.models import Q
from django.http import HttpRequest

from fabgate.collector.models import Badge, Change, Group, Member
from fabgate.collector.pages import errors
from fabgate.collector.pages.access_control import account_of
from fabgate.collector.pages.roles import barred_from
from fabgate.collector.people import badges
from fabgate.collector.people.badges import Card


def assign(request: HttpRequest, card: Card, holder: Member | Group, **more: Any) -> tuple[Badge, Change]:
    """Assign a badge, as badges.assign does.

    Raises errors.SelfDecision if it is or was a badge of the signed-in person, of a group of theirs, or of a member for
    whom they pay, and `holder` is somebody else (docs/decisions/0068). A badge that was only lent to them is the workshop's.
    """
    own = barred_from(account_of(request))
    if own is not None and holder.pk != own:
        theirs = Q(member=own) | Q(group__members=own) | Q(group__payer=own)
        if not (isinstance(holder, Member) and holder.payer_id == own):
            theirs |= Q(member__payer=own)
        given = Badge.objects.filter(theirs, Q(digest=card.digest) | Q(forms__digest=card.digest))
        if given.exclude(kind=Badge.LOAN).exists():
            raise errors.SelfDecision
    return badges.assign(card, holder, actor=account_of(request).name, **more)
