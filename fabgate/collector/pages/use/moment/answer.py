"""What was it like at a machine at a moment? Sessions that cover it, training, locks, clock and completeness."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.utils import timezone

from fabgate.collector.models import Change, Grant, Machine, Member, Refusal, UsageSession
from fabgate.collector.pages.use import labels
from fabgate.collector.pages.use.moment import covering, gate_records
from fabgate.collector.pages.use.names import Names
from fabgate.collector.pages.use.sessions import evidence
from fabgate.collector.people.display_names import at_the_time, signing_in, unnamed

#: Refusals so near are told too.
NEAR: Final = timedelta(minutes=15)
#: So many sessions are shown in full; how many more may cover the moment is said.
_SHOWN: Final = 20


@dataclass(frozen=True, slots=True)
class Cover:
    """A session that covers the moment, surely or perhaps, and what is known of who used it."""

    found: evidence.Evidence
    who: str
    recorded: str
    supervisor: str
    #: Why it is not sure that the machine was on at the moment; empty where it is.
    perhaps: str
    #: When it was last heard that the machine was on; None where that is now, or the session has ended.
    heard_at: datetime | None
    grants: list[dict[str, Any]]
    was_trained: bool
    by_hand: bool
    stage: str
    #: Which fields of it a person has corrected, in words.
    corrected: str

    @property
    def session(self) -> UsageSession:
        """Return the session."""
        return self.found.session


def answer(machine: Machine, moment: datetime) -> dict[str, Any]:
    """Return everything that the page says about a machine at a moment."""
    found = covering.around(machine, moment)
    # The sure ones first: of those whose date nobody knows there may be as many as a gate without a clock wrote.
    shown = sorted(found.covering, key=lambda one: one[1] != covering.SURE)[:_SHOWN]
    names = Names(who for session, _ in shown for who in (session.used_by, session.member, session.supervisor))
    beside = Names(session.used_by for session in (found.before, found.after) if session)
    gates = gate_records.of(machine, moment)
    return {
        "covers": [_cover(session, perhaps, machine, moment, names) for session, perhaps in shown],
        "hidden": len(found.covering) - len(shown),
        "before": found.before and {"session": found.before, "who": beside[found.before.used_by]},
        "after": found.after and {"session": found.after, "who": beside[found.after.used_by]},
        "locks": _locks(machine, moment),
        "gates": gates,
        "is_proven": bool(gates) and all(row.is_complete for row in gates),
        "refusals": _refusals(machine, moment),
    }


def _cover(session: UsageSession, perhaps: str, machine: Machine, moment: datetime, names: Names) -> Cover:
    found = evidence.of(session)
    ways = [[one.pk for one in training.with_first()] for training in machine.trainings.all()]
    grants = [_grant(grant, moment) for grant in _grants(session.used_by, {pk for way in ways for pk in way})]
    return Cover(
        found=found,
        who=names[session.used_by],
        recorded=names[session.member],
        supervisor=names[session.supervisor] if session.supervisor else "",
        perhaps=perhaps,
        heard_at=covering.heard_at(session) if session.reason is None else None,
        grants=grants,
        was_trained=_was_trained(ways, grants),
        by_hand=Member.machines.through.objects.filter(member=session.used_by, machine=machine.pk).exists(),
        stage=labels.said(labels.STAGES, found.grant.stage) if found.grant else "",
        corrected=labels.corrected(session.corrected),
    )


def _was_trained(ways: Iterable[Collection[int]], grants: Iterable[Mapping[str, Any]]) -> bool:
    """Whether trainings let somebody in: one of the `ways`, each with what it wants first, is held and none is suspended.

    It is the rule by which rosters are built (access/eligibility.py), of what was on record then.
    """
    held = {row["grant"].training_id for row in grants if row["held"]}
    suspended = {row["grant"].training_id for row in grants if row["suspends"]}
    return any(held.issuperset(way) for way in ways) and all(suspended.isdisjoint(way) for way in ways)


def _grants(member: str, trainings: Collection[int]) -> list[Grant]:
    """Return everything that was ever said of a member and these trainings."""
    rows = Grant.objects.filter(member=member, training__in=trainings).select_related("training")
    return list(rows.order_by("training__title", "since", "id"))


def _grant(grant: Grant, moment: datetime) -> dict[str, Any]:
    day = timezone.localtime(moment).date()
    known = grant.created_at <= moment
    return {
        "grant": grant,
        "stage": labels.said(labels.STAGES, grant.stage),
        "held": known and grant.holds_on(day) and grant.stage != Grant.SUSPENDED,
        "suspends": known and grant.holds_on(day) and grant.stage == Grant.SUSPENDED,
        "is_late": not known,
        "is_over": grant.last_day is not None and grant.last_day < day,
        "was_revoked": grant.revoked_on is not None and grant.revoked_on <= day,
        "revoked_since": grant.revoked_on is not None and grant.revoked_on > day,
    }


def _locks(machine: Machine, moment: datetime) -> dict[str, Any]:
    """Return the lock that was on then, as the log has it, and the changes of locks in the day around it."""
    log = Change.objects.filter(kind="machine", key=machine.name, verb__in=["machine.locked", "machine.unlocked"])
    last = log.filter(at__lte=moment).order_by("-at", "-id").first()
    near = log.filter(at__gt=moment - timedelta(days=1), at__lte=moment + timedelta(days=1))
    around = list(near.order_by("at", "id"))
    called = signing_in([one.actor for one in around] + ([last.actor] if last else []))
    said = [
        {"change": one, "by": called.get(one.actor, one.actor), "on": one.verb == "machine.locked"} for one in around
    ]
    is_on = last is not None and last.verb == "machine.locked"
    return {"now": last if is_on else None, "by": called.get(last.actor, last.actor) if last else "", "around": said}


def _refusals(machine: Machine, moment: datetime) -> list[dict[str, Any]]:
    """Return who was refused at this machine, whichever gate stands beside it today."""
    rows = list(Refusal.between(moment - NEAR, moment + NEAR).filter(machine=machine).reverse())
    names = Names(row.member for row in rows)
    holders = at_the_time(rows)
    return [
        {
            "refusal": row,
            "who": names[row.member] if row.member else unnamed(holders.get(row.pk)),
            "holder": holders.get(row.pk),
            "why": labels.refused(row.reasons),
        }
        for row in rows
    ]
