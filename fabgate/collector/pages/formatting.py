"""How are states, durations and times written on a page?"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext_lazy as _

from fabgate.collector.base import local_times
from fabgate.collector.pages.icons import PATHS

#: What stands where there is nothing: an en dash.
NOTHING: Final = "\N{EN DASH}"
#: What a machine is like, as a person sees it: its icon and its word. The colour follows from the state's name in CSS.
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
    "ok": ("check", _("All right")),
    "warn": ("warning", _("Look at it")),
    "bad": ("cross", _("Not allowed")),
    "uncertain": ("tilde", _("Uncertain")),
}


@lru_cache(500, typed=True)  # on each page the same ones; a label may have a name in it, and be safe as it is or not
def icon(name: str, label: str = "") -> SafeString:
    """Return an icon as inline SVG; with a `label` where it stands alone, else it is silent to screen readers."""
    aria = format_html('role="img" aria-label="{}"', label) if label else mark_safe('aria-hidden="true"')
    return format_html(
        '<svg class="icon" viewBox="0 0 24 24" {}>{}</svg>',
        aria,
        mark_safe(PATHS[name]),  # noqa: S308 (our own constants)
    )


def state(name: str, word: str = "") -> SafeString:
    """Return a state as colour, icon and word; `word` in place of the usual one."""
    picture, usual = STATES[name]
    return format_html('<span class="state state-{}">{}<span>{}</span></span>', name, icon(picture), word or usual)


def duration(ms: int | None) -> str:
    """Return milliseconds as h:mm:ss; a dash where there are none."""
    if ms is None:
        return NOTHING
    minutes, seconds = divmod(int(ms) // 1000, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}"


def which(moment: datetime | None) -> str:
    """Return, to stand behind a time that came twice, which of the two it is: how far clocks were from UTC."""
    return local_times.which(moment) if moment is not None else ""


def clock(moment: datetime | None, form: str = "H:i") -> str:
    """Return what clocks showed at a moment, and which of two such times it was; to stand within a sentence."""
    return f"{date_format(moment, form)}{local_times.which(moment)}" if moment is not None else ""
