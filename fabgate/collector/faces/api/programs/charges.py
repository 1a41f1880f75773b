"""Charges for billing programs: the final ones of closed months, from where the program stopped, and those of any month.

The final ones form a list that only grows, month by month, and has a cursor. Those of an open month are replaced at every
change, so their list has pages, but no place to which a program could come back later (decision 98).
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Final, NamedTuple

from django.http import HttpRequest
from ninja import Field, Query, Schema

from fabgate.collector.faces.api.programs import cursors, money, rows
from fabgate.collector.faces.api.programs.cursors import CURSOR, END
from fabgate.collector.faces.api.programs.interface import CHARGES_READ, MONTH, MOST, Key, answers, api
from fabgate.collector.ground.models import Charge, ClosedMonth, ManualLine
from fabgate.collector.members.people.display_names import names_of
from fabgate.collector.money.billing.charges import refresh
from fabgate.collector.money.billing.charges.record import Record

#: Where a page of a month ends: after a charge, or after a line.
PAGE: Final = r"^(?:0|[0-9a-f-]{36}|line-[0-9]{1,18})$"
_LINE: Final = "line-"


class Charges(Schema):
    """Charges and lines of one closed month."""

    currency: str | None = money.CURRENCY
    digits: int | None = money.DIGITS
    includes_vat: bool | None = money.INCLUDES_VAT
    charges: list[rows.ChargeRow]
    lines: list[rows.LineRow]
    closed: rows.MonthClosed | None = Field(
        description="Set in the last answer of a month, which is then complete. Null: more of this month follows, or"
        " nothing is new."
    )
    next: str = Field(pattern=CURSOR, description="The value of after= for the next request.")
    more: bool = Field(description="Whether there is already more.")


class MonthCharges(Schema):
    """Charges and lines of one month as they are now."""

    currency: str | None = money.CURRENCY
    digits: int | None = money.DIGITS
    includes_vat: bool | None = money.INCLUDES_VAT
    final: bool = Field(description="Whether the month is closed; otherwise everything in it may be replaced.")
    position: int = money.POSITION
    not_charged_since: datetime | None = money.NOT_CHARGED_SINCE
    charges: list[rows.ChargeRow]
    lines: list[rows.LineRow]
    next_page: str | None = Field(description="The value of page= for the next request; null after the last page.")


@api.get(
    "/charges",
    url_name="api-charges",
    operation_id="charges",
    auth=Key(CHARGES_READ),
    response=answers(Charges, has_cursor=True),
    summary="Final charges, reversals and lines, month by month as they are closed",
)
def charges(
    request: HttpRequest,  # noqa: ARG001 (ninja's signature)
    after: Annotated[str, Query(pattern=CURSOR, description="`next` of the previous answer; 0 at first.")] = "0",
    limit: Annotated[int, Query(ge=1, le=MOST, description="The largest number of charges and lines.")] = 500,
) -> dict[str, Any]:
    """Return what comes after `after`, of one month at most."""
    month, place = cursors.parsed(after, PAGE)
    if month is None:
        return {**money.terms_of_money(), "charges": [], "lines": [], "closed": None, "next": after, "more": False}
    page = _page(month.month, place, limit)
    return {
        **money.terms_of_money(),
        **_shown(page),
        "closed": rows.month_row(month) if page.is_last else None,
        "next": cursors.cursor(month, END if page.is_last else page.place),
        "more": not page.is_last or cursors.has_more(month),
    }


@api.get(
    "/charges/month",
    url_name="api-month-charges",
    operation_id="monthCharges",
    auth=Key(CHARGES_READ),
    response=answers(MonthCharges, has_cursor=False),
    summary="The charges and lines of one month as they are now, also if it is open",
)
def month_charges(
    request: HttpRequest,  # noqa: ARG001 (ninja's signature)
    month: Annotated[str, Query(pattern=MONTH, description="The month in which they are charged, such as 2027-01.")],
    page: Annotated[str, Query(pattern=PAGE, description="`next_page` of the previous answer; 0 at first.")] = "0",
    limit: Annotated[int, Query(ge=1, le=MOST, description="The largest number of charges and lines.")] = 500,
) -> dict[str, Any]:
    """Return one page. If charges change between two pages, a charge may be missing or appear twice."""
    first, progress = cursors.first_day(month), money.progress()
    found = _page(first, "" if page == "0" else page, limit)
    return {
        **money.terms_of_money(),
        **_shown(found),
        "final": ClosedMonth.objects.filter(month=first).exists(),
        **progress,
        "next_page": None if found.is_last else found.place,
    }


class _Page(NamedTuple):
    """Some charges and lines of a month, and the place behind them."""

    charges: list[Record]
    lines: list[ManualLine]
    place: str
    is_last: bool


def _page(first: date, place: str, limit: int) -> _Page:
    """Return what follows in a month: its charges in the order of their ids, then its lines in that of their numbers."""
    found: list[Record] = []
    lines = ManualLine.objects.filter(month=first).order_by("pk")
    if place.startswith(_LINE):
        lines = lines.filter(pk__gt=int(place.removeprefix(_LINE)))
    else:
        own = Charge.objects.filter(month=first, pk__gt=place).order_by("pk")
        found = list(refresh.records(own[: limit + 1]))
    if len(found) > limit:
        return _Page(found[:limit], [], found[limit - 1].id, is_last=False)
    some = list(lines[: limit + 1 - len(found)])
    if len(found) + len(some) <= limit:
        return _Page(found, some, END, is_last=True)
    some.pop()
    return _Page(found, some, f"{_LINE}{some[-1].pk}" if some else found[-1].id, is_last=False)


def _shown(page: _Page) -> dict[str, Any]:
    months = {month for one in page.charges for month in (one.month, one.of_month)} | {one.month for one in page.lines}
    closed = {one.month: one for one in ClosedMonth.objects.filter(month__in=months)}
    names = names_of(one.used_by for one in page.charges)
    return {
        "charges": rows.charge_rows(page.charges, closed, names),
        "lines": rows.line_rows(page.lines, closed),
    }
