"""Sends statements of closed months by e-mail: all that were not sent, or one again, each with a preview."""

from __future__ import annotations

from datetime import date
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from fabgate.collector.faces.pages.access_control import account_of, see_other
from fabgate.collector.faces.pages.billing_terms import terms_or_404
from fabgate.collector.faces.pages.lists.numbered import numbered_page
from fabgate.collector.faces.pages.month.tab import month_of, render_page
from fabgate.collector.ground import mails
from fabgate.collector.ground.models import ClosedMonth, StatementMail
from fabgate.collector.money.billing.statements import read, words
from fabgate.collector.money.paper.figures import Money
from fabgate.collector.money.paper.statements import mailing
from fabgate.collector.money.paper.statements.mailing import Addressed

#: State of a mail: colour and word.
STATES = {
    StatementMail.WAITING: ("starting", gettext_lazy("Waiting")),
    StatementMail.SENDING: ("uncertain", gettext_lazy("May have been sent")),
    StatementMail.SENT: ("ok", gettext_lazy("Sent")),
    StatementMail.FAILED: ("bad", gettext_lazy("Not sent")),
}


def listing(request: HttpRequest) -> HttpResponse:
    """List the statements of a closed month and their mails; send the statements that were not sent."""
    found = terms_or_404()
    first = month_of(request, found)
    get_object_or_404(ClosedMonth, pk=first)
    here = f"{reverse('month-statements')}?month={first:%Y-%m}"
    if request.method == "POST":
        if not mails.can_send():
            raise Http404
        count = mailing.queue(first, author=account_of(request).name)
        text = ngettext("%(n)d statement will be sent.", "%(n)d statements will be sent.", count)
        messages.success(request, text % {"n": count})
        return see_other(here)
    all_of_them = mailing.of_month(first)
    which = request.GET.get("which")
    narrowed = {
        "no-address": [one for one in all_of_them if one.has_lines and not one.email],
        "uncertain": [one for one in all_of_them if one.is_uncertain],
    }
    page = numbered_page(narrowed.get(which, all_of_them) if which else all_of_them, request.GET)
    due = [one for one in all_of_them if one.is_due]
    shown: dict[str, Any] = {
        "month": first,
        "page": page,
        "rows": _rows(page.rows, first, Money.of(found)),
        "statements": len(all_of_them),
        "due": len(due),
        "without_address": len(narrowed["no-address"]),
        "without_lines": sum(not one.has_lines for one in all_of_them),
        "uncertain": len(narrowed["uncertain"]),
        "waiting": sum(one.last is not None and one.last.state == StatementMail.WAITING for one in all_of_them),
        "example": _example(due[0], first) if due else None,
        "can_send": mails.can_send(),
        "is_narrowed": which in narrowed,
    }
    return render_page(request, "statements.html", found, shown)


def one(request: HttpRequest, pk: str) -> HttpResponse:
    """Show the mail with the statement of a payer, and send it."""
    found = terms_or_404()
    first = month_of(request, found)
    addressed = mailing.of(first, pk)
    if addressed is None:
        raise Http404
    if request.method == "POST":
        if not mails.can_send() or not addressed.email or not addressed.has_lines:
            raise Http404
        problem = mailing.send_one(first, pk, author=account_of(request).name)
        if problem:
            messages.error(request, _("The statement was not sent: %(problem)s.") % {"problem": problem})
        else:
            messages.success(request, _("The statement was sent to %(email)s.") % {"email": addressed.email})
        return see_other(f"{reverse('month-statement', args=[pk])}?month={first:%Y-%m}")
    shown: dict[str, Any] = {
        "month": first,
        "payer": pk,
        "name": words.of_payers([pk])[pk].get("name", pk),
        "has_lines": addressed.has_lines,
        "mail": _example(addressed, first) if addressed.email and addressed.has_lines else None,
        "last": addressed.last,
        "state": STATES[addressed.last.state] if addressed.last else None,
        "can_send": mails.can_send(),
    }
    return render_page(request, "statement_send.html", found, shown)


def _example(one: Addressed, first: date) -> mails.Mail:
    return mailing.preview(read.of(first, one.statement.payer), one.email)


def _rows(page: Any, first: date, money: Money) -> list[dict[str, Any]]:
    names = words.of_payers([one.statement.payer for one in page])
    return [
        {
            "payer": one.statement.payer,
            "name": names[one.statement.payer].get("name", one.statement.payer),
            "amount": money.minor(one.statement.amount_minor),
            "email": one.email,
            "has_lines": one.has_lines,
            "last": one.last,
            "state": STATES[one.last.state] if one.last else None,
            "url": f"{reverse('month-statement', args=[one.statement.payer])}?month={first:%Y-%m}",
        }
        for one in page
    ]
