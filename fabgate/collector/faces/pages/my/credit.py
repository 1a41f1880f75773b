"""A member's own credit: the balance next to the sessions, and all entries on a page."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render

from fabgate.collector.faces.pages.access_control import account_of
from fabgate.collector.faces.pages.billing_terms import terms_or_404
from fabgate.collector.faces.pages.credit.account import account_of_payer, credit_of
from fabgate.collector.faces.pages.credit.balance import day_of
from fabgate.collector.faces.pages.month import behind
from fabgate.collector.ground.models import Member


def of_member(member: Member) -> dict[str, Any]:
    """Return the context of a member's credit card; empty for a member for whom another payer pays."""
    found = credit_of(member.pk) if member.payer_id is None else None
    is_shown = found is not None and (found.may_be_credited or found.balance_minor != 0)
    return {"credit": found if is_shown else None}


def credit(request: HttpRequest) -> HttpResponse:
    """Show a member's balance and entries, up to the day in the query."""
    member, found, waiting = account_of(request).member, terms_or_404(), behind.shown()
    own = credit_of(member.pk) if member is not None else None
    if own is None:
        raise Http404
    day = day_of(request)
    account = account_of_payer(own.payer.pk, found, request.GET, day)
    shown = {**waiting, "payer": own.payer, "credit": own, "ledger": account, "day": day, "is_mine": True}
    return render(request, "my/credit.html", shown)
