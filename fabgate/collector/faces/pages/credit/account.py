"""What pages show of a payer's credit: the balance, whether it is low, and each entry with the balance after it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

from django.db.models import Q, Sum
from django.http import QueryDict
from django.utils.text import capfirst
from django.utils.translation import gettext as _

from fabgate.collector.faces.pages import contested, rights
from fabgate.collector.faces.pages.lists import keyset
from fabgate.collector.faces.pages.lists.keyset import Key, Page
from fabgate.collector.faces.pages.month import behind
from fabgate.collector.faces.pages.roles import self_and_groups
from fabgate.collector.ground.formats import date_format
from fabgate.collector.ground.models import Account as Viewer
from fabgate.collector.ground.models import BillingTerms, Contest, Payer, PrepaidEntry
from fabgate.collector.members.people.display_names import account_names
from fabgate.collector.money.billing import terms
from fabgate.collector.money.billing.paying import payers
from fabgate.collector.money.billing.prepaid import balances, modes, standing
from fabgate.collector.money.paper.figures import Money

_KINDS = dict(PrepaidEntry.KINDS)
_METHODS = dict(PrepaidEntry.METHODS)


@dataclass(frozen=True, slots=True)
class Credit:
    """A payer's credit now. Amounts are texts; `state` and `word` are a chip, empty if all is well."""

    payer: Payer
    balance_minor: int
    balance: str
    #: If each session in review were accepted; "" where that is the same.
    accepted: str
    refundable_minor: int
    #: Whether a manager has admitted the payer until these sessions are decided, and whether that is possible now.
    is_admitted: bool
    may_be_admitted: bool
    prepays: bool
    may_be_credited: bool
    state: str
    word: str
    #: By how much the balance may be below 0; "" for not at all.
    overdraft: str

    @property
    def has_ended(self) -> bool:
        """Return whether it is an organisation that no longer pays."""
        return self.payer.ended_on is not None


def credit_of(pk: str) -> Credit | None:
    """Return the credit of a payer as far as charges follow the ledger; None if no payer prepays, or the payer is unknown."""
    found = terms.started()
    if found is None or not modes.are_in_use() or (payer := payers.get(pk)) is None:
        return None
    today, money, held = terms.today(found), Money.of(found), standing.figures(pk)
    prepays, overdraft, balance = modes.Modes.now().prepays(pk, today), standing.overdraft_minor(pk), held.balance_minor
    state, word = _chip(held.at_gates_minor, overdraft, found) if prepays else ("", "")
    return Credit(
        payer=payer,
        balance_minor=balance,
        balance=money.minor(balance),
        accepted=money.minor(held.accepted_minor) if held.accepted_minor != balance else "",
        refundable_minor=held.refundable_minor,
        is_admitted=held.at_gates_minor != held.accepted_minor,
        may_be_admitted=prepays and held.at_gates_minor + overdraft <= 0 < balance + overdraft,
        prepays=prepays,
        may_be_credited=prepays or balance < 0 or modes.may_be_credited(pk, today),
        state=state,
        word=word,
        overdraft=money.minor(overdraft) if overdraft else "",
    )


def card_of(payer: str, viewer: Viewer, *, user: str = "") -> dict[str, Any]:
    """Return what the card needs on the page of `user`, or of the payer: templates/credit/card.html."""
    may_read = rights.may(viewer.role, "people-credit")
    waiting = behind.shown() if may_read else {}
    return {
        **waiting,
        "credit": credit_of(payer) if may_read else None,
        "credit_is_own": payer in self_and_groups(viewer),
        "paid_by_other": bool(user) and user != payer,
    }


def _chip(balance: int, overdraft: int, found: BillingTerms) -> tuple[str, str]:
    if balance + overdraft <= 0:
        return "bad", _("Out of credit")
    if standing.is_low(balance, found):
        return "warn", _("Low credit")
    return "", ""


@dataclass(frozen=True, slots=True)
class Account:
    """A page of a payer's entries, newest first, and the charges that are not in the ledger yet."""

    page: Page[PrepaidEntry]
    rows: list[dict[str, Any]]
    #: On the first page: open months, with their totals so far.
    open_months: list[dict[str, Any]]
    balance: str


def account_of_payer(pk: str, found: BillingTerms, query: QueryDict, day: date | None = None) -> Account:
    """Return a page of the entries of a payer, up to a day."""
    money, entries = Money.of(found), PrepaidEntry.objects.filter(payer=pk)
    until = entries if day is None else entries.filter(day__lte=day)
    page = keyset.page(until.select_related("takes_back"), _NEWEST_FIRST, query, within=entries)
    after = _sum_up_to(entries, page.rows[0]) if page.rows else 0
    taken_back = set(entries.filter(takes_back__in=[row.pk for row in page.rows]).values_list("takes_back", flat=True))
    marks = contested.marks(Contest.ENTRY, [row.pk for row in page.rows])
    called, rows = account_names(row.author for row in page.rows), []
    for row in page.rows:
        rows.append(
            {
                "entry": row,
                "what": entry_name(row),
                "method": _METHODS.get(row.method, ""),
                "amount": money.difference(row.amount_minor),
                "balance": money.minor(after),
                "by": called.get(row.author, row.author),
                "is_taken_back": row.pk in taken_back,
                "mark": marks.get(str(row.pk)),
                "is_paid": row.kind != PrepaidEntry.USED,
            }
        )
        after -= row.amount_minor
    return Account(
        page,
        rows,
        [] if page.before else _open_months(pk, money, day),
        money.minor(balances.of(pk, day)),
    )


#: Entries are read by this order, so their balances are sums up to a row.
_NEWEST_FIRST = [Key("day", is_descending=True), Key("pk", is_descending=True)]


def entry_name(entry: PrepaidEntry) -> str:
    """Return the name of an entry: its kind, or the month that it settles."""
    return month_name(entry.day) if entry.kind == PrepaidEntry.USED else str(_KINDS[entry.kind])


def month_name(day: date) -> str:
    """Return a month as ``January 2027``."""
    return capfirst(date_format(day, "F Y"))


def _sum_up_to(entries: Any, row: PrepaidEntry) -> int:
    found = entries.filter(Q(day__lt=row.day) | Q(day=row.day, pk__lte=row.pk))
    return int(found.aggregate(sum=Sum("amount_minor"))["sum"] or 0)


def _open_months(pk: str, money: Money, day: date | None) -> list[dict[str, Any]]:
    return [
        {"month": one.month, "name": month_name(one.month), "amount": money.difference(-one.amount_minor)}
        for one in sorted(balances.provisional([pk], day), key=lambda one: one.month, reverse=True)
        if one.payer == pk and one.amount_minor
    ]
