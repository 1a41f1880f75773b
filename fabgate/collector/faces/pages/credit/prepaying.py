"""Which payers prepay, from which month on, and below which credit they are warned."""

from __future__ import annotations

from datetime import date
from typing import Any, Final

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from fabgate.collector.faces.pages import own_money
from fabgate.collector.faces.pages.access_control import account_of, refuse_self_decision, see_other
from fabgate.collector.faces.pages.billing_terms import terms_or_404
from fabgate.collector.faces.pages.forms.member_field import LONGEST
from fabgate.collector.faces.pages.forms.minor_field import MinorField
from fabgate.collector.faces.pages.lists.numbered import numbered_page
from fabgate.collector.faces.pages.words import names
from fabgate.collector.ground.db import audit
from fabgate.collector.ground.formats import date_format
from fabgate.collector.ground.models import BillingTerms
from fabgate.collector.members.access import roster
from fabgate.collector.money.billing import terms
from fabgate.collector.money.billing.paying import payers
from fabgate.collector.money.billing.prepaid import ledger, modes
from fabgate.collector.money.paper.figures import Money
from fabgate.collector.recording.broker import announcing

#: How many months can be chosen.
_MONTHS: Final = 13


class ModeForm(forms.Form):
    """The settlement of a payer, or of all other payers, from a month on."""

    who = forms.CharField(
        label=gettext_lazy("Payer"),
        max_length=LONGEST,
        required=False,
        help_text=gettext_lazy(
            "The number or name of a member, a group or an organisation. Leave empty to change the default for all other payers."
        ),
    )
    prepays = forms.ChoiceField(
        label=gettext_lazy("Settlement"),
        choices=[("yes", gettext_lazy("Prepaid")), ("no", gettext_lazy("By statement"))],
        widget=forms.RadioSelect,
        initial="yes",
    )
    since = forms.ChoiceField(label=gettext_lazy("First month"))

    def __init__(self, *args: Any, found: BillingTerms, **more: Any) -> None:
        super().__init__(*args, **more)
        month = terms.first_open_day() or found.first_month
        this = max(terms.today(found).replace(day=1), month)
        choices: list[tuple[str, str]] = []
        while len(choices) < _MONTHS or month <= this:
            choices.append((f"{month:%Y-%m}", capfirst(date_format(month, "F Y"))))
            month = terms.next_month(month)
        since = self.fields["since"]
        assert isinstance(since, forms.ChoiceField)
        since.choices, since.initial = choices, f"{this:%Y-%m}"

    def clean_who(self) -> str:
        """Return the id of a payer, or EVERYBODY. Raises ValidationError if none or several match."""
        typed = str(self.cleaned_data["who"]).strip()
        if not typed:
            return modes.EVERYBODY
        found = names.find(typed, organisations=True)
        if len(found) > 1:
            raise names.Several(found)
        if not found or payers.get(found[0][0]) is None:
            text = _("No member, group or organisation has the number or the name “%(typed)s”.")
            raise forms.ValidationError(text % {"typed": typed[:64]})
        return found[0][0]

    def clean_since(self) -> date:
        """Return the first day of the month."""
        return date.fromisoformat(f"{self.cleaned_data['since']}-01")


class WarningForm(forms.Form):
    """Below which credit payers are warned."""

    low = MinorField(
        least=0, most=ledger.MOST_MINOR, help_text=gettext_lazy("Enter 0 to warn only when the credit is used up.")
    )

    def __init__(self, *args: Any, found: BillingTerms, **more: Any) -> None:
        super().__init__(*args, **more)
        self.initial["low"] = found.low_credit_minor
        low = self.fields["low"]
        assert isinstance(low, MinorField)
        low.use(found, _("Warn below (%(currency)s)"))


def prepaying(request: HttpRequest) -> HttpResponse:
    """List the settlements; change them, and the warning."""
    found = terms_or_404()
    is_warning = "low" in request.POST
    mode_form = ModeForm(request.POST if request.method == "POST" and not is_warning else None, found=found)
    warning_form = WarningForm(request.POST if is_warning else None, found=found)
    if mode_form.is_bound and mode_form.is_valid():
        return _change(request, mode_form)
    if warning_form.is_bound and warning_form.is_valid():
        with audit.change(account_of(request).name, "prepaid.warning", found):
            found.low_credit_minor = warning_form.cleaned_data["low"]
            found.save(update_fields=["low_credit_minor"])
        messages.success(request, _("Saved."))
        return see_other(reverse("month-prepaid"))
    known = modes.Modes.now()
    page = numbered_page(_rows(known, terms.today(found)), request.GET)
    called = names.people({row["payer"] for row in page.rows})
    for row in page.rows:
        row["name"] = called.get(row["payer"], row["payer"])
    shown = {
        "mode_form": mode_form,
        "warning_form": warning_form,
        "page": page,
        "rows": page.rows,
        "everybody": _history(known, modes.EVERYBODY),
        "low": Money.of(found).minor(found.low_credit_minor) if found.low_credit_minor else "",
        "is_anybody": bool(known),
    }
    status = 400 if mode_form.errors or warning_form.errors else 200
    return render(request, "credit/prepaying.html", {"terms": found} | shown, status=status)


def _change(request: HttpRequest, form: ModeForm) -> HttpResponse:
    payer, since, prepays = form.cleaned_data["who"], form.cleaned_data["since"], form.cleaned_data["prepays"] == "yes"
    refuse_self_decision(request, payer)
    if payer == modes.EVERYBODY:
        own_money.refuse_default_settlement(request, since)
    actor = account_of(request).name
    if modes.set_mode(payer, since, prepays=prepays, actor=actor):
        gates = roster.rebuild(only_changed=True)
        if gates and not announcing.announce(gates, timeout_s=announcing.PAGE_S):
            text = _("The message broker is offline; the gates will be updated when they next fetch their roster.")
            messages.warning(request, text)
    messages.success(request, _("Saved."))
    return see_other(reverse("month-prepaid"))


def _rows(known: modes.Modes, today: date) -> list[dict[str, Any]]:
    payers_ = sorted(payer for payer in known.histories if payer != modes.EVERYBODY)
    return [
        {"payer": payer, "prepays": known.prepays(payer, today), "history": _history(known, payer)} for payer in payers_
    ]


def _history(known: modes.Modes, payer: str) -> list[str]:
    """Return the changes of a payer's mode in words, the newest first."""
    prepays, by_statement = _("prepaid from %(month)s"), _("by statement from %(month)s")
    found = [
        (prepays if on else by_statement) % {"month": date_format(since, "F Y")}
        for since, on in known.histories.get(payer, ())
    ]
    return found[::-1]
