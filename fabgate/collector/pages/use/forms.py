"""What does a person look for among the sessions, and among the refusals?"""

from __future__ import annotations

from datetime import date
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
from fabgate.collector.models import Machine, Refusal, UsageSession
from fabgate.collector.pages.use import labels, names, periods
from fabgate.collector.pages.use.periods import Period
from fabgate.collector.people import display_names, reasons

#: Years that no workshop's records reach.
_FIRST_YEAR, _LAST_YEAR = 2000, 2199


class DayInput(forms.DateInput):
    """A day, chosen from the browser's own calendar."""

    def __init__(self) -> None:
        super().__init__({"type": "date"}, format="%Y-%m-%d")


class Choice(forms.Select):
    """A choice without groups, made at once: by Django's templates the three above a list take as long as its rows."""

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        """Return it as Django's own template has it."""
        del renderer
        widget = self.get_context(name, value, attrs)["widget"]
        options = format_html_join(
            "",
            '<option value="{}"{}>{}</option>',
            (
                (one["value"], flatatt(one["attrs"]), one["label"])
                for _group, some, _number in widget["optgroups"]
                for one in some
            ),
        )
        return format_html('<select name="{}"{}>{}</select>', widget["name"], flatatt(widget["attrs"]), options)


class PeriodForm(forms.Form):
    """Which days, of whom, and which machine."""

    member = forms.CharField(label=gettext_lazy("Person"), max_length=120, required=False)
    machine = forms.ChoiceField(label=gettext_lazy("Machine"), required=False, widget=Choice)
    period = forms.ChoiceField(label=gettext_lazy("When"), choices=periods.PRESETS, required=False, widget=Choice)
    first = forms.DateField(label=gettext_lazy("From"), required=False, widget=DayInput())
    last = forms.DateField(label=gettext_lazy("To"), required=False, widget=DayInput())

    #: Whether more than a month of everything is too much to be read.
    is_limited: bool = True
    default = periods.RECENT

    def __init__(self, data: QueryDict) -> None:
        given = data.copy()
        if not given.get("period"):
            given["period"] = periods.OWN if given.get("first") or given.get("last") else self.default
        super().__init__(given)
        self.fields["machine"].choices = machine_choices()  # type: ignore[attr-defined]  # a ChoiceField
        self.fields["member"].widget.attrs |= {"autocomplete": "off", "placeholder": _("Name or number")}

    def clean_member(self) -> str:
        """Return the id of who is meant."""
        return meant(self, self.cleaned_data["member"])

    def clean(self) -> dict[str, Any]:
        """Find the days, and refuse what would be too many."""
        cleaned = super().clean() or self.cleaned_data
        for name in ("first", "last"):
            day = cleaned.get(name)
            if isinstance(day, date) and not _FIRST_YEAR <= day.year <= _LAST_YEAR:
                self.add_error(name, _("Choose a year between %(first)s and %(last)s.") % _years())
        if not self.errors:
            cleaned["days"] = self._days(cleaned)
        return cleaned

    def _days(self, cleaned: dict[str, Any]) -> Period | None:
        period, first, last = cleaned["period"], cleaned["first"], cleaned["last"]
        today = periods.today()
        if period != periods.OWN:
            found = Period.preset(period, today)
        elif first is None and last is None:
            self.add_error("first", _("Choose a first or a last day."))
            return None
        else:
            found = Period(first or date(_FIRST_YEAR, 1, 1), last or max(today, first or today))
            if found.first > found.last:
                self.add_error("last", _("This day lies before the first one."))
        if self.is_limited and not (cleaned.get("member") or cleaned.get("machine")):
            self._limit(found)
        return found

    def _limit(self, found: Period | None) -> None:
        if found is None or found.days > periods.MOST_DAYS:
            text = _("More than %(days)s days are shown of one person or one machine: choose one of them too.")
            self.add_error(None, text % {"days": periods.MOST_DAYS})

    @property
    def days(self) -> Period | None:
        """Return the days that were asked for; None: at any time."""
        found: Period | None = self.cleaned_data.get("days")
        return found


class SessionsForm(PeriodForm):
    """Which sessions."""

    reason = forms.ChoiceField(label=gettext_lazy("Why it ended"), required=False, widget=Choice)
    uncertain = forms.BooleanField(label=gettext_lazy("Only uncertain ones"), required=False)
    field_order = ("member", "machine", "period", "first", "last", "reason", "uncertain")

    def __init__(self, data: QueryDict) -> None:
        super().__init__(data)
        known = sorted((labels.ended(word), word) for word in wire.END_REASONS)
        self.fields["reason"].choices = [("", _("Any reason")), *((word, text) for text, word in known)]  # type: ignore[attr-defined]  # a ChoiceField

    def narrowed(self) -> QuerySet[UsageSession]:
        """Return the ended sessions that are looked for; what an index cannot answer is not offered."""
        wanted = self.cleaned_data
        rows = UsageSession.objects.filter(ended_at__isnull=False)
        if self.days is not None:
            rows = rows.filter(ended_at__gte=self.days.start, ended_at__lt=self.days.end)
        if wanted["reason"]:
            rows = rows.filter(reason=wanted["reason"])
        if wanted["uncertain"]:
            rows = rows.filter(uncertain=True)
        return self._of(rows)

    def open(self) -> QuerySet[UsageSession]:
        """Return those of the sessions that are still open: they belong to the days that are not over."""
        wanted, rows = self.cleaned_data, UsageSession.open()
        is_over = self.days is not None and not self.days.start <= timezone.now() < self.days.end
        return rows.none() if is_over or wanted["reason"] or wanted["uncertain"] else self._of(rows)

    def _of(self, rows: QuerySet[UsageSession]) -> QuerySet[UsageSession]:
        """Return those of a person, of a machine, or of both.

        Of both the person's index is to be used, along which fewer rows lie: SQLite does not know that by itself, so
        that the machine is asked for in a way that no index of its own answers.
        """
        wanted = self.cleaned_data
        if wanted["member"]:
            rows = rows.filter(used_by=wanted["member"])
        if wanted["machine"] and wanted["member"]:
            rows = rows.alias(where=F("machine") + 0).filter(where=int(wanted["machine"]))
        elif wanted["machine"]:
            rows = rows.filter(machine=wanted["machine"])
        return rows


class RefusalsForm(PeriodForm):
    """Which refusals."""

    reason = forms.ChoiceField(label=gettext_lazy("Reason"), required=False, widget=Choice)
    field_order = ("member", "machine", "reason", "period", "first", "last")

    def __init__(self, data: QueryDict) -> None:
        super().__init__(data)
        known = sorted((labels.refused([word]), word) for word in reasons.REFUSED if reasons.alike(word)[0] == word)
        self.fields["reason"].choices = [("", _("Any reason")), *((word, text) for text, word in known)]  # type: ignore[attr-defined]  # a ChoiceField

    def narrowed(self) -> QuerySet[Refusal]:
        """Return the refusals that are looked for."""
        wanted = self.cleaned_data
        rows = Refusal.objects.all()
        if self.days is not None:
            rows = rows.filter(about__gte=self.days.start, about__lt=self.days.end)
        if wanted["member"]:
            rows = rows.exclude(member="").filter(member=wanted["member"])
        if wanted["machine"]:
            rows = rows.filter(machine=wanted["machine"])
        if wanted["reason"]:
            # The list as text: both databases can look for a word in that.
            rows = rows.annotate(said=Cast("reasons", TextField()))
            rows = rows.filter(reduce(or_, (Q(said__contains=f'"{one}"') for one in reasons.alike(wanted["reason"]))))
        return rows


def meant(form: Any, typed: str) -> str:
    """Return the id of whom a form's field means; whom else it may, the page offers to choose (`several`)."""
    if not typed.strip():
        return ""
    try:
        return names.one(typed)
    except names.Several as error:
        apart = display_names.told_apart(pk for pk, _name in error.found)
        form.several = [(pk, str(apart[pk])) for pk, _name in error.found]
        raise forms.ValidationError(_("Several people fit.")) from None


def machine_choices(empty: Any = None) -> list[tuple[str, Any]]:
    """Return the machines to choose from, those that have left the workshop at the end."""
    machines = Machine.objects.order_by("retired_at", "title", "name").only("retired_at", "title", "name")
    there = sorted(machines, key=lambda machine: (machine.retired_at is not None, str(machine).casefold()))
    named = [(str(pk), title) for pk, title in names.titles(there).items()]
    return [("", _("Any machine") if empty is None else empty), *named]


def _years() -> dict[str, int]:
    return {"first": _FIRST_YEAR, "last": _LAST_YEAR}
