"""How the amount of a session was made, in words and numbers with which a person reaches it by hand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final
from zoneinfo import ZoneInfo

from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from fabgate.collector.money.billing import explain, rating
from fabgate.collector.money.billing.statements.compose import Item
from fabgate.collector.money.billing.statements.priced import Priced
from fabgate.collector.money.paper import peak_hours
from fabgate.collector.money.paper.figures import Money, exact_duration, percentage
from fabgate.pricing import price as pricing
from fabgate.pricing import tariffs
from fabgate.pricing.price import Segment
from fabgate.pricing.tariffs import Tariff

TIMES: Final = "\N{MULTIPLICATION SIGN}"


def unit_price(item: Item, money: Money) -> str:
    """Return the price per minute of a billed session if it has only one: its billed time times this price is its amount.

    Fee, minimum, cap and discount may follow (`of`). "" for all others.
    """
    found = item.priced
    if found is None or item.is_reversal or item.charge.kind != rating.BILLED:
        return ""
    return _times_price(found.segments[0], money) if len(found.segments) == 1 else ""


def of(item: Item, money: Money, zone: ZoneInfo, *, in_full: bool = False) -> list[str]:
    """Return the steps, one text each. What `unit_price` and the billed time say is left out unless `in_full`."""
    found, charge = item.priced, item.charge
    if found is None:
        return [_("machine on for %(time)s") % {"time": exact_duration(abs(charge.counted_ms))}]
    if found.price.outcome == pricing.GRACE:
        named = {"time": charge.counted_ms, "grace": found.tariff.grace_s * 1_000}
        times = {name: exact_duration(abs(ms)) for name, ms in named.items()}
        return [_("%(time)s, not longer than the grace time of %(grace)s") % times]
    segments, more = found.segments, list(_adjustments(found, money))
    is_plain = not in_full and bool(unit_price(item, money))
    steps = [_rounded(found)] if in_full or found.tariff.step_s > 1 else []
    if len(segments) == 1:
        steps.append(_peak(segments[0], found.tariff, zone))
    if is_plain:
        steps.append(_free(segments[0]))
        steps.extend([_equals(segments[0], money), *more] if more else [])
        text = " · ".join(filter(None, steps))
        return [text] if text else []
    for segment in segments:
        text = _segment(segment, zone, money, is_alone=len(segments) == 1)
        steps.append(f"{text} {_equals(segment, money)}" if len(segments) > 1 or more else text)
    return [step for step in (*steps, " · ".join(more)) if step]


def _peak(segment: Segment, tariff: Tariff, zone: ZoneInfo) -> str:
    """Return the peak hours in which a stretch of time began, if they are why its price is another one; else ""."""
    if segment.kind != tariffs.ON or segment.since is None or segment.price == tariff.price:
        return ""
    wall = segment.since.astimezone(zone).replace(tzinfo=None)
    peak = next(peak for peak in tariff.peaks if peak.covers(wall))
    named = {"days": peak_hours.days(peak.days), "hours": peak_hours.hours(peak)}
    return _("price of peak hours: %(days)s, %(hours)s") % named


def _rounded(found: Priced) -> str:
    """Return what the step made of the whole time; "" if it was a multiple of the step."""
    whole = sum(segment.ms for segment in found.segments)
    before = whole - sum(segment.added_ms for segment in found.segments)
    if before == whole:
        return ""
    return _("%(time)s rounded up to %(rounded)s") % {"time": exact_duration(before), "rounded": exact_duration(whole)}


def _segment(segment: Segment, zone: ZoneInfo, money: Money, *, is_alone: bool) -> str:
    """Return a stretch of time at one price. Its last time is the one that is multiplied by the price."""
    text = f"{exact_duration(segment.ms - segment.free_ms)} {_times_price(segment, money)}"
    if free := _free(segment):
        text = f"{free}: {text}" if segment.ms > segment.free_ms else free
    if is_alone or segment.kind != tariffs.ON or segment.since is None:
        return text
    return _("from %(since)s: %(text)s") % {"since": f"{segment.since.astimezone(zone):%H:%M:%S}", "text": text}


def _free(segment: Segment) -> str:
    """Return how much of the time was free; "" if none was."""
    if not segment.free_ms:
        return ""
    free = exact_duration(segment.free_ms)
    if segment.free_ms == segment.ms:
        return _("%(time)s of free minutes") % {"time": free}
    return _("%(time)s less %(free)s of free minutes") % {"time": exact_duration(segment.ms), "free": free}


def _equals(segment: Segment, money: Money) -> str:
    amount = explain.exact(pricing.money(segment.amount), money.amount)
    return amount if amount.startswith("≈") else f"= {amount}"


def _times_price(segment: Segment, money: Money) -> str:
    """Return the price by which a time is multiplied, and which time that is if it is not all time on."""
    price = f"{TIMES} {money.amount(segment.price)}/min"
    if segment.kind == tariffs.ON:
        return price
    which = pgettext("time", "running") if segment.kind == tariffs.RUNNING else pgettext("time", "idle")
    return f"{which} {price}"


def _adjustments(found: Priced, money: Money) -> Iterator[str]:
    tariff, price = found.tariff, found.price
    if price.outcome != pricing.PRICED:
        return
    if price.fee:
        yield _("session fee %(amount)s") % {"amount": money.amount(tariff.session_fee)}
    if price.topped_up:
        yield _("raised to the minimum of %(amount)s") % {"amount": money.amount(tariff.minimum)}
    if found.cap_left_minor is not None and tariff.daily_cap is not None:
        named = {"cap": money.amount(tariff.daily_cap), "left": money.minor(found.cap_left_minor)}
        yield _("lowered to what is left of the daily cap of %(cap)s: %(left)s") % named
    if found.discount_percent:
        yield _("less %(percent)s discount") % {"percent": percentage(found.discount_percent)}
