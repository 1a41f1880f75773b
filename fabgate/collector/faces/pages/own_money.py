"""Own money besides one's own charges: the plans that one has, and the settlement of all other payers.

An account may not decide about them, unless it is a manager's (docs/decisions/0068).
"""

from __future__ import annotations

from datetime import date

from django.db.models import Q
from django.http import HttpRequest

from fabgate.collector.faces.pages import errors
from fabgate.collector.faces.pages.access_control import account_of
from fabgate.collector.faces.pages.roles import self_and_groups
from fabgate.collector.ground.models import Account, Member
from fabgate.collector.money.billing import member_plans, terms
from fabgate.collector.money.billing.prepaid import modes


def plans_of(account: Account) -> frozenset[str]:
    """Return the plans, by name, on which the bill of `account` depends in open months.

    They are those of the members among `self_and_groups`, and of members for whom one of these pays.
    """
    decided = self_and_groups(account)
    if not decided:
        return frozenset()
    members = Member.objects.filter(Q(pk__in=decided) | Q(payer__in=decided)).values_list("pk", flat=True)
    return member_plans.plans_since(list(members), terms.first_open_day() or terms.get().first_month)


def refuse_plan(request: HttpRequest, name: str) -> None:
    """Raise errors.SelfDecision if the signed-in person's bill depends on this plan."""
    if name in plans_of(account_of(request)):
        raise errors.SelfDecision


def refuse_default_settlement(request: HttpRequest, month: date) -> None:
    """Raise errors.SelfDecision if the default of all other payers applies to the signed-in person from a month on.

    It does unless each of their payers has a settlement of its own then.
    """
    if not self_and_groups(account_of(request)) <= modes.Modes.now().with_own(month).keys():
        raise errors.SelfDecision
