"""Forms for signing in and choosing a password."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth import password_validation
from django.utils.translation import gettext_lazy as _

from fabgate.collector.faces.pages.forms.line_field import LineField
from fabgate.collector.ground.models import Account
from fabgate.collector.members.accounts import manage
from fabgate.errors import UsageError


class SignInForm(forms.Form):
    """Username and password."""

    name = forms.CharField(
        label=_("Name"),
        max_length=63,
        widget=forms.TextInput(attrs={"autocomplete": "username", "autocapitalize": "none", "autofocus": True}),
    )
    password = forms.CharField(
        label=_("Password"),
        max_length=1000,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )


class NewPasswordForm(forms.Form):
    """A new password, typed once: browsers can show it, and password managers store it."""

    password = forms.CharField(
        label=_("New password"),
        max_length=1000,
        strip=False,
        help_text=_("At least 10 characters. Three or four memorable words work well."),
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )

    def __init__(self, account: Account, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._account = account

    def clean_password(self) -> str:
        """Refuse a weak password."""
        password = str(self.cleaned_data["password"])
        password_validation.validate_password(password, self._account)
        return password


class FirstManagerForm(NewPasswordForm):
    """The form for the first manager: username, display name and password."""

    name = forms.CharField(
        label=_("Username"),
        max_length=63,
        help_text=_("Such as ada. Letters, digits and . _ - @ +"),
        widget=forms.TextInput(attrs={"autocomplete": "username", "autocapitalize": "none", "autofocus": True}),
    )
    display_name = LineField(
        label=_("Display name"),
        max_length=120,
        required=False,
        widget=forms.TextInput(attrs={"autocomplete": "name"}),
    )
    field_order = ("name", "display_name", "password")

    def clean_display_name(self) -> str:
        """Set the name on the account, so that the password can be compared with it."""
        self._account.display_name = str(self.cleaned_data["display_name"])
        return self._account.display_name

    def clean_name(self) -> str:
        """Refuse an invalid or taken username."""
        try:
            self._account.name = manage.check_name(self.cleaned_data["name"])
        except UsageError:
            raise forms.ValidationError(
                _("Use only letters, digits and . _ - @ +, and choose a name that is not taken.")
            ) from None
        return self._account.name
