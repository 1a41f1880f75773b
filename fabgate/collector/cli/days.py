"""Reads days in arguments. It asks back about a day that was probably mistyped."""

from __future__ import annotations

from datetime import date

from fabgate import days
from fabgate.errors import UsageError


def read_day(text: str, option: str, wanted: str = "a date such as 2027-03-01") -> date:
    """Return the day of an argument. Raises UsageError that names the option and what was `wanted`."""
    try:
        return days.read(text)
    except days.UnlikelyDay as error:
        raise UsageError(f"{option}: found {text[:40]!r}, {error}") from None
    except ValueError:
        raise UsageError(f"{option}: found {text[:40]!r}, wanted {wanted}") from None
