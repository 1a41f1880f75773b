"""What do all templates share? Icons, states, durations, addresses of static files; known to each without loading."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from django import template
from django.conf import settings
from django.http import HttpRequest, QueryDict
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from fabgate.collector import STATIC
from fabgate.collector.base import local_times
from fabgate.collector.machines import locks
from fabgate.collector.pages import formatting, live_regions, rights

register = template.Library()
register.simple_tag(formatting.icon)
register.simple_tag(formatting.state)
register.filter(formatting.duration)
register.filter("which", formatting.which, expects_localtime=True)
register.filter("clock", formatting.clock, expects_localtime=True)


@register.simple_block_tag
def each(content: str, rows: Iterable[Mapping[str, Any] | Sequence[Any]]) -> SafeString:
    """Return what is between the tags once for each of `rows`, whose cells stand in it as ``{name}``, or as ``{}``.

    For tables of many rows: what is between is made once, and a row takes a tenth of what Django's ``for`` takes.
    """
    return format_html_join("", content, rows)


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
    return not isinstance(request, HttpRequest) or live_regions.asked(request).wants(region)


@register.simple_tag
def most_gates() -> int:
    """Return of how many gates at most a live region is asked for in part."""
    return live_regions.MOST_GATES


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
    """Return what somebody is called who signs in with `name`, of those that the page knows (``display_names.signing_in``)."""
    return names.get(name, name)


@register.filter
def at(items: list[Any], index: int) -> Any:
    """Return one of a list's items by its place."""
    return items[index]
