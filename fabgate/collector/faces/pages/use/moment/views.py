"""Answers an insurer's question on one printable page: who was using a machine at a moment, and were they trained?

Everything is shown as recorded at the time, together with what became known later.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from fabgate.collector.faces.pages.forms.day_field import DayField
from fabgate.collector.faces.pages.use.moment import answer
from fabgate.collector.faces.pages.use.tab import render_page
from fabgate.collector.faces.pages.words import names
from fabgate.collector.ground.base import local_times
from fabgate.collector.ground.models import Machine


class MomentForm(forms.Form):
    """Machine, day and time. In a valid form, `moments` are the moments at which clocks showed that time."""

    moments: list[datetime]

    machine = forms.ModelChoiceField(
        label=gettext_lazy("Machine"), queryset=Machine.objects.order_by("title", "name"), empty_label=None
    )
    day = DayField(label=gettext_lazy("Day"))
    time = forms.TimeField(
        label=gettext_lazy("Time"),
        widget=forms.TimeInput({"type": "time", "step": 1}, format="%H:%M:%S"),
        input_formats=["%H:%M:%S", "%H:%M"],
    )

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        titles = names.machines()
        self.fields["machine"].label_from_instance = lambda machine: titles[machine.pk]  # type: ignore[attr-defined]  # a ModelChoiceField

    def clean(self) -> dict[str, Any]:
        """Compute the moments: two for a time that occurred twice. Refuse a time that did not exist."""
        typed: dict[str, Any] = self.cleaned_data
        if "day" not in typed or "time" not in typed:
            return typed
        zone, local = timezone.get_current_timezone(), datetime.combine(typed["day"], typed["time"])
        self.moments = local_times.moments(local, zone)
        if not self.moments:
            before, after = local_times.beside(local, zone)
            text = _(
                "This time did not exist: the clocks went forward. Choose %(before)s (%(early)s) or %(after)s "
                "(%(late)s)."
            )
            times = {"before": f"{before:%H:%M}", "after": f"{after:%H:%M}"}
            times |= {"early": local_times.offset(before), "late": local_times.offset(after)}
            self.add_error("time", text % times)
        return typed

    def moment(self, *, second: bool) -> datetime:
        """Return the moment; if the time occurred twice, the first or the `second` one."""
        return self.moments[-1 if second else 0]


def moment(request: HttpRequest) -> HttpResponse:
    """Show the form, and the answer for a valid one."""
    form = MomentForm(request.GET or None, initial={"day": timezone.localdate(), "time": timezone.localtime().time()})
    if not form.is_bound or not form.is_valid():
        return render_page(request, "moment.html", {"form": form}, status=400 if form.is_bound else 200)
    machine: Machine = form.cleaned_data["machine"]
    at = form.moment(second=request.GET.get("fold") == "1")
    shown: dict[str, Any] = {"form": form, "machine": machine, "moment": at, "moments": form.moments}
    if at > timezone.now():
        return render_page(request, "moment.html", shown | {"is_future": True})
    return render_page(request, "moment.html", shown | answer.answer(machine, at))
