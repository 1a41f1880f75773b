"""The list of sessions, filtered by person, machine, days and reason. Open sessions are listed first."""

from __future__ import annotations

from typing import Final

from django.http import HttpRequest, HttpResponse

from fabgate.collector.faces.pages import rights
from fabgate.collector.faces.pages.access_control import account_of
from fabgate.collector.faces.pages.lists.sorting import Labelled, Sorting
from fabgate.collector.faces.pages.use.forms import SessionsForm
from fabgate.collector.faces.pages.use.sessions.rows import COLUMNS, rows
from fabgate.collector.faces.pages.use.tab import render_page
from fabgate.collector.faces.pages.words import names, session_labels
from fabgate.collector.money.billing import terms

#: The columns by which the list can be sorted. The order of ends has an index; for other orders the database sorts or
#: counts the sessions of at most a month, a person or a machine.
_SORTS: Final = ("person", "machine", "-ended", "-on", "-running", "reason")
_VALUES: Final = {"ended": "ended_at", "on": "counted_ms", "running": "running_ms"}
_LABELS: Final = {
    "person": Labelled("used_by", names.people),
    "machine": Labelled(names.PLACE, names.places),
    "reason": Labelled("reason", session_labels.all_ended),
}


def sessions(request: HttpRequest) -> HttpResponse:
    """List the sessions by their end, newest first, or in another order."""
    form = SessionsForm(request.GET)
    if not form.is_valid():
        return render_page(request, "sessions.html", {"form": form}, status=400)
    sorting = Sorting(request.GET, _SORTS, "-ended")
    matching = form.filtered().select_related("machine", "gate").only(*COLUMNS)
    page = sorting.page(matching, request.GET, "ended_at", _VALUES, _LABELS)
    shown = {
        "form": form,
        "sorting": sorting,
        "page": page,
        "rows": [row.cells for row in rows(page.rows)],
        "open": [] if page.before else rows(list(form.open())),
        "is_first": not page.before,
        "may_start_billing": rights.may(account_of(request).role, "month-start") and terms.started() is None,
    }
    return render_page(request, "sessions.html", shown)
