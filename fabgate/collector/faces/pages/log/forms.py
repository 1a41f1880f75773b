"""Filters for the audit log."""

from __future__ import annotations

from datetime import datetime, time, timedelta

from django import forms
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from fabgate.collector.faces.pages.forms.day_field import DayField
from fabgate.collector.faces.pages.log import subjects
from fabgate.collector.ground.models import Change


class FilterForm(forms.Form):
    """Author, subject and days."""

    actor = forms.CharField(label=_("By"), max_length=200, required=False)
    key = forms.CharField(label=_("Subject"), max_length=200, required=False)
    first = DayField(label=_("From"), required=False)
    last = DayField(label=_("To"), required=False)

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
