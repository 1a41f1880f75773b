"""What one payer is charged in a month, and what one session costs, step by step."""

from __future__ import annotations

from typing import Any, NamedTuple

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse

from fabgate.collector.faces.pages.access_control import account_of
from fabgate.collector.faces.pages.billing_terms import terms_or_404
from fabgate.collector.faces.pages.contested import marks
from fabgate.collector.faces.pages.contests import evidence
from fabgate.collector.faces.pages.lists.numbered import numbered_page
from fabgate.collector.faces.pages.month import behind, vat
from fabgate.collector.faces.pages.month.overview import neighbours
from fabgate.collector.faces.pages.month.tab import month_of, render_page
from fabgate.collector.faces.pages.roles import self_and_groups
from fabgate.collector.faces.pages.words import names, tariff_phrases
from fabgate.collector.ground.models import BillingTerms, Charge, Contest, Machine, ManualLine
from fabgate.collector.money.billing import explain, summary, terms
from fabgate.collector.money.billing import month as months
from fabgate.collector.money.billing.charges import history
from fabgate.collector.money.billing.rating import Rated
from fabgate.collector.money.billing.vat import amounts
from fabgate.collector.money.billing.vat.months import by_payer, without_rate
from fabgate.collector.money.paper.figures import Money
from fabgate.collector.money.paper.statements import labels


def payer(request: HttpRequest, pk: str) -> HttpResponse:
    """List what a payer is charged in a month: sessions, and lines for everything else."""
    found = terms_or_404()
    first, money = month_of(request, found), Money.of(found)
    waiting = behind.shown(first)
    found_sums = summary.of(first)
    sums = found_sums.payers.get(pk, {})
    charges, lines = Charge.objects.filter(month=first, payer=pk), ManualLine.objects.filter(month=first, payer=pk)
    rows: list[Charge | ManualLine] = [
        *sorted(charges, key=lambda charge: (charge.started_at or charge.ended_at, charge.session, charge.reverses)),
        *sorted(lines, key=lambda line: (line.day, line.at, line.pk)),
    ]
    page = numbered_page(rows, request.GET)
    users = set(charges.exclude(used_by=pk).values_list("used_by", flat=True))
    called = names.people({pk, *users})
    titles = dict(Machine.objects.values_list("name", "title"))
    total = summary.added(sums.values())
    marked = {
        Charge: marks(Contest.SESSION, [row.session for row in page.rows if isinstance(row, Charge)]),
        ManualLine: marks(Contest.LINE, [row.pk for row in page.rows if isinstance(row, ManualLine)]),
    }
    shown = {
        **waiting,
        "month": first,
        **neighbours(first, found),
        "payer": pk,
        "name": called[pk],
        "total": total,
        "n_lines": found_sums.lines.get(pk, 0),
        "amount": money.minor(total.amount_minor),
        "vat": vat.shown_of(by_payer(first, payer=pk).get(pk, amounts.NOTHING), found),
        "without_rate": [vat.name_of(code) for code in without_rate(first, payer=pk)],
        "page": page,
        "rows": [
            {**_charge(row, called, titles, money), "mark": marked[Charge].get(row.session)}
            if isinstance(row, Charge)
            else {**_line(row, money), "mark": marked[ManualLine].get(str(row.pk))}
            for row in page.rows
        ],
        "has_others": bool(users),
        "is_own": pk in self_and_groups(account_of(request)),
    }
    return render_page(request, "payer.html", found, shown)


def _charge(charge: Charge, called: dict[str, str], titles: dict[str, str], money: Money) -> dict[str, Any]:
    return {
        "start": charge.started_at,
        "end": charge.ended_at,
        "user": called.get(charge.used_by, charge.used_by) if charge.used_by != charge.payer else "",
        "machine": titles.get(charge.machine) or charge.machine,
        "counted_ms": charge.counted_ms,
        "class": labels.charge_name(charge),
        "amount": money.minor(charge.amount_minor) if charge.terms_id else "",
        "url": reverse("month-session", args=[charge.session]),
    }


def _line(line: ManualLine, money: Money) -> dict[str, Any]:
    """Return a line; it can be removed until its month is closed."""
    is_open = line.month >= (terms.first_open_day() or line.month)
    return {
        "text": line.text,
        "day": line.day,
        "amount": money.minor(line.amount_minor),
        "remove": line.pk if is_open else None,
    }


class StepRow(NamedTuple):
    """A step for a page: its words, and its amount with a sign."""

    words: str
    amount: str


def step_rows(rated: Rated, found: BillingTerms) -> list[StepRow]:
    """Return the steps of a session's price."""
    rows, money = [], Money.of(found)
    for step in explain.steps(rated, terms.zone(found), money.amount):
        amount = ""
        if step.change is not None:
            amount = explain.exact(step.change, money.amount)
            if step.total is not None and step.change > 0:
                amount = f"+{amount}"
        rows.append(StepRow(step.words, amount))
    return rows


def session(request: HttpRequest, pk: str) -> HttpResponse:
    """Explain what a session costs."""
    found = terms_or_404()
    waiting = behind.shown()
    one = months.rate_one(pk, terms.for_rating(found))
    if one is None or one.session.ended_at is None:
        raise Http404
    charged = history.of(pk)
    is_as_charged, applied = charged.is_as(one.rated), charged.applied
    money = Money.of(found)
    first = one.session.ended_at.astimezone(terms.zone(found)).date().replace(day=1)
    called = names.people({one.payer, one.session.used_by, *(charge.payer for charge in charged.charges)})
    rule = one.rated.rule
    shown = {
        **waiting,
        "one": one.session,
        "month": first,
        "is_before_start": first < found.first_month,
        "who": called.get(one.session.used_by, one.session.used_by),
        "payer": one.payer,
        "payer_name": called.get(one.payer, one.payer),
        "machine": str(one.session.machine or one.session.gate),
        "class": labels.CLASSES[applied.kind if applied else one.rated.kind],
        "kind": one.rated.kind,
        "plan": applied.plan if applied else one.rated.facts.plan,
        "is_as_charged": is_as_charged,
        "mark": marks(Contest.SESSION, [pk]).get(pk),
        **evidence.of(one.session),
        "is_own": not self_and_groups(account_of(request)).isdisjoint(one.session.people),
        "steps": step_rows(one.rated, found),
        "charges": [
            {
                "month": charge.month,
                "payer": called.get(charge.payer, charge.payer),
                "class": labels.charge_name(charge),
                "amount": money.minor(charge.amount_minor),
            }
            for charge in charged.charges
        ]
        if len(charged.charges) > 1 or not is_as_charged
        else [],
        "amount": money.minor(one.rated.amount_minor) if one.rated.price is not None else "",
        "rule": tariff_phrases.of(rule.tariff, rule.purposes, rule.vat_code, money) if rule is not None else [],
        "rule_id": rule.id if rule is not None else None,
    }
    return render_page(request, "session.html", found, shown)
