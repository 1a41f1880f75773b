"""The statement of a payer, and the archive of a closed month, for accounts that may read billing."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404

from fabgate.collector.faces.pages.billing_terms import terms_or_404
from fabgate.collector.faces.pages.contested import of_statement
from fabgate.collector.faces.pages.month import behind
from fabgate.collector.faces.pages.month.overview import neighbours
from fabgate.collector.faces.pages.month.statements import shown
from fabgate.collector.faces.pages.month.tab import month_of, render_page
from fabgate.collector.faces.pages.use.exports import files
from fabgate.collector.ground.models import BillingTerms, ClosedMonth
from fabgate.collector.money.billing.paying import payers
from fabgate.collector.money.billing.statements import archive, read
from fabgate.collector.money.billing.statements.compose import Statement
from fabgate.collector.money.paper.statements import mailing


def statement(request: HttpRequest, pk: str) -> HttpResponse:
    """Show the statement of a payer, in their language."""
    found = terms_or_404()
    waiting = behind.shown(month_of(request, found))
    one = _get(request, pk, found)
    context: dict[str, Any] = {
        **waiting,
        "month": one.head.month,
        "payer": pk,
        "name": one.payer_name,
        "can_be_sent": mailing.of(one.head.month, pk) is not None,
        **neighbours(one.head.month, found),
        **shown.context(one, request.GET),
    }
    context["rows"] = of_statement(context["rows"], "")
    return render_page(request, "statement.html", found, context)


def as_pdf(request: HttpRequest, pk: str) -> HttpResponse:
    """Return the statement as PDF."""
    return shown.as_pdf(_get(request, pk, terms_or_404()))


def as_csv(request: HttpRequest, pk: str) -> HttpResponse:
    """Return the statement as CSV."""
    return shown.as_csv(_get(request, pk, terms_or_404()))


def archived(request: HttpRequest, name: str) -> HttpResponseBase:
    """Return a file of the archive of a closed month."""
    first = month_of(request, terms_or_404())
    get_object_or_404(ClosedMonth, pk=first)
    kind = "text/csv; charset=utf-8" if name.endswith(".csv") else "application/json"
    if name == archive.names_file(first):
        return files.stream(request, name, kind, archive.names(first))
    make = archive.files(first).get(name)
    if make is None:
        raise Http404
    return files.stream(request, name, kind, make())


def _get(request: HttpRequest, pk: str, found: BillingTerms) -> Statement:
    one = read.of(month_of(request, found), pk)
    if not one.persons and not one.lines and payers.get(pk) is None:
        raise Http404
    return one
