"""How is it said that a gate's clock is wrong? By at least so much, and never more than is known."""

from __future__ import annotations

from typing import Final

from fabgate.collector.pages.machines.words import lasting

_MINUTE_MS: Final = 60_000
_MINUTE_S: Final = 60
_HOUR_S: Final = 3600
_DAY_S: Final = 86_400


def span(ms: int) -> str:
    """Return milliseconds, ahead or behind, in words: whole minutes below two hours, then hours, then days."""
    seconds = round(abs(ms) / _MINUTE_MS) * _MINUTE_S  # what took a moment to arrive is an hour off all the same
    unit_s = _DAY_S if seconds >= 2 * _DAY_S else _HOUR_S if seconds >= 2 * _HOUR_S else _MINUTE_S
    return lasting(seconds // unit_s * unit_s)
