"""Which payers are out of credit: until credit is added, gates refuse everyone they pay for (members/access/eligibility.py).

A payer who prepays is out of credit when the balance, with the overdraft of their plan, is 0 or less. Before that, the
credit is low below the amount that the terms name. Sessions in review count as if they were accepted (if_accepted.py),
unless a manager has admitted the payer.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Final, NamedTuple

from fabgate.collector.ground.models import BillingTerms, Plan, PlanChange
from fabgate.collector.money.billing import member_plans, terms
from fabgate.collector.money.billing.prepaid import balances, if_accepted, modes
from fabgate.collector.money.billing.tariffs import rules

#: The discount in percent that leaves nothing.
_ALL: Final = 100


@dataclass(frozen=True, slots=True)
class Standing:
    """The payers that are out of credit at a moment, and those whose credit is low; equal if they are the same payers."""

    #: Whether payers that are not in `others` are out of credit.
    default: bool = False
    #: The payers for whom the opposite is true.
    others: frozenset[str] = frozenset()
    #: The payers whose credit is low, but not used up.
    low: frozenset[str] = frozenset()

    def is_out(self, payer: str) -> bool:
        """Return whether a payer is out of credit."""
        return self.default != (payer in self.others)

    @property
    def is_anybody(self) -> bool:
        """Return whether any payer is out of credit."""
        return self.default or bool(self.others)


def of(payers: Collection[str] | None = None, day: date | None = None) -> Standing:
    """Return who is out of credit on `day` (default: today); with `payers`, only of these.

    Charges are as the last refresh made them. The number of queries does not depend on the number of payers.
    """
    known, found = modes.Modes.now(), terms.started()
    if not known or found is None:
        return Standing()
    day = day or terms.today(found)
    held = dict(balances.all_of(payers))
    for payer, more in if_accepted.more_of(payers, without_admitted=True).items():
        held[payer] = held.get(payer, 0) - more
    overdrafts = _overdrafts(day, payers)
    own = known.with_own(day)
    default = known.prepays(modes.EVERYBODY, day)

    def has_credit(payer: str) -> bool:
        return held.get(payer, 0) + overdrafts.get(payer, 0) > 0

    able = {payer for payer in (*held, *overdrafts) if has_credit(payer)}
    low = frozenset(payer for payer in able if own.get(payer, default) and is_low(held.get(payer, 0), found))
    if default:
        not_prepaying = {payer for payer, prepays in own.items() if not prepays}
        return Standing(default=True, others=frozenset(able | not_prepaying), low=low)
    out = frozenset(payer for payer, prepays in own.items() if prepays and payer not in able)
    return Standing(others=out, low=low)


class Figures(NamedTuple):
    """The balances of a payer, in minor units."""

    #: The books: sessions in review cost nothing.
    balance_minor: int
    #: If each session in review were accepted; and without those that were in review when the payer was admitted.
    accepted_minor: int
    at_gates_minor: int

    @property
    def refundable_minor(self) -> int:
        """Return what can be refunded at most; it may be below 0."""
        return min(self.balance_minor, self.accepted_minor)


def figures(payer: str) -> Figures:
    """Return the balances of a payer. Charges are as the last refresh made them."""
    balance, more = balances.of(payer), if_accepted.more_of([payer]).get(payer, 0)
    at_gates = if_accepted.more_of([payer], without_admitted=True).get(payer, 0) if more else 0
    return Figures(balance, balance - more, balance - at_gates)


def is_low(balance_minor: int, found: BillingTerms) -> bool:
    """Return whether a balance is low: below the amount that the terms name, or used up."""
    return balance_minor < found.low_credit_minor or balance_minor <= 0


def overdraft_minor(payer: str) -> int:
    """Return by how much the balance of a payer may be below 0 today."""
    found = terms.started()
    return 0 if found is None else _overdrafts(terms.today(found), [payer]).get(payer, 0)


def _overdrafts(day: date, payers: Collection[str] | None) -> Mapping[str, int]:
    """Return the overdrafts above 0 on a day: of members by their plans. Groups and organisations have none."""
    plans = dict(Plan.objects.filter(overdraft_minor__gt=0).values_list("name", "overdraft_minor"))
    if not plans:
        return {}
    members = set(PlanChange.objects.filter(plan__name__in=plans).values_list("member", flat=True))
    found = member_plans.histories(members if payers is None else members & set(payers))
    on_day = {member: plans.get(member_plans.plan_on(changes, day), 0) for member, changes in found.items()}
    return {member: overdraft for member, overdraft in on_day.items() if overdraft}


@dataclass(slots=True)
class CreditLimits:
    """Which users are refused at which machines for lack of credit, or warned. Machines that are free for them are not concerned."""

    day: date
    standing: Standing
    #: Read if a payer is out of credit, or low.
    _lookup: rules.Lookup | None = None
    _histories: Mapping[str, member_plans.History] = field(default_factory=dict)
    #: The plans whose discount leaves nothing to pay.
    _without_cost: Collection[str] = ()
    _costs: dict[tuple[str, str, str], bool] = field(default_factory=dict)

    @classmethod
    def on(cls, day: date, payers: Collection[str] | None = None, users: Collection[str] | None = None) -> CreditLimits:
        """Read what is needed for a day: for some payers and users, or all."""
        found = cls(day, of(payers, day))
        if found.standing.is_anybody or found.standing.low:
            all_rules = terms.rules()
            found._lookup = rules.Lookup(all_rules)
            found._without_cost = {plan.name for plan in terms.plans().values() if plan.discount_percent == _ALL}
            if found._without_cost or any(rule.plan for rule in all_rules):
                found._histories = member_plans.histories(users)
        return found

    def is_refused(self, user: str, payer: str, machine: str, category: str) -> bool:
        """Return whether a user is refused at a machine, given by its name and category."""
        return self.standing.is_out(payer) and self._costs_something(user, machine, category)

    def is_low(self, user: str, payer: str, machine: str, category: str) -> bool:
        """Return whether a machine warns a user that the payer's credit is low."""
        return payer in self.standing.low and self._costs_something(user, machine, category)

    def _costs_something(self, user: str, machine: str, category: str) -> bool:
        plan = member_plans.plan_on(self._histories.get(user, member_plans.NO_HISTORY), self.day)
        key = machine, category, plan
        if key not in self._costs:
            rule = self._lookup.find(*key, self.day) if self._lookup is not None else None
            self._costs[key] = rule is not None and plan not in self._without_cost and _may_cost(rule)
        return self._costs[key]


def _may_cost(rule: rules.Rule) -> bool:
    tariff = rule.tariff
    is_billed = not rule.purposes.isdisjoint(rules.BILLED_PURPOSES)
    return is_billed and tariff.daily_cap != 0 and bool(tariff.prices_time or tariff.session_fee or tariff.minimum)
