"""Which sessions were there? By person, machine, days and reason; those that are open stand apart, on top."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from fabgate.collector.pages import keyset
from fabgate.collector.pages.use.forms import SessionsForm
from fabgate.collector.pages.use.sessions.rows import SHOWN, rows
from fabgate.collector.pages.use.tab import show


def sessions(request: HttpRequest) -> HttpResponse:
    """List the sessions by their end, the newest first."""
    form = SessionsForm(request.GET)
    if not form.is_valid():
        return show(request, "sessions.html", {"form": form}, status=400)
    page = keyset.page(form.narrowed().select_related("machine", "gate").only(*SHOWN), "ended_at", request.GET)
    shown = {
        "form": form,
        "page": page,
        "rows": [row.cells for row in rows(page.rows)],
        "open": [] if page.newer else rows(list(form.open())),
        "is_first": not page.newer,
    }
    return show(request, "sessions.html", shown)
