"""Password validators that add to Django's."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import password_validation
from django.utils.translation import gettext as _


class CommonPasswordValidator(password_validation.CommonPasswordValidator):
    """Refuses a common password, and repetitions of one."""

    def validate(self, password: str, user: Any = None) -> None:
        """Raise ValidationError if the password, or the part that it repeats, is a common one."""
        password = password.lower()
        # the first repetition in the doubled password has the length of the repeated part
        part = (password * 2).find(password, 1)
        for length in range(part, len(password) + 1, part):
            super().validate(password[:length], user)


class SimilarityValidator(password_validation.UserAttributeSimilarityValidator):
    """Refuses a password that resembles the account's data. Django's message names the field in English only."""

    def get_error_message(self) -> str:
        """Return the error message."""
        return _("This password is too much like the account's name or address.")
