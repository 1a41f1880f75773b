"""Adds and removes rules, for the pages and the command line."""

from __future__ import annotations

from datetime import date

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from fabgate.collector.ground.db import audit, duplicate
from fabgate.collector.ground.models import BillingTerms, Machine, Plan, TariffRule
from fabgate.collector.money.billing import terms
from fabgate.collector.money.billing.charges import refresh
from fabgate.collector.money.billing.tariffs.typed_rule import Typed
from fabgate.errors import UsageError
from fabgate.pricing import stored


class SameDayError(Exception):
    """Another rule for the same machines and plan begins on that day: `rule`."""

    def __init__(self, rule: TariffRule) -> None:
        super().__init__(f"rule {rule.pk} begins on the same day")
        self.rule = rule


class HasBegunError(Exception):
    """The rule applies already."""


class ClosedMonthError(UsageError):
    """The rule would apply, or applies, in a month that is closed."""

    def __init__(self, first: date) -> None:
        super().__init__(_("the months before %(day)s are closed: their prices cannot change") % {"day": first})


def unsaved(place: tuple[Machine | None, str, Plan | None], since: date, typed: Typed) -> TariffRule:
    """Return a rule that is not stored. `place` is the machine, or the category, and the plan."""
    machine, category, plan = place
    return TariffRule(
        machine=machine,
        category=category,
        plan=plan,
        valid_from=since,
        tariff=stored.to_json(typed.tariff),
        purposes=sorted(typed.purposes),
        vat_code=typed.vat_code,
    )


def proposed_day(place: tuple[Machine | None, str, Plan | None], found: BillingTerms) -> date:
    """Return the first day of a new rule unless another one is chosen.

    It is today; but the first day of billing while no month was ever closed and the machines have no rule yet: their
    sessions since then have no price.
    """
    if terms.first_open_day() is None and not _has_rule(*place[:2]):
        return found.first_month
    return max(terms.today(found), found.first_month)


def _has_rule(machine: Machine | None, category: str) -> bool:
    """Return whether a rule is there for a machine or one of a category, or else for any."""
    if machine is not None:
        for_it = Q(machine=machine) | Q(machine=None, category__in=["", machine.category])
    elif category:
        for_it = Q(machine__category=category) | Q(machine=None, category__in=["", category])
    else:
        for_it = Q()
    return TariffRule.objects.filter(for_it).exists()


def same_day(rule: TariffRule) -> TariffRule | None:
    """Return the stored rule for the same machines and plan that begins on the same day."""
    return TariffRule.objects.filter(
        machine=rule.machine, category=rule.category, plan=rule.plan, valid_from=rule.valid_from
    ).first()


def add(rule: TariffRule, actor: str) -> None:
    """Store a rule. Raises SameDayError, also if the other rule is added at the same moment, and ClosedMonthError."""
    rule.made_by = actor
    try:
        with transaction.atomic():
            terms.lock_charges()  # or else the month could be closed between the question and the answer
            _refuse_closed(rule)
            if (other := same_day(rule)) is not None:
                raise SameDayError(other)
            with audit.change(actor, "tariff.added", rule):
                rule.save(force_insert=True)
    except IntegrityError as error:
        if not duplicate.is_there(error) or (other := same_day(rule)) is None:
            raise
        raise SameDayError(other) from None


@transaction.atomic
def remove(pk: int, actor: str, *, unless_begun_by: date | None = None) -> TariffRule | None:
    """Remove a rule and return it, or None if there is none. With a day, raises HasBegunError if it applies by then.

    Raises ClosedMonthError for a rule that applies in a closed month.
    """
    terms.lock_charges()  # or else the month could be closed meanwhile, and its charges would be forgotten
    rule = TariffRule.objects.filter(pk=pk).first()
    if rule is None:
        return None
    if unless_begun_by is not None and rule.valid_from <= unless_begun_by:
        raise HasBegunError
    _refuse_closed(rule)
    with audit.change(actor, "tariff.removed", rule):
        refresh.forget(rule)
        TariffRule.objects.filter(pk=pk).delete()  # unlike rule.delete(), this keeps the id for the log
    return rule


def _refuse_closed(rule: TariffRule) -> None:
    first = terms.first_open_day()
    if first is not None and rule.valid_from < first:
        raise ClosedMonthError(first)
