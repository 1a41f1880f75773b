"""Formats states, durations and times for pages."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext_lazy as _

from fabgate.collector.faces.pages.icons import PATHS
from fabgate.collector.ground.base import local_times
from fabgate.collector.ground.formats import date_format

#: State -> (icon, word). CSS takes the colour from the state's name.
STATES: Final[Mapping[str, tuple[str, Any]]] = {
    "free": ("circle", _("Free")),
    "in-use": ("person", _("In use")),
    "running": ("play", _("Running")),
    "left-on": ("hourglass", _("Left on")),
    "starting": ("ellipsis", _("Starting")),
    "finishing": ("hourglass", _("Finishing")),
    "blocked": ("stop", _("Out of service")),
    "locked": ("lock", _("Locked")),
    "closed": ("moon", _("Closed now")),
    "silent": ("cloud-off", _("Offline")),
    "ok": ("check", _("OK")),
    "warn": ("warning", _("To check")),
    "bad": ("cross", _("Not allowed")),
    "uncertain": ("tilde", _("Uncertain")),
}


@lru_cache(500, typed=True)  # typed: an escaped label and a plain one must not share an entry
def icon(name: str, label: str = "") -> SafeString:
    """Return an icon as inline SVG. With a `label` screen readers announce it; without, it is hidden from them."""
    aria = format_html('role="img" aria-label="{}"', label) if label else mark_safe('aria-hidden="true"')
    return format_html(
        '<svg class="icon" viewBox="0 0 24 24" {}>{}</svg>',
        aria,
        mark_safe(PATHS[name]),  # noqa: S308 (our own constants)
    )


def state(name: str, word: str = "") -> SafeString:
    """Return a state as colour, icon and word; `word` replaces the usual one."""
    picture, usual = STATES[name]
    return format_html('<span class="state state-{}">{}<span>{}</span></span>', name, icon(picture), word or usual)


def which(moment: datetime | None) -> str:
    """Return the offset from UTC, for times that occur twice when clocks go back; empty for all others."""
    return local_times.which(moment) if moment is not None else ""


def clock(moment: datetime | None, form: str = "H:i") -> str:
    """Return a moment in local time, with the suffix of `which` if that time occurs twice."""
    return f"{date_format(moment, form)}{local_times.which(moment)}" if moment is not None else ""
