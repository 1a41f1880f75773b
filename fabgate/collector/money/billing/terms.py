"""Starts billing, and reads by which terms a site bills, and which of its months are closed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from types import MappingProxyType
from typing import Final
from zoneinfo import ZoneInfo

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from fabgate.collector.ground.base import called
from fabgate.collector.ground.db import audit
from fabgate.collector.ground.models import BillingProgress, BillingTerms, ClosedMonth, Plan, TariffRule
from fabgate.collector.money.billing import rating
from fabgate.collector.money.billing.currencies import DIGITS
from fabgate.collector.money.billing.tariffs.rules import Rule
from fabgate.errors import UsageError
from fabgate.pricing import stored

#: Whether prices include VAT, by the words of pages and verbs; None: it is not applicable (art. 293 B CGI).
VAT: Final[Mapping[str, bool | None]] = MappingProxyType({"included": True, "excluded": False, "not-applicable": None})


@transaction.atomic
def start(currency: str, first_month: date, zone: str, *, includes_vat: bool | None, actor: str) -> BillingTerms:
    """Start billing from a month on, in the site's zone. Raises UsageError if it was started, or for no currency."""
    if currency not in DIGITS:
        text = _("found the currency %(found)r, wanted a code of ISO 4217 such as EUR, CHF or CAD")
        raise UsageError(text % {"found": currency[:20]})
    if (found := started()) is not None:
        text = _("billing was started on %(day)s by %(name)s, with %(terms)s; it cannot be started again")
        named = {"day": f"{found.started_at:%Y-%m-%d}", "name": found.started_by, "terms": found}
        raise UsageError(text % named)
    terms = BillingTerms(
        currency=currency,
        digits=DIGITS[currency],
        includes_vat=includes_vat,
        zone=zone,
        first_month=first_month.replace(day=1),
        started_by=actor,
    )
    with audit.change(actor, "billing.started", terms):
        terms.save(force_insert=True)
    return terms


def get() -> BillingTerms:
    """Return the terms. Raises UsageError if billing has not been started."""
    found = started()
    if found is None:
        text = _("billing has not been started; start it with '%(command)s'")
        raise UsageError(text % {"command": called.command("bill-start")})
    return found


def started() -> BillingTerms | None:
    """Return the terms, or None if billing has not been started."""
    return BillingTerms.objects.first()


def first_open_day() -> date | None:
    """Return the first day after the months that are closed, or None if none is closed."""
    last = ClosedMonth.objects.order_by("-month").values_list("month", flat=True).first()
    return None if last is None else next_month(last)


def is_closed(day: date) -> bool:
    """Return whether the month of a day is closed."""
    return ClosedMonth.objects.filter(month=day.replace(day=1)).exists()


def next_month(day: date) -> date:
    """Return the first day of the month after that of a day."""
    return (day.replace(day=1) + timedelta(days=31)).replace(day=1)


def lock_charges() -> BillingProgress:
    """Return how far charges are, locked until the transaction ends: one process at a time changes them, or closes a month.

    Call it before the pulse lock is taken (ground/db/pulse.py).
    """
    BillingProgress.objects.get_or_create(pk=1)
    return BillingProgress.objects.select_for_update(no_key=True).get(pk=1)


def lock_charges_if_free() -> BillingProgress | None:
    """Return the same, or None while another process has the lock."""
    BillingProgress.objects.get_or_create(pk=1)
    return BillingProgress.objects.select_for_update(no_key=True, skip_locked=True).filter(pk=1).first()


def zone(terms: BillingTerms) -> ZoneInfo:
    """Return the zone of days and months."""
    return ZoneInfo(terms.zone)


def today(terms: BillingTerms) -> date:
    """Return the current day in the zone of billing."""
    return timezone.localdate(timezone=zone(terms))


def for_rating(terms: BillingTerms) -> rating.Terms:
    """Return all rules and plans, as rating needs them."""
    return rating.Terms(rules(), plans(), zone(terms), terms.digits)


def rules() -> list[Rule]:
    """Return every rule, in the order in which they were made."""
    return [rule_of(row) for row in TariffRule.objects.select_related("machine", "plan").order_by("pk")]


def rule_of(row: TariffRule) -> Rule:
    """Return a stored rule as rating needs it."""
    return Rule(
        id=row.pk,
        tariff=stored.from_json(row.tariff),
        valid_from=row.valid_from,
        machine=row.machine.name if row.machine else "",
        category=row.category,
        plan=row.plan.name if row.plan else "",
        purposes=frozenset(row.purposes),
        vat_code=row.vat_code,
    )


def plans() -> Mapping[str, rating.Plan]:
    """Return every plan by its name."""
    return {
        row.name: rating.Plan(row.name, row.free_minutes, row.discount_percent) for row in Plan.objects.order_by("pk")
    }
