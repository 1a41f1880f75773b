"""The form to change one's password."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _

from fabgate.collector.faces.pages.signin.forms import NewPasswordForm


class ChangePasswordForm(NewPasswordForm):
    """The current and the new password."""

    old = forms.CharField(
        label=_("Current password"),
        max_length=1000,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )
    field_order = ("old", "password")

    def clean_old(self) -> str:
        """Refuse a wrong password."""
        old = str(self.cleaned_data["old"])
        if not self._account.check_password(old):
            raise forms.ValidationError(_("That is not your password."))
        return old
