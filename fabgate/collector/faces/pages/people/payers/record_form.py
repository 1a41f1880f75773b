"""The form with what a statement needs to know about a payer."""

from __future__ import annotations

import re
from typing import Any, Final

from django import forms
from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from fabgate.collector.faces.pages.forms.addressed import Addressed
from fabgate.collector.faces.pages.forms.line_field import LineField
from fabgate.collector.faces.pages.forms.stale_form import StaleCheck
from fabgate.collector.ground.models import Payer, PayerReference

_REFERENCE: Final = re.compile(r"([a-z0-9_-]{1,40})\s*:\s*(\S.*)")
_LONGEST_REFERENCE: Final = PayerReference._meta.get_field("reference").max_length or 0  # noqa: SLF001 (Django's name for it)


class PayerForm(Addressed, StaleCheck, forms.ModelForm):  # type: ignore[type-arg]  # Django's takes no argument at run time
    """The details of a payer, and its references in other programs, one per line."""

    references = forms.CharField(
        label=gettext_lazy("References in other programs"),
        max_length=5_000,
        required=False,
        widget=forms.Textarea({"rows": 2, "spellcheck": "false"}),
        help_text=gettext_lazy(
            "The program and the customer number that it uses, one program per line, such as “tryton: 4110042”."
        ),
    )

    class Meta:
        """The columns that people type."""

        model = Payer
        fields = ("name", "address", "email", "lang", "registration_number", "vat_number")
        labels = {
            "name": gettext_lazy("Legal name"),
            "address": gettext_lazy("Postal address"),
            "email": gettext_lazy("E-mail for statements"),
            "lang": gettext_lazy("Language of statements"),
            "registration_number": gettext_lazy("Registration number"),
            "vat_number": gettext_lazy("VAT number"),
        }
        help_texts = {"registration_number": gettext_lazy("In France, the SIREN or the SIRET.")}
        field_classes = {"name": LineField, "registration_number": LineField, "vat_number": LineField}
        widgets = {"address": forms.Textarea({"rows": 3, "autocomplete": "off"})}

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        payer: Payer = self.instance
        own_lang = _("The workshop's language")
        if payer.kind == Payer.ORGANISATION:
            self.fields["name"].required = True
        else:
            self.fields["name"].help_text = _("Leave empty if this name is %(name)s.") % {"name": payer}
        if payer.member is not None:
            own_lang = _("The person's language")
            if payer.member.email:
                self.fields["email"].help_text = _("Leave empty for %(email)s.") % {"email": payer.member.email}
        self.fields["lang"] = forms.ChoiceField(
            label=self.fields["lang"].label, choices=[("", own_lang), *settings.LANGUAGES], required=False
        )
        if payer.pk:
            self.initial["references"] = "\n".join(map(str, payer.references.order_by("sink")))

    def clean_references(self) -> dict[str, str]:
        """Return the reference for each program. Raises ValidationError for each wrong line."""
        found: dict[str, str] = {}
        wrong = []
        for line in filter(None, map(str.strip, str(self.cleaned_data["references"]).splitlines())):
            match = _REFERENCE.fullmatch(line)
            if match is None or len(match[2]) > _LONGEST_REFERENCE or not match[2].isprintable():
                text = _(
                    "Found “%(found)s”, wanted a program's short name, a colon and the customer number: “tryton:"
                    " 4110042”."
                )
                wrong.append(text % {"found": line[:40]})
            elif match[1] in found:
                wrong.append(_("“%(sink)s” appears twice.") % {"sink": match[1]})
            else:
                found[match[1]] = match[2]
        if wrong:
            raise forms.ValidationError(wrong)
        return found
