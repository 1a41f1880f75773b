"""Tariffs in words that a member understands, such as "€0.10 a minute" and "at most €5.00 a day"."""

from __future__ import annotations

from collections.abc import Collection

from django.utils.translation import gettext as _

from fabgate.collector.faces.pages.words import durations, session_labels
from fabgate.collector.money.billing.tariffs.rules import BILLED_PURPOSES
from fabgate.collector.money.paper import peak_hours
from fabgate.collector.money.paper.figures import Money
from fabgate.pricing.tariffs import RUNNING, Peak, Tariff


def of(tariff: Tariff, purposes: Collection[str], vat_code: str, money: Money) -> list[str]:
    """Return a rule as short phrases: its prices, then what it bills and its VAT code, if they are unusual."""
    found = prices(tariff, money)
    if set(purposes) != BILLED_PURPOSES:
        named = ", ".join(session_labels.label(session_labels.PURPOSES, purpose) for purpose in sorted(purposes))
        found.append(_("only these purposes are billed: %(purposes)s") % {"purposes": named})
    if vat_code:
        found.append(_("VAT code %(code)s") % {"code": vat_code})
    return found


def prices(tariff: Tariff, money: Money) -> list[str]:
    """Return a tariff as short phrases, the price first; what has its default is left out."""
    found = [*_prices(tariff, money), *_amounts(tariff, money)]
    if tariff.grace_s:
        found.append(_("sessions up to %(time)s are free") % {"time": durations.in_words(tariff.grace_s)})
    if tariff.step_s > 1:
        found.append(_("time rounded up to %(time)s") % {"time": durations.in_words(tariff.step_s)})
    return found


def _prices(tariff: Tariff, money: Money) -> list[str]:
    if not tariff.prices_time:
        if tariff.session_fee or tariff.minimum:
            return [_("%(price)s a session") % {"price": money.amount(max(tariff.session_fee, tariff.minimum))}]
        return [_("costs nothing")]
    price = {"price": money.amount(tariff.price)}
    if tariff.charged_for == RUNNING:
        found = [_("%(price)s a minute while a job runs") % price]
        if tariff.idle_price:
            found.append(_("%(price)s a minute while no job runs") % {"price": money.amount(tariff.idle_price)})
        return found
    return [_("%(price)s a minute") % price, *(_peak(peak, money) for peak in tariff.peaks)]


def _peak(peak: Peak, money: Money) -> str:
    named = {"price": money.amount(peak.price), "days": peak_hours.days(peak.days), "hours": peak_hours.hours(peak)}
    return _("%(price)s a minute on %(days)s, %(hours)s") % named


def _amounts(tariff: Tariff, money: Money) -> list[str]:
    found = []
    if tariff.session_fee and tariff.prices_time:
        found.append(_("%(price)s for each session") % {"price": money.amount(tariff.session_fee)})
    if tariff.minimum and tariff.prices_time:
        found.append(_("at least %(price)s a session") % {"price": money.amount(tariff.minimum)})
    if tariff.daily_cap is not None:
        found.append(_("at most %(price)s a day") % {"price": money.amount(tariff.daily_cap)})
    return found
