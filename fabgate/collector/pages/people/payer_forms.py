"""Who pays for a person, or for a group: what does the form ask? Who may answer it, docs/decisions/0061 says."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from fabgate.collector.models import Group, Member
from fabgate.collector.pages.member_field import MemberField, written
from fabgate.collector.pages.stale_form import Watched


class _PayerForm(Watched, forms.ModelForm):  # type: ignore[type-arg]  # Django's takes no argument at run time
    """The payer that is stored, as people read it."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.initial["payer"] = written(self.instance.payer)


class PersonPayerForm(_PayerForm):
    """Who pays for a person."""

    payer = MemberField(
        label=gettext_lazy("Who pays"),
        help_text=gettext_lazy("The member who pays for them, by number or name. Empty: they themselves."),
    )

    class Meta:
        """Nothing else of them."""

        model = Member
        fields: tuple[str, ...] = ("payer",)

    def clean_payer(self) -> Member | None:
        """Return who pays; None where it is they themselves."""
        found: Member | None = self.cleaned_data["payer"]
        return None if found is not None and found.pk == self.instance.pk else found


class GroupPayerForm(_PayerForm):
    """Who pays for a group."""

    payer = MemberField(
        label=gettext_lazy("Who pays"),
        help_text=gettext_lazy("A member, such as the school, by number or name. Empty: the group itself."),
    )

    class Meta:
        """Nothing else of it."""

        model = Group
        fields: tuple[str, ...] = ("payer",)


def refuse_payer(form: forms.BaseForm) -> None:
    """Add an error where a payer is sent to a form without that field: the form of a role that does not choose it.

    Left out in silence, the sender would believe that it is saved.
    """
    if "payer" not in form.fields and form.add_prefix("payer") in form.data:
        form.add_error(None, _("A manager or an accountant chooses who pays. Nothing is saved yet."))
