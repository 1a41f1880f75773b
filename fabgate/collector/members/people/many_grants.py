"""Grants trainings to several people at once, but never lowers a stage: see docs/decisions/0060."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from operator import attrgetter
from typing import Final, NamedTuple

from django.db import transaction

from fabgate.collector.ground.db import audit, member_lock, pulse
from fabgate.collector.ground.models import Account, Change, Grant, Member, Training
from fabgate.collector.members.access import roster
from fabgate.collector.members.people import blocks
from fabgate.collector.members.people.grant_effects import effect
from fabgate.collector.members.people.trainings import checked_trainer, grants_held, store, suspension

#: Why a member gets no grant: they are suspended, or hold a higher or the same stage.
SUSPENDED, MORE, AS_MUCH = "suspended", "more", "as-much"
KEPT: Final = (SUSPENDED, MORE, AS_MUCH)


class Planned(NamedTuple):
    """A grant that is not stored yet. If it would not be granted, `kept` is one of KEPT; otherwise it is empty."""

    grant: Grant
    kept: str


class Outcome(NamedTuple):
    """The result for one of several members to whom a training was granted, or would have been."""

    grant: Grant
    #: The grant's change, of which the last one carries the rosters; None: nothing was granted.
    change: Change | None
    #: One of KEPT; empty if it was granted.
    kept: str = ""

    @property
    def member(self) -> Member:
        """Return the member."""
        return self.grant.member


def plan(grants: Sequence[Grant], *, locks: bool) -> list[Planned]:
    """Decide about each grant, in the order of their first days, as if those before it were stored.

    With `locks` no one else changes the grants of these members until the transaction ends. Raises UsageError if one of
    them has left since they were read.
    """
    if not grants:
        return []
    trainings = list({grant.training_id: grant.training for grant in grants}.values())
    first = min(grant.since for grant in grants)
    if locks:
        member_lock.take([grant.member for grant in grants])
    held, today = grants_held({grant.member_id for grant in grants}, trainings, first), blocks.today()
    planned = []
    for grant in sorted(grants, key=attrgetter("since")):
        earlier = held[grant.member_id, grant.training_id]
        kept = _kept(earlier, grant, today)
        planned.append(Planned(grant, kept))
        if not kept:
            earlier.append(grant)
            earlier.sort(key=attrgetter("since"))  # of the same day, the newest stays last
    return planned


def grant_to_many(
    members: Sequence[Member],
    training: Training,
    stage: str,
    *,
    actor: Account | str,
    since: date,
    until: date | None = None,
    trainer: str = "",
) -> list[Outcome]:
    """Grant a training to those members who gain by it; rosters are rebuilt once.

    The others keep what they have, and their outcome says why: a grant to many lowers no stage and lifts no suspension.
    A suspension of many applies to each of them. Raises UsageError, and then nothing is granted.
    """
    trainer = checked_trainer(members, training, stage, actor, since, until, trainer)
    values = {"training": training, "stage": stage, "since": since, "until": until, "trainer": trainer}
    with transaction.atomic(), pulse.deferred():
        planned = plan([Grant(member=member, **values) for member in members], locks=True)
        fresh = [one.grant for one in planned if not one.kept]
        written = dict(zip((grant.member_id for grant in fresh), store(fresh, actor), strict=True))
    return [Outcome(one.grant, written.get(one.grant.member_id), one.kept) for one in planned]


def store_imported(planned: Sequence[Planned], *, actor: str) -> Change:
    """Store those grants of a list that are not `kept`, with a log entry each; return a change with the rosters."""
    fresh = [one.grant for one in planned if not one.kept]
    with audit.changes(actor, "grant.given", fresh, reason="import"):
        Grant.objects.bulk_create(fresh)
    return Change(rosters=roster.versions(roster.rebuild(only_changed=True)))


def _kept(earlier: Sequence[Grant], fresh: Grant, today: date) -> str:
    """Return why a member with these earlier grants gets no grant: one of KEPT; empty if `fresh` is granted."""
    gains, lowered = effect(earlier, fresh, today)
    if fresh.stage == Grant.SUSPENDED:
        return "" if lowered is not None else AS_MUCH
    if suspension(earlier, fresh.since) is not None:
        return SUSPENDED
    if lowered is not None:
        return MORE
    return "" if gains else AS_MUCH
