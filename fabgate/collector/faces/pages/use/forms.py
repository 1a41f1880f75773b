"""Filters for sessions and refusals."""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import Any

from django import forms
from django.db.models import F, Q, QuerySet, TextField
from django.db.models.functions import Cast
from django.forms.utils import flatatt
from django.http import QueryDict
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from fabgate import wire
from fabgate.collector.faces.pages.forms.day_field import DayField
from fabgate.collector.faces.pages.use import periods
from fabgate.collector.faces.pages.use.periods import Period
from fabgate.collector.faces.pages.words import names, session_labels
from fabgate.collector.ground.models import Machine, Refusal, UsageSession
from fabgate.collector.members.people import display_names, reasons
from fabgate.days import FIRST


class Choice(forms.Select):
    """A select without groups that is rendered in one step, because Django's templates are slow."""

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        """Return the same HTML as Django's template."""
        del renderer
        widget = self.get_context(name, value, attrs)["widget"]
        options = format_html_join(
            "",
            '<option value="{}"{}>{}</option>',
            (
                (option["value"], flatatt(option["attrs"]), option["label"])
                for _group, options, _number in widget["optgroups"]
                for option in options
            ),
        )
        return format_html('<select name="{}"{}>{}</select>', widget["name"], flatatt(widget["attrs"]), options)


class PeriodForm(forms.Form):
    """Days, person and machine."""

    member = forms.CharField(label=gettext_lazy("Person"), max_length=120, required=False)
    machine = forms.ChoiceField(label=gettext_lazy("Machine"), required=False, widget=Choice)
    period = forms.ChoiceField(label=gettext_lazy("When"), choices=periods.PRESETS, required=False, widget=Choice)
    first = DayField(label=gettext_lazy("From"), required=False)
    last = DayField(label=gettext_lazy("To"), required=False)

    #: Whether a person or a machine must be chosen for more than a month.
    is_limited: bool = True
    default = periods.RECENT

    def __init__(self, data: QueryDict) -> None:
        given = data.copy()
        if not given.get("period"):
            given["period"] = periods.OWN if given.get("first") or given.get("last") else self.default
        super().__init__(given)
        self.fields["machine"].choices = machine_choices()  # type: ignore[attr-defined]  # a ChoiceField
        if self.is_limited and not (given.get("member") or given.get("machine")):
            # It would be refused; who asks for it all the same is told why.
            self.fields["period"].widget.choices = [one for one in periods.PRESETS if one[0] != periods.ALL]
        self.fields["member"].widget.attrs |= {"autocomplete": "off", "placeholder": _("Name or number")}

    def clean_member(self) -> str:
        """Return the id of the person."""
        return person_id(self, self.cleaned_data["member"])

    def clean(self) -> dict[str, Any]:
        """Compute the days, and refuse too many of them."""
        cleaned = super().clean() or self.cleaned_data
        if not self.errors:
            cleaned["days"] = self._days(cleaned)
        return cleaned

    def _days(self, cleaned: dict[str, Any]) -> Period | None:
        period, first, last = cleaned["period"], cleaned["first"], cleaned["last"]
        today = periods.today()
        if period != periods.OWN:
            days = Period.preset(period, today)
        elif first is None and last is None:
            self.add_error("first", _("Choose a first or a last day."))
            return None
        else:
            days = Period(first or FIRST, last or max(today, first or today))
            if days.first > days.last:
                self.add_error("last", _("The last day is before the first."))
        if self.is_limited and not (cleaned.get("member") or cleaned.get("machine")):
            self._limit(days)
        return days

    def _limit(self, days: Period | None) -> None:
        if days is None or days.days > periods.MOST_DAYS:
            text = _("For more than %(days)s days, choose a person or a machine.")
            self.add_error(None, text % {"days": periods.MOST_DAYS})

    @property
    def days(self) -> Period | None:
        """Return the chosen days; None means all time."""
        days: Period | None = self.cleaned_data.get("days")
        return days


class SessionsForm(PeriodForm):
    """Filters for sessions."""

    reason = forms.ChoiceField(label=gettext_lazy("Why it ended"), required=False, widget=Choice)
    uncertain = forms.BooleanField(label=gettext_lazy("Uncertain only"), required=False)
    field_order = ("member", "machine", "period", "first", "last", "reason", "uncertain")

    def __init__(self, data: QueryDict) -> None:
        super().__init__(data)
        known = sorted((session_labels.ended(word), word) for word in wire.END_REASONS)
        self.fields["reason"].choices = [("", _("Any reason")), *((word, text) for text, word in known)]  # type: ignore[attr-defined]  # a ChoiceField

    def filtered(self) -> QuerySet[UsageSession]:
        """Return the ended sessions that match. Only filters that an index can answer are offered."""
        chosen = self.cleaned_data
        rows = UsageSession.objects.filter(ended_at__isnull=False)
        if self.days is not None:
            rows = rows.filter(ended_at__gte=self.days.start, ended_at__lt=self.days.end)
        if chosen["reason"]:
            rows = rows.filter(reason=chosen["reason"])
        if chosen["uncertain"]:
            rows = rows.filter(uncertain=True)
        return self._of(rows)

    def open(self) -> QuerySet[UsageSession]:
        """Return the open sessions that match. They belong to a period that includes today."""
        chosen, rows = self.cleaned_data, UsageSession.open()
        is_over = self.days is not None and not self.days.start <= timezone.now() < self.days.end
        return rows.none() if is_over or chosen["reason"] or chosen["uncertain"] else self._of(rows)

    def _of(self, rows: QuerySet[UsageSession]) -> QuerySet[UsageSession]:
        """Return the rows of the chosen person, machine, or both.

        With both, the index by person is better, but SQLite does not know that. So the machine is compared as an
        expression, which no index has.
        """
        chosen = self.cleaned_data
        if chosen["member"]:
            rows = rows.filter(used_by=chosen["member"])
        if chosen["machine"] and chosen["member"]:
            rows = rows.alias(where=F("machine") + 0).filter(where=int(chosen["machine"]))
        elif chosen["machine"]:
            rows = rows.filter(machine=chosen["machine"])
        return rows


class RefusalsForm(PeriodForm):
    """Filters for refusals."""

    reason = forms.ChoiceField(label=gettext_lazy("Reason"), required=False, widget=Choice)
    field_order = ("member", "machine", "reason", "period", "first", "last")

    def __init__(self, data: QueryDict) -> None:
        super().__init__(data)
        known = sorted(
            (session_labels.refused([word]), word) for word in reasons.REFUSED if reasons.alike(word)[0] == word
        )
        self.fields["reason"].choices = [("", _("Any reason")), *((word, text) for text, word in known)]  # type: ignore[attr-defined]  # a ChoiceField

    def filtered(self) -> QuerySet[Refusal]:
        """Return the refusals that match."""
        chosen = self.cleaned_data
        rows = Refusal.objects.all()
        if self.days is not None:
            rows = rows.filter(about__gte=self.days.start, about__lt=self.days.end)
        if chosen["member"]:
            rows = rows.exclude(member="").filter(member=chosen["member"])
        if chosen["machine"]:
            rows = rows.filter(machine=chosen["machine"])
        if chosen["reason"]:
            # The list is searched as text, which both databases support.
            rows = rows.annotate(text=Cast("reasons", TextField()))
            rows = rows.filter(reduce(or_, (Q(text__contains=f'"{one}"') for one in reasons.alike(chosen["reason"]))))
        return rows


def person_id(form: Any, typed: str) -> str:
    """Return the id of the person named in a form; if several match, they go into `form.several` for the page."""
    if not typed.strip():
        return ""
    try:
        return names.resolve(typed)
    except names.Several as error:
        apart = display_names.unique_names(pk for pk, _name in error.matches)
        form.several = [(pk, str(apart[pk])) for pk, _name in error.matches]
        raise forms.ValidationError(_("Several people match.")) from None


def machine_choices() -> list[tuple[str, Any]]:
    """Return the machines to choose from, retired ones last."""
    machines = Machine.objects.order_by("retired_at", "title", "name").only("retired_at", "title", "name")
    ordered = sorted(machines, key=lambda machine: (machine.retired_at is not None, str(machine).casefold()))
    named = [(str(pk), title) for pk, title in names.titles(ordered).items()]
    return [("", _("Any machine")), *named]
