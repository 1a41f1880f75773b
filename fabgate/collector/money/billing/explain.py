"""Explains what a session costs, step by step, in words and numbers that a person can check by hand.

Pages and terminals show the same steps, in the language that is active.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from django.utils.formats import get_format, number_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from fabgate.collector.ground.formats import date_format
from fabgate.collector.money.billing import rating
from fabgate.collector.money.billing.currencies import decimal_text
from fabgate.collector.money.billing.rating import Rated
from fabgate.collector.money.billing.tariffs.rules import NOT_STORED
from fabgate.pricing.price import Segment, money

_WHY: Final = {
    rating.NOT_BILLABLE: gettext_lazy("not billable: an emergency badge, or a purpose that the rule does not bill"),
    rating.WAIVED: gettext_lazy("waived"),
    rating.IN_REVIEW: gettext_lazy("in review: the session gets a price once a person has checked it"),
    rating.NO_TARIFF: gettext_lazy("no rule applies to this machine, plan and day"),
}
_KINDS: Final = {
    "on": gettext_lazy("on: %(time)s"),
    "running": gettext_lazy("running: %(time)s"),
    "idle": gettext_lazy("idle: %(time)s"),
}
#: Decimals of an exact amount that does not end, such as a third of a cent.
_SHOWN: Final = Decimal("0.000001")

#: Writes an amount in the currency's main unit.
Written = Callable[[Decimal], str]


def _number(amount: Decimal) -> str:
    """Return a number with the decimals that it needs, in the active language."""
    return number_format(amount, decimals_of(amount))


def decimals_of(amount: Decimal) -> int:
    """Return how many decimals a finite amount needs."""
    exponent = amount.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


class PriceStep(NamedTuple):
    """One step: in words, and what it adds or takes off. Amounts are in the currency's main unit."""

    words: str
    change: Fraction | None = None
    #: The amount after this step; None for a stretch of time, whose amounts are added up.
    total: Fraction | None = None

    def __str__(self) -> str:
        """Return it as a line for a terminal."""
        if self.change is None:
            return self.words
        if self.total is None:
            return f"{self.words} = {exact(self.change)}"
        return f"{self.words}: {_signed(self.change)} = {exact(self.total)}"


def lines(rated: Rated, zone: ZoneInfo, currency: str, digits: int) -> list[str]:
    """Return one line a step for a terminal; the last one is the amount."""
    found = [str(step) for step in steps(rated, zone)]
    if rated.price is not None and rated.kind in (rating.BILLED, rating.FREE) and not _is_all_free(rated):
        return [*found, f"rounded: {decimal_text(rated.amount_minor, digits)} {currency}"]
    return found if rated.price is None else [*found[:-1], f"{found[-1]}: 0 {currency}"]


def steps(rated: Rated, zone: ZoneInfo, shown: Written = _number) -> Iterator[PriceStep]:
    """Yield the steps up to the exact amount, which `rated` has rounded. `shown` writes the amounts in their words."""
    if rated.price is None or rated.rule is None:
        yield PriceStep(str(_WHY[rated.kind]))
        return
    tariff, price = rated.rule.tariff, rated.price
    if rated.rule.id != NOT_STORED:
        named = {"number": rated.rule.id, "day": date_format(rated.rule.valid_from, "DATE_FORMAT")}
        yield PriceStep(_("rule %(number)s, in force from %(day)s") % named)
    if rated.kind == rating.GRACE:
        named = {"time": _time(rated.facts.counted_ms), "grace": tariff.grace_s}
        yield PriceStep(_("%(time)s is not longer than the grace time of %(grace)s s") % named)
        return
    for segment in price.segments:
        yield PriceStep(_segment(segment, zone, shown), money(segment.amount))
    if _is_all_free(rated):
        yield PriceStep(_("the whole time is free, so there is no session fee and no minimum"))
        return
    total = price.time
    named = {"minimum": shown(tariff.minimum), "cap": shown(tariff.daily_cap or Decimal(0))}
    for words, change in (
        (_("session fee"), price.fee),
        (_("raised to the minimum of %(minimum)s") % named, price.topped_up),
        (_("lowered to the daily cap of %(cap)s") % named, -price.capped),
        (_("discount of the plan"), -price.discounted),
    ):
        if change:
            total += change
            yield PriceStep(words, money(change), money(total))


def exact(amount: Fraction, shown: Written = _number) -> str:
    """Return an amount in full if it ends within six decimals, or else with '≈'."""
    found = (Decimal(amount.numerator) / Decimal(amount.denominator)).quantize(_SHOWN, ROUND_HALF_EVEN)
    text = shown(found)
    return text if Fraction(found) == amount else f"≈ {text}"


def _signed(change: Fraction) -> str:
    """Return what is added or taken off: ``+ 0.25``."""
    return f"{'+' if change > 0 else '-'} {exact(abs(change))}"


def _is_all_free(rated: Rated) -> bool:
    return rated.kind == rating.FREE and rated.rule is not None and rated.rule.tariff.prices_time


def _segment(segment: Segment, zone: ZoneInfo, shown: Written) -> str:
    """Return a stretch as ``on: 0:30:00 from 16:30:00, at 0.1 a minute``."""
    text = str(_KINDS[segment.kind]) % {"time": _time(segment.ms)}
    if segment.since:
        since = f"{segment.since.astimezone(zone):%H:%M:%S}"
        text = _("on: %(time)s from %(since)s") % {"since": since, "time": _time(segment.ms)}
    if segment.added_ms:
        text += _(", of which %(time)s added by rounding") % {"time": _time(segment.added_ms)}
    if segment.free_ms:
        text += _(", of which %(time)s free") % {"time": _time(segment.free_ms)}
    return text + _(", at %(price)s a minute") % {"price": shown(segment.price)}


def _time(ms: int) -> str:
    """Return a duration as h:mm:ss, with the milliseconds if there are any."""
    seconds, rest = divmod(ms, 1_000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    point = get_format("DECIMAL_SEPARATOR")
    return f"{hours}:{minutes:02d}:{seconds:02d}" + (f"{point}{rest:03d}" if rest else "")
