"""A form field for a duration as people type it: minutes unless they say otherwise."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any, Final

from django import forms
from django.utils.formats import number_format
from django.utils.translation import gettext as _

from fabgate.collector.money.billing import explain

_MINUTE_S: Final = 60
_HOUR_S: Final = 3600
_CLOCK: Final = re.compile(r"(\d{1,4}):([0-5]\d)(?::([0-5]\d))?", re.ASCII)
_MINUTES: Final = re.compile(r"(\d{1,5}(?:[.,]\d{1,4})?) ?(?:min)?", re.ASCII)
_SECONDS: Final = re.compile(r"(\d{1,7}) ?s", re.ASCII)
#: More characters than any duration needs.
_LONGEST: Final = 20


def seconds(text: str) -> int | None:
    """Return the seconds of "85", "1.5", "1:25", "0:00:45" or "45 s"; None if the text is nothing of that."""
    if match := _CLOCK.fullmatch(text):
        return int(match[1]) * _HOUR_S + int(match[2]) * _MINUTE_S + int(match[3] or 0)
    if match := _MINUTES.fullmatch(text):
        return round(Decimal(match[1].replace(",", ".")) * _MINUTE_S)
    if match := _SECONDS.fullmatch(text):
        return int(match[1])
    return None


def examples() -> str:
    """Return how a duration may be typed, as an error or a help."""
    half = number_format(Decimal("1.5"), 1)
    return _("Enter minutes (90 or %(half)s), hours and minutes (1:25), or seconds (45 s).") % {"half": half}


class DurationField(forms.Field):
    """A duration in whole seconds, shown with its unit: minutes, with a decimal if that is exact, otherwise seconds.

    A negative one is read as such: the rules say what each of them needs.
    """

    widget = forms.TextInput(attrs={"autocomplete": "off", "class": "number"})

    def __init__(self, *, most_s: int, too_long: str, **more: Any) -> None:
        super().__init__(**more)
        self._most_s, self._too_long = most_s, too_long

    def to_python(self, value: Any) -> int | None:
        """Return the seconds, or None for an empty field."""
        text = " ".join(str(value or "").split())
        if not text:
            return None
        found = seconds(text.removeprefix("-")) if len(text) <= _LONGEST else None
        if found is None:
            raise forms.ValidationError(examples())
        if found > self._most_s:
            raise forms.ValidationError(self._too_long)
        return -found if text.startswith("-") else found

    def prepare_value(self, value: Any) -> Any:
        """Return a duration with its unit. Texts that are durations get the same form, so that equal ones are equal."""
        found = seconds(value.strip()) if isinstance(value, str) else value
        if not isinstance(found, int):
            return value
        minutes = Decimal(found) / _MINUTE_S
        if found and (abs(found) < _MINUTE_S or minutes != round(minutes, 1)):
            return f"{found} s"
        return f"{number_format(minutes, explain.decimals_of(minutes))} min"
