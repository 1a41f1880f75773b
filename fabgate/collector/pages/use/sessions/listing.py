"""The list of sessions, filtered by person, machine, days and reason. Open sessions are listed first."""

from __future__ import annotations

from typing import Final

from django.db.models import F, QuerySet
from django.http import HttpRequest, HttpResponse

from fabgate.collector.models import UsageSession
from fabgate.collector.pages import keyset
from fabgate.collector.pages.use import sorting
from fabgate.collector.pages.use.forms import SessionsForm
from fabgate.collector.pages.use.sessions.rows import COLUMNS, rows
from fabgate.collector.pages.use.sorting import Order
from fabgate.collector.pages.use.tab import render_page

#: The columns by which the list can be sorted. The order of ends has an index; for other orders the database sorts the
#: sessions of at most a month, a person or a machine.
_SORTS: Final = {
    "ended": ("ended_at",),
    "machine": ("machine__title", "machine__name"),
    "on": ("counted_ms",),
    "running": ("running_ms",),
}
_NEWEST_FIRST: Final = Order("ended", is_descending=True)
_PAGE_SIZE: Final = 50
#: Page numbers are not read beyond this.
_MAX_PAGE: Final = 10_000


def sessions(request: HttpRequest) -> HttpResponse:
    """List the sessions by their end, newest first, or in another order."""
    form = SessionsForm(request.GET)
    if not form.is_valid():
        return render_page(request, "sessions.html", {"form": form}, status=400)
    order = sorting.parse(request.GET.get("sort", ""), _SORTS, _NEWEST_FIRST)
    matching = form.filtered().select_related("machine", "gate").only(*COLUMNS)
    shown = {"form": form, "sorts": sorting.headers(_SORTS, order, texts={"machine"})}
    if order == _NEWEST_FIRST:
        page = keyset.page(matching, "ended_at", request.GET)
        shown |= {"page": page, "rows": [row.cells for row in rows(page.rows)], "is_first": not page.newer}
    else:
        number, found, has_more = _sorted_page(matching, order, request.GET.get("page", ""))
        shown |= {
            "is_sorted": True,
            "rows": [row.cells for row in rows(found)],
            "is_first": number == 1,
            "previous": number - 1,
            "next": number + 1 if has_more else 0,
        }
    shown["open"] = rows(list(form.open())) if shown["is_first"] else []
    return render_page(request, "sessions.html", shown)


def _sorted_page(matching: QuerySet[UsageSession], order: Order, number: str) -> tuple[int, list[UsageSession], bool]:
    """Return the number of the page, its sessions, and whether another page follows."""
    page = min(int(number), _MAX_PAGE) if number.isascii() and number.isdecimal() and 0 < len(number) < 9 else 1
    page = max(page, 1)
    columns = [F(name).desc() if order.is_descending else F(name).asc() for name in _SORTS[order.column]]
    start = (page - 1) * _PAGE_SIZE
    found = list(matching.order_by(*columns, "-ended_at", "-pk")[start : start + _PAGE_SIZE + 1])
    return page, found[:_PAGE_SIZE], len(found) > _PAGE_SIZE
