"""Formats of dates and numbers that differ from Django's, as in European workshops."""

from __future__ import annotations

import re
from datetime import date, datetime, time
from typing import Final

from django.utils import formats
from django.utils.translation import get_language

#: The day of the month in a format.
_DAY: Final = re.compile(r"(?<!\\)j")


def date_format(moment: date | datetime | time, pattern: str = "DATE_FORMAT") -> str:
    """Return a day or a moment as Django does, except that the first day of a month is "1er" in French."""
    if get_language() == "fr" and isinstance(moment, date) and moment.day == 1:
        pattern = _DAY.sub(r"j\\e\\r", formats.get_format(pattern))
    return formats.date_format(moment, pattern)  # type: ignore[arg-type]  # Django writes a time, too


def short(day: date, pattern: str = "j M") -> str:
    """Return a day, or a moment, with a short month: "26 Nov", and in French "26 nov." (Django's "N")."""
    return date_format(day, pattern.replace("M", "N") if get_language() == "fr" else pattern)
