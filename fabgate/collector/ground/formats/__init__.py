"""Formats of dates and numbers that differ from Django's, as in European workshops."""

from __future__ import annotations

from datetime import date

from django.utils.formats import date_format
from django.utils.translation import get_language


def short(day: date, pattern: str = "j M") -> str:
    """Return a day, or a moment, with a short month: "26 Nov", and in French "26 nov." (Django's "N")."""
    return date_format(day, pattern.replace("M", "N") if get_language() == "fr" else pattern)
