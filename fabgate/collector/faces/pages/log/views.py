"""The audit log: who changed what, when, from which value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from fabgate.collector.faces.pages.lists.sorting import Labelled, Sorting
from fabgate.collector.faces.pages.log import labels, values
from fabgate.collector.faces.pages.log.forms import FilterForm
from fabgate.collector.faces.pages.log.subjects import Subjects
from fabgate.collector.ground.models import Change
from fabgate.collector.members.people import display_names

#: The columns by which the log can be sorted. Each has an index. What a change is about has its name in one of a dozen
#: tables; the filter finds it.
_SORTS: Final = ("-when", "by", "what")


def log(request: HttpRequest) -> HttpResponse:
    """List the changes, newest first or in another order."""
    form = FilterForm(request.GET or None)
    rows = Change.objects.all()
    if form.is_bound and form.is_valid():
        rows = form.filtered(rows)
    sorting = Sorting(request.GET, _SORTS, "-when")
    page = sorting.page(rows, request.GET, "at", {"when": "at"}, _LABELS)
    names, subjects = values.Names(page.rows), Subjects(page.rows)
    shown = [_row(change, names, subjects) for change in page.rows]
    status = 400 if form.is_bound and form.errors else 200
    is_filtered = any(request.GET.get(name) for name in form.fields)
    context = {"rows": shown, "page": page, "form": form, "sorting": sorting, "is_filtered": is_filtered}
    return render(request, "log/log.html", context, status=status)


def _verbs(found: Iterable[str]) -> Mapping[str, str]:
    """Return the labels by which the log is sorted."""
    return {verb: labels.verb(verb) for verb in found}


_LABELS: Final = {"by": Labelled("actor", display_names.account_names), "what": Labelled("verb", _verbs)}


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
