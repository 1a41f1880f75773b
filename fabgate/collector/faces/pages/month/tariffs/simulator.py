"""Tries a tariff that is not stored: on an invented session, on one on record, or on a whole month."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from django import forms
from django.http import HttpRequest, HttpResponse, QueryDict
from django.urls import reverse
from django.utils import timezone
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from fabgate.collector.faces.pages.access_control import see_other
from fabgate.collector.faces.pages.billing_terms import terms_or_404
from fabgate.collector.faces.pages.forms.amount_field import AmountField
from fabgate.collector.faces.pages.forms.day_field import MomentField
from fabgate.collector.faces.pages.month.difference import comparison
from fabgate.collector.faces.pages.month.payers import step_rows
from fabgate.collector.faces.pages.month.tab import render_page
from fabgate.collector.faces.pages.month.tariffs.rule_form import RuleForm, initial_of, initial_typed
from fabgate.collector.faces.pages.password import password_again
from fabgate.collector.faces.pages.words import names
from fabgate.collector.ground.formats import date_format
from fabgate.collector.ground.models import BillingTerms
from fabgate.collector.money.billing import month as months
from fabgate.collector.money.billing import rating, terms, trial
from fabgate.collector.money.billing.rating import Rated
from fabgate.collector.money.paper.figures import Money
from fabgate.collector.money.paper.statements import labels

INVENTED, SESSION, MONTH = "invented", "session", "month"
#: An invented session lasts at most this long.
_MOST_MINUTES: Final = 31 * 24 * 60
#: How many months can be compared.
_MONTHS: Final = 13
#: Typed fields that are not part of the address of a result.
_NOT_SHOWN: Final = password_again.OF_THE_PAGE | {"row"}


class TrialForm(forms.Form):
    """What a tariff is tried on."""

    kind = forms.ChoiceField(
        label=gettext_lazy("Try the tariff on"),
        choices=[
            (INVENTED, gettext_lazy("an invented session")),
            (SESSION, gettext_lazy("a session on record")),
            (MONTH, gettext_lazy("a whole month")),
        ],
        widget=forms.RadioSelect,
        initial=INVENTED,
    )
    start = MomentField(label=gettext_lazy("Start"), required=False)
    minutes = AmountField(label=gettext_lazy("Minutes with power"), required=False)
    running = AmountField(
        label=gettext_lazy("Of which with a running job"),
        required=False,
        help_text=gettext_lazy("Empty: a job ran the whole time."),
    )
    session = forms.CharField(
        label=gettext_lazy("Session"),
        required=False,
        max_length=64,
        help_text=gettext_lazy("The session's number. To fill it in, follow the link on the session's page."),
    )
    month = forms.ChoiceField(label=gettext_lazy("Month"), required=False)

    def __init__(self, found: BillingTerms, data: QueryDict | None, initial: Mapping[str, Any]) -> None:
        listed = list(_months(terms.today(found)))
        now = timezone.localtime(timezone=terms.zone(found)).replace(minute=0, second=0, microsecond=0, tzinfo=None)
        usual = {"start": now, "minutes": Decimal(60), "month": f"{listed[min(1, len(listed) - 1)]:%Y-%m}"}
        super().__init__(data, initial={**usual, **initial})
        self._terms = found
        choice = self.fields["month"]
        assert isinstance(choice, forms.ChoiceField)
        choice.choices = [(f"{month:%Y-%m}", capfirst(date_format(month, "F Y"))) for month in listed]

    def clean_minutes(self) -> Decimal | None:
        """Refuse too many minutes."""
        return self._minutes("minutes")

    def clean_running(self) -> Decimal | None:
        """Refuse too many minutes."""
        return self._minutes("running")

    def _minutes(self, name: str) -> Decimal | None:
        minutes: Decimal | None = self.cleaned_data[name]
        if minutes is not None and not (minutes.is_finite() and 0 <= minutes <= _MOST_MINUTES):
            raise forms.ValidationError(_("Enter 0 to %(most)s minutes.") % {"most": _MOST_MINUTES})
        return minutes

    def clean(self) -> dict[str, Any]:
        """Refuse an empty field that the kind of trial needs."""
        cleaned = super().clean() or self.cleaned_data
        needed = {INVENTED: ("start", "minutes"), SESSION: ("session",), MONTH: ("month",)}
        for name in needed.get(cleaned.get("kind", ""), ()):
            if not self.has_error(name) and cleaned.get(name) in (None, ""):
                self.add_error(name, _("This field is required."))
        return cleaned

    @property
    def counted_ms(self) -> int:
        """Return the milliseconds of an invented session."""
        return round(Decimal(self.cleaned_data["minutes"]) * 60_000)

    @property
    def running_ms(self) -> int:
        """Return for how many of them a job runs."""
        running = self.cleaned_data["running"]
        return self.counted_ms if running is None else round(Decimal(running) * 60_000)

    @property
    def start_at(self) -> datetime:
        """Return the start of an invented session, in the zone of billing."""
        typed: datetime = self.cleaned_data["start"]
        return typed.replace(tzinfo=terms.zone(self._terms))

    @property
    def first(self) -> date:
        """Return the first day of the chosen month."""
        return date.fromisoformat(f"{self.cleaned_data['month']}-01")


def simulator(request: HttpRequest) -> HttpResponse:
    """Show the form, and what the typed tariff would cost. A form that was sent becomes an address without secrets."""
    found = terms_or_404()
    if request.method == "POST":
        kept = request.POST.copy()
        for name in [name for name, value in kept.items() if not value or name in _NOT_SHOWN]:
            del kept[name]
        return see_other(f"{reverse('month-try')}?{kept.urlencode()}")
    is_typed = "price" in request.GET
    data = request.GET if is_typed else None
    trial_form = TrialForm(found, data, _chosen(request.GET))
    form = RuleForm(found, data, _rule(request.GET, found), is_trial=True)
    result = None
    if is_typed and trial_form.is_valid() & form.is_valid():
        result = _result(found, form, trial_form)
    shown = {"form": form, "trial": trial_form, "result": result, "query": request.GET.urlencode()}
    is_wrong = bool(form.errors or trial_form.errors)
    return render_page(request, "try.html", found, shown, status=400 if is_wrong else 200)


def _chosen(query: QueryDict) -> dict[str, str]:
    """Return which kind of trial a link asks for."""
    return {name: str(query[name]) for name in ("kind", "session", "month") if query.get(name)}


def _rule(query: QueryDict, found: BillingTerms) -> dict[str, Any]:
    """Return the tariff with which the form starts: that of the session of a link, or one that was only sent in part."""
    if "price" in query or not query.get("session"):
        return initial_typed(query)
    one = months.rate_one(str(query["session"]), terms.for_rating(found))
    if one is None or one.rated.rule is None:
        return {}
    return {**initial_of(one.rated.rule), "where": "", "plan": ""}


def _result(found: BillingTerms, form: RuleForm, trial_form: TrialForm) -> dict[str, Any] | None:
    """Return what the tariff costs, or None with an error in a form."""
    now, rule = terms.for_rating(found), form.rule()
    kind = trial_form.cleaned_data["kind"]
    if kind == MONTH:
        return {
            "kind": kind,
            "month": trial_form.first,
            **comparison(found, trial.compare(trial_form.first, now, rule)),
        }
    if kind == INVENTED:
        start = trial_form.start_at
        rated = trial.invented(now, rule, start, trial_form.counted_ms, trial_form.running_ms)
        return {"kind": kind, **_price(found, rated)}
    before = months.rate_one(trial_form.cleaned_data["session"].strip(), now)
    if before is None:
        trial_form.add_error("session", _("No session with this number has ended."))
        return None
    if not (rule.machine or rule.category or rule.plan):
        rule = trial.at_place_of(before.rated, rule)
    after = months.rate_one(before.session.pk, trial.with_rule(now, rule))
    if after is None or not trial.applies(after.rated):
        text = _("This session was on another machine or under another plan. Choose “All machines” and “Everyone”.")
        form.add_error("where", text)
        return None
    session = before.session
    return {
        "kind": kind,
        "session": session,
        "who": names.people([session.used_by]).get(session.used_by, session.used_by),
        "machine": str(session.machine or session.gate),
        **_price(found, after.rated),
        "before": Money.of(found).minor(before.rated.amount_minor),
        "before_class": labels.class_name(before.rated.kind),
        "difference": Money.of(found).difference(after.rated.amount_minor - before.rated.amount_minor),
    }


def _price(found: BillingTerms, rated: Rated) -> dict[str, Any]:
    return {
        "steps": step_rows(rated, found),
        "amount": Money.of(found).minor(rated.amount_minor) if rated.price is not None else "",
        "class": labels.class_name(rated.kind),
        "is_billed": rated.kind == rating.BILLED,
    }


def _months(today: date) -> Iterator[date]:
    """Yield the first days of the latest months, the newest first."""
    month = today.replace(day=1)
    for _number in range(_MONTHS):
        yield month
        month = (month - timedelta(days=1)).replace(day=1)
