"""The layout of this tab's pages, and the months that they show."""

from __future__ import annotations

from datetime import date
from typing import Any, Final

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render

from fabgate.collector.ground.models import BillingTerms
from fabgate.collector.money.billing import terms
from fabgate.collector.money.paper.figures import Money

#: Months after this year are refused.
_LAST_YEAR: Final = 2199


def render_page(
    request: HttpRequest, template: str, found: BillingTerms, shown: dict[str, Any], *, status: int = 200
) -> HttpResponse:
    """Render a page of this tab."""
    common = {"terms": found, "money": Money.of(found)}
    return render(request, f"month/{template}", {**common, **shown}, status=status)


def month_of(request: HttpRequest, found: BillingTerms, *, to_close: date | None = None) -> date:
    """Return the first day of the month in the query, or of the current one, or of `to_close` if that is earlier.

    Raises Http404 for one before the first.
    """
    typed = request.GET.get("month", "")
    if not typed:
        now = terms.today(found).replace(day=1)
        return max(min(now, to_close or now), found.first_month)
    try:
        month = date.fromisoformat(f"{typed}-01")
    except ValueError:
        raise Http404 from None
    if month < found.first_month or month.year > _LAST_YEAR:
        raise Http404
    return month
