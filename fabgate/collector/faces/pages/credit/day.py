"""The credits of a day, by method, to compare with the till."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _

from fabgate.collector.faces.pages.billing_terms import terms_or_404
from fabgate.collector.faces.pages.credit.account import entry_name
from fabgate.collector.faces.pages.credit.balance import day_of
from fabgate.collector.faces.pages.lists.numbered import numbered_page
from fabgate.collector.faces.pages.use.exports import files
from fabgate.collector.faces.pages.words import names
from fabgate.collector.ground.models import PrepaidEntry
from fabgate.collector.ground.tables.table import DECIMAL, MOMENT, NUMBER, Cell, Column, Table
from fabgate.collector.members.people.display_names import account_names
from fabgate.collector.money.billing import terms
from fabgate.collector.money.billing.currencies import decimal_text
from fabgate.collector.money.billing.prepaid import daily, modes
from fabgate.collector.money.paper.figures import Money

_METHODS = dict(PrepaidEntry.METHODS)


def credits_of_day(request: HttpRequest) -> HttpResponse:
    """List the credits and refunds of a day."""
    found = terms_or_404()
    today, money = terms.today(found), Money.of(found)
    on = day_of(request) or today
    listed = daily.of(on)
    page = numbered_page(listed.entries, request.GET)
    called = names.people({entry.payer for entry in page.rows})
    by = account_names(entry.author for entry in page.rows)
    shown = {
        "day": on,
        "before": on - timedelta(days=1) if on > date.min else None,
        "after": on + timedelta(days=1) if on < today else None,
        "methods": [
            {"name": _METHODS[method], "sum": sum_, **_amounts(sum_, money)} for method, sum_ in listed.methods.items()
        ],
        "total": {"sum": listed.total, **_amounts(listed.total, money)},
        "is_in_use": modes.are_in_use(),
        "page": page,
        "rows": [
            {
                "entry": entry,
                "what": entry_name(entry),
                "name": called.get(entry.payer, entry.payer),
                "method": _METHODS[entry.method],
                "amount": money.difference(entry.amount_minor),
                "by": by.get(entry.author, entry.author),
            }
            for entry in page.rows
        ],
    }
    return render(request, "credit/day.html", {"terms": found} | shown)


def _amounts(sum_: daily.Sum, money: Money) -> dict[str, Any]:
    return {"in": money.minor(sum_.in_minor), "out": money.minor(sum_.out_minor), "net": money.minor(sum_.net_minor)}


def as_csv(request: HttpRequest) -> StreamingHttpResponse:
    """Send the entries of a day as CSV; amounts are in the currency's main unit."""
    found = terms_or_404()
    on = day_of(request) or terms.today(found)
    listed = daily.of(on)
    called = names.people({entry.payer for entry in listed.entries})
    columns = [
        Column(_("Number"), NUMBER),
        Column(_("When"), MOMENT),
        Column(_("Payer")),
        Column(_("Name")),
        Column(_("What")),
        Column(_("Method")),
        Column(_("Receipt or cheque number")),
        Column(_("Amount (%(currency)s)") % {"currency": found.currency}, DECIMAL),
        Column(_("By")),
        Column(_("Reason")),
    ]
    zone = terms.zone(found)
    rows: list[list[Cell]] = [
        [
            *(entry.pk, f"{entry.at.astimezone(zone):%Y-%m-%d %H:%M:%S}", entry.payer),
            *(called.get(entry.payer, entry.payer), entry_name(entry), str(_METHODS[entry.method])),
            *(entry.till_number, decimal_text(entry.amount_minor, found.digits), entry.author, entry.reason),
        ]
        for entry in listed.entries
    ]
    return files.as_csv(request, f"credits-{on:%Y-%m-%d}", Table(_("Credits"), columns, rows))
