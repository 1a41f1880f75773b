"""Usage in a month or a range of days: table, bars, and starts by weekday and hour."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any, Final

from django import forms
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, QueryDict
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from fabgate.collector.faces.pages.forms.day_field import DayField
from fabgate.collector.faces.pages.lists.sorting import Sorting
from fabgate.collector.faces.pages.use import periods
from fabgate.collector.faces.pages.use.forms import Choice, machine_choices, person_id
from fabgate.collector.faces.pages.use.periods import Period
from fabgate.collector.faces.pages.use.reports import links, sums
from fabgate.collector.faces.pages.use.tab import render_page
from fabgate.collector.faces.pages.words.formatting import state
from fabgate.collector.ground.formats import date_format
from fabgate.collector.ground.models import Member, UsageDay, UsageMonth, UsageSession, UsageSums
from fabgate.collector.money.paper.figures import NOTHING, duration, energy

_MONTH: Final = re.compile(r"(20\d\d|21\d\d)-(0[1-9]|1[0-2])")
#: How many lines the page shows; the export has all.
_MAX_SHOWN: Final = 100
#: The heatmap counts single sessions, so it covers at most this many days, unless a person or machine is chosen.
_HEAT_DAYS: Final = 92

#: The columns that the table can be sorted by.
_SORTS: Final = (
    sums.TITLE,
    *(f"-{name}" for name in (sums.SESSIONS, sums.COUNTED, sums.RUNNING, sums.ENERGY, sums.UNCERTAIN)),
)
#: What the table can be grouped by.
GROUPS: Final = [
    (sums.MACHINE, gettext_lazy("machine")),
    (sums.MEMBER, gettext_lazy("person")),
    (sums.BOTH, gettext_lazy("machine and person")),
    (sums.CATEGORY, gettext_lazy("category")),
]


class UsageForm(forms.Form):
    """Days, filters and grouping."""

    month = forms.CharField(
        label=gettext_lazy("Month"), required=False, widget=forms.TextInput({"type": "month", "placeholder": "2026-11"})
    )
    first = DayField(label=gettext_lazy("or from"), required=False)
    last = DayField(label=gettext_lazy("to"), required=False)
    machine = forms.ChoiceField(label=gettext_lazy("Machine"), required=False, widget=Choice)
    member = forms.CharField(label=gettext_lazy("Person"), max_length=120, required=False)
    category = forms.ChoiceField(label=gettext_lazy("Category"), required=False, widget=Choice)
    by = forms.ChoiceField(
        label=gettext_lazy("Group by"),
        required=False,
        choices=GROUPS,
        widget=Choice,
    )

    def __init__(self, data: QueryDict) -> None:
        given = data.copy()
        if not any(given.get(name) for name in ("month", "first", "last")):
            given["month"] = f"{periods.today():%Y-%m}"
        if not given.get("by"):
            given["by"] = sums.MACHINE
        super().__init__(given)
        known = Member.objects.exclude(category="").order_by("category").values_list("category", flat=True).distinct()
        self.fields["machine"].choices = machine_choices()  # type: ignore[attr-defined]  # a ChoiceField
        self.fields["category"].choices = [  # type: ignore[attr-defined]  # a ChoiceField
            ("", _("Any category")),
            *((category, category) for category in known),
            (links.NO_CATEGORY, _("not stated")),
        ]
        self.fields["member"].widget.attrs |= {"autocomplete": "off", "placeholder": _("Name or number")}

    def clean_member(self) -> str:
        """Return the id of the person."""
        return person_id(self, self.cleaned_data["member"])

    def clean(self) -> dict[str, Any]:
        """Compute the days: the month, or a custom range."""
        cleaned = super().clean() or self.cleaned_data
        if self.errors:
            return cleaned
        first, last = cleaned["first"], cleaned["last"]
        match = _MONTH.fullmatch(cleaned["month"].strip())
        if first or last:
            cleaned["period"] = self._own(first, last)
        elif match is None:
            self.add_error("month", _("Enter year and month, such as 2026-11."))
        else:
            cleaned["period"] = Period.month(int(match[1]), int(match[2]))
        return cleaned

    def _own(self, first: date | None, last: date | None) -> Period | None:
        if first is None or last is None:
            self.add_error("first" if first is None else "last", _("Choose this day as well."))
            return None
        if first > last:
            self.add_error("last", _("The last day is before the first."))
            return None
        return Period(first, last)

    @property
    def period(self) -> Period:
        """Return the chosen days."""
        period: Period = self.cleaned_data["period"]
        return period

    def filtered(self) -> QuerySet[UsageSums]:
        """Return the matching sums: of months if the period is whole months, else of days."""
        return self._of(UsageMonth if self.period.is_months else UsageDay)

    def by_bar(self) -> QuerySet[UsageSums]:
        """Return the same in the steps of the chart's bars."""
        return self._of(UsageMonth if self.period.is_months and sums.bars_are_months(self.period) else UsageDay)

    def _of(self, model: type[UsageSums]) -> QuerySet[UsageSums]:
        wanted = self.cleaned_data
        rows = model.between(self.period.first, self.period.last)
        if wanted["machine"]:
            rows = rows.filter(machine_key=int(wanted["machine"]))
        if wanted["member"]:
            rows = rows.filter(used_by=wanted["member"])
        if wanted["category"]:
            rows = rows.filter(category="" if wanted["category"] == links.NO_CATEGORY else wanted["category"])
        return rows

    def sessions(self) -> QuerySet[UsageSession] | None:
        """Return the sessions themselves if they are few enough to count; else None."""
        wanted = self.cleaned_data
        if self.period.days > _HEAT_DAYS and not (wanted["machine"] or wanted["member"]):
            return None
        rows = UsageSession.objects.filter(ended_at__gte=self.period.start, ended_at__lt=self.period.end)
        if wanted["machine"]:
            rows = rows.filter(machine=wanted["machine"])
        if wanted["member"]:
            rows = rows.filter(used_by=wanted["member"])
        if wanted["category"]:
            rows = rows.filter(category="" if wanted["category"] == links.NO_CATEGORY else wanted["category"])
        return rows


def usage(request: HttpRequest) -> HttpResponse:
    """Show the report."""
    form = UsageForm(request.GET)
    if not form.is_valid():
        return render_page(request, "usage.html", {"form": form}, status=400)
    by = form.cleaned_data["by"]
    sorting = Sorting(request.GET, _SORTS, f"-{sums.COUNTED}", anchor="list")
    column, is_descending = sorting.order
    lines, total, count = sums.first_lines(form.filtered(), by, _MAX_SHOWN, order=column, is_descending=is_descending)
    sessions = form.sessions() if lines else None
    bars = sums.bars(form.by_bar(), form.period) if lines else None
    shown = {
        "form": form,
        "period": form.period,
        "is_month": form.period.is_months and form.period.days <= 31,
        "before": f"{form.period.first - timedelta(days=1):%Y-%m}",
        "after": f"{form.period.last + timedelta(days=1):%Y-%m}",
        "by": dict(form.fields["by"].choices)[by],  # type: ignore[attr-defined]  # a ChoiceField
        "lines": [_cells(line, links.of_line(line, by, form.period, form.cleaned_data)) for line in lines],
        "sorting": sorting,
        "hidden": count - len(lines),
        "total": total,
        "most": max((line.counted_ms for line in lines), default=0),
        "bars": bars and _chart(bars, form.cleaned_data),
        "numbers": _numbers(bars, form.cleaned_data) if bars else [],
        "heat": _heat(sessions) if sessions is not None else None,
        "hours": [(hour,) for hour in range(24)],
        "title": date_format(form.period.first, "YEAR_MONTH_FORMAT"),
    }
    return render_page(request, "usage.html", shown)


def _heat(sessions: QuerySet[UsageSession]) -> list[tuple[str, list[tuple[str, int]]]]:
    """Return the cells of each weekday, one for each hour: how many sessions started, and the shade."""
    rows = sums.heat(sessions).rows
    return [(day, [(str(times) if times else "", strength) for times, strength in cells]) for day, cells in rows]


def _chart(bars: dict[str, Any], chosen: Mapping[str, Any]) -> dict[str, Any]:
    """Return the data for the chart's script."""
    return {
        **{name: bars[name] for name in ("title", "unit", "labels", "hours")},
        "links": [links.of_bar(first, last, chosen) for first, last in bars["spans"]],
    }


def _numbers(bars: dict[str, Any], chosen: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the rows of the chart's table: the label, as a link if it has one, and the time."""
    return [
        (_linked(label, links.of_bar(span[0], span[1], chosen)), duration(ms))
        for label, ms, span in zip(bars["labels"], bars["ms"], bars["spans"], strict=True)
    ]


def _linked(text: str, url: str) -> str:
    return format_html('<a href="{}">{}</a>', url, text) if url else text


def _cells(line: sums.Line, url: str) -> dict[str, str]:
    return {
        "title": _linked(line.title, url),
        "sessions": str(line.sessions),
        "time_on": duration(line.counted_ms),
        "running": duration(line.running_ms),
        "energy": energy(line.energy_wh) if line.measured else NOTHING,
        "measured": "" if line.measured else "absent",
        "ms": str(line.counted_ms),
        "uncertain": _doubt(line) if line.uncertain else NOTHING,
    }


def _doubt(line: sums.Line) -> str:
    more = duration(line.uncertainty_ms)
    text = ngettext("%(n)s session, up to %(more)s more", "%(n)s sessions, up to %(more)s more", line.uncertain)
    return state("uncertain", text % {"n": line.uncertain, "more": more})
