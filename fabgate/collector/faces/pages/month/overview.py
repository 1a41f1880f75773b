"""The month: what all sessions come to, by class and by payer, and what is still open."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, timedelta
from typing import Any, Final

from django import forms
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from fabgate.collector.faces.pages.access_control import see_other
from fabgate.collector.faces.pages.lists.numbered import numbered_page
from fabgate.collector.faces.pages.lists.sorting import Sorting
from fabgate.collector.faces.pages.month import behind, vat
from fabgate.collector.faces.pages.month.decisions import closing_of
from fabgate.collector.faces.pages.month.tab import month_of, render_page
from fabgate.collector.faces.pages.words import names
from fabgate.collector.ground.base.search_key import folded
from fabgate.collector.ground.db import statements
from fabgate.collector.ground.models import BillingTerms, ClosedMonth, Payer
from fabgate.collector.members.people.display_names import account_names
from fabgate.collector.money.billing import rating, summary, terms
from fabgate.collector.money.billing.month import Sum
from fabgate.collector.money.billing.statements import archive
from fabgate.collector.money.billing.vat import amounts, months, rates
from fabgate.collector.money.paper.figures import Money, count
from fabgate.collector.money.paper.statements import labels

#: Column -> its value, in the list of payers.
_SORTS: Final[Mapping[str, Callable[[dict[str, Any]], Any]]] = {
    "name": lambda row: folded(row["name"]),
    "-sessions": lambda row: row["sum"].sessions,
    "-time": lambda row: row["sum"].counted_ms,
    "-amount": lambda row: row["sum"].amount_minor,
}


class FindForm(forms.Form):
    """The search in the list of payers."""

    q = forms.CharField(
        label=gettext_lazy("Name or number"),
        max_length=100,
        required=False,
        widget=forms.TextInput({"type": "search", "autocomplete": "off", "spellcheck": "false"}),
    )


def month(request: HttpRequest) -> HttpResponse:
    """Show a month."""
    found = terms.started()
    if found is None:
        return see_other(reverse("month-start"))
    first = month_of(request, found, to_close=terms.first_open_day() or found.first_month)
    waiting = behind.shown(first)
    sums, money = summary.of(first), Money.of(found)
    closing = closing_of(first, found)
    closed: ClosedMonth | None = closing["closed"]
    sorting = Sorting(request.GET, tuple(_SORTS), "-amount")
    classes, by_payer = sums.classes, sums.by_payer
    whole, n_lines = summary.added(classes.values()), sum(sums.lines.values())
    called = {"": _("unknown"), **names.people(by_payer)}
    unaddressed = set() if closed else _without_address(by_payer)
    form = FindForm(request.GET)
    sought = form.cleaned_data["q"].strip() if form.is_valid() else ""
    is_short = request.GET.get("without") == "address"
    payers: list[dict[str, Any]] = [
        {"payer": payer, "name": called[payer], "sum": total}
        for payer, total in by_payer.items()
        if (payer in unaddressed or not is_short) and _is_found(payer, called[payer], sought)
    ]
    page = numbered_page(sorting.sorted(payers, _SORTS), request.GET)
    split = months.by_payer(first)
    has_gross = found.includes_vat is False and bool(rates.known())
    for row in page.rows:
        gross_minor = split.get(row["payer"], amounts.NOTHING).gross_minor
        row["gross"] = "" if gross_minor is None else money.minor(gross_minor)
        row["amount"] = money.minor(row["sum"].amount_minor)
        row["sessions"] = _number(row["sum"], sums.lines.get(row["payer"], 0))
        if row["payer"]:
            row["url"] = f"{reverse('month-payer', args=[row['payer']])}?month={first:%Y-%m}"
    still_open = _open(classes, closing["gates"])
    still_open["without_rate"] = [vat.name_of(code) for code in closing["left"].without_rate]
    still_open["unaddressed"] = len(unaddressed)
    shown = {
        **waiting,
        "month": first,
        **neighbours(first, found),
        "archive": [*closed.archive.items(), (archive.names_file(first), "")] if closed and closed.archive else [],
        "closed_by": account_names([closed.closed_by])[closed.closed_by] if closed else "",
        "classes": [_class(kind, total, money, n_lines) for kind, total in classes.items() if total != Sum()],
        "whole": whole,
        "sessions": _number(whole, n_lines),
        "total": money.minor(whole.amount_minor),
        "vat": vat.shown_of(amounts.together(split.values()), found),
        "has_gross": has_gross,
        "page": page,
        "payers": len(payers),
        "form": form,
        "sought": sought,
        "is_short": is_short,
        "sorting": sorting,
        "open": still_open,
        "is_anything_open": bool(closing["to_close_before"] or closing["left"] or any(still_open.values())),
        **closing,
    }
    return render_page(request, "month.html", found, shown)


def neighbours(first: date, found: BillingTerms) -> dict[str, date | None]:
    """Return the months before and after that can be shown."""
    before, after = (first - timedelta(days=1)).replace(day=1), terms.next_month(first)
    return {
        "month_before": before if before >= found.first_month else None,
        "month_after": after if after <= terms.today(found) else None,
    }


def _class(kind: str, total: Sum, money: Money, n_lines: int) -> dict[str, Any]:
    name, text = labels.CLASSES[kind]
    is_priced = kind in {rating.BILLED, rating.FREE, rating.GRACE, summary.LINE}
    return {
        "name": name,
        "text": text,
        "sum": total,
        "sessions": _number(total, n_lines if kind == summary.LINE else 0),
        "has_time": kind != summary.LINE,
        "amount": money.minor(total.amount_minor) if is_priced else "",
    }


def _number(total: Sum, n_lines: int) -> str:
    """Return how many sessions a sum has, and how many lines, which are not sessions: 3 + 2 lines."""
    lines = ngettext("%(n)d line", "%(n)d lines", n_lines) % {"n": n_lines}
    if not n_lines:
        return count(total.sessions)
    return f"{count(total.sessions)} + {lines}" if total.sessions else lines


def _is_found(payer: str, name: str, sought: str) -> bool:
    """Return whether a payer has what was typed in their name, or as their number."""
    return folded(sought) in folded(name) or sought.casefold() == payer.casefold()


def _without_address(by_payer: Mapping[str, Sum]) -> set[str]:
    """Return the payers who owe something, and whose statement would have no postal address."""
    owing = sorted(payer for payer, total in by_payer.items() if payer and total.amount_minor > 0)
    return {*owing} - {payer for (payer,) in statements.rows_among(Payer.objects.exclude(address=""), "pk", owing)}


def _open(classes: Mapping[str, Sum], gates: list[str]) -> dict[str, Any]:
    """Return what has to be settled before the amounts are final."""
    return {
        "reviews": classes[rating.IN_REVIEW].sessions,
        "without_tariff": classes[rating.NO_TARIFF].sessions,
        "gates": gates,
    }
