"""The VAT rate of each code that rules and lines have."""

from __future__ import annotations

from typing import Any, Final

from django import forms
from django.contrib import messages
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _

from fabgate.collector.faces.pages.access_control import account_of, see_other
from fabgate.collector.faces.pages.billing_terms import terms_or_404
from fabgate.collector.faces.pages.month.tab import render_page
from fabgate.collector.ground.models import BillingTerms
from fabgate.collector.money.billing import terms as billing
from fabgate.collector.money.billing.vat import rates
from fabgate.collector.money.billing.vat.amounts import Amounts
from fabgate.collector.money.paper import figures
from fabgate.errors import UsageError

#: Before the code in the name of a field: a code may be empty.
_FIELD: Final = "rate:"


class RatesForm(forms.Form):
    """A field for each code whose rate can be set. Only what differs from the page that was shown is stored."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        known = rates.known()
        for code in rates.codes():
            is_final = rates.is_final(code)
            if is_final and code in known:
                continue
            self.fields[f"{_FIELD}{code}"] = forms.DecimalField(
                label=f"{name_of(code)} (%)",
                initial=known.get(code),
                required=False,
                localize=True,
                min_value=0,
                decimal_places=rates.DIGITS,
                max_digits=2 + rates.DIGITS,
                show_hidden_initial=True,
                widget=forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"}),
                help_text=_("Closed months use this code. Once you save its rate, the rate cannot be changed.")
                if is_final
                else "",
            )

    def save(self, actor: str) -> None:
        """Store what was changed. Raises UsageError."""
        with transaction.atomic():
            for name in self.changed_data:
                code, percent = name.removeprefix(_FIELD), self.cleaned_data[name]
                if percent is None:
                    rates.remove(code, actor=actor)
                else:
                    rates.set_rate(code, percent, actor=actor)


def change(request: HttpRequest) -> HttpResponse:
    """Show and change the rates."""
    found = terms_or_404()
    if found.includes_vat is None:
        raise Http404
    form, closed = RatesForm(request.POST if request.method == "POST" else None), str(billing.first_open_day() or "")
    if request.method == "POST" and request.POST.get("closed", "") != closed:
        # What was typed may be final now, and the page did not say so.
        form.add_error(
            None, _("A month was closed in the meantime, and nothing was saved. Check the rates, then save again.")
        )
    elif request.method == "POST" and form.is_valid():
        try:
            form.save(account_of(request).name)
        except UsageError as error:  # a month is being closed at this moment
            form.add_error(None, str(error))
        else:
            messages.success(request, _("VAT rates saved."))
            return see_other(f"{reverse('month-tariffs')}#vat")
    shown = {"form": form, "closed": closed, "final": [row for row in rows() if row["is_final"] and row["percent"]]}
    return render_page(request, "vat.html", found, shown, status=400 if form.is_bound else 200)


def rows() -> list[dict[str, Any]]:
    """Return each code with its rate as text, "" for none, and whether closed months have it."""
    known = rates.known()
    return [
        {
            "name": name_of(code),
            "percent": figures.percent(known[code]) if code in known else "",
            "is_final": rates.is_final(code),
        }
        for code in rates.codes()
    ]


def shown_of(found: Amounts, terms: BillingTerms) -> list[tuple[str, str]]:
    """Return an amount without VAT, the VAT, and the amount with it, each with its name; nothing where one is not known.

    Where VAT is not applicable, or the workshop has no rates, there is nothing to show next to the amount itself.
    """
    amounts = (found.net_minor, found.vat_minor, found.gross_minor)
    if terms.includes_vat is None or not found.parts or None in amounts:
        return []
    labels = (_("Excluding VAT"), _("VAT"), _("Including VAT"))
    money = figures.Money.of(terms)
    return [(label, money.minor(amount or 0)) for label, amount in zip(labels, amounts, strict=True)]


def name_of(code: str) -> str:
    """Return what people call a code."""
    return code or _("Prices without a code")
