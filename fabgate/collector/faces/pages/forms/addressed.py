"""The fields of a payer or of the workshop: address, registration number and VAT number."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import forms

from fabgate.collector.money.billing.paying import numbers
from fabgate.errors import UsageError


class Addressed:
    """Cleans the fields of these names; a form has it before `forms.ModelForm`."""

    cleaned_data: dict[str, Any]

    def clean_address(self) -> str:
        """Return the lines without spaces at their ends."""
        return "\n".join(line.strip() for line in str(self.cleaned_data["address"]).strip().splitlines())

    def clean_registration_number(self) -> str:
        """Return the number as it is stored. Raises ValidationError for a SIREN or a SIRET with a wrong digit."""
        return checked(numbers.registration_number, self.cleaned_data["registration_number"])

    def clean_vat_number(self) -> str:
        """Return the number as it is stored. Raises ValidationError if its country has none of this form."""
        return checked(numbers.vat_number, self.cleaned_data["vat_number"])


def checked(check: Callable[[str], str], typed: str) -> str:
    """Return a typed number as it is stored. Raises ValidationError with why it cannot be one."""
    try:
        return check(typed)
    except UsageError as error:
        raise forms.ValidationError(str(error)) from None
