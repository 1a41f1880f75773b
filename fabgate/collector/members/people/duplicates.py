"""Finds members of the name of a new person, and takes back a person who was added by mistake (docs/decisions/0139).

Only the account that added them may, for some minutes, and only if nothing is known of them but what it entered itself.
They are marked as left, their badges end, and their trainings are revoked. Nothing is deleted: a gate that is offline may
know them, and report a session later, whose payer the books need by name.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any, Final

from django.db import models, transaction
from django.utils.translation import gettext as _

from fabgate.collector.ground.base.search_key import folded
from fabgate.collector.ground.db import audit, pulse
from fabgate.collector.ground.models import (
    Badge,
    Change,
    Correction,
    Gate,
    ManualLine,
    Member,
    Payer,
    PrepaidChange,
    PrepaidEntry,
    Refusal,
    UsageSession,
)
from fabgate.collector.members.people import leaving, trainings
from fabgate.errors import UsageError

#: The most words of a name that are compared in any order, as surname and given name.
_MOST_WORDS: Final = 4
#: The most people who are asked about.
_MOST: Final = 6
#: For how long a person who was added can be taken back.
WITHIN: Final = timedelta(minutes=10)
#: The reason in the log, and of revoked grants.
UNDONE: Final = "undone"


def of_name(name: str) -> list[Member]:
    """Return members, also those who left, whose name has the same words, without accents, in any order.

    People who were taken back are left out.
    """
    words = folded(name).split()
    if not words:
        return []
    orders = permutations(words) if len(words) <= _MOST_WORDS else [words]
    found = list(Member.objects.filter(folded__in={" ".join(order) for order in orders}).order_by("pk")[: 2 * _MOST])
    back = undone([member.pk for member in found])
    return [member for member in found if member.name and member.pk not in back][:_MOST]


def of_names(names: Collection[str]) -> dict[str, Sequence[str]]:
    """Return the ids of members by name, for names that members have, as `of_name` does; it asks once for many names."""
    wanted = defaultdict(list)
    for name in names:
        wanted[in_any_order(name)].append(name)
    wanted.pop("", None)
    found: dict[str, list[str]] = defaultdict(list)
    members = Member.objects.exclude(name="").order_by("pk") if wanted else Member.objects.none()
    for key, pk in members.values_list("folded", "pk"):
        for name in wanted.get(in_any_order(key), ()):
            found[name].append(pk)
    back = undone([pk for pks in found.values() for pk in pks])
    kept = {name: [pk for pk in pks if pk not in back][:_MOST] for name, pks in found.items()}
    return {name: pks for name, pks in kept.items() if pks}


def in_any_order(name: str) -> str:
    """Return what names of the same words have in common, without accents, in any order."""
    return " ".join(sorted(folded(name).split()))


def may_undo(member: Member, actor: str, now: datetime) -> bool:
    """Return whether the account `actor` may take a person back at `now`."""
    added = Change.objects.filter(kind="member", key=member.pk, verb="member.added").order_by("-pk").first()
    if added is None or added.actor != actor or not now - WITHIN <= added.at <= now or member.left_on is not None:
        return False
    return not _changed_by_others(member, actor) and not _is_used(member, added.at)


def undo(member: Member, *, actor: str) -> Change:
    """Take a person back; return the change with the rosters. Raises UsageError if `actor` may not, or no longer."""
    with transaction.atomic(), pulse.deferred():
        held = Member.objects.select_for_update(no_key=True).get(pk=member.pk)
        if not may_undo(held, actor, datetime.now(UTC)):
            text = _(
                "Adding %(member)s cannot be undone: you did not add this person within the last %(minutes)d"
                " minutes, or someone has since changed the person's data or used a badge"
            )
            raise UsageError(text % {"member": held, "minutes": WITHIN.total_seconds() // 60})
        for grant in held.grants.filter(revoked_on=None).order_by("pk"):
            trainings.revoke(grant, actor=actor, reason=UNDONE)
        return leaving.leave(held, actor=actor, reason=UNDONE)


def undone(members: list[str]) -> set[str]:
    """Return which of these members were taken back, and have not been readmitted."""
    last = models.Max("pk", filter=models.Q(verb__in=("member.left", "member.back")))
    rows = Change.objects.filter(kind="member", key__in=members).values("key").annotate(last=last)
    return set(Change.objects.filter(pk__in=[row["last"] for row in rows], reason=UNDONE).values_list("key", flat=True))


def _changed_by_others(member: Member, actor: str) -> bool:
    """Return whether somebody else changed something of a person, of their badges, trainings, blocks or plans."""
    about = models.Q(kind="member", key=member.pk)
    theirs: tuple[models.Manager[Any], ...] = (member.badges, member.grants, member.blocks, member.plan_changes)
    for rows in theirs:
        keys = [str(pk) for pk in rows.values_list("pk", flat=True)]
        about |= models.Q(kind=rows.model._meta.model_name, key__in=keys)  # noqa: SLF001 (Django's name for it)
    return Change.objects.filter(about).exclude(actor=actor).exclude(actor=audit.WORKER).exists()


def _is_used(member: Member, since: datetime) -> bool:
    """Return whether sessions, refusals, the books, groups or accounts refer to a person who was added at `since`."""
    pk = member.pk
    digests = Badge.objects.filter(member=pk).values("digest")
    users = models.Q(member=pk) | models.Q(used_by=pk) | models.Q(supervisor=pk) | models.Q(payer=pk)
    named = models.Q(new=pk) | models.Q(old=pk)
    found = (
        Gate.objects.filter(session_member=pk),
        Refusal.objects.exclude(member="").filter(member=pk),
        # When it happened: a gate may report later what it refused before. Its arrival, if its clock is known to be wrong.
        Refusal.objects.filter(member="", badge__in=digests, about__gte=since),
        Payer.objects.filter(pk=pk),
        ManualLine.objects.filter(payer=pk),
        PrepaidEntry.objects.filter(payer=pk),
        PrepaidChange.objects.filter(payer=pk),
        member.groups.all(),
        member.accounts.all(),
        Correction.objects.filter(named, field__in=(Correction.MEMBER, Correction.PAYER)),
        # Of any date, because clocks of gates may be wrong. It comes last: it may read all sessions.
        UsageSession.objects.filter(users),
    )
    return any(rows.exists() for rows in found)
