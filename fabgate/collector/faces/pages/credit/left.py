"""Remaining credit: of people who left, of closed groups and organisations, and of payers who no longer prepay."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _

from fabgate.collector.faces.pages.access_control import account_of
from fabgate.collector.faces.pages.billing_terms import terms_or_404
from fabgate.collector.faces.pages.lists.numbered import numbered_page
from fabgate.collector.faces.pages.month import behind
from fabgate.collector.faces.pages.roles import self_and_groups
from fabgate.collector.faces.pages.words import names
from fabgate.collector.ground.base.search_key import folded
from fabgate.collector.ground.db import statements
from fabgate.collector.ground.models import Group, Member, Payer
from fabgate.collector.money.billing import terms
from fabgate.collector.money.billing.prepaid import balances, if_accepted, modes
from fabgate.collector.money.paper.figures import Money


def left(request: HttpRequest) -> HttpResponse:
    """List the payers who have credit, and have left, ended, or no longer prepay."""
    found = terms_or_404()
    waiting = behind.shown()
    today, money, known = terms.today(found), Money.of(found), modes.Modes.now()
    held = {payer: amount for payer, amount in balances.all_of().items() if amount > 0}
    gone = _gone(list(held), today)
    gone |= {
        payer: _("No longer prepays")
        for payer in held.keys() - gone
        if not modes.may_be_credited_by(known, payer, today)
    }
    called = names.people(gone)
    rows: list[dict[str, Any]] = [
        {"payer": payer, "name": called.get(payer, payer), "why": why, "amount_minor": held[payer]}
        for payer, why in gone.items()
    ]
    more = if_accepted.more_of(gone)
    for row in rows:
        if row["payer"] in more:
            row["accepted"] = money.minor(row["amount_minor"] - more[row["payer"]])
    page = numbered_page(sorted(rows, key=lambda row: (folded(row["name"]), row["payer"])), request.GET)
    own = self_and_groups(account_of(request))
    for row in page.rows:
        row |= {"amount": money.minor(row["amount_minor"]), "is_own": row["payer"] in own}
    total = money.minor(sum(held[payer] for payer in gone))
    return render(
        request, "credit/left.html", {"terms": found, **waiting, "page": page, "rows": page.rows, "total": total}
    )


def _gone(payers: list[str], today: Any) -> dict[str, str]:
    """Return why payers use nothing any more, by payer."""
    found: dict[str, str] = {}
    rows = statements.rows_among(Member.objects.filter(left_on__lte=today), "pk", payers, "left_on")
    found |= {pk: _("Left") for pk, _day in rows}
    for group in Group.objects.filter(ended_on__lte=today):
        if group.roster_id in payers:
            found[group.roster_id] = _("Closed")
    for pk in Payer.organisations().exclude(ended_on=None).values_list("pk", flat=True):
        if pk in payers:
            found[pk] = _("Closed")
    return found
