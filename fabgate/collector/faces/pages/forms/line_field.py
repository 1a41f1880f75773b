"""A text field for names: one line, without invisible characters (members/people/names.py)."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext as _

from fabgate.collector.members.people import names


class LineField(forms.CharField):
    """A name, a title, or what is printed on a badge."""

    def to_python(self, value: Any) -> str:
        """Return the text on one line. Raises ValidationError that names an invisible character."""
        line = names.line(super().to_python(value) or "")
        if sign := names.unseen(line):
            text = _(
                "This contains an invisible character (%(sign)s). Empty the field, and type the text instead of"
                " pasting it."
            )
            raise forms.ValidationError(text % {"sign": sign})
        return line
