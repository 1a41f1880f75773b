"""Writes durations in words: 90 s, 15 min, 2 h, 3 days."""

from __future__ import annotations

from typing import Final

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

_MINUTE_MS: Final = 60_000
_MINUTE_S: Final = 60
_HOUR_S: Final = 3600
_DAY_S: Final = 86_400


def in_words(seconds: int) -> str:
    """Return a duration in seconds as people write it: 90 s, 15 min, 2 h, 1 h 30 min."""
    if seconds % 60:
        return _("%(n)d s") % {"n": seconds}
    hours, minutes = divmod(seconds // 60, 60)
    if not hours:
        return _("%(n)d min") % {"n": minutes}
    if hours >= 48 and not minutes and hours % 24 == 0:
        days = hours // 24
        return ngettext("%(n)d day", "%(n)d days", days) % {"n": days}
    text = _("%(n)d h") % {"n": hours}
    return f"{text} {_('%(n)d min') % {'n': minutes}}" if minutes else text


def clock_error(ms: int) -> str:
    """Return by how much a clock is wrong at least, given milliseconds ahead or behind.

    Whole minutes below two hours, then whole hours, then whole days: no more is known.
    """
    seconds = round(abs(ms) / _MINUTE_MS) * _MINUTE_S  # rounded: the message took a moment to arrive
    unit_s = _DAY_S if seconds >= 2 * _DAY_S else _HOUR_S if seconds >= 2 * _HOUR_S else _MINUTE_S
    return in_words(seconds // unit_s * unit_s)
