"""How is a name typed on a page? As one line, without signs that nobody sees (people/names.py)."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext as _

from fabgate.collector.people import names


class LineField(forms.CharField):
    """A name, a title, or what is printed on a badge."""

    def to_python(self, value: Any) -> str:
        """Return it on one line. Raises ValidationError that names a sign which nobody sees."""
        line = names.line(super().to_python(value) or "")
        if sign := names.unseen(line):
            text = _("In it is a sign that nobody sees (%(sign)s). Empty the field, and type it instead of pasting it.")
            raise forms.ValidationError(text % {"sign": sign})
        return line
