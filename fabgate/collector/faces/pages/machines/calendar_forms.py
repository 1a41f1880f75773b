"""Forms for opening hours and special days."""

from __future__ import annotations

from datetime import date, time
from typing import Any, Final

from django import forms
from django.http import QueryDict
from django.utils.dates import WEEKDAYS
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy

from fabgate.collector.faces.pages.forms.day_field import DayField
from fabgate.collector.faces.pages.forms.line_field import LineField
from fabgate.collector.faces.pages.forms.stale_form import StaleCheck
from fabgate.collector.faces.pages.machines import views
from fabgate.collector.ground.models import Machine
from fabgate.collector.ground.models.calendar import WEEK
from fabgate.collector.members.access import opening_hours
from fabgate.collector.members.people.blocks import today

_TIME: Final = forms.TimeInput(attrs={"type": "time"}, format="%H:%M")
_WRONG_TIME: Final = {"invalid": gettext_lazy("Enter a time such as 18:30.")}


class ScopeForm(forms.Form):
    """The machines for which hours apply."""

    scope = forms.ChoiceField(label=pgettext_lazy("which machines", "For"), required=False)

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        field = self.fields["scope"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = scopes()

    def meant(self) -> dict[str, Any]:
        """Return machine and category as columns of a row."""
        kind, _colon, name = self.cleaned_data["scope"].partition(":")
        if kind == "machine":
            return {"machine": Machine.objects.get(name=name), "category": ""}
        return {"machine": None, "category": name}


class WeeklyForm(ScopeForm):
    """Weekly hours."""

    days = forms.TypedMultipleChoiceField(
        label=gettext_lazy("Days of the week"),
        coerce=int,
        choices=[(day, WEEKDAYS[day - 1]) for day in WEEK],
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": gettext_lazy("Choose at least one day.")},
    )
    start = forms.TimeField(label=pgettext_lazy("time of day", "From"), widget=_TIME, error_messages=_WRONG_TIME)
    to = forms.TimeField(
        label=pgettext_lazy("time of day", "To"),
        widget=_TIME,
        error_messages=_WRONG_TIME,
        help_text=gettext_lazy("00:00 is midnight; if this time is before “From”, it is on the next day."),
    )

    def clean(self) -> dict[str, Any]:
        """Refuse equal start and end."""
        cleaned = super().clean() or self.cleaned_data
        _refuse_no_hours(self, cleaned)
        return cleaned


class SpecialForm(ScopeForm):
    """A special day: closed, or with other hours."""

    day = DayField(
        label=gettext_lazy("Day"),
    )
    start = forms.TimeField(label=gettext_lazy("Open from"), required=False, widget=_TIME, error_messages=_WRONG_TIME)
    to = forms.TimeField(
        label=pgettext_lazy("time of day", "To"),
        required=False,
        widget=_TIME,
        error_messages=_WRONG_TIME,
        help_text=gettext_lazy(
            "Leave both empty to close all day. Opening hours that run past midnight from the day before still"
            " end at their set time."
        ),
    )
    note = LineField(label=gettext_lazy("Reason (shown to members)"), required=False, max_length=120)

    def clean_day(self) -> date:
        """Refuse a day that has passed."""
        day: date = self.cleaned_data["day"]
        if day < today():
            raise forms.ValidationError(_("This day has passed. Choose today or a later one."))
        return day

    def clean(self) -> dict[str, Any]:
        """Refuse one time without the other."""
        cleaned = super().clean() or self.cleaned_data
        ends = {name: cleaned.get(name) for name in ("start", "to")}
        if not self.errors and (ends["start"] is None) != (ends["to"] is None):
            missing = "start" if ends["start"] is None else "to"
            self.add_error(missing, _("Enter both times, or neither to close for the day."))
        _refuse_no_hours(self, cleaned)
        return cleaned


class TonightForm(StaleCheck, forms.Form):
    """The closing time of the whole workshop tonight; it replaces today's hours."""

    hours = forms.CharField(
        label=gettext_lazy("Today's hours"), disabled=True, required=False, widget=forms.HiddenInput
    )
    to = forms.TimeField(label=gettext_lazy("Until"), widget=_TIME, error_messages=_WRONG_TIME, initial=time(22))

    def __init__(self, data: QueryDict | None = None, *, hours: str) -> None:
        super().__init__(data, initial={"hours": hours})


def _refuse_no_hours(form: forms.Form, cleaned: dict[str, Any]) -> None:
    """Refuse equal times, such as 09:00 to 09:00, which could mean no time or a whole day."""
    start, to = cleaned.get("start"), cleaned.get("to")
    if start is not None and to is not None and opening_hours.is_ambiguous(start, to):
        form.add_error("to", _("Start and end are the same. For the whole day enter 00:00 to 00:00."))


def scopes() -> list[tuple[str, str]]:
    """Return the choices: the workshop, categories and machines."""
    machines = Machine.objects.filter(retired_at=None).order_by("title", "name")
    return [
        ("", _("The whole workshop")),
        *((f"category:{name}", _("Category: %(name)s") % {"name": name}) for name in views.categories()),
        *((f"machine:{machine.name}", str(machine)) for machine in machines),
    ]
