"""Rates a month of the sessions on record, without charging anybody."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from datetime import date, datetime
from types import MappingProxyType
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from django.db.models import Q, QuerySet

from fabgate.collector.ground.models import UsageSession, Waiver
from fabgate.collector.ground.models.sessions import counted
from fabgate.collector.money.billing import member_plans, rating, terms
from fabgate.collector.money.billing.rating import Facts, Rated, Terms
from fabgate.collector.money.billing.tariffs import rules

#: Rows that are read at once.
_CHUNK: Final = 2_000


class Payment(NamedTuple):
    """A rated session, and who pays for it."""

    payer: str
    rated: Rated


class RatedSession(NamedTuple):
    """A session on record with its price."""

    session: UsageSession
    payer: str
    rated: Rated


class Sum(NamedTuple):
    """Sums of sessions: their number, the time that counts, and the amount in minor units."""

    sessions: int = 0
    counted_ms: int = 0
    amount_minor: int = 0

    def plus(self, rated: Rated) -> Sum:
        """Return the sum with one more session."""
        return Sum(self.sessions + 1, self.counted_ms + rated.facts.counted_ms, self.amount_minor + rated.amount_minor)


def rate(month: date, terms: Terms) -> list[Payment]:
    """Rate all sessions that ended in a month; ordered by payer, then as they began."""
    facts, lookup = by_payer(month, terms.zone), rules.Lookup(terms.rules)
    return [
        Payment(payer, rated) for payer in sorted(facts) for rated in rating.rate(facts[payer], terms, lookup=lookup)
    ]


def by_payer(month: date, zone: ZoneInfo) -> dict[str, list[Facts]]:
    """Return the sessions that ended in a month of `zone`, by payer."""
    found: dict[str, list[Facts]] = defaultdict(list)
    for payer, facts in sessions(month, zone):
        found[payer].append(facts)
    return found


def rate_one(name: str, terms: Terms) -> RatedSession | None:
    """Rate one session among all that its payer pays for in its month; None for one that is unknown or still open."""
    session = UsageSession.objects.filter(pk=name).select_related("machine", "gate").first()
    if session is None or session.ended_at is None or session.reason is None:
        return None
    month, payer = session.ended_at.astimezone(terms.zone).date(), payer_of(session)
    facts = [facts for _payer, facts in sessions(month, terms.zone, payers=[payer])]
    rated = next(one for one in rating.rate(facts, terms) if one.facts.session == session.pk)
    return RatedSession(session, payer, rated)


#: What rating reads of a session. A whole row has fifty columns, and a month fifty thousand rows.
_COLUMNS: Final = (
    *("id", "used_by", "payer", "machine__name", "machine__category", "gate__name", "purpose"),
    *("started_at", "ended_at", "counted_ms", "running_ms", "corrected", "review"),
)


def sessions(month: date, zone: ZoneInfo, *, payers: Collection[str] = ()) -> Iterator[tuple[str, Facts]]:
    """Yield (payer, facts) of the sessions that ended in a month of `zone`; with `payers`, only of theirs."""
    found = UsageSession.ended_between(*bounds(month, zone))
    if payers:
        found = found.filter(Q(payer__in=payers) | Q(payer="", used_by__in=payers))
    return facts_of(found, zone)


class Decided(NamedTuple):
    """What people have decided: which plans members have, and which sessions are waived."""

    histories: Mapping[str, member_plans.History]
    waived: Collection[str]
    #: Sessions in review that are rated as if they were accepted, with the time that counts then (prepaid/if_accepted.py).
    accepted: Mapping[str, int] = MappingProxyType({})

    @classmethod
    def now(cls) -> Decided:
        """Read all of it, for a caller who needs it many times."""
        return cls(member_plans.histories(), set(Waiver.objects.values_list("session", flat=True)))


def facts_of(
    sessions: QuerySet[UsageSession], zone: ZoneInfo, decided: Decided | None = None
) -> Iterator[tuple[str, Facts]]:
    """Yield (payer, facts) of sessions that have ended. The plan is that of the day of the end in `zone`."""
    histories, waived, accepted = decided or Decided.now()
    rows = sessions.values_list(*_COLUMNS).iterator(chunk_size=_CHUNK)
    for (
        pk,
        user,
        payer,
        machine,
        category,
        gate,
        purpose,
        start,
        end,
        counted_ms,
        running_ms,
        corrected,
        review,
    ) in rows:
        changes = histories.get(user)
        facts = Facts(
            session=pk,
            user=user,
            machine=machine or gate,
            machine_category=category or "",
            plan=member_plans.plan_on(changes, end.astimezone(zone).date()) if changes else "",
            purpose=purpose,
            start=start,
            end=end,
            counted_ms=counted_ms,
            running_ms=counted.running_that_counts(corrected, running_ms, counted_ms),
            in_review=review is not None,
            waived=pk in waived,
        )
        yield payer or user, _accepted(facts, accepted[pk]) if pk in accepted else facts


def _accepted(facts: Facts, counted_ms: int) -> Facts:
    running_ms = min(facts.running_ms, counted_ms)
    return facts._replace(counted_ms=counted_ms, running_ms=running_ms, in_review=False)


def payer_of(session: UsageSession) -> str:
    """Return who pays for a session: without a payer, the one who used the machine."""
    return session.payer or session.used_by


def bounds(month: date, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Return the first moment of a month in `zone`, and that of the next one."""
    first = month.replace(day=1)
    start, end = (datetime.combine(day, datetime.min.time(), zone) for day in (first, terms.next_month(first)))
    return start, end
