"""What is typed to make an account, or to change one?"""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from fabgate.collector.accounts import manage
from fabgate.collector.models import Account
from fabgate.collector.pages.member_field import MemberField
from fabgate.collector.pages.name_field import LineField
from fabgate.collector.pages.stale_form import Watched
from fabgate.errors import UsageError


class AccountForm(Watched, forms.Form):
    """What a manager may change of an account."""

    display_name = LineField(label=_("Name that others read"), max_length=120, required=False)
    email = forms.EmailField(label=_("E-mail"), required=False)
    role = forms.ChoiceField(
        label=_("Role"),
        choices=Account.ROLES,
        help_text=_("A manager may do everything, an auditor may read everything, a member sees their own minutes."),
    )
    member = MemberField(
        label=_("Member"),
        help_text=_("Their number or name, if this person is a member: then they see their own minutes."),
    )

    def clean(self) -> dict[str, Any]:
        """Ask for the member of an account that is for nothing else."""
        cleaned = super().clean() or self.cleaned_data
        if cleaned.get("role") == Account.MEMBER and "member" in cleaned and cleaned["member"] is None:
            self.add_error("member", _("Whose minutes shall this account see?"))
        return cleaned


class NewAccountForm(AccountForm):
    """An account that is not there yet; nobody becomes a manager because a list was not looked at."""

    name = forms.CharField(
        label=_("Name to sign in with"),
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
        """Refuse what cannot be a log-in name."""
        try:
            return manage.check_name(self.cleaned_data["name"])
        except UsageError:
            raise forms.ValidationError(
                _("Use letters, digits and . _ - @ + for it, and a name that nobody else has.")
            ) from None
