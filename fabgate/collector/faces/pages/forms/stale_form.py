"""Detects that a row was changed by someone else while its form was open.

A page contains, in a hidden field, a hash of each value when the form was opened. When the form is sent, the view
compares them with the current row, which `locked` returns, inside the transaction that saves. A form with conflicts is
not saved: it is shown again with the other person's values.
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
from django.utils.formats import time_format
from django.utils.text import Truncator
from django.utils.translation import gettext as _

from fabgate.collector.ground.formats import date_format
from fabgate.collector.money.paper.figures import NOTHING

_Row = TypeVar("_Row", bound=models.Model)
#: The name of the hidden field.
SEEN: Final = "seen"
#: Hexadecimal digits of a hash. That is enough: whoever forges one only skips the check of their own form.
_DIGITS: Final = 16
#: Characters of the other person's text that are shown.
_SHOWN: Final = 200


@dataclass(frozen=True, slots=True)
class Conflict:
    """A field that someone else changed. `is_both`: this form changes it too, so one of the values would be lost."""

    label: str
    theirs: str
    is_both: bool


class StaleCheck(forms.BaseForm):
    """A form with the initial values of a row. Disabled and hidden fields are compared, but never written."""

    conflicts: tuple[Conflict, ...] = ()

    @property
    def seen(self) -> str:
        """Return the hashes for the page: of the current values, or of those when the form was first opened."""
        return str(self.data.get(SEEN, "")) if self.is_bound else self._sealed()

    @property
    def status(self) -> int:
        """Return the HTTP status of a page that shows this form."""
        return 200 if not self.is_bound else 409 if self.conflicts else 400

    def changed_since(self, seen: str) -> list[forms.BoundField]:
        """Return the fields that have changed since the page with these hashes was made."""
        opened = _read(seen)
        return [field for field in self._watches() if opened.get(field.name) != _seal(field.name, _held(field))]

    def has_conflicts(self) -> bool:
        """Return whether someone else changed fields of this form, and if so prepare it to be shown again.

        Typed values stay; untouched fields take the new value. It is no conflict if both typed the same value, or if
        the form has no hashes, because then it is not from our pages.
        """
        if SEEN not in self.data:
            return False
        opened, data, conflicts = _read(self.seen), cast("QueryDict", self.data).copy(), []
        for field in self.changed_since(self.seen):
            theirs, typed = _held(field), _typed(field)
            if typed == theirs and not field.is_hidden:
                continue
            is_both = not field.is_hidden and _seal(field.name, typed) != opened.get(field.name)
            if not is_both:
                data.setlist(field.html_name, list(theirs))
            conflicts.append(Conflict(str(field.label), _words(field, theirs), is_both))
        if conflicts:
            data[SEEN] = self._sealed()
            self.data, self._errors, self.conflicts = data, None, tuple(conflicts)
        return bool(conflicts)

    def _watches(self) -> list[forms.BoundField]:
        return [field for field in self if field.is_hidden or not field.field.disabled]

    def _sealed(self) -> str:
        return " ".join(f"{field.name}={_seal(field.name, _held(field))}" for field in self._watches())


def locked(row: _Row) -> _Row:
    """Return the current row, locked until the end of the transaction."""
    return type(row)._default_manager.select_for_update(no_key=True).get(pk=row.pk)  # noqa: SLF001 (Django's name for it)


def _read(seen: str) -> dict[str, str]:
    return dict(part.split("=", 1) for part in seen.split() if "=" in part)


def _seal(name: str, values: Iterable[str]) -> str:
    return salted_hmac("fabgate.watched", "\0".join([name, *values]), algorithm="sha256").hexdigest()[:_DIGITS]


def _held(field: forms.BoundField) -> tuple[str, ...]:
    """Return what a browser would send for the stored value of a field."""
    return _sent(field, field.initial)


def _typed(field: forms.BoundField) -> tuple[str, ...]:
    return _sent(field, field.data)


def _sent(field: forms.BoundField, value: Any) -> tuple[str, ...]:
    widget = field.field.widget
    if isinstance(widget, forms.CheckboxInput):
        return ("on",) if value else ()
    shown = widget.format_value(field.field.prepare_value(value))
    several = shown if isinstance(shown, list | tuple) else [shown]
    texts = (str(part).replace("\r\n", "\n").strip() for part in several if part is not None)
    return tuple(sorted(text for text in texts if text))


def _words(field: forms.BoundField, sent: tuple[str, ...]) -> str:
    """Return a field's value as text for people."""
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
    with contextlib.suppress(AttributeError):  # a field without choices
        named = {str(key): str(label) for key, label in field.field.choices}  # type: ignore[attr-defined]
    text = ", ".join(named.get(part, " ".join(part.split())) for part in sent)
    return Truncator(text).chars(_SHOWN) or NOTHING
