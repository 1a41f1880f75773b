"""A form field for an amount as people type it."""

from __future__ import annotations

from contextlib import suppress
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from django import forms
from django.utils.formats import get_format, number_format
from django.utils.translation import gettext as _

from fabgate.collector.money.billing import explain

#: More characters than any amount needs.
_LONGEST: Final = 30
#: What a field for an amount tells the browser.
AMOUNT_ATTRS: Final = {"inputmode": "decimal", "autocomplete": "off", "class": "number"}


class AmountField(forms.Field):
    """An amount in the currency's main unit, as people type it: 0.10, in French also 0,10."""

    widget = forms.TextInput(attrs=AMOUNT_ATTRS)

    def to_python(self, value: Any) -> Decimal | None:
        """Return a Decimal, or None for an empty field."""
        text = "".join(str(value or "").split())
        if not text:
            return None
        if get_format("DECIMAL_SEPARATOR") == ",":
            text = text.replace(",", ".")
        with suppress(InvalidOperation):
            if len(text) <= _LONGEST:
                return Decimal(text)
        example = number_format(Decimal("0.10"), 2)
        raise forms.ValidationError(_("Enter an amount such as %(example)s.") % {"example": example})

    def prepare_value(self, value: Any) -> Any:
        """Return an amount as it would be typed."""
        return number_format(value, explain.decimals_of(value)) if isinstance(value, Decimal) else value
