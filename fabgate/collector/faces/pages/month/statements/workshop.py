"""The details of the workshop on statements: its head, and how they are paid."""

from __future__ import annotations

from django import forms
from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.text import format_lazy
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from fabgate.collector.faces.pages.access_control import account_of, see_other
from fabgate.collector.faces.pages.billing_terms import terms_or_404
from fabgate.collector.faces.pages.forms import stale_form
from fabgate.collector.faces.pages.forms.addressed import Addressed, checked
from fabgate.collector.faces.pages.forms.line_field import LineField
from fabgate.collector.faces.pages.forms.stale_form import StaleCheck
from fabgate.collector.faces.pages.month.tab import render_page
from fabgate.collector.ground.db import audit
from fabgate.collector.ground.models import Workshop
from fabgate.collector.money.billing.paying import numbers
from fabgate.collector.money.paper.statements import how_to_pay


class WorkshopForm(Addressed, StaleCheck, forms.ModelForm):  # type: ignore[type-arg]  # Django's takes no argument at run time
    """Name, address and numbers of the workshop, and how its statements are paid."""

    iban = LineField(label=gettext_lazy("IBAN"), max_length=50, required=False)
    bic = LineField(
        label=gettext_lazy("BIC"), max_length=20, required=False, help_text=gettext_lazy("Not needed in the SEPA area.")
    )

    class Meta:
        """All columns."""

        model = Workshop
        fields = (
            *("name", "address", "contact", "registration_number", "vat_number"),
            *("iban", "bic", "account_holder", "due_days", "payment_text", "payments_kept"),
        )
        labels = {
            "name": gettext_lazy("Legal name"),
            "address": gettext_lazy("Postal address"),
            "contact": gettext_lazy("For questions"),
            "registration_number": gettext_lazy("Registration number"),
            "vat_number": gettext_lazy("VAT number"),
            "account_holder": gettext_lazy("Account holder"),
            "due_days": gettext_lazy("Days to pay"),
            "payment_text": gettext_lazy("Other means and conditions"),
            "payments_kept": gettext_lazy("Where payments are recorded"),
        }
        help_texts = {
            "contact": gettext_lazy("An e-mail address, a telephone number, or both."),
            "registration_number": gettext_lazy("In France, the SIREN or the SIRET."),
            "account_holder": gettext_lazy("Fill this in only if the account is not in the workshop's legal name."),
            "due_days": gettext_lazy(
                "Counted from the day on which the month is closed. Empty: statements have no due date."
            ),
            "payment_text": gettext_lazy("Such as: by transfer, or by card at the desk."),
            "payments_kept": format_lazy("{} {}", gettext_lazy("If empty:"), how_to_pay.PAYMENTS_KEPT),
        }
        field_classes = dict.fromkeys(
            (
                *("name", "contact", "registration_number", "vat_number", "iban", "bic"),
                *("account_holder", "payment_text", "payments_kept"),
            ),
            LineField,
        )
        widgets = {"address": forms.Textarea({"rows": 3, "autocomplete": "off"})}

    def clean_iban(self) -> str:
        """Return the number as it is stored. Raises ValidationError for wrong check digits."""
        return checked(numbers.iban, self.cleaned_data["iban"])

    def clean_bic(self) -> str:
        """Return the number as it is stored. Raises ValidationError for another form."""
        return checked(numbers.bic, self.cleaned_data["bic"])


def workshop(request: HttpRequest) -> HttpResponse:
    """Change the details of the workshop on statements of open months."""
    found = terms_or_404()
    form = WorkshopForm(instance=Workshop.objects.first() or Workshop())
    if request.method == "POST":
        with transaction.atomic():
            row = Workshop.objects.first()
            held = stale_form.locked(row) if row is not None else Workshop()
            form = WorkshopForm(request.POST, instance=held)
            if is_saved := not form.has_conflicts() and form.is_valid():
                with audit.change(account_of(request).name, "workshop.updated", form.instance):
                    form.save()
        if is_saved:
            messages.success(request, _("Saved. Statements of open months show the new details."))
            return see_other(reverse("month"))
    return render_page(request, "workshop.html", found, {"form": form}, status=form.status)
