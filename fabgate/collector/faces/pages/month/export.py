"""A month as files for spreadsheets, with names: its payers and all its lines. Each export is in the audit log."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from django.conf import settings
from django.http import Http404, HttpRequest, StreamingHttpResponse

from fabgate.collector.faces.pages.access_control import account_of
from fabgate.collector.faces.pages.billing_terms import terms_or_404
from fabgate.collector.faces.pages.month.tab import month_of
from fabgate.collector.faces.pages.use.exports import files
from fabgate.collector.ground.db import audit, one_state
from fabgate.collector.ground.models import Collector
from fabgate.collector.ground.tables.table import Table
from fabgate.collector.money.paper.month import tables
from fabgate.collector.money.paper.month.read import MonthRead

_TABLES: Final[Mapping[str, Callable[[MonthRead], Table]]] = {"payers": tables.payers, "lines": tables.lines}


def as_xlsx(request: HttpRequest) -> StreamingHttpResponse:
    """Send both tables, each as a sheet, of one and the same state of the books."""
    first = month_of(request, terms_or_404())
    with one_state.reading():
        month = MonthRead.of(first)
        answer = files.as_xlsx(request, tables.file_name(month), *(make(month) for make in _TABLES.values()))
    _record(request, month, "xlsx")
    return answer


def as_csv(request: HttpRequest) -> StreamingHttpResponse:
    """Send one of the tables, of one state of the books."""
    first, what = month_of(request, terms_or_404()), request.GET.get("what", "payers")
    if what not in _TABLES:
        raise Http404
    with one_state.reading():
        month = MonthRead.of(first)
        table = _TABLES[what](month)
        table = replace(table, rows=list(table.rows))
    _record(request, month, "csv")
    return files.as_csv(request, tables.file_name(month, table), table)


def _record(request: HttpRequest, month: MonthRead, form: str) -> None:
    """Record the export before the first byte is sent."""
    exported = {"what": "month", "form": form, "month": f"{month.head.month:%Y-%m}"}
    audit.record(account_of(request).name, "data.exported", Collector.get(settings.ENVIRONMENT.site), after=exported)
