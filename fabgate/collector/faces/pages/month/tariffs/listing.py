"""Lists the rules in force and to come by place, and what they leave out; removes a rule that does not apply yet."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _

from fabgate.collector.faces.pages import errors, own_money
from fabgate.collector.faces.pages.access_control import account_of, see_other
from fabgate.collector.faces.pages.billing_terms import terms_or_404
from fabgate.collector.faces.pages.month import vat
from fabgate.collector.faces.pages.month.tab import render_page
from fabgate.collector.faces.pages.words import tariff_phrases
from fabgate.collector.ground.formats import date_format
from fabgate.collector.ground.models import BillingTerms, Machine, TariffRule
from fabgate.collector.money.billing import rule_store, terms
from fabgate.collector.money.billing.tariffs import coverage
from fabgate.collector.money.billing.tariffs.rules import Rule
from fabgate.collector.money.paper.figures import Money


@dataclass
class PlaceRules:
    """The rules for a machine, a category or all machines."""

    title: str
    note: str = ""
    current: list[dict[str, Any]] = field(default_factory=list)
    coming: list[dict[str, Any]] = field(default_factory=list)
    past: list[dict[str, Any]] = field(default_factory=list)


def tariffs(request: HttpRequest) -> HttpResponse:
    """List the rules by place."""
    found = terms_or_404()
    today = terms.today(found)
    machines = {machine.name: machine for machine in Machine.objects.all()}
    places = [
        coverage.MachineInCategory(machine.name, machine.category)
        for machine in machines.values()
        if machine.retired_at is None
    ]
    rules = terms.rules()
    titles = {name: str(machine) for name, machine in machines.items()}
    shown = {
        "places": _places(rules, titles, coverage.counting(places, terms.plans(), rules, today), found, today),
        "unpriced": [
            {"machine": titles[one.machine], "name": one.machine, "until": one.until, "plans": one.plans}
            for one in sorted(
                coverage.unpriced(places, rules, found.first_month), key=lambda one: titles[one.machine].casefold()
            )
        ],
        "has_rules": bool(rules),
        "has_vat": found.includes_vat is not None,
        "vat": vat.rows() if found.includes_vat is not None else [],
        "own_plans": own_money.plans_of(account_of(request)),
    }
    return render_page(request, "tariffs.html", found, shown)


def _places(
    rules: list[Rule], titles: dict[str, str], counting: Any, found: BillingTerms, today: date
) -> list[PlaceRules]:
    """Return the rules: those for all machines first, then categories, then machines."""
    money = Money.of(found)
    by_place: dict[tuple[str, str], list[Rule]] = defaultdict(list)
    for rule in rules:
        by_place[rule.machine, rule.category].append(rule)
    order = sorted(by_place, key=lambda key: (bool(key[0]), bool(key[1]), titles.get(key[0], key[1]).casefold()))
    answer = []
    for machine, category in order:
        place = PlaceRules(place_title(machine, category, titles))
        latest: dict[str, Rule] = {}
        for rule in sorted(by_place[machine, category], key=lambda rule: rule.valid_from):
            if rule.valid_from <= today:
                latest[rule.plan] = rule
        for rule in sorted(by_place[machine, category], key=lambda rule: (rule.plan, rule.valid_from)):
            row = {
                "rule": rule,
                "phrases": tariff_phrases.of(rule.tariff, rule.purposes, rule.vat_code, money),
                "is_unused": rule.valid_from <= today and rule.id not in counting,
            }
            if rule.valid_from > today:
                place.coming.append(row)
            elif latest[rule.plan] is rule:
                place.current.append(row)
            else:
                place.past.append(row)
        place.past.reverse()
        answer.append(place)
    return answer


def place_title(machine: str, category: str, titles: dict[str, str]) -> str:
    """Return the name of a place."""
    if machine:
        return titles.get(machine, machine)
    return _("Category: %(name)s") % {"name": category} if category else _("All machines")


def remove(request: HttpRequest, pk: int) -> HttpResponse:
    """Remove a rule that does not apply yet; the log keeps it."""
    found = terms_or_404()
    if (row := TariffRule.objects.filter(pk=pk).select_related("plan").first()) is not None and row.plan is not None:
        own_money.refuse_plan(request, row.plan.name)
    try:
        rule = rule_store.remove(pk, account_of(request).name, unless_begun_by=terms.today(found))
    except rule_store.HasBegunError:
        text = _("This rule applies already, so it cannot be removed. Set a new price that replaces it.")
        raise errors.Conflict(text) from None
    if rule is None:
        raise errors.Conflict(_("Someone else has already removed this."))
    text = _("The rule that would have begun on %(day)s is removed.")
    messages.success(request, text % {"day": date_format(rule.valid_from, "DATE_FORMAT")})
    return see_other(reverse("month-tariffs"))
