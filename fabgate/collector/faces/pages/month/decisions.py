"""What managers and accountants decide about money: closing a month, waiving a session, and lines for everything else."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import messages
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from fabgate.collector.faces.pages import errors
from fabgate.collector.faces.pages.access_control import account_of, refuse_self_decision, see_other
from fabgate.collector.faces.pages.billing_terms import terms_or_404
from fabgate.collector.faces.pages.contested import answered_by
from fabgate.collector.faces.pages.forms.amount_field import AmountField
from fabgate.collector.faces.pages.forms.day_field import DayField
from fabgate.collector.faces.pages.forms.line_field import LineField
from fabgate.collector.faces.pages.month import behind, vat
from fabgate.collector.faces.pages.month.tab import render_page
from fabgate.collector.faces.pages.words import names
from fabgate.collector.ground.formats import date_format
from fabgate.collector.ground.models import BillingTerms, ClosedMonth, Contest, ManualLine, UsageSession, Waiver
from fabgate.collector.members.people.display_names import account_names
from fabgate.collector.money.billing import closing, contests, terms
from fabgate.collector.money.billing import month as months
from fabgate.collector.money.billing.charges import decisions, history, refresh
from fabgate.collector.money.billing.charges.behind import BehindError, follow_few
from fabgate.collector.money.billing.paying import payers
from fabgate.collector.money.paper.figures import Money


class ReasonForm(forms.Form):
    """A reason that a reader understands a year later."""

    reason = LineField(label=gettext_lazy("Why?"), max_length=200)


class CloseForm(ReasonForm):
    """Why a month is closed; needed only if something is open in it."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.fields["reason"].required = False
        self.fields["reason"].label = _("Reason to close although something is left to do")


class LineForm(forms.Form):
    """What a payer is charged for besides sessions."""

    text = LineField(label=gettext_lazy("What for?"), max_length=200)
    day = DayField(
        label=gettext_lazy("Day"),
        help_text=gettext_lazy("The day of the purchase or event. The line is charged in the month of that day."),
    )
    amount = AmountField(help_text=gettext_lazy("Negative for a reduction."))
    vat_code = LineField(label=gettext_lazy("VAT code"), max_length=20, required=False)

    def __init__(self, *args: Any, found: BillingTerms, **more: Any) -> None:
        super().__init__(*args, **more)
        self.fields["amount"].label = _("Amount (%(currency)s)") % {"currency": found.currency}
        self._digits, self._money = found.digits, Money.of(found)
        self._today = terms.today(found)
        self.fields["day"].initial = self._today

    def clean_day(self) -> date:
        """Refuse a day to come, and one that is a slip of the finger."""
        day: date = self.cleaned_data["day"]
        if not decisions.EARLIEST <= day <= self._today:
            days = {"first": decisions.EARLIEST, "last": self._today}
            named = {name: date_format(day, "DATE_FORMAT") for name, day in days.items()}
            raise forms.ValidationError(_("Choose a day from %(first)s to %(last)s.") % named)
        return day

    def clean_amount(self) -> Decimal:
        """Refuse nothing, and what is a slip of the finger."""
        amount: Decimal = self.cleaned_data["amount"]
        minor = amount.scaleb(self._digits)
        if minor != minor.to_integral_value():
            raise forms.ValidationError(_("Use at most %(n)d decimals.") % {"n": self._digits})
        if not 0 < abs(minor) <= decisions.MOST_MINOR:
            most = self._money.minor(decisions.MOST_MINOR)
            raise forms.ValidationError(_("Enter an amount other than 0, at most %(most)s.") % {"most": most})
        return amount

    def minor(self, amount: Decimal) -> int:
        """Return an amount in the smallest unit."""
        return int(amount.scaleb(self._digits))


def closing_of(first: date, found: BillingTerms) -> dict[str, Any]:
    """Return what the page of a month needs to close it, or to show that it is closed."""
    book, now = refresh.open_book(), datetime.now(UTC)
    left = closing.open_in(first, book, now)
    return {
        "closed": book.closed.get(first),
        "is_next_to_close": first == book.open_month and now >= months.bounds(first, terms.zone(found))[1],
        "to_close_before": book.open_month if book.open_month < first else None,
        "left": left,
        "gates": names.of_gates(left.gates),
    }


def close(request: HttpRequest) -> HttpResponse:
    """Close a month: show what that means first."""
    found, waiting = terms_or_404(), behind.shown()
    first = _month(request.POST.get("month") or request.GET.get("month", ""))
    form = CloseForm(request.POST if "sure" in request.POST else None)
    is_behind = request.method == "POST" and not _follow(form)
    shown = closing_of(first, found)
    if not shown["is_next_to_close"]:
        raise Http404
    if request.method == "POST" and form.is_valid():
        if shown["left"] and not form.cleaned_data["reason"]:
            form.add_error("reason", _("Something is left to do: say why you close the month anyway."))
        else:
            try:
                closed = closing.close(
                    first,
                    datetime.now(UTC),
                    actor=account_of(request).name,
                    reason=form.cleaned_data["reason"],
                    follow=follow_few,
                )
            except BehindError:  # somebody has changed prices or plans meanwhile
                is_behind = not _follow(form)
            else:
                text = _("%(month)s is closed. Its charges are final.")
                messages.success(request, text % {"month": _name(closed)})
                return see_other(f"{reverse('month')}?month={first:%Y-%m}")
    shown |= {"without_rate": [vat.name_of(code) for code in shown["left"].without_rate]}
    shown |= {"form": form, "month": first, "amount": Money.of(found).minor(closing.amount_minor(first)), **waiting}
    status = 409 if is_behind else 400 if form.errors else 200
    return render_page(request, "close.html", found, shown, status=status)


def _follow(form: CloseForm) -> bool:
    """Charge the few changes that the worker has not charged yet; add an error to the form if there are too many."""
    try:
        follow_few()
    except BehindError:
        form.add_error(None, _("Charges are not up to date yet. Close the month in a moment."))
        return False
    return True


def waive(request: HttpRequest, pk: str) -> HttpResponse:
    """Let a session cost nothing, or cost again what it costs."""
    found = terms_or_404()
    session = get_object_or_404(UsageSession.objects.select_related("machine", "gate"), pk=pk, reason__isnull=False)
    refuse_self_decision(request, *session.people)
    waiver = Waiver.objects.filter(session=pk).first()
    contested = answered_by(request, pk) if waiver is None else None
    if "sure" in request.POST:
        _refuse_other(waiver, request.POST.get("waiver", ""))
    form = ReasonForm(request.POST if "sure" in request.POST else None)
    if request.method == "POST" and form.is_valid():
        author, reason, is_answered = account_of(request).name, form.cleaned_data["reason"], False
        with transaction.atomic():
            terms.lock_charges()
            if waiver is not None:
                decisions.withdraw(pk, author=author, reason=reason)
            else:
                decisions.waive(pk, author=author, reason=reason)
                is_answered = contested is not None and contests.settle(
                    contested, Contest.REVERSED, reason, author=author
                )
        messages.success(request, _("The session is waived.") if waiver is None else _("The session is charged again."))
        if is_answered:
            messages.success(request, _("The contest is answered. The member sees the answer under “My minutes”."))
        return see_other(reverse("month-session", args=[pk]))
    waiting = behind.shown()
    applied = history.of(pk).applied
    shown = {
        **waiting,
        "form": form,
        "one": session,
        "waiver": waiver,
        "contested": contested,
        "who": names.people({session.used_by}).get(session.used_by, session.used_by),
        "machine": str(session.machine or session.gate),
        "amount": Money.of(found).minor(applied.amount_minor) if applied else "",
    }
    return render_page(request, "waive.html", found, shown, status=400 if form.errors else 200)


def _refuse_other(waiver: Waiver | None, shown: str) -> None:
    """Refuse a form that was made for another state: a second click would undo the decision of the first one."""
    if waiver is None and shown:
        raise errors.Conflict(_("The waiver of this session has already been withdrawn."))
    if waiver is not None and shown != str(waiver.pk):
        raise errors.Conflict(_("This session has already been waived."))


def add_line(request: HttpRequest, pk: str) -> HttpResponse:
    """Charge a payer for something besides sessions, in the month of its day; of a closed one, in the first open month."""
    found = terms_or_404()
    payer = payers.get(pk)
    if payer is None:
        raise Http404
    refuse_self_decision(request, pk)
    form, twin = LineForm(request.POST if "sure" in request.POST else None, found=found), None
    if request.method == "POST" and form.is_valid():
        try:
            line = decisions.add_line(
                pk,
                form.cleaned_data["text"],
                form.minor(form.cleaned_data["amount"]),
                day=form.cleaned_data["day"],
                author=account_of(request).name,
                vat_code=form.cleaned_data["vat_code"],
                is_meant="is_meant" in request.POST,
            )
        except decisions.TwinError as error:
            twin = error.line
        else:
            _say_where(request, line)
            return see_other(f"{reverse('month-payer', args=[pk])}?month={line.month:%Y-%m}")
    shown = {"form": form, "payer": pk, "name": str(payer), "twin": twin}
    shown |= {"month": terms.today(found), "open_month": terms.first_open_day()}
    shown["by"] = account_names([twin.author]).get(twin.author, twin.author) if twin is not None else ""
    status = 409 if twin is not None else 400 if form.errors else 200
    return render_page(request, "line.html", found, shown, status=status)


def _say_where(request: HttpRequest, line: ManualLine) -> None:
    """Say in which month a line is charged, and why if it is not that of its day."""
    named = {"text": line.text, "month": date_format(line.month, "F Y")}
    if line.day is not None and terms.is_closed(line.day):
        text = _("%(text)s: charged in %(month)s, because %(closed)s is closed.")
        messages.success(request, text % {**named, "closed": date_format(line.day, "F Y")})
    else:
        messages.success(request, _("%(text)s: charged in %(month)s.") % named)


def remove_line(request: HttpRequest, pk: int) -> HttpResponse:
    """Remove a line of the open month."""
    terms_or_404()
    line = get_object_or_404(ManualLine, pk=pk)
    refuse_self_decision(request, line.payer)
    decisions.remove_line(pk, author=account_of(request).name, reason=_("removed on the payer's page"))
    messages.success(request, _("%(text)s: removed.") % {"text": line.text})
    return see_other(f"{reverse('month-payer', args=[line.payer])}?month={line.month:%Y-%m}")


def _month(typed: str) -> date:
    try:
        return date.fromisoformat(f"{typed}-01")
    except ValueError:
        raise Http404 from None


def _name(closed: ClosedMonth) -> str:
    name = date_format(closed.month, "F Y")
    return f"{name[:1].upper()}{name[1:]}"
