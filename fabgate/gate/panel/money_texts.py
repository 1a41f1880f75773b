"""Prices and costs as text for one line of a display, in the reader's language."""

from __future__ import annotations

import logging
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final, TypeVar

from fabgate.display import COLUMNS, clean, cut
from fabgate.drivers.panels.text import transliterate
from fabgate.gate.panel.costs import Cost, CostSoFar, Rate
from fabgate.pricing.mistakes import PRICE_DECIMALS

log = logging.getLogger(__name__)

T = TypeVar("T")

#: Signs that displays write instead of a code.
_SIGNS: Final = {**dict.fromkeys(("AUD", "CAD", "NZD", "SGD", "USD"), "$"), "EUR": "€", "GBP": "£"}


class MoneyTexts:
    """Texts in one language: `text` returns one by its key (messages.py). A text that does not fit is "", never cut."""

    def __init__(self, text: Callable[[str], str]) -> None:
        self._text = text
        #: The cost of the session that goes on could not be computed.
        self._is_wrong = False

    def prices(self, rate: Rate | str | None) -> tuple[str, ...]:
        """Return a price; a fee that does not fit next to it is a text of its own, and nothing is ().

        Text that a person typed is truncated like all such text.
        """
        if rate is None or isinstance(rate, str):
            return (cut(rate),) if rate else ()
        return _or_nothing(self._prices, rate, ())

    def least(self, rate: Rate) -> str:
        """Return the minimum of a session, or "". It replaces the limit, which is announced later anyway."""
        return _or_nothing(self._least, rate, "")

    def cost(self, cost: Cost) -> str:
        """Return the text of a session's cost."""
        return _or_nothing(self._cost, cost, "")

    def beside(self, so_far: CostSoFar, time: str, ms: int) -> str:
        """Return a session's time, which is also given in milliseconds, and its cost so far.

        Without room for both it is the cost, and without a cost "".
        """
        if self._is_wrong:
            return ""
        try:
            cost = so_far(ms)
            said = "" if cost is None else self._cost(cost)
        except Exception:
            self._is_wrong = True  # or else the log would have it each second
            log.exception("the panel shows no cost, because it cannot be computed")
            return ""
        return (on_one_line(time, said) or said) if said else ""

    def _prices(self, rate: Rate) -> tuple[str, ...]:
        fixed = self._money(rate.fixed, rate.digits, rate.currency)
        use = self._text("price.use").format(price=fixed)
        if rate.per_minute is None:
            return _only((use if rate.fixed else self._text("price.none"),))
        price = self._money(rate.per_minute, rate.digits, rate.currency)
        # There is room for the sign once only: at the end where this language writes it.
        if self._text("money").startswith("{sign}"):
            fee, per_minute = fixed, self._number(rate.per_minute, rate.digits)
        else:
            fee, per_minute = self._number(rate.fixed, rate.digits), price
        both = self._text("price.fee").format(fee=fee, price=per_minute)
        if rate.fixed and not rate.is_by_running and width(both) <= COLUMNS:
            return (both,)
        running = self._text("price.running").format(price=price) if rate.is_by_running else ""
        per_minute = _fitting(running) or self._text("price.minute").format(price=price)
        return _only((per_minute, _fitting(f"+ {use}") or f"+ {fixed}") if rate.fixed else (per_minute,))

    def _least(self, rate: Rate) -> str:
        least = self._money(rate.minimum, rate.digits, rate.currency)
        return _fitting(self._text("price.least").format(price=least)) if rate.minimum else ""

    def _cost(self, cost: Cost) -> str:
        amount = Decimal(cost.amount_minor).scaleb(-cost.digits)
        money = self._money(amount, cost.digits, cost.currency)
        return _fitting(self._text(f"cost.{cost.certainty}").format(cost=money))

    def _money(self, amount: Decimal, digits: int, currency: str) -> str:
        """Return an amount as pages write it: €1.50 in English, JPY 5 without a sign, and 1,50 € in French."""
        sign = _SIGNS.get(currency) or f"{clean(currency)} "
        return self._text("money").format(sign=sign, number=self._number(amount, digits)).strip()

    def _number(self, amount: Decimal, digits: int) -> str:
        """Return a number with the decimals that it needs, `digits` at least and those of a price at most."""
        whole, _, decimals = f"{round(amount, PRICE_DECIMALS):,f}".partition(".")
        whole = whole.replace(",", self._text("thousands-mark"))
        decimals = decimals.rstrip("0").ljust(digits, "0")
        return f"{whole}{self._text('decimal-mark')}{decimals}" if decimals else whole


def on_one_line(left: str, right: str) -> str:
    """Return two texts at both ends of a line, or "" if they do not fit; the left one alone if the other is ""."""
    room = COLUMNS - width(left) - width(right)
    return left if not right else f"{left}{' ' * room}{right}" if room > 0 else ""


def width(text: str) -> int:
    """Return how many columns a text takes on any display: also on one that writes "EUR" for "€"."""
    return max(len(text), len(transliterate(text, len(text) * 4)))


def _fitting(text: str) -> str:
    return text if width(text) <= COLUMNS else ""


def _only(texts: tuple[str, ...]) -> tuple[str, ...]:
    """Return the texts, or none where one does not fit: a fee without its price, or a price without its fee, is wrong."""
    return texts if all(map(_fitting, texts)) else ()


def _or_nothing(write: Callable[[Any], T], money: Any, nothing: T) -> T:
    """Return what `write` returns, or `nothing` if that fails in any way: this runs in the loop that owns the power."""
    try:
        return write(money)
    except Exception:
        log.exception("the panel shows no price, because %r cannot be written", money)
        return nothing
