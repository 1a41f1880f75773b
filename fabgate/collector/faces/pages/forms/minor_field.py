"""A form field for an amount: typed in the currency's main unit, and kept as a whole number of its smallest."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django import forms
from django.utils.formats import number_format
from django.utils.translation import gettext as _

from fabgate.collector.faces.pages.forms.amount_field import AmountField
from fabgate.collector.ground.models import BillingTerms
from fabgate.collector.money.paper.figures import Money


class MinorField(AmountField):
    """An amount of at least `least` and at most `most`, in the smallest unit. Set `found` before it is used."""

    def __init__(self, *, least: int, most: int, **more: Any) -> None:
        super().__init__(**more)
        self._least, self._most, self._digits = least, most, 0

    def use(self, found: BillingTerms, label: str) -> None:
        """Take the decimals of the currency, and a label in which %(currency)s is replaced."""
        self._digits, self.label = found.digits, label % {"currency": found.currency}
        self._money = Money.of(found)

    def clean(self, value: Any) -> int:
        """Return the amount in the smallest unit; an empty field is the least. Raises ValidationError."""
        amount: Decimal | None = super().clean(value)
        if amount is None:
            return self._least
        minor = amount.scaleb(self._digits) if amount.is_finite() else Decimal("NaN")
        if minor.is_finite() and minor != minor.to_integral_value():
            raise forms.ValidationError(_("Use at most %(n)d decimals.") % {"n": self._digits})
        if not (minor.is_finite() and self._least <= minor <= self._most):
            limits = {"least": self._money.minor(self._least), "most": self._money.minor(self._most)}
            raise forms.ValidationError(_("Enter an amount from %(least)s to %(most)s.") % limits)
        return int(minor)

    def prepare_value(self, value: Any) -> Any:
        """Return a stored amount as it would be typed."""
        return self._shown(value) if isinstance(value, int) else super().prepare_value(value)

    def _shown(self, minor: int) -> str:
        return number_format(Decimal(minor).scaleb(-self._digits), self._digits)
