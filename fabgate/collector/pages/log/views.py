"""Who changed which data, when, and what did it say before?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from fabgate.collector.models import Account, Change
from fabgate.collector.pages import keyset
from fabgate.collector.pages.log import fields, words
from fabgate.collector.pages.log.forms import FilterForm


def log(request: HttpRequest) -> HttpResponse:
    """List the changes, the newest first."""
    form = FilterForm(request.GET or None)
    rows = Change.objects.all()
    if form.is_bound and form.is_valid():
        rows = form.narrowed(rows)
    page = keyset.page(rows, "at", request.GET)
    called = dict(Account.objects.values_list("name", "display_name"))
    shown = [_row(change, called) for change in page.rows]
    status = 400 if form.is_bound and form.errors else 200
    return render(request, "log/log.html", {"rows": shown, "page": page, "form": form}, status=status)


def _row(change: Change, called: dict[str, str]) -> dict[str, Any]:
    return {
        "change": change,
        "actor": called.get(change.actor) or change.actor,
        "what": words.verb(change.verb),
        "kind": words.kind(change.kind),
        "fields": list(_fields(change.before, change.after)),
    }


def _fields(before: dict[str, Any], after: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield each field's name and both values. What a new thing was before says nothing, nor what it has not got."""
    for name in {**before, **after}:
        was, became = words.value(before.get(name)), words.value(after.get(name))
        if was != became:
            yield fields.called(name), was if before else "", became
