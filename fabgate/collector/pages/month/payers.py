"""What one payer's sessions of a month come to, and what one session costs, step by step."""

from __future__ import annotations

from typing import Any, NamedTuple

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse

from fabgate.collector.billing import explain, rating, terms
from fabgate.collector.billing import month as months
from fabgate.collector.billing.month import Sum
from fabgate.collector.billing.rating import Rated
from fabgate.collector.models import BillingTerms, Machine
from fabgate.collector.pages.lists.numbered import numbered_page
from fabgate.collector.pages.month import labels
from fabgate.collector.pages.month.amounts import Money
from fabgate.collector.pages.month.overview import neighbours
from fabgate.collector.pages.month.tab import month_of, render_page, terms_or_404
from fabgate.collector.pages.month.tariffs import words
from fabgate.collector.pages.use import names


def payer(request: HttpRequest, pk: str) -> HttpResponse:
    """List the sessions of a month that a payer pays for."""
    found = terms_or_404()
    first, money = month_of(request, found), Money.of(found)
    rules = terms.for_rating(found)
    rated = rating.rate([facts for _payer, facts in months.sessions(first, rules.zone, payers=[pk])], rules)
    total = Sum()
    for one in rated:
        total = total.plus(one)
    page = numbered_page(rated, request.GET)
    called = names.people({pk, *(one.facts.user for one in page.rows)})
    titles = dict(Machine.objects.values_list("name", "title"))
    shown = {
        "month": first,
        **neighbours(first, found),
        "payer": pk,
        "name": called[pk],
        "total": total,
        "amount": money.minor(total.amount_minor),
        "page": page,
        "rows": [_row(one, called, titles, pk, money) for one in page.rows],
        "has_others": any(one.facts.user != pk for one in rated),
    }
    return render_page(request, "payer.html", found, shown)


def _row(one: Rated, called: dict[str, str], titles: dict[str, str], payer: str, money: Money) -> dict[str, Any]:
    facts = one.facts
    return {
        "start": facts.start,
        "end": facts.end,
        "user": called.get(facts.user, facts.user) if facts.user != payer else "",
        "machine": titles.get(facts.machine) or facts.machine,
        "counted_ms": facts.counted_ms,
        "class": labels.class_name(one.kind),
        "amount": money.minor(one.amount_minor) if one.price is not None else "",
        "url": reverse("month-session", args=[facts.session]),
    }


class StepRow(NamedTuple):
    """A step for a page: its words, and its amount with a sign."""

    words: str
    amount: str


def step_rows(rated: Rated, found: BillingTerms) -> list[StepRow]:
    """Return the steps of a session's price."""
    rows = []
    for step in explain.steps(rated, terms.zone(found)):
        amount = ""
        if step.change is not None:
            amount = explain.exact(step.change) if step.total is None else explain.signed(step.change)
        rows.append(StepRow(step.words, amount))
    return rows


def session(request: HttpRequest, pk: str) -> HttpResponse:
    """Explain what a session costs."""
    found = terms_or_404()
    one = months.rate_one(pk, terms.for_rating(found))
    if one is None or one.session.ended_at is None:
        raise Http404
    money = Money.of(found)
    first = one.session.ended_at.astimezone(terms.zone(found)).date().replace(day=1)
    called = names.people({one.payer, one.session.used_by})
    rule = one.rated.rule
    shown = {
        "one": one.session,
        "month": first,
        "is_before_start": first < found.first_month,
        "who": called.get(one.session.used_by, one.session.used_by),
        "payer": one.payer,
        "payer_name": called.get(one.payer, one.payer),
        "machine": str(one.session.machine or one.session.gate),
        "class": labels.CLASSES[one.rated.kind],
        "kind": one.rated.kind,
        "plan": one.rated.facts.plan,
        "steps": step_rows(one.rated, found),
        "amount": money.minor(one.rated.amount_minor) if one.rated.price is not None else "",
        "rule": words.of(rule.tariff, rule.purposes, rule.vat_code, money) if rule is not None else [],
        "rule_id": rule.id if rule is not None else None,
    }
    return render_page(request, "session.html", found, shown)
