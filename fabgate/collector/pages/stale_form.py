"""Did somebody else change a row while this form was open? A form that watches its own fields notices, and says what.

A page carries, hidden, a seal over what each field held when the form was opened. When the form comes back, what the
fields would hold now is compared with that; the view does so inside the transaction that will save, on the row as
`held` returns it. A form that was overtaken is not saved: it is shown again with what the others wrote.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any, Final, TypeVar, cast

from django import forms
from django.db import models
from django.http import QueryDict
from django.utils.crypto import salted_hmac
from django.utils.formats import date_format, time_format
from django.utils.text import Truncator
from django.utils.translation import gettext as _

from fabgate.collector.pages.formatting import NOTHING

_Row = TypeVar("_Row", bound=models.Model)
#: How the hidden field is called.
SEEN: Final = "seen"
#: Hexadecimal digits of a seal: who forges one only deceives themselves.
_DIGITS: Final = 16
#: Letters of another's words that are told.
_TOLD: Final = 200


@dataclass(frozen=True, slots=True)
class Overtaken:
    """A field that says something else now. `is_both`: here too, so that one of the two has to go."""

    label: str
    theirs: str
    is_both: bool


class Watched(forms.BaseForm):
    """A form whose initial values are those of a row. A disabled and hidden field is only watched, never written."""

    overtaken: tuple[Overtaken, ...] = ()

    @property
    def seen(self) -> str:
        """Return the seal for the page: that of now, and of a form that is shown again that of when it was opened."""
        return str(self.data.get(SEEN, "")) if self.is_bound else self._sealed()

    @property
    def status(self) -> int:
        """Return with which status a page that shows this form is answered."""
        return 200 if not self.is_bound else 409 if self.overtaken else 400

    def changed_since(self, seen: str) -> list[forms.BoundField]:
        """Return the fields that hold something else than when the page with this seal was made."""
        opened = _read(seen)
        return [field for field in self._watches() if opened.get(field.name) != _seal(field.name, _held(field))]

    def is_overtaken(self) -> bool:
        """Whether somebody else changed what this form would write; then it holds what to show, and is not to be saved.

        What was typed stays, and in the fields in which nothing was typed stands what the other wrote. Nobody is
        overtaken by who wrote the same, and a form that brings no seal comes from none of our pages.
        """
        if SEEN not in self.data:
            return False
        opened, data, found = _read(self.seen), cast("QueryDict", self.data).copy(), []
        for field in self.changed_since(self.seen):
            theirs, typed = _held(field), _typed(field)
            if typed == theirs and not field.is_hidden:
                continue
            is_both = not field.is_hidden and _seal(field.name, typed) != opened.get(field.name)
            if not is_both:
                data.setlist(field.html_name, list(theirs))
            found.append(Overtaken(str(field.label), _words(field, theirs), is_both))
        if found:
            data[SEEN] = self._sealed()
            self.data, self._errors, self.overtaken = data, None, tuple(found)
        return bool(found)

    def _watches(self) -> list[forms.BoundField]:
        return [field for field in self if field.is_hidden or not field.field.disabled]

    def _sealed(self) -> str:
        return " ".join(f"{field.name}={_seal(field.name, _held(field))}" for field in self._watches())


def held(row: _Row) -> _Row:
    """Return the row as it is now, for nobody else to change until the transaction is over."""
    return type(row)._default_manager.select_for_update(no_key=True).get(pk=row.pk)  # noqa: SLF001 (Django's name for it)


def _read(seen: str) -> dict[str, str]:
    return dict(part.split("=", 1) for part in seen.split() if "=" in part)


def _seal(name: str, values: Iterable[str]) -> str:
    return salted_hmac("fabgate.watched", "\0".join([name, *values]), algorithm="sha256").hexdigest()[:_DIGITS]


def _held(field: forms.BoundField) -> tuple[str, ...]:
    """Return what a browser would send of the field as it is in the database."""
    return _sent(field, field.initial)


def _typed(field: forms.BoundField) -> tuple[str, ...]:
    return _sent(field, field.data)


def _sent(field: forms.BoundField, value: Any) -> tuple[str, ...]:
    widget = field.field.widget
    if isinstance(widget, forms.CheckboxInput):
        return ("on",) if value else ()
    shown = widget.format_value(field.field.prepare_value(value))
    several = shown if isinstance(shown, list | tuple) else [shown]
    texts = (str(one).replace("\r\n", "\n").strip() for one in several if one is not None)
    return tuple(sorted(text for text in texts if text))


def _words(field: forms.BoundField, sent: tuple[str, ...]) -> str:
    """Return what a field holds as a person reads it."""
    if isinstance(field.field.widget, forms.CheckboxInput):
        return _("yes") if sent else _("no")
    value = field.initial
    if isinstance(value, datetime):
        return date_format(value, "SHORT_DATETIME_FORMAT")
    if isinstance(value, date):
        return date_format(value, "SHORT_DATE_FORMAT")
    if isinstance(value, time):
        return time_format(value, "H:i")
    named: dict[str, str] = {}
    with contextlib.suppress(AttributeError):  # no field with choices
        named = {str(key): str(label) for key, label in field.field.choices}  # type: ignore[attr-defined]
    said = ", ".join(named.get(one, " ".join(one.split())) for one in sent)
    return Truncator(said).chars(_TOLD) or NOTHING
