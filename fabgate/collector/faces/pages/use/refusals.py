"""The page of refusals: who, where and why.

It includes unknown badges, because one that is tapped again and again has an owner.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final

from django.db.models import Case, Count, Max, QuerySet, TextField, Value, When
from django.db.models.functions import Cast, Concat
from django.http import HttpRequest, HttpResponse

from fabgate.collector.faces.pages.lists.sorting import Labelled, Sorting
from fabgate.collector.faces.pages.use.forms import RefusalsForm
from fabgate.collector.faces.pages.use.tab import render_page
from fabgate.collector.faces.pages.words import names, session_labels
from fabgate.collector.ground.models import Refusal
from fabgate.collector.members.people import display_names

#: How many lines each summary shows.
_TOP: Final = 8
#: The columns by which the list can be sorted. The order of dates has an index; for other orders the database counts the
#: refusals of at most a month, a person or a machine, as it does for the summaries.
_SORTS: Final = ("-when", "person", "machine", "reason")
#: A member's id, or the digest of an unknown badge, told apart by what comes before them.
_MEMBER, _BADGE = "member:", "badge:"
_WHO: Final = Case(
    When(member="", then=Concat(Value(_BADGE), "badge")),
    default=Concat(Value(_MEMBER), "member"),
    output_field=TextField(),
)


def refusals(request: HttpRequest) -> HttpResponse:
    """List the refusals, newest first or in another order, with summaries above."""
    form = RefusalsForm(request.GET)
    if not form.is_valid():
        return render_page(request, "refusals.html", {"form": form}, status=400)
    sorting = Sorting(request.GET, _SORTS, "-when", anchor="list")
    matching = form.filtered()
    rows = matching.select_related("gate", "machine")
    page = sorting.page(rows, request.GET, "about", {"when": "about"}, _LABELS)
    people = display_names.names_of(row.member for row in page.rows)
    holders = display_names.holders_at_refusal(page.rows)
    shown: dict[str, Any] = {"form": form, "sorting": sorting, "page": page}
    shown["rows"] = [
        {
            "refusal": row,
            "who": people.get(row.member),
            "unnamed": display_names.badge_title(holders.get(row.pk), row.reasons),
            "holder": holders.get(row.pk),
            "machine": str(row.where),
            "why": session_labels.refused(row.reasons),
        }
        for row in page.rows
    ]
    if not page.before and page.rows:
        shown |= _summaries(matching)
    return render_page(request, "refusals.html", shown)


def _people(found: Iterable[str]) -> Mapping[str, str]:
    """Return the names by which the list is sorted; unknown badges have none, and come last."""
    members = {value: value.removeprefix(_MEMBER) for value in found if value.startswith(_MEMBER)}
    people = display_names.names_of(members.values())
    return {value: str(people[member]) for value, member in members.items()}


def _reasons(found: Iterable[str]) -> Mapping[str, str]:
    """Return the labels by which the list is sorted."""
    return {text: session_labels.refused(json.loads(text)) for text in found}


_LABELS: Final = {
    "person": Labelled(_WHO, _people),
    "machine": Labelled(names.PLACE, names.places),
    "reason": Labelled(Cast("reasons", TextField()), _reasons),
}


def _summaries(matching: QuerySet[Refusal]) -> dict[str, Any]:
    """Return the counts by worst reason, by machine and by unknown badge."""
    reasons: Counter[str] = Counter()
    machines: Counter[str] = Counter()
    # Rows are grouped by combination of reasons; the first reason is the worst.
    for codes, times in matching.order_by().values_list("reasons").annotate(times=Count("id")):
        reasons[codes[0] if codes else ""] += times
    titles, rows = names.machines(), matching.order_by().values_list("machine", "gate__name")
    for machine, gate, times in rows.annotate(times=Count("id")):
        machines[titles.get(machine) or gate] += times
    unknown = matching.filter(member="").order_by().values("badge").annotate(times=Count("id"), last=Max("about"))
    strangers = list(unknown.order_by("-times", "-last")[:_TOP])
    holders = display_names.last_holders(row["badge"] for row in strangers)
    return {
        "total": sum(reasons.values()),
        "reasons": [(session_labels.refused([word]), times) for word, times in reasons.most_common(_TOP)],
        "machines": machines.most_common(_TOP),
        "strangers": [{**row, "holder": holders.get(row["badge"])} for row in strangers],
    }
