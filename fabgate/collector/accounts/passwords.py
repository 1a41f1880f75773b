"""Which new passwords are guessed too easily? Django's validators say it; here is what they let through."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import password_validation
from django.utils.translation import gettext as _


class CommonPasswordValidator(password_validation.CommonPasswordValidator):
    """Refuses a common password, and one that was typed again and again until it was long enough."""

    def validate(self, password: str, user: Any = None) -> None:
        """Raise ValidationError where the password, or the part that it repeats, is among the most common ones."""
        password = password.lower()
        # Of what repeats itself, and of nothing else, the double holds another one before its middle.
        part = (password * 2).find(password, 1)
        for length in range(part, len(password) + 1, part):
            super().validate(password[:length], user)


class SimilarityValidator(password_validation.UserAttributeSimilarityValidator):
    """Refuses what resembles the account; Django's own message names a field, and that in English only."""

    def get_error_message(self) -> str:
        """Return what is said of such a password."""
        return _("This password is too much like the account's name or address.")
