"""Rates a month of the sessions on record, without charging anybody."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from django.db.models import Q

from fabgate.collector.billing import member_plans, rating
from fabgate.collector.billing.rating import Facts, Rated, Terms
from fabgate.collector.models import UsageSession


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
    by_payer: dict[str, list[Facts]] = defaultdict(list)
    for payer, facts in sessions(month, terms.zone):
        by_payer[payer].append(facts)
    return [Payment(payer, rated) for payer in sorted(by_payer) for rated in rating.rate(by_payer[payer], terms)]


def rate_one(name: str, terms: Terms) -> RatedSession | None:
    """Rate one session among all that its payer pays for in its month; None for one that is unknown or still open."""
    session = UsageSession.objects.filter(pk=name).select_related("machine", "gate").first()
    if session is None or session.ended_at is None or session.reason is None:
        return None
    month, payer = session.ended_at.astimezone(terms.zone).date(), payer_of(session)
    facts = [facts for _payer, facts in sessions(month, terms.zone, payer=payer)]
    rated = next(one for one in rating.rate(facts, terms) if one.facts.session == session.pk)
    return RatedSession(session, payer, rated)


def sessions(month: date, zone: ZoneInfo, *, payer: str = "") -> Iterator[tuple[str, Facts]]:
    """Yield (payer, facts) of the sessions that ended in a month of `zone`; with `payer`, only of theirs."""
    histories = member_plans.histories()
    found = UsageSession.ended_between(*bounds(month, zone))
    if payer:
        found = found.filter(Q(payer=payer) | Q(payer="", used_by=payer))
    for row in found:
        assert row.ended_at is not None
        yield (
            payer_of(row),
            Facts(
                session=row.id,
                user=row.used_by,
                machine=row.machine_name,
                machine_category=row.machine.category if row.machine else "",
                plan=member_plans.plan_on(
                    histories.get(row.used_by, member_plans.NO_HISTORY), row.ended_at.astimezone(zone).date()
                ),
                purpose=row.purpose,
                start=row.started_at,
                end=row.ended_at,
                counted_ms=row.counted_ms,
                running_ms=row.counted_running_ms,
                in_review=row.review is not None,
            ),
        )


def payer_of(session: UsageSession) -> str:
    """Return who pays for a session: without a payer, the one who used the machine."""
    return session.payer or session.used_by


def bounds(month: date, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Return the first moment of a month in `zone`, and that of the next one."""
    first = month.replace(day=1)
    after = (first + timedelta(days=31)).replace(day=1)
    start, end = (datetime.combine(day, datetime.min.time(), zone) for day in (first, after))
    return start, end


def sums_by_class(payments: list[Payment]) -> dict[str, Sum]:
    """Return the sums of each class, all classes named."""
    found = dict.fromkeys(rating.CLASSES, Sum())
    for payment in payments:
        found[payment.rated.kind] = found[payment.rated.kind].plus(payment.rated)
    return found


def sums_by_payer_and_class(payments: list[Payment]) -> dict[tuple[str, str], Sum]:
    """Return the sums of each payer and class that has sessions, in the order of the payers, then of the classes."""
    found: dict[tuple[str, str], Sum] = defaultdict(Sum)
    for payer, rated in payments:
        found[payer, rated.kind] = found[payer, rated.kind].plus(rated)
    return dict(sorted(found.items(), key=lambda entry: (entry[0][0], rating.CLASSES.index(entry[0][1]))))
