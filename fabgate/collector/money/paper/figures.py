"""Writes amounts and durations for people, amounts in their language: €12.50 in English, 12,50 € in French."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from django.utils.formats import get_format, number_format
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from fabgate.collector.ground.models import BillingTerms
from fabgate.collector.money.billing.currencies import decimal_text
from fabgate.collector.money.billing.explain import decimals_of

#: Shown in place of an empty value: an en dash.
NOTHING: Final = "\N{EN DASH}"
MINUS: Final = "\N{MINUS SIGN}"
_SPACE: Final = "\N{NO-BREAK SPACE}"

#: Signs that people write instead of a code. A site has one currency, so "$" is clear.
_SIGNS: Final = {
    **dict.fromkeys(("AUD", "CAD", "MXN", "NZD", "SGD", "USD"), "$"),
    "EUR": "€",
    "GBP": "£",
    "ILS": "₪",
    "INR": "₹",
    "JPY": "¥",
    "KRW": "₩",
    "UAH": "₴",
    "VND": "₫",
}


@dataclass(frozen=True, slots=True)
class Money:
    """The currency of a site, with the decimals of its smallest unit."""

    currency: str
    digits: int

    @classmethod
    def of(cls, terms: BillingTerms) -> Money:
        """Return the currency of the terms."""
        return cls(terms.currency, terms.digits)

    def minor(self, amount_minor: int) -> str:
        """Return an amount of the smallest unit."""
        return self._with_sign(Decimal(decimal_text(amount_minor, self.digits)), self.digits)

    def difference(self, amount_minor: int) -> str:
        """Return an amount with its sign: +€2.00."""
        return f"{'+' if amount_minor > 0 else ''}{self.minor(amount_minor)}"

    def amount(self, amount: Decimal) -> str:
        """Return an amount of the main unit, with all its decimals and at least those of the currency."""
        return self._with_sign(amount, self._decimals(amount))

    def _decimals(self, amount: Decimal) -> int:
        return max(self.digits, decimals_of(amount))

    def _with_sign(self, amount: Decimal, decimals: int) -> str:
        number = number_format(abs(amount), decimals, force_grouping=True)
        minus, sign = MINUS if amount < 0 else "", _SIGNS.get(self.currency, self.currency)
        if (get_language() or "en").startswith("fr"):
            return f"{minus}{number}{_SPACE}{sign}"
        return f"{minus}{sign}{number}" if sign != self.currency else f"{minus}{sign}{_SPACE}{number}"


def percent(rate: Decimal) -> str:
    """Return a percentage with the decimals that it needs: 5.5%."""
    return _("%(number)s%%") % {"number": number_format(rate, decimals_of(rate))}


def energy(wh: int | None) -> str:
    """Return watt-hours as Wh below 1 kWh and as kWh above, in the language's way; a dash for None, which is not 0."""
    if wh is None:
        return NOTHING
    if wh < 1000:
        return f"{wh}{_SPACE}Wh"
    decimals = 2 if wh < 10_000 else 1 if wh < 100_000 else 0
    return f"{number_format(Decimal(wh) / 1000, decimals, force_grouping=True)}{_SPACE}kWh"


def duration(ms: int | None) -> str:
    """Return milliseconds as h:mm:ss, with a minus sign for those of a reversal; a dash for None."""
    if ms is None:
        return NOTHING
    minutes, seconds = divmod(abs(int(ms)) // 1000, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{MINUS if ms < 0 else ''}{hours}:{minutes:02}:{seconds:02}"


def percentage(percent: Decimal) -> str:
    """Return a percentage with the decimals that it needs: 5.5%."""
    return _("%(number)s%%") % {"number": number_format(percent, decimals_of(percent))}


def exact_duration(ms: int) -> str:
    """Return milliseconds as `duration` does, with those that are beyond a whole second: 0:29:59.655."""
    rest = abs(ms) % 1000
    return duration(ms) + (f"{get_format('DECIMAL_SEPARATOR')}{rest:03}" if rest else "")


def count(number: int) -> str:
    """Return a number of things, with a minus sign where more were taken back than made."""
    return f"{MINUS if number < 0 else ''}{abs(number)}"
