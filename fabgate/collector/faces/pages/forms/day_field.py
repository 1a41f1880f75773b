"""A field for a day, with the browser's calendar. It asks back about a day that was probably mistyped."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from typing import Any, TypeVar

from django import forms
from django.forms.utils import from_current_timezone
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
        return _read(days.read, value, self)


class MomentField(forms.DateTimeField):
    """A day and a time of day as browsers send them, 2027-03-01T16:30, in the current time zone.

    The formats of languages are ambiguous (01/03/2027) and refused.
    """

    def __init__(self, **more: Any) -> None:
        invalid = gettext_lazy("Enter day and time, such as 2027-05-01 16:30.")
        more["error_messages"] = {"invalid": invalid, **more.get("error_messages", {})}
        widget = forms.DateTimeInput({"type": "datetime-local"}, format="%Y-%m-%dT%H:%M")
        super().__init__(**{"widget": widget, **more})

    def to_python(self, value: Any) -> datetime | None:
        """Return the moment, or None for an empty field. Raises ValidationError."""
        found = _read(days.read_moment, value, self)
        if found is None:
            return None
        if found.tzinfo is not None:
            raise forms.ValidationError(self.error_messages["invalid"], code="invalid")
        moment: datetime | None = from_current_timezone(found)
        return moment


_D = TypeVar("_D", date, datetime)


def _read(reader: Callable[[str], _D], value: Any, field: forms.Field) -> _D | None:
    text = str(value or "").strip()
    if not text:
        return None
    try:
        return reader(text)
    except days.UnlikelyDay as error:
        raise forms.ValidationError(unlikely(error)) from None
    except ValueError:
        raise forms.ValidationError(field.error_messages["invalid"], code="invalid") from None


def unlikely(error: days.UnlikelyDay) -> str:
    """Return the question about a day that was probably mistyped."""
    text = _("This day is in the year %(year)s: did you mean %(meant)s?")
    if error.meant is None:
        text = _("This day is in the year %(year)s. Choose a day from %(first)s to %(last)s.")
    named = {"meant": error.meant, "first": days.FIRST, "last": days.LAST}
    shown = {name: day and date_format(day, "SHORT_DATE_FORMAT") for name, day in named.items()}
    return text % {"year": f"{error.day.year:04}", **shown}
