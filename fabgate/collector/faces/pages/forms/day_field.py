"""A field for a day, with the browser's calendar. It asks back about a day that was probably mistyped."""

from __future__ import annotations

from contextlib import suppress
from datetime import date, datetime
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from fabgate import days
from fabgate.collector.ground.formats import date_format


class DayField(forms.DateField):
    """A day as browsers send it, 2027-03-01. Other formats are ambiguous (01/03/2027) and refused."""

    widget = forms.DateInput({"type": "date"}, format="%Y-%m-%d")

    def __init__(self, **more: Any) -> None:
        invalid = gettext_lazy("Enter the day as year-month-day, such as 2027-03-01.")
        more["error_messages"] = {"invalid": invalid, **more.get("error_messages", {})}
        super().__init__(input_formats=["%Y-%m-%d"], **more)

    def to_python(self, value: Any) -> date | None:
        """Return the day, or None for an empty field. Raises ValidationError."""
        day: date | None = super().to_python(value)
        _ask_back(str(day or ""))
        return day


class MomentField(forms.DateTimeField):
    """A day and a time of day."""

    def to_python(self, value: Any) -> datetime | None:
        """Return the moment, or None for an empty field. Raises ValidationError."""
        _ask_back(str(value or "")[:10])  # first: some days of the years 1 and 9999 are in no time zone
        moment: datetime | None = super().to_python(value)
        return moment


def _ask_back(text: str) -> None:
    with suppress(ValueError):  # no day
        try:
            days.read(text)
        except days.UnlikelyDay as error:
            raise forms.ValidationError(unlikely(error)) from None


def unlikely(error: days.UnlikelyDay) -> str:
    """Return the question about a day that was probably mistyped."""
    text = _("This day is in the year %(year)s: did you mean %(meant)s?")
    if error.meant is None:
        text = _("This day is in the year %(year)s. Choose a day from %(first)s to %(last)s.")
    named = {"meant": error.meant, "first": days.FIRST, "last": days.LAST}
    shown = {name: day and date_format(day, "SHORT_DATE_FORMAT") for name, day in named.items()}
    return text % {"year": f"{error.day.year:04}", **shown}
