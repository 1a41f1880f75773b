"""Who used this machine at that moment, and were they trained then? What an insurer asks, on one page to print.

Everything is told as it was recorded then, and beside it what became known since.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from fabgate.collector.base import local_times
from fabgate.collector.models import Machine
from fabgate.collector.pages.use import forms as filters
from fabgate.collector.pages.use import names
from fabgate.collector.pages.use.moment import answer
from fabgate.collector.pages.use.tab import show


class MomentForm(forms.Form):
    """Which machine, and when. After it was found valid, `moments` are those at which clocks showed it."""

    moments: list[datetime]

    machine = forms.ModelChoiceField(
        label=gettext_lazy("Machine"), queryset=Machine.objects.order_by("title", "name"), empty_label=None
    )
    day = forms.DateField(label=gettext_lazy("Day"), widget=filters.DayInput())
    time = forms.TimeField(
        label=gettext_lazy("Time"),
        widget=forms.TimeInput({"type": "time", "step": 1}, format="%H:%M:%S"),
        input_formats=["%H:%M:%S", "%H:%M"],
    )

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        titles = names.machines()
        self.fields["machine"].label_from_instance = lambda machine: titles[machine.pk]  # type: ignore[attr-defined]  # a ModelChoiceField

    def clean_day(self) -> date:
        """Refuse years that no record can be of."""
        day: date = self.cleaned_data["day"]
        if not 2000 <= day.year <= 2199:
            raise forms.ValidationError(
                _("Choose a year between %(first)s and %(last)s.") % {"first": 2000, "last": 2199}
            )
        return day

    def clean(self) -> dict[str, Any]:
        """Find the moments that are asked for: two in an hour that came twice. Refuse a time that never was."""
        typed: dict[str, Any] = self.cleaned_data
        if "day" not in typed or "time" not in typed:
            return typed
        zone, local = timezone.get_current_timezone(), datetime.combine(typed["day"], typed["time"])
        self.moments = local_times.moments(local, zone)
        if not self.moments:
            before, after = local_times.beside(local, zone)
            text = _(
                "This time never was: the clocks were put forward. Ask for %(before)s (%(early)s) or %(after)s (%(late)s)."
            )
            said = {"before": f"{before:%H:%M}", "after": f"{after:%H:%M}"}
            said |= {"early": local_times.offset(before), "late": local_times.offset(after)}
            self.add_error("time", text % said)
        return typed

    def moment(self, *, second: bool) -> datetime:
        """Return the moment; of an hour that came twice the first one, or the `second`."""
        return self.moments[-1 if second else 0]


def moment(request: HttpRequest) -> HttpResponse:
    """Ask for machine and moment; answer."""
    form = MomentForm(request.GET or None, initial={"day": timezone.localdate(), "time": timezone.localtime().time()})
    if not form.is_bound or not form.is_valid():
        return show(request, "moment.html", {"form": form}, status=400 if form.is_bound else 200)
    machine: Machine = form.cleaned_data["machine"]
    at = form.moment(second=request.GET.get("fold") == "1")
    shown: dict[str, Any] = {"form": form, "machine": machine, "moment": at, "moments": form.moments}
    if at > timezone.now():
        return show(request, "moment.html", shown | {"is_future": True})
    return show(request, "moment.html", shown | answer.answer(machine, at))
