"""Filters for the audit log."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import Any, Final

from django import forms
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from fabgate.collector.faces.pages.log import subjects
from fabgate.collector.ground.models import Change

FIRST_YEAR: Final = 2000
LAST_YEAR: Final = 2199


class FilterForm(forms.Form):
    """Author, subject and days."""

    actor = forms.CharField(label=_("By"), max_length=200, required=False)
    key = forms.CharField(label=_("Subject"), max_length=200, required=False)
    first = forms.DateField(
        label=_("From"), required=False, widget=forms.DateInput({"type": "date"}, format="%Y-%m-%d")
    )
    last = forms.DateField(label=_("To"), required=False, widget=forms.DateInput({"type": "date"}, format="%Y-%m-%d"))

    def clean(self) -> dict[str, Any]:
        """Refuse years in which there cannot be a log.

        In the first and last years of the calendar some time zones have no midnight.
        """
        cleaned = super().clean() or self.cleaned_data
        for name in ("first", "last"):
            day = cleaned.get(name)
            if day is not None and not FIRST_YEAR <= day.year <= LAST_YEAR:
                text = gettext("Choose a year between %(first)s and %(last)s.")
                self.add_error(name, text % {"first": FIRST_YEAR, "last": LAST_YEAR})
        return cleaned

    def filtered(self, rows: QuerySet[Change]) -> QuerySet[Change]:
        """Return the rows that match."""
        chosen = self.cleaned_data
        if chosen["actor"]:
            rows = rows.filter(actor__icontains=chosen["actor"])
        if chosen["key"]:
            rows = rows.filter(subjects.matching(chosen["key"]))
        if chosen["first"]:
            rows = rows.filter(at__gte=_midnight(chosen["first"]))
        if chosen["last"]:
            rows = rows.filter(at__lt=_midnight(chosen["last"] + timedelta(days=1)))
        return rows


def _midnight(day: datetime) -> datetime:
    return timezone.make_aware(datetime.combine(day, time()))
