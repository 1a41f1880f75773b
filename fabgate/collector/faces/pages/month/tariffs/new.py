"""Adds a rule, or the successor of one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _

from fabgate.collector.faces.pages import own_money
from fabgate.collector.faces.pages.access_control import account_of, see_other
from fabgate.collector.faces.pages.billing_terms import terms_or_404
from fabgate.collector.faces.pages.month.difference import unless_seen
from fabgate.collector.faces.pages.month.tab import render_page
from fabgate.collector.faces.pages.month.tariffs.listing import place_title
from fabgate.collector.faces.pages.month.tariffs.rule_form import RuleForm, initial_of, initial_typed
from fabgate.collector.ground.formats import date_format
from fabgate.collector.ground.models import BillingTerms, TariffRule
from fabgate.collector.money.billing import rule_store, terms, trial

#: The name of the button that asks for one more row of peak hours.
_ROW = "row"


def new(request: HttpRequest) -> HttpResponse:
    """Show the form of a new rule; add it. With ``?from=N`` it starts with the values of rule N."""
    found, change = terms_or_404(), None
    if request.method == "POST" and _ROW not in request.POST:
        form = RuleForm(found, request.POST)
        if form.is_valid():
            own_money.refuse_plan(request, form.rule().plan)
            change = _difference(request, form, found)
            if change is None and _added(request, form, found):
                return see_other(reverse("month-tariffs"))
    elif request.method == "POST":
        form = RuleForm(found, initial=initial_typed(request.POST))
    else:
        form = RuleForm(found, initial=_initial(request, found))
    shown = {"form": form, "before": _before(request), "difference": change}
    return render_page(request, "rule.html", found, shown, status=400 if form.is_bound and not change else 200)


def _difference(request: HttpRequest, form: RuleForm, found: BillingTerms) -> dict[str, Any] | None:
    """Return what the rule changes in open months, unless that was shown before. A day that is refused changes nothing."""
    since = form.cleaned_data["since"]
    if since < (terms.first_open_day() or since):
        return None
    return unless_seen(request, found, trial.of_rule(found, replace(form.rule(), valid_from=since)))


def _initial(request: HttpRequest, found: BillingTerms) -> dict[str, Any]:
    before = _before(request)
    if before is not None:
        today = max(terms.today(found), found.first_month)
        since = max(terms.next_month(today), terms.next_month(before.valid_from))
        return {**initial_of(terms.rule_of(before)), "since": since}
    return initial_typed(request.GET)


def _before(request: HttpRequest) -> TariffRule | None:
    """Return the rule of which a successor is made."""
    pk = request.GET.get("from", "")
    if not (pk.isascii() and pk.isdigit() and len(pk) < 19):
        return None
    return TariffRule.objects.select_related("machine", "plan").filter(pk=int(pk)).first()


def _added(request: HttpRequest, form: RuleForm, found: BillingTerms) -> bool:
    """Store the rule; return False, with an error in the form, if one for the same begins on the same day, or in a closed month."""
    rule = form.unsaved()
    try:
        rule_store.add(rule, account_of(request).name)
    except rule_store.SameDayError:
        text = _("Another rule for the same machines and plan begins on this day. Choose another day.")
        form.add_error("since", text)
        return False
    except rule_store.ClosedMonthError as error:
        form.add_error("since", str(error))
        return False
    titles = {rule.machine.name: str(rule.machine)} if rule.machine else {}
    where = place_title(rule.machine.name if rule.machine else "", rule.category, titles)
    day = date_format(rule.valid_from, "DATE_FORMAT")
    messages.success(request, _("%(where)s: new price from %(day)s.") % {"where": where, "day": day})
    if rule.valid_from < terms.today(found):
        text = _("Sessions since %(day)s that are not charged yet have the new price too.")
        messages.warning(request, text % {"day": day})
    return True
