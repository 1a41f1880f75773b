"""The audit log: who changed what, when, from which value."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from fabgate.collector.models import Change
from fabgate.collector.pages import keyset
from fabgate.collector.pages.log import labels, values
from fabgate.collector.pages.log.forms import FilterForm
from fabgate.collector.pages.log.subjects import Subjects


def log(request: HttpRequest) -> HttpResponse:
    """List the changes, newest first."""
    form = FilterForm(request.GET or None)
    rows = Change.objects.all()
    if form.is_bound and form.is_valid():
        rows = form.filtered(rows)
    page = keyset.page(rows, "at", request.GET)
    names, subjects = values.Names(page.rows), Subjects(page.rows)
    shown = [_row(change, names, subjects) for change in page.rows]
    status = 400 if form.is_bound and form.errors else 200
    return render(request, "log/log.html", {"rows": shown, "page": page, "form": form}, status=status)


def _row(change: Change, names: values.Names, subjects: Subjects) -> dict[str, Any]:
    name, key = subjects.name_and_key(change)
    fields, reason = values.changed_fields(change, names), values.reason(change)
    return {
        "change": change,
        "actor": names.actor(change.actor),
        "what": labels.verb(change.verb),
        "kind": labels.kind(change.kind),
        "of": name,
        "key": key,
        "fields": fields,
        "reason": ""
        if reason in (became for _name, _was, became in fields)
        else reason,  # a block's reason is one of its fields
    }
