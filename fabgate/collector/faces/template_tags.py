"""Tags and filters for all templates, loaded by default: icons, states, durations, addresses of static files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, time
from functools import cache
from pathlib import Path
from typing import Any

from django import template
from django.conf import settings
from django.http import HttpRequest, QueryDict
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from fabgate.collector import STATIC
from fabgate.collector.faces.pages import rights
from fabgate.collector.faces.pages.events import live_regions
from fabgate.collector.faces.pages.password import kept_form, password_again
from fabgate.collector.faces.pages.words import formatting
from fabgate.collector.ground import formats
from fabgate.collector.ground.base import local_times
from fabgate.collector.members.machines import locks
from fabgate.collector.money.paper import figures

register = template.Library()
register.simple_tag(formatting.icon)
register.simple_tag(formatting.state)
register.filter(figures.duration)
register.filter(figures.energy)
register.filter("which", formatting.which, expects_localtime=True)
register.filter("clock", formatting.clock, expects_localtime=True)


@register.simple_block_tag
def each(content: str, rows: Iterable[Mapping[str, Any] | Sequence[Any]]) -> SafeString:
    """Repeat the enclosed text for each of `rows`, with its cells in place of ``{name}`` or ``{}``.

    For large tables: the text is rendered once, and a row takes a tenth of the time of Django's ``for``.
    """
    return format_html_join("", content, rows)


@register.simple_tag
@cache
def asset(name: str) -> str:
    """Return the address of a static file with a hash of its content, so that browsers may cache it."""
    # Templates pass a SafeString, which pathlib does not accept.
    digest = hashlib.sha256(Path(f"{STATIC}/{name}").read_bytes()).hexdigest()[:12]
    return f"{settings.STATIC_URL}{name}?v={digest}"


@register.simple_tag(takes_context=True)
def csrf_token(context: template.Context) -> SafeString:
    """Return Django's hidden field, and one that says for whom the page was made (pages/password/kept_form.py)."""
    account = context.get("account")
    fields = [("csrfmiddlewaretoken", context["csrf_token"])]
    if account:
        fields.append((password_again.MADE_FOR, kept_form.made_for(account)))
    return format_html_join("", '<input type="hidden" name="{}" value="{}">', fields)


@register.simple_tag(takes_context=True)
def may(context: template.Context, route: str, method: str = "GET") -> bool:
    """Return whether the reader of the page may use that route: pages show no button that would be refused."""
    return rights.may(str(context.get("role") or ""), route, method)


@register.simple_tag(takes_context=True)
def wanted(context: template.Context, region: str) -> bool:
    """Return whether to render a live region: a full page has all of them, later the script asks for some."""
    request = context.get("request")
    return not isinstance(request, HttpRequest) or live_regions.requested(request).wants(region)


@register.simple_tag
def most_gates() -> int:
    """Return the largest number of gates for which a part of a live region is requested."""
    return live_regions.MOST_GATES


@register.simple_tag(takes_context=True)
def query(context: template.Context, **changed: Any) -> str:
    """Return this page's query string with these values changed; an empty value removes one."""
    request = context.get("request")
    found = request.GET.copy() if isinstance(request, HttpRequest) else QueryDict(mutable=True)
    for name, value in changed.items():
        if value in ("", None):
            found.pop(name, None)
        else:
            found[name] = str(value)
    return f"?{found.urlencode()}" if found else "?"


@register.filter("date", expects_localtime=True)
def date_filter(moment: Any, pattern: str = "DATE_FORMAT") -> str:
    """Return a day or a moment as text, and "" for none; it replaces Django's filter of this name."""
    return formats.date_format(moment, pattern) if isinstance(moment, date | time) else ""


@register.filter(expects_localtime=True)
def is_second(moment: datetime) -> bool:
    """Return whether this is the later of two moments with the same local time."""
    return moment.fold == 1 and local_times.came_twice(moment)


@register.filter
def lock_reason(reason: str) -> str:
    """Return why a machine is locked; a built-in reason in the page's language."""
    return locks.reason_text(reason)


@register.filter
def called(name: str, names: Mapping[str, str]) -> str:
    """Return the display name for the username `name`, from the page's context (``display_names.account_names``)."""
    return names.get(name, name)
