"""How are dates and numbers written, where Django would not write them as a European workshop does?"""

from __future__ import annotations

from datetime import date

from django.utils.formats import date_format
from django.utils.translation import get_language


def short(day: date, pattern: str = "j M") -> str:
    """Return a day, or a moment, with its month cut short: "26 Nov", and in French "26 nov." (Django's "N")."""
    return date_format(day, pattern.replace("M", "N") if get_language() == "fr" else pattern)
