"""The list of sessions, filtered by person, machine, days and reason. Open sessions are listed first."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from fabgate.collector.pages import keyset
from fabgate.collector.pages.use.forms import SessionsForm
from fabgate.collector.pages.use.sessions.rows import COLUMNS, rows
from fabgate.collector.pages.use.tab import render_page


def sessions(request: HttpRequest) -> HttpResponse:
    """List the sessions by their end, newest first."""
    form = SessionsForm(request.GET)
    if not form.is_valid():
        return render_page(request, "sessions.html", {"form": form}, status=400)
    page = keyset.page(form.filtered().select_related("machine", "gate").only(*COLUMNS), "ended_at", request.GET)
    shown = {
        "form": form,
        "page": page,
        "rows": [row.cells for row in rows(page.rows)],
        "open": [] if page.newer else rows(list(form.open())),
        "is_first": not page.newer,
    }
    return render_page(request, "sessions.html", shown)
