"""Starts billing: the currency, whether prices include VAT, and the first month."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any, Final

from django import forms
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from fabgate.collector.faces.pages.access_control import account_of, see_other
from fabgate.collector.ground.formats import date_format
from fabgate.collector.money.billing import terms
from fabgate.collector.money.billing.currencies import DIGITS, likely
from fabgate.collector.money.paper.figures import NOTHING

#: The currencies that come first in the list, with their names.
_COMMON: Final = {
    "EUR": gettext_lazy("Euro"),
    "CHF": gettext_lazy("Swiss franc"),
    "CAD": gettext_lazy("Canadian dollar"),
    "USD": gettext_lazy("US dollar"),
    "GBP": gettext_lazy("Pound sterling"),
    "XOF": gettext_lazy("CFA franc (BCEAO)"),
    "XAF": gettext_lazy("CFA franc (BEAC)"),
    "MAD": gettext_lazy("Moroccan dirham"),
    "TND": gettext_lazy("Tunisian dinar"),
}
#: How many months can be chosen: last month, this one, and those of a year.
_MONTHS: Final = 14


class StartForm(forms.Form):
    """What is chosen once."""

    currency = forms.ChoiceField(label=gettext_lazy("Currency"))
    vat = forms.ChoiceField(
        label=gettext_lazy("Prices"),
        choices=[
            ("included", gettext_lazy("include VAT")),
            ("excluded", gettext_lazy("exclude VAT")),
            ("not-applicable", gettext_lazy("have no VAT: the workshop does not charge it (art. 293 B CGI)")),
        ],
        widget=forms.RadioSelect,
        help_text=gettext_lazy(
            "This choice is final. If prices have no VAT, statements say “art. 293 B CGI”. If the workshop is exempt for another"
            " reason, such as art. 261-7-1° CGI for associations, statements do not give that reason: ask your accountant"
            " before you choose."
        ),
    )
    first = forms.ChoiceField(label=gettext_lazy("First month"))

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        common = {code: f"{code} {NOTHING} {name}" for code, name in _COMMON.items()}
        proposed = likely(settings.TIME_ZONE)
        common.setdefault(proposed, proposed)
        others = sorted(DIGITS.keys() - common.keys())
        currency, first = self.fields["currency"], self.fields["first"]
        assert isinstance(currency, forms.ChoiceField)
        assert isinstance(first, forms.ChoiceField)
        currency.choices = [(_("Common"), list(common.items())), (_("All"), [(code, code) for code in others])]
        currency.initial = proposed
        months = list(_months())
        first.choices = [(f"{month:%Y-%m}", capfirst(date_format(month, "F Y"))) for month in months]
        first.initial = f"{months[1]:%Y-%m}"

    @property
    def first_month(self) -> date:
        """Return the first day of the chosen month."""
        return date.fromisoformat(f"{self.cleaned_data['first']}-01")


def start(request: HttpRequest) -> HttpResponse:
    """Show what starting billing means, and start it; afterwards, show what was chosen."""
    if (found := terms.started()) is not None:
        return render(request, "month/started.html", {"terms": found})
    form = StartForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        found = terms.start(
            form.cleaned_data["currency"],
            form.first_month,
            settings.TIME_ZONE,
            includes_vat=terms.VAT[form.cleaned_data["vat"]],
            actor=account_of(request).name,
        )
        text = _("Billing starts with %(month)s. Now set what machines cost.")
        messages.success(request, text % {"month": date_format(found.first_month, "F Y")})
        return see_other(reverse("month-tariffs"))
    shown = {"form": form, "zone": settings.TIME_ZONE}
    return render(request, "month/start.html", shown, status=400 if form.is_bound else 200)


def _months() -> Iterator[date]:
    month = (timezone.localdate().replace(day=1) - timedelta(days=1)).replace(day=1)
    for _number in range(_MONTHS):
        yield month
        month = terms.next_month(month)
