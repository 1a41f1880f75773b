"""Who used this machine at that moment, and were they trained then? What an insurer asks, on one page to print.

Everything is told as it was recorded then, and beside it what became known since.
"""

from __future__ import annotations

from datetime import date, datetime, time
from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from fabgate.collector.models import Machine
from fabgate.collector.pages.use import forms as filters
from fabgate.collector.pages.use import then
from fabgate.collector.pages.use.frame import show


class MomentForm(forms.Form):
    """Which machine, and when."""

    machine = forms.ModelChoiceField(
        label=gettext_lazy("Machine"), queryset=Machine.objects.order_by("title", "name"), empty_label=None
    )
    day = forms.DateField(label=gettext_lazy("Day"), widget=filters.DayInput())
    time = forms.TimeField(
        label=gettext_lazy("Time"),
        widget=forms.TimeInput({"type": "time", "step": 1}, format="%H:%M:%S"),
        input_formats=["%H:%M:%S", "%H:%M"],
    )

    def clean_day(self) -> date:
        """Refuse years that no record can be of."""
        day: date = self.cleaned_data["day"]
        if not 2000 <= day.year <= 2199:
            raise forms.ValidationError(
                _("Choose a year between %(first)s and %(last)s.") % {"first": 2000, "last": 2199}
            )
        return day

    @property
    def moment(self) -> datetime:
        """Return the moment; of an hour that comes twice when the clocks go back, the first one."""
        at: time = self.cleaned_data["time"]
        return timezone.make_aware(datetime.combine(self.cleaned_data["day"], at))


def moment(request: HttpRequest) -> HttpResponse:
    """Ask for machine and moment; answer."""
    form = MomentForm(request.GET or None, initial={"day": timezone.localdate(), "time": timezone.localtime().time()})
    if not form.is_bound or not form.is_valid():
        return show(request, "moment.html", {"form": form}, status=400 if form.is_bound else 200)
    machine: Machine = form.cleaned_data["machine"]
    shown: dict[str, Any] = {"form": form, "machine": machine, "moment": form.moment}
    if form.moment > timezone.now():
        return show(request, "moment.html", shown | {"is_future": True})
    return show(request, "moment.html", shown | then.answer(machine, form.moment))
