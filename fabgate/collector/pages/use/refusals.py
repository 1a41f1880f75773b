"""The page of refusals: who, where and why.

It includes unknown badges, because one that is tapped again and again has an owner.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

from django.db.models import Count, Max, QuerySet
from django.http import HttpRequest, HttpResponse

from fabgate.collector.models import Refusal
from fabgate.collector.pages import keyset
from fabgate.collector.pages.use import labels, names
from fabgate.collector.pages.use.forms import RefusalsForm
from fabgate.collector.pages.use.tab import render_page
from fabgate.collector.people import display_names

#: How many lines each summary shows.
_TOP: Final = 8


def refusals(request: HttpRequest) -> HttpResponse:
    """List the refusals, newest first, with summaries above."""
    form = RefusalsForm(request.GET)
    if not form.is_valid():
        return render_page(request, "refusals.html", {"form": form}, status=400)
    matching = form.filtered()
    page = keyset.page(matching.select_related("gate", "machine"), "about", request.GET)
    people = display_names.names_of(row.member for row in page.rows)
    holders = display_names.holders_at_refusal(page.rows)
    shown: dict[str, Any] = {"form": form, "page": page, "is_first": not page.newer}
    shown["rows"] = [
        {
            "refusal": row,
            "who": people.get(row.member),
            "unnamed": display_names.badge_title(holders.get(row.pk)),
            "holder": holders.get(row.pk),
            "machine": str(row.where),
            "why": labels.refused(row.reasons),
        }
        for row in page.rows
    ]
    if not page.newer and page.rows:
        shown |= _summaries(matching)
    return render_page(request, "refusals.html", shown)


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
        "reasons": [(labels.refused([word]), times) for word, times in reasons.most_common(_TOP)],
        "machines": machines.most_common(_TOP),
        "strangers": [{**row, "holder": holders.get(row["badge"])} for row in strangers],
    }
