"""A machine at a moment: sessions, training, locks, clock, and completeness of the records."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.utils import timezone

from fabgate.collector.faces.pages.use.moment import covering, gate_records
from fabgate.collector.faces.pages.use.sessions import evidence
from fabgate.collector.faces.pages.words import session_labels
from fabgate.collector.faces.pages.words.names import Names
from fabgate.collector.ground.models import Change, Grant, Machine, Member, Refusal, UsageSession
from fabgate.collector.members.people.display_names import account_names, badge_title, holders_at_refusal

#: Refusals within this time are shown too.
NEAR: Final = timedelta(minutes=15)
#: How many sessions are shown in full; the others are only counted.
_MAX_SHOWN: Final = 20


@dataclass(frozen=True, slots=True)
class Cover:
    """A session that covers the moment, certainly or perhaps, and what is known about its user."""

    found: evidence.Evidence
    who: str
    recorded: str
    supervisor: str
    #: Why it is uncertain that the machine was on; empty if it is certain.
    perhaps: str
    #: When the gate last reported the session; None if that is now, or the session has ended.
    heard_at: datetime | None
    grants: list[dict[str, Any]]
    was_trained: bool
    has_individual_access: bool
    stage: str
    #: The names of the corrected fields.
    corrected: str

    @property
    def session(self) -> UsageSession:
        """Return the session."""
        return self.found.session


def answer(machine: Machine, moment: datetime) -> dict[str, Any]:
    """Return everything that the page shows about a machine at a moment."""
    around = covering.around(machine, moment)
    # Certain ones first, because a gate without a clock may have written many undated sessions.
    shown = sorted(around.covering, key=lambda one: one[1] != covering.CERTAIN)[:_MAX_SHOWN]
    names = Names(who for session, _ in shown for who in (session.used_by, session.member, session.supervisor))
    neighbours = Names(session.used_by for session in (around.before, around.after) if session)
    gates = gate_records.of(machine, moment)
    return {
        "covers": [_cover(session, perhaps, machine, moment, names) for session, perhaps in shown],
        "hidden": len(around.covering) - len(shown),
        "before": around.before and {"session": around.before, "who": neighbours[around.before.used_by]},
        "after": around.after and {"session": around.after, "who": neighbours[around.after.used_by]},
        "locks": _locks(machine, moment),
        "gates": gates,
        "is_proven": bool(gates) and all(row.is_complete for row in gates),
        "refusals": _refusals(machine, moment),
    }


def _cover(session: UsageSession, perhaps: str, machine: Machine, moment: datetime, names: Names) -> Cover:
    found = evidence.of(session)
    ways = [[one.pk for one in training.with_prerequisites()] for training in machine.trainings.all()]
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
        has_individual_access=Member.machines.through.objects.filter(
            member=session.used_by, machine=machine.pk
        ).exists(),
        stage=session_labels.label(session_labels.STAGES, found.grant.stage) if found.grant else "",
        corrected=session_labels.corrected(session.corrected),
    )


def _was_trained(ways: Iterable[Collection[int]], grants: Iterable[Mapping[str, Any]]) -> bool:
    """Return whether training gave access: one of `ways`, with its prerequisites, was held and none suspended.

    The same rule as for rosters (members/access/eligibility.py), applied to the records of that time.
    """
    held = {row["grant"].training_id for row in grants if row["held"]}
    suspended = {row["grant"].training_id for row in grants if row["suspends"]}
    return any(held.issuperset(way) for way in ways) and all(suspended.isdisjoint(way) for way in ways)


def _grants(member: str, trainings: Collection[int]) -> list[Grant]:
    """Return all grants of these trainings to a member, past and present."""
    rows = Grant.objects.filter(member=member, training__in=trainings).select_related("training")
    return list(rows.order_by("training__title", "since", "id"))


def _grant(grant: Grant, moment: datetime) -> dict[str, Any]:
    day = timezone.localtime(moment).date()
    known = grant.created_at <= moment
    return {
        "grant": grant,
        "stage": session_labels.label(session_labels.STAGES, grant.stage),
        "held": known and grant.holds_on(day) and grant.stage != Grant.SUSPENDED,
        "suspends": known and grant.holds_on(day) and grant.stage == Grant.SUSPENDED,
        "is_late": not known,
        "is_over": grant.last_day is not None and grant.last_day < day,
        "was_revoked": grant.revoked_on is not None and grant.revoked_on <= day,
        "revoked_since": grant.revoked_on is not None and grant.revoked_on > day,
    }


def _locks(machine: Machine, moment: datetime) -> dict[str, Any]:
    """Return the lock at that moment according to the audit log, and changes of locks within a day."""
    log = Change.objects.filter(kind="machine", key=machine.name, verb__in=["machine.locked", "machine.unlocked"])
    last = log.filter(at__lte=moment).order_by("-at", "-id").first()
    near = log.filter(at__gt=moment - timedelta(days=1), at__lte=moment + timedelta(days=1))
    around = list(near.order_by("at", "id"))
    called = account_names([one.actor for one in around] + ([last.actor] if last else []))
    changes = [
        {"change": one, "by": called.get(one.actor, one.actor), "on": one.verb == "machine.locked"} for one in around
    ]
    is_on = last is not None and last.verb == "machine.locked"
    return {"now": last if is_on else None, "by": called.get(last.actor, last.actor) if last else "", "around": changes}


def _refusals(machine: Machine, moment: datetime) -> list[dict[str, Any]]:
    """Return the refusals at this machine, including those by gates that it no longer has."""
    rows = list(Refusal.between(moment - NEAR, moment + NEAR).filter(machine=machine).reverse())
    names = Names(row.member for row in rows)
    holders = holders_at_refusal(rows)
    return [
        {
            "refusal": row,
            "who": names[row.member] if row.member else badge_title(holders.get(row.pk), row.reasons),
            "holder": holders.get(row.pk),
            "why": session_labels.refused(row.reasons),
        }
        for row in rows
    ]
