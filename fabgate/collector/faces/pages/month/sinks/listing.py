"""Which programs get charges or usage, and whether each has everything."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse

from fabgate.collector.faces.pages.billing_terms import terms_or_404
from fabgate.collector.faces.pages.lists.numbered import numbered_page
from fabgate.collector.faces.pages.month.sinks import words
from fabgate.collector.faces.pages.month.tab import render_page
from fabgate.collector.ground.models import SinkLetter
from fabgate.collector.money.billing.sinks import config, status
from fabgate.collector.money.billing.sinks.status import Status
from fabgate.collector.money.paper.figures import count
from fabgate.errors import UsageError


def sinks(request: HttpRequest) -> HttpResponse:
    """List the sinks, or the mistakes in sinks.yaml."""
    found = terms_or_404()
    mistakes: list[str] = []
    try:
        all_of_them = list(status.everything())
    except UsageError as error:
        mistakes, all_of_them = str(error).splitlines(), list(status.gone(set()))
    page = numbered_page(all_of_them, request.GET)
    shown = {"rows": [_row(one) for one in page.rows], "page": page, "mistakes": mistakes, "path": config.path()}
    return render_page(request, "sinks/list.html", found, shown)


def _row(one: Status) -> dict[str, Any]:
    kind, word = words.state(one)
    return {
        "name": one.row.name,
        "driver": one.configured.driver_name if one.configured else "",
        "takes": words.takes(one),
        "state": kind,
        "word": word,
        "why": words.trouble(one.row.trouble),
        "waiting": count(one.waiting + one.letters[SinkLetter.DUE]),
        "held": count(one.letters[SinkLetter.HELD]),
        "dead": count(one.dead),
        "sent_at": one.row.sent_at,
    }
