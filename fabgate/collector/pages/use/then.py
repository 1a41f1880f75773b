"""What was it like at a machine at a moment? Sessions that cover it, training, locks, clock and completeness."""

from __future__ import annotations

import bisect
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.utils import timezone

from fabgate import wire
from fabgate.collector.models import Change, Entry, Gate, Grant, Hole, Journal, Machine, Member, Refusal, UsageSession
from fabgate.collector.pages.use import evidence, words
from fabgate.collector.pages.use.names import Names
from fabgate.collector.pages.who import holding, signing_in, unnamed

#: Refusals so near are told too.
NEAR: Final = timedelta(minutes=15)
#: So many of the sessions that ended later are looked at: at one machine they are one after the other.
_MOST = 10
#: How far back a block that still held can have begun, in entries.
_BACK = 20_000


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

    @property
    def session(self) -> UsageSession:
        """Return the session."""
        return self.found.session


def answer(machine: Machine, moment: datetime) -> dict[str, Any]:
    """Return everything that the page says about a machine at a moment."""
    candidates = list(_near(machine, moment))
    covers = [(session, perhaps) for session in candidates if (perhaps := _covers(session, moment)) is not None]
    names = Names(who for session, _ in covers for who in (session.used_by, session.member, session.supervisor))
    gates = list(machine.gates.order_by("name"))
    before, after = _beside(machine, moment, {session.pk for session, _ in covers})
    beside = Names(session.used_by for session in (before, after) if session)
    return {
        "covers": [_cover(session, perhaps, machine, moment, names) for session, perhaps in covers],
        "before": before and {"session": before, "who": beside[before.used_by]},
        "after": after and {"session": after, "who": beside[after.used_by]},
        "locks": _locks(machine, moment),
        "gates": [_gate(gate, moment) for gate in gates],
        "refusals": _refusals(machine, moment),
    }


def _near(machine: Machine, moment: datetime) -> list[UsageSession]:
    """Return the sessions that may cover the moment: what ended later, what may have, and what has not ended."""
    rows = UsageSession.objects.filter(machine=machine).select_related("machine", "gate", "opened_in")
    ended = rows.filter(ended_at__isnull=False)
    later = ended.filter(ended_at__gte=moment).order_by("ended_at", "id")[:_MOST]
    unsure = ended.filter(ended_at__gte=moment - timedelta(days=1), ended_at__lt=moment, uncertain=True)
    undated = rows.filter(gate__in=machine.gates.all(), not_after__isnull=False, not_after__gte=moment)
    still = UsageSession.open().filter(machine=machine).select_related("opened_in")
    found = {session.pk: session for some in (later, unsure, undated, still) for session in some}
    return sorted(found.values(), key=lambda session: (session.started_at or session.not_before or moment, session.pk))


def _covers(session: UsageSession, moment: datetime) -> str | None:
    """Return None where the session does not cover the moment, "" where it does, and else why it only may."""
    start = session.started_at or session.not_before
    if start is not None and start > moment:
        return None
    if session.reason is None:
        heard_at = _heard_at(session)
        return "" if heard_at is None or moment <= heard_at else "unheard"
    end = session.last_at or session.ended_at
    assert session.ended_at is not None
    if session.is_about:
        return "undated" if moment <= session.ended_at else None
    assert end is not None
    if moment <= end:
        return ""
    return "uncertain" if moment <= end + timedelta(milliseconds=session.uncertainty_ms) else None


def _heard_at(session: UsageSession) -> datetime | None:
    """Return when the gate last told of an open session; None where it does so now."""
    gate = session.gate
    last = session.last_at or session.last_arrived_at
    if gate.session != session.pk or gate.seen_at is None:
        return last
    return None if gate.is_heard(timezone.now()) else max(filter(None, (gate.seen_at, last)))


def _cover(session: UsageSession, perhaps: str, machine: Machine, moment: datetime, names: Names) -> Cover:
    found = evidence.of(session)
    grants = [_grant(grant, moment) for grant in _grants(session.used_by, machine)]
    return Cover(
        found=found,
        who=names[session.used_by],
        recorded=names[session.member],
        supervisor=names[session.supervisor] if session.supervisor else "",
        perhaps=perhaps,
        heard_at=_heard_at(session) if session.reason is None else None,
        grants=grants,
        was_trained=any(row["held"] for row in grants),
        by_hand=Member.machines.through.objects.filter(member=session.used_by, machine=machine.pk).exists(),
        stage=words.said(words.STAGES, found.grant.stage) if found.grant else "",
    )


def _grants(member: str, machine: Machine) -> list[Grant]:
    """Return everything that was ever said of a member and the trainings of a machine, and what those want first."""
    wanted = set(machine.trainings.values_list("pk", flat=True))
    first = set(machine.trainings.exclude(prerequisite=None).values_list("prerequisite", flat=True))
    rows = Grant.objects.filter(member=member, training__in=wanted | first).select_related("training")
    return list(rows.order_by("training__title", "since", "id"))


def _grant(grant: Grant, moment: datetime) -> dict[str, Any]:
    day = timezone.localtime(moment).date()
    known = grant.created_at <= moment
    return {
        "grant": grant,
        "stage": words.said(words.STAGES, grant.stage),
        "held": known and grant.holds_on(day) and grant.stage != Grant.SUSPENDED,
        "is_late": not known,
        "is_over": grant.last_day is not None and grant.last_day < day,
        "was_revoked": grant.revoked_on is not None and grant.revoked_on <= day,
        "revoked_since": grant.revoked_on is not None and grant.revoked_on > day,
    }


def _beside(machine: Machine, moment: datetime, but: set[str]) -> tuple[UsageSession | None, UsageSession | None]:
    """Return the session that ended last before the moment, and the one that ended first after it."""
    rows = UsageSession.objects.filter(machine=machine, ended_at__isnull=False).exclude(pk__in=but)
    before = rows.filter(ended_at__lt=moment).order_by("-ended_at", "-id").first()
    after = rows.filter(ended_at__gte=moment).order_by("ended_at", "id").first()
    return before, after


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


def _gate(gate: Gate, moment: datetime) -> dict[str, Any]:
    """Return what a gate itself had written down by the moment: blocks that held, its clock, and what is missing."""
    journals = list(Journal.objects.filter(gate=gate).order_by("id"))
    place = next((found for journal in reversed(journals) if (found := _place(journal, moment))), None)
    return {
        "gate": gate,
        "causes": _causes(place) if place else [],
        "last": place,
        "is_synced": _is_synced(place) if place else None,
        "next": _next(place) if place else None,
        "holes": [hole for journal in journals for hole in _holes(journal, moment)],
        "awaited": sum(max(0, journal.head - journal.ack_seq) for journal in journals if not journal.superseded_by_id),
    }


def _place(journal: Journal, moment: datetime) -> Entry | None:
    """Return the last entry that a journal dates before the moment; found by halving, for no index has the time."""
    bounds = Entry.objects.filter(journal=journal).order_by("seq")
    first, last = bounds.first(), bounds.last()
    if first is None or last is None:
        return None

    def is_later(seq: int) -> bool:
        dated = Entry.objects.filter(journal=journal, seq__gte=seq, occurred_at__isnull=False).order_by("seq")
        at = dated.values_list("occurred_at", flat=True).first()
        return at is None or at > moment

    beyond = bisect.bisect_left(range(first.seq, last.seq + 1), x=True, key=is_later) + first.seq
    dated = Entry.objects.filter(journal=journal, seq__lt=beyond, occurred_at__lte=moment)
    return dated.order_by("-seq").first()


def _next(entry: Entry) -> Entry | None:
    later = Entry.objects.filter(journal=entry.journal_id, seq__gt=entry.seq, occurred_at__isnull=False)
    return later.order_by("seq").first()


def _is_synced(entry: Entry) -> bool | None:
    data = _data(entry)
    return data.clock.synced if data is not None else None


def _causes(place: Entry) -> list[str]:
    """Return what blocked the machine then, in words: each that was raised and not cleared by that entry."""
    held: dict[str, bool] = {}
    rows = Entry.objects.filter(
        journal=place.journal_id, seq__lte=place.seq, seq__gt=place.seq - _BACK, type__startswith="machine."
    )
    for entry in rows.order_by("-seq").iterator(chunk_size=200):
        data = _data(entry)
        if isinstance(data, wire.MachineBlocked | wire.MachineCleared):
            held.setdefault(data.cause, isinstance(data, wire.MachineBlocked))
    return [words.cause(cause) for cause, is_held in held.items() if is_held]


def _holes(journal: Journal, moment: datetime) -> list[dict[str, Any]]:
    """Return the lost numbers between whose neighbours the moment lies: what happened then may be among them."""
    found = []
    for hole in Hole.objects.filter(journal=journal, state=Hole.LOST).order_by("first"):
        near = Entry.objects.filter(journal=journal, occurred_at__isnull=False)
        before = near.filter(seq__lt=hole.first).order_by("-seq").first()
        after = near.filter(seq__gt=hole.last).order_by("seq").first()
        begins = before.occurred_at if before else None
        ends = after.occurred_at if after else None
        if (begins is None or begins <= moment) and (ends is None or ends >= moment):
            found.append({"hole": hole, "from": begins, "to": ends, "count": hole.last - hole.first + 1})
    return found


def _refusals(machine: Machine, moment: datetime) -> list[dict[str, Any]]:
    """Return who was refused at this machine, whichever gate stands beside it today."""
    rows = list(Refusal.between(moment - NEAR, moment + NEAR).filter(machine=machine).reverse())
    names = Names(row.member for row in rows)
    holders = holding(row.badge for row in rows if not row.member)
    return [
        {
            "refusal": row,
            "who": names[row.member] if row.member else unnamed(holders.get(row.badge)),
            "holder": None if row.member else holders.get(row.badge),
            "why": words.refused(row.reasons),
        }
        for row in rows
    ]


def _data(entry: Entry) -> wire.Data | None:
    try:
        return wire.decode_data(entry.decode())
    except ValueError:
        return None
