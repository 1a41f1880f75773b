"""Adds, refunds and reverses credit."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

from django import forms
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from fabgate.collector.faces.pages import errors, gates_informed
from fabgate.collector.faces.pages.access_control import account_of, refuse_self_decision, see_other
from fabgate.collector.faces.pages.billing_terms import terms_or_404
from fabgate.collector.faces.pages.credit.account import Credit, credit_of
from fabgate.collector.faces.pages.forms.line_field import LineField
from fabgate.collector.faces.pages.forms.minor_field import MinorField
from fabgate.collector.faces.pages.month import behind
from fabgate.collector.ground.models import BillingTerms, PrepaidEntry
from fabgate.collector.members.access import roster
from fabgate.collector.members.people.display_names import account_names
from fabgate.collector.money.billing.paying import payers
from fabgate.collector.money.billing.prepaid import admissions, balances, ledger
from fabgate.collector.money.billing.prepaid.ledger import MOST_MINOR, Done, Paid
from fabgate.collector.money.paper.figures import Money
from fabgate.errors import UsageError


class PaidForm(forms.Form):
    """An amount, and how it was paid. The form has a number of its own, so that it counts once."""

    amount = MinorField(least=1, most=MOST_MINOR)
    method = forms.ChoiceField(
        label=gettext_lazy("Method"), choices=PrepaidEntry.METHODS, widget=forms.RadioSelect, initial=PrepaidEntry.CASH
    )
    till_number = LineField(
        label=gettext_lazy("Receipt or cheque number"),
        max_length=PrepaidEntry.LONGEST_TILL_NUMBER,
        required=False,
        help_text=gettext_lazy("The number on the till's receipt, or on the cheque."),
    )
    form_key = forms.UUIDField(widget=forms.HiddenInput)

    def __init__(self, *args: Any, found: BillingTerms, **more: Any) -> None:
        super().__init__(*args, **more)
        self.initial["form_key"] = uuid.uuid4()
        amount = self.fields["amount"]
        assert isinstance(amount, MinorField)
        amount.use(found, _("Amount (%(currency)s)"))
        amount.widget.attrs["autofocus"] = True

    def paid(self) -> Paid:
        """Return how it was paid."""
        typed = self.cleaned_data
        return Paid(typed["method"], typed["till_number"], typed.get("reason", ""))


class RefundForm(PaidForm):
    """The amount of a refund, and its reason."""

    reason = LineField(label=gettext_lazy("Why?"), max_length=200)
    field_order = ("amount", "method", "reason", "till_number")


class ReasonForm(forms.Form):
    """The reason for reversing a credit."""

    reason = LineField(label=gettext_lazy("Why?"), max_length=200)


def add(request: HttpRequest, pk: str) -> HttpResponse:
    """Take in credit. An equal one of a moment ago is asked about."""
    found, waiting, credit = terms_or_404(), behind.shown(), _credit_or_404(pk)
    refuse_self_decision(request, pk)
    form, twin, used = PaidForm(request.POST if request.method == "POST" else None, found=found), None, None
    is_sent = request.method == "POST" and form.is_valid()
    if not is_sent and (credit.has_ended or not credit.may_be_credited):
        raise errors.Conflict(
            str(payers.Ended(credit.payer) if credit.has_ended else ledger.NotPrepaidError(credit.payer))
        )
    if is_sent:
        try:
            done = ledger.credit(
                pk,
                form.cleaned_data["amount"],
                form.paid(),
                author=account_of(request).name,
                now=datetime.now(UTC),
                form=str(form.cleaned_data["form_key"]),
                is_meant="is_meant" in request.POST,
                rebuild=_rebuild,
            )
        except (payers.Ended, ledger.NotPrepaidError) as error:
            raise errors.Conflict(str(error)) from None
        except ledger.TwinError as error:
            twin = error.entry
        except ledger.FormUsedError as error:
            form, used = PaidForm(found=found), error.entry
        else:
            return _paid(request, done, found, _("%(amount)s credited. The balance is %(balance)s."))
    return _page(request, "credit/add.html", found, credit, form, waiting, twin=twin, used=used)


def refund(request: HttpRequest, pk: str) -> HttpResponse:
    """Refund at most the balance."""
    found, waiting, credit = terms_or_404(), behind.shown(), _credit_or_404(pk)
    refuse_self_decision(request, pk)
    form, used = RefundForm(request.POST if request.method == "POST" else None, found=found), None
    if request.method == "POST" and form.is_valid():
        try:
            done = ledger.refund(
                pk,
                form.cleaned_data["amount"],
                form.paid(),
                author=account_of(request).name,
                now=datetime.now(UTC),
                form=str(form.cleaned_data["form_key"]),
                rebuild=_rebuild,
            )
        except ledger.TooMuchError as error:
            most = Money.of(found).minor(max(error.most_minor, 0))
            text = _("You can refund at most the balance: %(most)s.")
            if credit.accepted:
                text = _("You can refund at most %(most)s: the balance if the sessions in review are accepted.")
            form.add_error("amount", text % {"most": most})
        except ledger.FormUsedError as error:
            form, used = RefundForm(found=found), error.entry
        else:
            return _paid(request, done, found, _("%(amount)s refunded. The balance is %(balance)s."))
    return _page(request, "credit/refund.html", found, credit, form, waiting, used=used)


def take_back(request: HttpRequest, pk: int) -> HttpResponse:
    """Take back a credit that was typed wrongly: show it first."""
    found = terms_or_404()
    entry = get_object_or_404(PrepaidEntry, pk=pk, kind=PrepaidEntry.CREDIT)
    refuse_self_decision(request, entry.payer)
    form = ReasonForm(request.POST if "sure" in request.POST else None)
    if request.method == "POST" and form.is_valid():
        try:
            done = ledger.take_back(
                pk,
                author=account_of(request).name,
                now=datetime.now(UTC),
                reason=form.cleaned_data["reason"],
                rebuild=_rebuild,
            )
        except UsageError:
            raise errors.Conflict(_("This credit has already been reversed.")) from None
        return _paid(request, done, found, _("Credit of %(amount)s reversed. The balance is %(balance)s."))
    waiting = behind.shown()
    return _page(request, "credit/take_back.html", found, _credit_or_404(entry.payer), form, waiting, entry=entry)


def admit(request: HttpRequest, pk: str) -> HttpResponse:
    """Let gates admit those a payer pays for until the sessions in review are decided: ask why first."""
    found, waiting, credit = terms_or_404(), behind.shown(), _credit_or_404(pk)
    refuse_self_decision(request, pk)
    form = ReasonForm(request.POST if "sure" in request.POST else None)
    if request.method == "POST" and form.is_valid():
        try:
            change = admissions.admit(
                pk, author=account_of(request).name, reason=form.cleaned_data["reason"], rebuild=_rebuild
            )
        except UsageError:
            raise errors.Conflict(_("Someone else changed this in the meantime. Check and try again.")) from None
        gates_informed.report_change(
            request, _("Gates admit this payer until the sessions in review are decided."), change
        )
        return see_other(reverse("people-credit", args=[pk]))
    if not credit.may_be_admitted:
        raise errors.Conflict(
            _("Gates do not refuse this payer, or refuse them for another reason than sessions in review.")
        )
    return _page(request, "credit/admit.html", found, credit, form, waiting)


def _credit_or_404(pk: str) -> Credit:
    credit = credit_of(pk)
    if credit is None:
        raise Http404
    return credit


def _rebuild() -> dict[str, int]:
    return roster.versions(roster.rebuild(only_changed=True))


def _paid(request: HttpRequest, done: Done, found: BillingTerms, text: str) -> HttpResponse:
    """Show a message, notify the gates, and redirect to the payer's balance."""
    money, entry = Money.of(found), done.entry
    values = {"amount": money.minor(abs(entry.amount_minor)), "balance": money.minor(balances.of(entry.payer))}
    gates_informed.report_change(request, text % values, *([done.change] if done.change is not None else []))
    return see_other(reverse("people-credit", args=[entry.payer]))


def _page(
    request: HttpRequest,
    template: str,
    found: BillingTerms,
    credit: Credit,
    form: forms.Form,
    waiting: dict[str, Any],
    *,
    twin: PrepaidEntry | None = None,
    used: PrepaidEntry | None = None,
    entry: PrepaidEntry | None = None,
) -> HttpResponse:
    money, one = Money.of(found), twin or entry
    shown = {
        **waiting,
        "form": form,
        "credit": credit,
        "payer": credit.payer,
        "twin": twin,
        "used": used,
        "used_amount": money.difference(used.amount_minor) if used is not None else "",
        "entry": entry,
        "amount": money.minor(one.amount_minor) if one is not None else "",
        "by": account_names([one.author]).get(one.author, one.author) if one is not None else "",
    }
    status = 409 if twin is not None or used is not None else 400 if form.errors else 200
    return render(request, template, shown, status=status)
