"""A payer's balance, now or on a day, with all entries."""

from __future__ import annotations

from datetime import date

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _

from fabgate import days
from fabgate.collector.faces.pages.access_control import account_of
from fabgate.collector.faces.pages.billing_terms import terms_or_404
from fabgate.collector.faces.pages.credit.account import account_of_payer, credit_of
from fabgate.collector.faces.pages.forms.day_field import unlikely
from fabgate.collector.faces.pages.month import behind
from fabgate.collector.faces.pages.roles import self_and_groups
from fabgate.collector.ground.models import Payer
from fabgate.collector.money.billing.paying import payers
from fabgate.errors import UsageError


def balance(request: HttpRequest, pk: str) -> HttpResponse:
    """Show a payer's balance and entries, up to the day in the query."""
    found, payer, waiting = terms_or_404(), payer_or_404(pk), behind.shown()
    day = day_of(request)
    credit = credit_of(pk)
    shown = {
        **waiting,
        "payer": payer,
        "credit": credit,
        "ledger": account_of_payer(pk, found, request.GET, day),
        "day": day,
        "is_own": pk in self_and_groups(account_of(request)),
        "terms": found,
    }
    return render(request, "credit/balance.html", shown)


def payer_or_404(pk: str) -> Payer:
    """Return a payer. Raises Http404 if there is none."""
    payer = payers.get(pk)
    if payer is None:
        raise Http404
    return payer


def day_of(request: HttpRequest) -> date | None:
    """Return the day in the query, or None. Raises UsageError for an invalid day."""
    typed = request.GET.get("at", "").strip()
    if not typed:
        return None
    try:
        return days.read(typed)
    except days.UnlikelyDay as error:
        raise UsageError(unlikely(error)) from None
    except ValueError:
        raise UsageError(_("Found “%(found)s”, wanted a day such as 2027-01-31.") % {"found": typed[:40]}) from None
