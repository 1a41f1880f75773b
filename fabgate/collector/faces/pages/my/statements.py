"""A member's own statements. Statements of groups and organisations are not shown here."""

from __future__ import annotations

from datetime import date
from typing import Any, NamedTuple

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from fabgate.collector.faces.pages.access_control import account_of
from fabgate.collector.faces.pages.contested import of_statement
from fabgate.collector.faces.pages.lists.numbered import numbered_page
from fabgate.collector.faces.pages.month import behind
from fabgate.collector.faces.pages.month.statements import shown
from fabgate.collector.ground.models import BillingTerms, Charge, ClosedMonth, IssuedStatement, ManualLine
from fabgate.collector.money.billing import terms
from fabgate.collector.money.billing.statements import read
from fabgate.collector.money.billing.statements.compose import Statement
from fabgate.collector.money.paper.figures import Money

#: How many the page My minutes shows.
NEWEST = 4


class ListedStatement(NamedTuple):
    """A statement in the list."""

    month: date
    amount: str
    is_final: bool


def listed(member: str) -> list[ListedStatement]:
    """Return the statements of a member, the newest first: of closed months, and of open ones with something in them."""
    found = terms.started()
    if found is None:
        return []
    money, first_open = Money.of(found), terms.first_open_day() or found.first_month
    open_months = {
        month
        for rows in (Charge.objects.all(), ManualLine.objects.all())
        for month in rows.filter(payer=member, month__gte=first_open)
        .order_by()
        .values_list("month", flat=True)
        .distinct()
    }
    provisional = [
        ListedStatement(month, money.minor(read.of(month, member).amount_minor), is_final=False)
        for month in open_months
    ]
    issued = IssuedStatement.objects.filter(payer=member, month__lt=first_open)
    final = [
        ListedStatement(month, money.minor(amount), is_final=True)
        for month, amount in issued.values_list("month", "amount_minor")
    ]
    return sorted([*provisional, *final], reverse=True)


def listing(request: HttpRequest) -> HttpResponse:
    """List all of them."""
    waiting = behind.shown()
    page = numbered_page(listed(_member(request)), request.GET)
    return render(request, "my/statements.html", {"page": page, **waiting})


def statement(request: HttpRequest, month: str) -> HttpResponse:
    """Show one."""
    waiting = behind.shown()
    one = _get(request, month)
    if one.head.closed_at is not None:
        waiting = {"behind": None}
    context: dict[str, Any] = {**waiting, "month": one.head.month, "terms": _terms(), **shown.context(one, request.GET)}
    context["rows"] = of_statement(context["rows"], one.head.payer)
    return render(request, "my/statement.html", context)


def as_pdf(request: HttpRequest, month: str) -> HttpResponse:
    """Return one as PDF."""
    return shown.as_pdf(_get(request, month))


def as_csv(request: HttpRequest, month: str) -> HttpResponse:
    """Return one as CSV."""
    return shown.as_csv(_get(request, month))


def _get(request: HttpRequest, typed: str) -> Statement:
    found, member = _terms(), _member(request)
    try:
        month = date.fromisoformat(f"{typed}-01")
    except ValueError:
        raise Http404 from None
    last = timezone.localdate(timezone=terms.zone(found)).replace(day=1)
    if not found.first_month <= month <= last and not ClosedMonth.objects.filter(pk=month).exists():
        raise Http404
    return read.of(month, member)


def _terms() -> BillingTerms:
    found = terms.started()
    if found is None:
        raise Http404
    return found


def _member(request: HttpRequest) -> str:
    member = account_of(request).member
    if member is None:
        raise Http404
    return member.pk
