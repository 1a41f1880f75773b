"""Forms that choose the payer of a person or a group. Who may use them: docs/decisions/0061."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from fabgate.collector.models import Group, Member
from fabgate.collector.pages.forms.member_field import MemberField, member_text
from fabgate.collector.pages.forms.stale_form import StaleCheck


class _PayerForm(StaleCheck, forms.ModelForm):  # type: ignore[type-arg]  # Django's takes no argument at run time
    """Shows the stored payer as name and number."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.initial["payer"] = member_text(self.instance.payer)


class PersonPayerForm(_PayerForm):
    """The payer of a person."""

    payer = MemberField(
        label=gettext_lazy("Payer"),
        help_text=gettext_lazy(
            "The member who pays for this person, by number or name. Leave empty if they pay themselves."
        ),
    )

    class Meta:
        """Only the payer."""

        model = Member
        fields: tuple[str, ...] = ("payer",)

    def clean_payer(self) -> Member | None:
        """Return the payer; None where the person pays."""
        found: Member | None = self.cleaned_data["payer"]
        return None if found is not None and found.pk == self.instance.pk else found


class GroupPayerForm(_PayerForm):
    """The payer of a group."""

    payer = MemberField(
        label=gettext_lazy("Payer"),
        help_text=gettext_lazy("A member, such as the school, by number or name. Leave empty if the group pays."),
    )

    class Meta:
        """Only the payer."""

        model = Group
        fields: tuple[str, ...] = ("payer",)


def refuse_payer(form: forms.BaseForm) -> None:
    """Add an error if a payer is sent to a form that has no such field for this role.

    If it were ignored, the sender would believe that it was saved.
    """
    if "payer" not in form.fields and form.add_prefix("payer") in form.data:
        form.add_error(None, _("Only a manager or an accountant may choose the payer. Nothing was saved."))
