"""The form of a rule, which the simulator uses too. It names all mistakes at once, each at its field."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any, Final

from django import forms
from django.forms import BaseFormSet
from django.http import QueryDict
from django.utils.dates import WEEKDAYS_ABBR
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy

from fabgate.collector.faces.pages.forms.amount_field import AMOUNT_ATTRS, AmountField
from fabgate.collector.faces.pages.forms.day_field import DayField
from fabgate.collector.faces.pages.forms.line_field import LineField
from fabgate.collector.faces.pages.words import durations, session_labels
from fabgate.collector.ground.formats import date_format
from fabgate.collector.ground.models import BillingTerms, Machine, Plan, TariffRule
from fabgate.collector.money.billing import rule_store, terms
from fabgate.collector.money.billing.tariffs.rules import BILLED_PURPOSES, NOT_STORED, Rule
from fabgate.collector.money.billing.tariffs.typed_rule import LONGEST_VAT_CODE, Typed
from fabgate.collector.money.paper.figures import Money
from fabgate.pricing import mistakes
from fabgate.pricing.mistakes import Mistake
from fabgate.pricing.tariffs import ON, RUNNING, Peak, Tariff

#: Rows of peak hours: empty ones at the end of a form, and the most.
_EMPTY_ROWS: Final = 2
_MOST_ROWS: Final = 20
_PEAK_TEXTS: Final = ("start", "end", "price")
#: What time can be rounded up to; others can be set at the command line.
_STEPS_S: Final = (1, 60, 300, 360, 600, 900, 1_800, 3_600)
_TIME: Final = forms.TimeInput(attrs={"type": "time"}, format="%H:%M")
_TEXTS: Final[Mapping[str, Any]] = {
    "range": gettext_lazy("Enter 0 or more, at most %(most)s."),
    "decimals": gettext_lazy("Enter at most %(most)s decimals."),
    "idle-price-of-all-time": gettext_lazy(
        "A price for idle time needs a price for running time. Leave this empty, or choose “runs a job”."
    ),
    "peaks-of-running-time": gettext_lazy(
        "The gate does not record when a job runs, so running time has no peak hours. Clear these rows, or choose"
        " “has power”."
    ),
    "cap-below-minimum": gettext_lazy("The daily cap is below the minimum, %(minimum)s."),
    "seconds": gettext_lazy("Enter %(least)s to %(most)s seconds."),
    "days": gettext_lazy("Choose at least one day."),
    "minutes": gettext_lazy("Enter whole minutes, such as 17:30."),
    "overlap": gettext_lazy("Another row covers some of these hours. Each hour has one price."),
}


class PeakForm(forms.Form):
    """One row of peak hours. A row without anything is ignored."""

    days = forms.TypedMultipleChoiceField(
        label=gettext_lazy("Days of the week"),
        coerce=int,
        choices=[(day, WEEKDAYS_ABBR[day]) for day in range(7)],
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": gettext_lazy("Choose at least one day.")},
    )
    start = forms.TimeField(label=pgettext_lazy("time of day", "From"), widget=_TIME)
    end = forms.TimeField(label=pgettext_lazy("time of day", "To"), widget=_TIME)
    price = AmountField(label=gettext_lazy("Price per minute"))

    def peak(self) -> Peak:
        """Return the peak hours of a valid row."""
        typed = self.cleaned_data
        return Peak(frozenset(typed["days"]), typed["start"], typed["end"], typed["price"])


class _PeakRows(BaseFormSet):  # type: ignore[type-arg]  # Django's takes no argument at run time
    """Rows of peak hours, each of which may be emptied: none counts as a row that was there before."""

    def initial_form_count(self) -> int:
        """Return 0 for a form that was sent."""
        return 0 if self.is_bound else super().initial_form_count()


PeakForms = forms.formset_factory(
    PeakForm, formset=_PeakRows, extra=_EMPTY_ROWS, max_num=_MOST_ROWS, absolute_max=_MOST_ROWS
)


class RuleForm(forms.Form):
    """Where a rule applies, from which day on, and its tariff; `peaks` are the rows of peak hours."""

    where = forms.ChoiceField(label=gettext_lazy("Machines"), required=False)
    plan = forms.ChoiceField(label=gettext_lazy("Plan"), required=False)
    since = DayField(
        label=gettext_lazy("First day"),
        required=False,
    )
    price = AmountField(
        label=gettext_lazy("Price per minute"),
        help_text=gettext_lazy("For a price per use, enter 0 here and set the session fee."),
    )
    basis = forms.ChoiceField(
        label=gettext_lazy("For the minutes in which the machine"),
        choices=[(ON, gettext_lazy("has power")), (RUNNING, gettext_lazy("runs a job"))],
        widget=forms.RadioSelect,
        initial=ON,
        required=False,
    )
    idle_price = AmountField(
        label=gettext_lazy("Price per idle minute"),
        required=False,
        # the style sheet recognises an empty field by its placeholder
        widget=forms.TextInput(attrs={**AMOUNT_ATTRS, "placeholder": " "}),
        help_text=gettext_lazy("For minutes with power in which no job runs. Empty: they cost nothing."),
    )
    session_fee = AmountField(
        label=gettext_lazy("Session fee"),
        required=False,
        help_text=gettext_lazy("Added to each session that is not free."),
    )
    minimum = AmountField(
        label=gettext_lazy("Minimum for a session"),
        required=False,
        help_text=gettext_lazy("A session that is not free costs at least this."),
    )
    daily_cap = AmountField(
        label=gettext_lazy("Daily cap"),
        required=False,
        help_text=gettext_lazy("One person pays at most this for one machine on one day."),
    )
    grace_s = forms.IntegerField(
        label=gettext_lazy("Grace time (seconds)"),
        required=False,
        widget=forms.NumberInput(attrs={"min": 0, "max": mistakes.LONGEST_GRACE_S}),
        help_text=gettext_lazy("Sessions up to this long cost nothing, such as a tap on the wrong machine."),
    )
    step_s = forms.TypedChoiceField(
        label=gettext_lazy("Time is rounded up to"), coerce=int, required=False, empty_value=None
    )
    purposes = forms.MultipleChoiceField(
        label=gettext_lazy("Billed purposes"),
        choices=list(session_labels.PURPOSES.items()),
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": gettext_lazy("Choose at least one purpose.")},
    )
    vat_code = LineField(
        label=gettext_lazy("VAT code"),
        required=False,
        max_length=LONGEST_VAT_CODE,
        help_text=gettext_lazy("The VAT code that your accounting uses."),
    )

    #: The fields that most rules leave as they are.
    RARE: Final = ("session_fee", "minimum", "daily_cap", "grace_s", "step_s", "purposes", "vat_code")

    def __init__(
        self,
        found: BillingTerms,
        data: QueryDict | None = None,
        initial: Mapping[str, Any] | None = None,
        *,
        is_trial: bool = False,
    ) -> None:
        """`is_trial`: the rule is only tried, so it needs no first day."""
        initial = dict(initial or {})
        peaks = initial.pop("peaks", [])
        defaults = {"basis": ON, "purposes": sorted(BILLED_PURPOSES), "step_s": 1}
        super().__init__(data, initial={**defaults, **initial})
        self._terms = found
        self.peaks = PeakForms(data, initial=peaks, prefix="peak")
        self._is_trial = is_trial
        places = _places({str(self.initial.get("where", "")), str(data.get("where", "")) if data is not None else ""})
        self._places = {key: place for key, _title, place in places}
        where, plan, step = (self.fields[name] for name in ("where", "plan", "step_s"))
        assert isinstance(where, forms.ChoiceField)
        assert isinstance(plan, forms.ChoiceField)
        assert isinstance(step, forms.ChoiceField)
        where.choices = [(key, title) for key, title, _place in places]
        plan.choices = [("", _("Everyone")), *((name, name) for name in _plan_names())]
        self._propose_day()
        steps = sorted({*_STEPS_S, *_kept_step(self.initial["step_s"])})
        step.choices = [(step_s, _step(step_s)) for step_s in steps]

    def _propose_day(self) -> None:
        """Fill in the first day if it is clear; otherwise say what an empty one means."""
        first, today = self._terms.first_month, max(terms.today(self._terms), self._terms.first_month)
        days = {
            rule_store.proposed_day((machine, category, None), self._terms)
            for machine, category in self._places.values()
        }
        if "where" in self.initial or len(days) == 1:
            place = self._places.get(str(self.initial.get("where", "")), (None, ""))
            self.initial.setdefault("since", rule_store.proposed_day((*place, None), self._terms))
        elif not self._is_trial:
            text = _("Empty: the rule begins on %(today)s, or on %(first)s for machines without a price.")
            named = {"today": today, "first": first}
            self.fields["since"].help_text = text % {
                name: date_format(day, "DATE_FORMAT") for name, day in named.items()
            }

    @property
    def has_rare(self) -> bool:
        """Return whether a folded field has a value or a mistake, so that it has to be shown."""
        usual = {"purposes": sorted(BILLED_PURPOSES), "step_s": 1}
        for name in self.RARE:
            value = self[name].value()
            shown = sorted(value) if name == "purposes" and value else value
            if self[name].errors or str(shown or "") not in ("", "0", str(usual.get(name, ""))):
                return True
        return False

    @property
    def has_peaks(self) -> bool:
        """Return whether a row of peak hours has a value."""
        return bool(self.peaks.initial) or (self.is_bound and any(row.has_changed() for row in self.peaks))

    def is_valid(self) -> bool:
        """Check the fields, the rows, and the tariff that they make together."""
        is_valid = super().is_valid()
        return self.peaks.is_valid() and is_valid

    def clean(self) -> dict[str, Any]:
        """Check the tariff as a whole, and the first day."""
        cleaned = super().clean() or self.cleaned_data
        since = cleaned.get("since")
        if since is None and not self.has_error("since") and not self._is_trial and "where" in cleaned:
            place = self._places[cleaned["where"]]
            since = cleaned["since"] = rule_store.proposed_day((*place, None), self._terms)
            assert isinstance(self.data, QueryDict)
            self.data = data = self.data.copy()  # so that a page that shows the difference shows the day, too
            data["since"] = since.isoformat()
        if since is not None and since < self._terms.first_month:
            text = _("Billing starts on %(day)s. Choose that day or a later one.")
            self.add_error("since", text % {"day": date_format(self._terms.first_month, "DATE_FORMAT")})
        self._check_tariff()
        return cleaned

    def _check_tariff(self) -> None:
        """Add the mistakes of the tariff at their fields."""
        rows = [row for row in self.peaks if row.has_changed()]
        right = [row for row in rows if row.is_valid()]
        tariff = self._tariff([row.peak() for row in right])
        for mistake in mistakes.find(tariff, self._terms.digits):
            text = self._text(mistake)
            if mistake.peak is not None:
                row = right[mistake.peak - 1]
                row.add_error({"range": "price", "decimals": "price", "days": "days"}.get(mistake.code, "start"), text)
            elif mistake.field == "peaks":
                self.add_error(None, text)
            elif not self.has_error(mistake.field):
                self.add_error(mistake.field, text)

    def _text(self, mistake: Mistake) -> str:
        money = Money.of(self._terms)
        named = {
            name: money.amount(value) if isinstance(value, Decimal) else value
            for name, value in mistake.values.items()
            if name != "found"  # which the field shows, and which may be no number
        }
        return str(_TEXTS.get(mistake.code, mistake)) % named

    def _tariff(self, peaks: Iterable[Peak]) -> Tariff:
        """Return the tariff; a field that is empty or wrong has its default."""
        typed = self.cleaned_data
        nothing = Decimal(0)
        return Tariff(
            price=nothing if typed.get("price") is None else typed["price"],
            charged_for=typed.get("basis") or ON,
            idle_price=typed.get("idle_price") or nothing,
            peaks=tuple(peaks),
            session_fee=typed.get("session_fee") or nothing,
            minimum=typed.get("minimum") or nothing,
            daily_cap=typed.get("daily_cap"),
            grace_s=typed.get("grace_s") or 0,
            step_s=typed.get("step_s") or 1,
        )

    def typed(self) -> Typed:
        """Return the tariff of a valid form."""
        peaks = [row.peak() for row in self.peaks if row.has_changed()]
        return Typed(self._tariff(peaks), frozenset(self.cleaned_data["purposes"]), self.cleaned_data["vat_code"])

    def unsaved(self) -> TariffRule:
        """Return the rule of a valid form."""
        machine, category = self._places[self.cleaned_data["where"]]
        plan = Plan.objects.filter(name=self.cleaned_data["plan"]).first() if self.cleaned_data["plan"] else None
        return rule_store.unsaved((machine, category, plan), self.cleaned_data["since"], self.typed())

    def rule(self) -> Rule:
        """Return the rule of a valid form as rating needs it, to be tried."""
        machine, category = self._places[self.cleaned_data["where"]]
        typed = self.typed()
        return Rule(
            id=NOT_STORED,
            tariff=typed.tariff,
            valid_from=date.min,
            machine=machine.name if machine else "",
            category=category,
            plan=self.cleaned_data["plan"],
            purposes=typed.purposes,
            vat_code=typed.vat_code,
        )


def initial_of(rule: Rule) -> dict[str, Any]:
    """Return the values with which the form of a successor starts."""
    tariff = rule.tariff
    where = f"machine:{rule.machine}" if rule.machine else f"category:{rule.category}" if rule.category else ""
    return {
        "where": where,
        "plan": rule.plan,
        "price": tariff.price,
        "basis": tariff.charged_for,
        "idle_price": tariff.idle_price or None,
        "session_fee": tariff.session_fee or None,
        "minimum": tariff.minimum or None,
        "daily_cap": tariff.daily_cap,
        "grace_s": tariff.grace_s or None,
        "step_s": tariff.step_s,
        "purposes": sorted(rule.purposes),
        "vat_code": rule.vat_code,
        "peaks": [
            {"days": sorted(peak.days), "start": peak.start, "end": peak.end, "price": peak.price}
            for peak in tariff.peaks
        ],
    }


def initial_typed(data: QueryDict) -> dict[str, Any]:
    """Return what was typed, right or wrong, as the values with which a form starts."""
    typed = data.get("peak-TOTAL_FORMS", "")
    number = int(typed) if typed.isascii() and typed.isdigit() and len(typed) < 4 else 0
    rows = [
        {"days": data.getlist(f"peak-{row}-days"), **{name: data.get(f"peak-{row}-{name}", "") for name in _PEAK_TEXTS}}
        for row in range(min(number, _MOST_ROWS))
    ]
    single = {name: data[name] for name in RuleForm.base_fields if name in data and name != "purposes"}
    found = {**single, "purposes": data.getlist("purposes"), "peaks": rows}
    return {name: value for name, value in found.items() if value}


def _places(kept: Collection[str]) -> list[tuple[str, str, tuple[Machine | None, str]]]:
    """Return the choices of machines: key, title, and the machine or category that it means.

    A retired machine is only offered if its key is among `kept`.
    """
    machines = [
        machine
        for machine in Machine.objects.order_by("title", "name")
        if machine.retired_at is None or f"machine:{machine.name}" in kept
    ]
    categories = sorted({machine.category for machine in machines if machine.category})
    return [
        ("", _("All machines"), (None, "")),
        *((f"category:{name}", _("Category: %(name)s") % {"name": name}, (None, name)) for name in categories),
        *((f"machine:{machine.name}", str(machine), (machine, "")) for machine in machines),
    ]


def _kept_step(step_s: Any) -> set[int]:
    """Return the step with which the form starts, which may have been set at the command line."""
    typed = str(step_s)
    return {int(typed)} if typed.isascii() and typed.isdigit() and 1 <= int(typed) <= mistakes.LONGEST_STEP_S else set()


def _plan_names() -> Iterable[str]:
    return Plan.objects.order_by("name").values_list("name", flat=True)


def _step(step_s: int) -> str:
    return _("the exact second") if step_s == 1 else durations.in_words(step_s)
