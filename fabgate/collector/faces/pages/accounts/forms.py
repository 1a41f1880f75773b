"""Forms for adding and editing accounts."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from django import forms
from django.http import QueryDict
from django.utils.translation import gettext_lazy as _

from fabgate.collector.faces.pages.forms.line_field import LineField
from fabgate.collector.faces.pages.forms.member_field import MemberField
from fabgate.collector.faces.pages.forms.stale_form import StaleCheck
from fabgate.collector.ground.models import Account, Member
from fabgate.collector.members.accounts import manage
from fabgate.errors import UsageError


class AccountForm(StaleCheck, forms.Form):
    """The fields of an account that a manager may change."""

    display_name = LineField(label=_("Display name"), max_length=120, required=False)
    email = forms.EmailField(label=_("E-mail"), required=False)
    role = forms.ChoiceField(
        label=_("Role"),
        choices=Account.ROLES,
        help_text=_(
            "A manager may do everything, an auditor may read everything, a member sees only their own minutes."
        ),
    )
    member = MemberField(
        label=_("Member"),
        help_text=_("This person's number or name, if they are a member: they can then see their own minutes."),
    )

    @classmethod
    def members_named(cls, data: QueryDict) -> list[Member]:
        """Return the member whom a sent form names, to lock them before the account."""
        with suppress(forms.ValidationError):  # which the form shows
            member = MemberField().clean(data.get("member", ""))
            if member is not None:
                return [member]
        return []

    def clean(self) -> dict[str, Any]:
        """Require the member for an account with the role member."""
        cleaned = super().clean() or self.cleaned_data
        if cleaned.get("role") == Account.MEMBER and "member" in cleaned and cleaned["member"] is None:
            self.add_error("member", _("Choose the member whose minutes this account may see."))
        return cleaned


class NewAccountForm(AccountForm):
    """A new account. No role is preselected."""

    name = forms.CharField(
        label=_("Username"),
        max_length=63,
        help_text=_("Such as ada. Letters, digits and . _ - @ +"),
        widget=forms.TextInput(attrs={"autocapitalize": "none", "autocomplete": "off"}),
    )
    field_order = ("name", "display_name", "role", "email", "member")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        role = self.fields["role"]
        assert isinstance(role, forms.ChoiceField)
        role.choices = [("", _("Choose one")), *Account.ROLES]

    def clean_name(self) -> str:
        """Refuse an invalid or taken username."""
        try:
            return manage.check_name(self.cleaned_data["name"])
        except UsageError:
            raise forms.ValidationError(
                _("Use only letters, digits and . _ - @ +, and choose a name that is not taken.")
            ) from None
