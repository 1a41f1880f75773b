"""What do all templates share? Icons, states, durations, addresses of static files; known to each without loading."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Final

from django import template
from django.conf import settings
from django.http import HttpRequest, QueryDict
from django.utils.formats import date_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext_lazy as _

from fabgate.collector import STATIC, local_times, locks, rights
from fabgate.collector.pages import live
from fabgate.collector.templatetags.icons import PATHS

register = template.Library()
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
    "silent": ("cloud-off", _("Silent")),
    "ok": ("check", _("All right")),
    "warn": ("warning", _("Look at it")),
    "bad": ("cross", _("Not allowed")),
    "uncertain": ("tilde", _("Uncertain")),
}


@register.simple_block_tag
def each(content: str, rows: Iterable[Mapping[str, Any] | Sequence[Any]]) -> SafeString:
    """Return what is between the tags once for each of `rows`, whose cells stand in it as ``{name}``, or as ``{}``.

    For tables of many rows: what is between is made once, and a row takes a tenth of what Django's ``for`` takes.
    """
    return format_html_join("", content, rows)


@register.simple_tag
@lru_cache(500, typed=True)  # on each page the same ones; a label may have a name in it, and be safe as it is or not
def icon(name: str, label: str = "") -> SafeString:
    """Return an icon as inline SVG; with a `label` where it stands alone, else it is silent to screen readers."""
    aria = format_html('role="img" aria-label="{}"', label) if label else mark_safe('aria-hidden="true"')
    return format_html(
        '<svg class="icon" viewBox="0 0 24 24" {}>{}</svg>',
        aria,
        mark_safe(PATHS[name]),  # noqa: S308 (our own constants)
    )


@register.simple_tag
def state(name: str, word: str = "") -> SafeString:
    """Return a state as colour, icon and word; `word` in place of the usual one."""
    picture, usual = STATES[name]
    return format_html('<span class="state state-{}">{}<span>{}</span></span>', name, icon(picture), word or usual)


@register.simple_tag
@cache
def asset(name: str) -> str:
    """Return the address of a static file, with the hash of what is in it, so that a browser may keep it."""
    # Templates hand their own kind of text over, which pathlib does not take.
    digest = hashlib.sha256(Path(f"{STATIC}/{name}").read_bytes()).hexdigest()[:12]
    return f"{settings.STATIC_URL}{name}?v={digest}"


@register.simple_tag(takes_context=True)
def may(context: template.Context, route: str, method: str = "GET") -> bool:
    """Return whether whoever reads the page may use that route: no page shows a button that would be refused."""
    return rights.may(str(context.get("role") or ""), route, method)


@register.simple_tag(takes_context=True)
def wanted(context: template.Context, region: str) -> bool:
    """Return whether a live region is to be made: each is on a page that is opened, and later those that are asked for."""
    request = context.get("request")
    return not isinstance(request, HttpRequest) or live.asked(request).wants(region)


@register.simple_tag
def most_gates() -> int:
    """Return of how many gates at most a live region is asked for in part."""
    return live.MOST_GATES


@register.simple_tag(takes_context=True)
def query(context: template.Context, **changed: Any) -> str:
    """Return this page's query string with these values in place; an empty value leaves one out."""
    request = context.get("request")
    found = request.GET.copy() if isinstance(request, HttpRequest) else QueryDict(mutable=True)
    for name, value in changed.items():
        if value in ("", None):
            found.pop(name, None)
        else:
            found[name] = str(value)
    return f"?{found.urlencode()}" if found else "?"


@register.filter
def duration(ms: int | None) -> str:
    """Return milliseconds as h:mm:ss; a dash where there are none."""
    if ms is None:
        return NOTHING
    minutes, seconds = divmod(int(ms) // 1000, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}"


@register.filter(expects_localtime=True)
def which(moment: datetime | None) -> str:
    """Return, to stand behind a time that came twice, which of the two it is: how far clocks were from UTC."""
    return local_times.which(moment) if moment is not None else ""


@register.filter(expects_localtime=True)
def clock(moment: datetime | None, form: str = "H:i") -> str:
    """Return what clocks showed at a moment, and which of two such times it was; to stand within a sentence."""
    return f"{date_format(moment, form)}{local_times.which(moment)}" if moment is not None else ""


@register.filter(expects_localtime=True)
def is_second(moment: datetime) -> bool:
    """Return whether it is the second moment at which clocks showed this time."""
    return moment.fold == 1 and local_times.came_twice(moment)


@register.filter
def lock_reason(reason: str) -> str:
    """Return why a machine is locked, in the page's language where the words are ours."""
    return locks.said(reason)


@register.filter
def called(name: str, names: Mapping[str, str]) -> str:
    """Return what somebody is called who signs in with `name`, of those that the page knows (``who.signing_in``)."""
    return names.get(name, name)


@register.filter
def at(items: list[Any], index: int) -> Any:
    """Return one of a list's items by its place."""
    return items[index]
