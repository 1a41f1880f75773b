"""Tries a tariff before it applies: what an invented session, a real one or a whole month would have cost."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import NamedTuple

from fabgate.collector.ground.models import BillingTerms
from fabgate.collector.money.billing import member_plans, rating, terms
from fabgate.collector.money.billing import month as months
from fabgate.collector.money.billing.rating import Facts, Rated, Terms
from fabgate.collector.money.billing.tariffs import rules
from fabgate.collector.money.billing.tariffs.rules import NOT_STORED, Rule


class Compared(NamedTuple):
    """Sums of the sessions of one machine and plan: what they cost, and what they would cost, in minor units."""

    sessions: int = 0
    amount_minor: int = 0
    new_minor: int = 0

    def plus(self, before: Rated, after: Rated) -> Compared:
        """Return the sums with one more session."""
        return Compared(self.sessions + 1, self.amount_minor + before.amount_minor, self.new_minor + after.amount_minor)


def with_rule(terms: Terms, new: Rule) -> Terms:
    """Return the terms as if `new` had always applied, in the place of the rules for the same machines and plan."""
    same = new.machine, new.category, new.plan
    others = [rule for rule in terms.rules if (rule.machine, rule.category, rule.plan) != same]
    return terms._replace(rules=[*others, replace(new, valid_from=date.min)])


def invented(terms: Terms, new: Rule, start: datetime, counted_ms: int, running_ms: int) -> Rated:
    """Rate a session that never was, under `new` alone, by a member of its plan who has used no free minutes yet."""
    facts = Facts(
        session="",
        user="",
        machine=new.machine,
        machine_category=new.category,
        plan=new.plan,
        purpose=min(new.purposes),
        start=start,
        end=start + timedelta(milliseconds=counted_ms),
        counted_ms=counted_ms,
        running_ms=running_ms,
    )
    return rating.rate([facts], with_rule(terms._replace(rules=[]), new))[0]


def at_place_of(rated: Rated, new: Rule) -> Rule:
    """Return `new` as a rule for the machine and the plan of a session."""
    return replace(new, machine=rated.facts.machine, category="", plan=rated.facts.plan)


def applies(rated: Rated) -> bool:
    """Return whether a session was rated by the rule that is only tried."""
    return rated.rule is not None and rated.rule.id == NOT_STORED


def compare(month: date, terms: Terms, new: Rule) -> dict[tuple[str, str], Compared]:
    """Return what a month costs now and with `new`, by machine and plan."""

    def is_concerned(facts: Facts) -> bool:
        return new.applies(facts.machine, facts.machine_category, facts.plan, date.max)

    return _sums(_pairs(month, terms, with_rule(terms, new), is_concerned))


def _same(facts: Facts) -> Facts:
    return facts


def changes(
    months: Iterable[date],
    now: Terms,
    then: Terms,
    is_concerned: Callable[[Facts], bool],
    changed: Callable[[Facts], Facts] = _same,
) -> dict[tuple[str, str], Compared]:
    """Return what other terms change in months, by machine and plan: the sums of sessions that would cost another amount.

    Only payers with a session that `is_concerned` are rated. `changed` returns a session as it would be.
    """
    pairs = (pair for month in months for pair in _pairs(month, now, then, is_concerned, changed, only_concerned=True))
    return _sums((old, new) for old, new in pairs if (old.kind, old.amount_minor) != (new.kind, new.amount_minor))


def of_rule(found: BillingTerms, rule: Rule) -> dict[tuple[str, str], Compared]:
    """Return what a rule that is not stored yet changes of sessions that have ended, in months that are not closed.

    The first rule changes nothing while no month was ever closed: there was no price.
    """
    now, first = terms.for_rating(found), terms.first_open_day()
    if not now.rules and first is None:
        return {}

    def is_concerned(facts: Facts) -> bool:
        return rule.applies(facts.machine, facts.machine_category, facts.plan, date.max)

    then = now._replace(rules=[*now.rules, rule])
    return changes(open_months(found, rule.valid_from), now, then, is_concerned)


def of_plans(found: BillingTerms, plans: Mapping[str, str], since: date) -> dict[tuple[str, str], Compared]:
    """Return what new plans of members change of sessions that have ended, in months that are not closed.

    `plans` are the names of plans by the members' ids, from the day `since` on. The sums are by machine and new plan.
    """
    now, before = terms.for_rating(found), member_plans.histories(plans)
    changed = {
        member: member_plans.with_change(before.get(member, member_plans.NO_HISTORY), member_plans.Change(since, plan))
        for member, plan in plans.items()
    }

    def planned(facts: Facts) -> Facts:
        if facts.user not in changed:
            return facts
        day = facts.end.astimezone(now.zone).date()
        return facts._replace(plan=member_plans.plan_on(changed[facts.user], day))

    return changes(open_months(found, since), now, now, lambda facts: planned(facts) != facts, planned)


def open_months(found: BillingTerms, since: date) -> list[date]:
    """Return the first days of the months from a day until today that are not closed."""
    first, last = max(since.replace(day=1), terms.first_open_day() or found.first_month), terms.today(found)
    passed = []
    while first <= last:
        passed.append(first)
        first = terms.next_month(first)
    return passed


def _pairs(
    month: date,
    now: Terms,
    then: Terms,
    is_concerned: Callable[[Facts], bool],
    changed: Callable[[Facts], Facts] = _same,
    *,
    only_concerned: bool = False,
) -> Iterator[tuple[Rated, Rated]]:
    """Yield each session of a month, rated by both terms, the second time as `changed`; with `only_concerned`, no payer for whom all costs the same."""
    lookups = rules.Lookup(now.rules), rules.Lookup(then.rules)
    for facts in months.by_payer(month, now.zone).values():
        may_change = any(map(is_concerned, facts))
        if only_concerned and not may_change:
            continue
        before = rating.rate(facts, now, lookup=lookups[0])
        after = rating.rate(map(changed, facts), then, lookup=lookups[1]) if may_change else before
        yield from zip(before, after, strict=True)


def _sums(pairs: Iterable[tuple[Rated, Rated]]) -> dict[tuple[str, str], Compared]:
    found: dict[tuple[str, str], Compared] = defaultdict(Compared)
    for before, after in pairs:
        key = after.facts.machine, after.facts.plan
        found[key] = found[key].plus(before, after)
    return dict(sorted(found.items()))
