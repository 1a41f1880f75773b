"""Who was refused, where, and why? Unknown badges too: those that come again and again are somebody's."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

from django.db.models import Count, Max, QuerySet
from django.http import HttpRequest, HttpResponse

from fabgate.collector.models import Refusal
from fabgate.collector.pages import keyset
from fabgate.collector.pages.use import labels, names
from fabgate.collector.pages.use.forms import RefusalsForm
from fabgate.collector.pages.use.tab import show
from fabgate.collector.people import display_names

#: What is summed up is shown up to here.
_TOP: Final = 8


def refusals(request: HttpRequest) -> HttpResponse:
    """List the refusals, the newest first; before them what they add up to."""
    form = RefusalsForm(request.GET)
    if not form.is_valid():
        return show(request, "refusals.html", {"form": form}, status=400)
    found = form.narrowed()
    page = keyset.page(found.select_related("gate", "machine"), "about", request.GET)
    people = display_names.called(row.member for row in page.rows)
    holders = display_names.at_the_time(page.rows)
    shown: dict[str, Any] = {"form": form, "page": page, "is_first": not page.newer}
    shown["rows"] = [
        {
            "refusal": row,
            "who": people.get(row.member),
            "unnamed": display_names.unnamed(holders.get(row.pk)),
            "holder": holders.get(row.pk),
            "machine": str(row.where),
            "why": labels.refused(row.reasons),
        }
        for row in page.rows
    ]
    if not page.newer and page.rows:
        shown |= _sums(found)
    return show(request, "refusals.html", shown)


def _sums(found: QuerySet[Refusal]) -> dict[str, Any]:
    """Return how often each worst reason was, each machine refused, and each unknown badge came."""
    reasons: Counter[str] = Counter()
    machines: Counter[str] = Counter()
    # A combination of reasons is one row, whatever is in it; the worst one stands first.
    for said, times in found.order_by().values_list("reasons").annotate(times=Count("id")):
        reasons[said[0] if said else ""] += times
    titles, rows = names.machines(), found.order_by().values_list("machine", "gate__name")
    for machine, gate, times in rows.annotate(times=Count("id")):
        machines[titles.get(machine) or gate] += times
    unknown = found.filter(member="").order_by().values("badge").annotate(times=Count("id"), last=Max("about"))
    strangers = list(unknown.order_by("-times", "-last")[:_TOP])
    holders = display_names.holding(row["badge"] for row in strangers)
    return {
        "total": sum(reasons.values()),
        "reasons": [(labels.refused([word]), times) for word, times in reasons.most_common(_TOP)],
        "machines": machines.most_common(_TOP),
        "strangers": [{**row, "holder": holders.get(row["badge"])} for row in strangers],
    }
