"""Forms that choose the payer of a person or a group. Who may use them: docs/decisions/0061."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from django import forms
from django.http import QueryDict
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from fabgate.collector.faces.pages.forms.payer_field import PayerField, payer_text
from fabgate.collector.faces.pages.forms.stale_form import StaleCheck
from fabgate.collector.ground.models import Group, Member, Payer
from fabgate.collector.money.billing.paying import payers


class PayerChoice(StaleCheck, forms.ModelForm):  # type: ignore[type-arg]  # Django's takes no argument at run time
    """A form with the field `payer`: it shows the stored payer as name and number.

    The field is not in `Meta.fields`, because its payer may not be stored before `choose_payer`.
    """

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        if "payer" in self.fields:
            self.initial["payer"] = payer_text(self.instance.payer)

    def clean_payer(self) -> Payer | None:
        """Return the payer; None where the person or group pays."""
        payer: Payer | None = self.cleaned_data["payer"]
        if payer is not None and payer.pk == self.instance.pk:
            payer = None
        self.instance.payer_id = payer and payer.pk
        return payer

    @classmethod
    def members_named(cls, data: QueryDict) -> list[Member]:
        """Return the members whom a sent form makes responsible or gives something, to lock them before other rows."""
        with suppress(forms.ValidationError):  # which the form shows
            payer = PayerField().clean(data.get("payer", ""))
            if payer is not None and payer.member is not None:
                return [payer.member]
        return []

    def choose_payer(self, actor: str) -> None:
        """Store the payer if it is new. Call it in the transaction that saves the form."""
        payer: Payer | None = self.cleaned_data.get("payer")
        if payer is not None:
            payers.choose(payer, actor=actor)


class PersonPayerForm(PayerChoice):
    """The payer of a person."""

    payer = PayerField(
        label=gettext_lazy("Payer"),
        help_text=gettext_lazy(
            "The member or organisation that pays for this person, by number or name. Leave empty if this person pays"
            " for themselves."
        ),
    )

    class Meta:
        """No columns; the payer is not validated as one, because it may not be stored yet."""

        model = Member
        fields: tuple[str, ...] = ()
        exclude: tuple[str, ...] = ("payer",)


class GroupPayerForm(PayerChoice):
    """The payer of a group."""

    payer = PayerField(
        label=gettext_lazy("Payer"),
        help_text=gettext_lazy(
            "A member or an organisation, such as the school, by number or name. Leave empty if the group pays."
        ),
    )

    class Meta:
        """No columns; the payer is not validated as one, because it may not be stored yet."""

        model = Group
        fields: tuple[str, ...] = ()
        exclude: tuple[str, ...] = ("payer",)


def refuse_payer(form: forms.BaseForm) -> None:
    """Add an error if a payer is sent to a form that has no such field for this role.

    If it were ignored, the sender would believe that it was saved.
    """
    if "payer" not in form.fields and form.add_prefix("payer") in form.data:
        form.add_error(None, _("Only a manager or an accountant may choose the payer. Nothing was saved."))
