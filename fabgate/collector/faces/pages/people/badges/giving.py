"""Assigns a badge for the person who is signed in. Nobody but a manager gives their own badge to somebody who pays for it."""

from __future__ import annotations

from typing import Any, Final

from django.conf import settings
from django.db.models import Q
from django.http import HttpRequest

from fabgate.badge.short_forms import SHORT_FORMS, short_digests
from fabgate.collector.faces.pages import errors
from fabgate.collector.faces.pages.access_control import account_of
from fabgate.collector.faces.pages.roles import barred_from
from fabgate.collector.ground.models import Badge, Change, Group, Member
from fabgate.collector.members.access import roster
from fabgate.collector.members.people import badges
from fabgate.collector.members.people.badges import Card

#: All short forms, not only those of the workshop's readers: somebody may type a badge as another reader gives it.
_SHORT_FORMS: Final = tuple(sorted(SHORT_FORMS))


def assign(
    request: HttpRequest, card: Card, holder: Member | Group, *, kind: str = Badge.PERSONAL, **more: Any
) -> tuple[Badge, Change]:
    """Assign a badge, as badges.assign does.

    Raises errors.SelfDecision if it is or was a badge of the signed-in person, of a group of theirs, or of a member for
    whom they pay, and `holder` is somebody else (docs/decisions/0068). They may lend a badge that was only lent to them to
    others; they may not give it for good.
    """
    own = barred_from(account_of(request))
    if own is not None and holder.pk != own:
        theirs = Q(member=own) | Q(group__members=own) | Q(group__payer=own)
        if not (isinstance(holder, Member) and holder.payer_id == own):
            theirs |= Q(member__payer=own)
        had = Badge.objects.filter(theirs)
        if kind == Badge.LOAN:
            had = had.exclude(kind=Badge.LOAN)
        if any(_is_same(card, Card.of(row)) for row in had):
            raise errors.SelfDecision
    return badges.assign(card, holder, actor=account_of(request).name, kind=kind, **more)


def _is_same(one: Card, other: Card) -> bool:
    """Return whether two cards are the same, or one is a short form of the other."""
    return one.digest == other.digest or one.digest in _shortened(other) or other.digest in _shortened(one)


def _shortened(card: Card) -> set[str]:
    if not card.spelling:
        return set()
    key = roster.badge_key(settings.ENVIRONMENT)
    return {digest for _name, digest in short_digests(card.spelling, _SHORT_FORMS, key)}
