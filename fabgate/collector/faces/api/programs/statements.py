"""Statements for billing programs: what each payer is charged in a month, in total and by class."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Any, Final

from django.http import HttpRequest
from ninja import Field, Query, Schema

from fabgate.collector.faces.api.programs import cursors, money, rows
from fabgate.collector.faces.api.programs.cursors import CURSOR, END
from fabgate.collector.faces.api.programs.interface import CHARGES_READ, MONTH, MOST, Key, answers, api
from fabgate.collector.ground.models import ClosedMonth
from fabgate.collector.money.billing import summary
from fabgate.collector.money.billing.month import Sum
from fabgate.collector.money.billing.paying import payers
from fabgate.collector.money.billing.prepaid import balances
from fabgate.collector.money.billing.prepaid.settlement import Settled
from fabgate.collector.money.billing.statements.compose import number_of
from fabgate.collector.money.billing.vat import amounts, months
from fabgate.collector.money.billing.vat.amounts import Amounts

#: How many statements of the month come before.
PAGE: Final = r"^(?:0|[1-9][0-9]{0,8})$"


class ClassSum(Schema):
    """The sums of one class; a reversal subtracts its session."""

    kind: str = Field(description="The class of sessions, or line.", json_schema_extra={"enum": [*summary.CLASSES]})
    sessions: int
    counted_ms: int
    amount_minor: int


class VatSum(Schema):
    """The sums of one VAT code."""

    vat_code: str = Field(description="Empty for prices without a code.")
    vat_percent: str | None = money.VAT_PERCENT
    net_minor: int | None = money.NET
    vat_minor: int | None = money.VAT
    gross_minor: int | None = money.GROSS


class StatementRow(Schema):
    """The charges of one payer in one month."""

    number: str = Field(description="The number that is printed on the statement.")
    month: str
    payer: str = Field(description="A member's id, group:N, or payer:N for an organisation.")
    payer_name: str = money.PAYER_NAME
    sessions: int = Field(description="How many sessions are charged, also at 0; a reversal counts -1.")
    counted_ms: int
    charges_minor: int
    lines_minor: int
    amount_minor: int = Field(description="The total of charges and lines.")
    net_minor: int | None = money.NET
    vat_minor: int | None = money.VAT
    gross_minor: int | None = money.GROSS
    settlement: str = rows.SETTLEMENT
    due_minor: int = Field(
        description="What is due by statement: the amount, or of a payer who prepays only what corrects a month that was not."
    )
    classes: list[ClassSum]
    by_vat_code: list[VatSum]


class Statements(Schema):
    """Statements of one closed month, in the order of their payers' ids."""

    currency: str | None = money.CURRENCY
    digits: int | None = money.DIGITS
    includes_vat: bool | None = money.INCLUDES_VAT
    statements: list[StatementRow]
    closed: rows.MonthClosed | None = Field(description="Set in the last answer of a month, which is then complete.")
    next: str = Field(pattern=CURSOR, description="The value of after= for the next request.")
    more: bool = Field(description="Whether there is already more.")


class MonthStatements(Schema):
    """The statements of one month as they are now, in the order of their payers' ids."""

    currency: str | None = money.CURRENCY
    digits: int | None = money.DIGITS
    includes_vat: bool | None = money.INCLUDES_VAT
    final: bool = Field(description="Whether the month is closed; otherwise they may change.")
    position: int = money.POSITION
    not_charged_since: datetime | None = money.NOT_CHARGED_SINCE
    statements: list[StatementRow]
    next_page: str | None = Field(description="The value of page= for the next request; null after the last page.")


@api.get(
    "/statements",
    url_name="api-statements",
    operation_id="statements",
    auth=Key(CHARGES_READ),
    response=answers(Statements, has_cursor=True),
    summary="Final statements, month by month as they are closed",
)
def statements(
    request: HttpRequest,  # noqa: ARG001 (ninja's signature)
    after: Annotated[str, Query(pattern=CURSOR, description="`next` of the previous answer; 0 at first.")] = "0",
    limit: Annotated[int, Query(ge=1, le=MOST, description="The largest number of statements.")] = 500,
) -> dict[str, Any]:
    """Return what comes after `after`, of one month at most."""
    month, place = cursors.parsed(after, PAGE)
    if month is None:
        return {**money.terms_of_money(), "statements": [], "closed": None, "next": after, "more": False}
    before = int(place) if place.isdecimal() else 0
    found, is_last = _page(month.month, before, limit)
    return {
        **money.terms_of_money(),
        "statements": found,
        "closed": rows.month_row(month) if is_last else None,
        "next": cursors.cursor(month, END if is_last else str(before + limit)),
        "more": not is_last or cursors.has_more(month),
    }


@api.get(
    "/statements/month",
    url_name="api-month-statements",
    operation_id="monthStatements",
    auth=Key(CHARGES_READ),
    response=answers(MonthStatements, has_cursor=False),
    summary="The statements of one month as they are now, also if it is open",
)
def month_statements(
    request: HttpRequest,  # noqa: ARG001 (ninja's signature)
    month: Annotated[str, Query(pattern=MONTH, description="The month in which it is charged, such as 2027-01.")],
    page: Annotated[str, Query(pattern=PAGE, description="`next_page` of the previous answer; 0 at first.")] = "0",
    limit: Annotated[int, Query(ge=1, le=MOST, description="The largest number of statements.")] = 500,
) -> dict[str, Any]:
    """Return one page."""
    first, progress = cursors.first_day(month), money.progress()
    found, is_last = _page(first, int(page), limit)
    return {
        **money.terms_of_money(),
        "final": ClosedMonth.objects.filter(month=first).exists(),
        **progress,
        "statements": found,
        "next_page": None if is_last else str(int(page) + limit),
    }


def _page(month: date, before: int, limit: int) -> tuple[list[dict[str, Any]], bool]:
    """Return the statements of a month after the first `before`, and whether they are the last ones."""
    found = summary.of(month).payers
    ids = sorted(found)
    shown = ids[before : before + limit]
    names, settled = payers.legal_names(shown), Settled.of(month=month)
    due, split = balances.due_in(settled, month), months.by_payer(month) if shown else {}
    made = [
        {
            **_row(month, payer, found[payer], names.get(payer, ""), settled, due),
            **_vat(split.get(payer, amounts.NOTHING)),
        }
        for payer in shown
    ]
    return made, len(ids) <= before + limit


def _vat(found: Amounts) -> dict[str, Any]:
    parts = [
        {**part._asdict(), "vat_percent": None if part.vat_percent is None else str(part.vat_percent)}
        for part in found.parts
    ]
    return {**money.split(found), "by_vat_code": parts}


def _row(
    month: date, payer: str, classes: Mapping[str, Sum], name: str, settled: Settled, due: Mapping[str, int]
) -> dict[str, Any]:
    total, line = summary.added(classes.values()), classes.get(summary.LINE, Sum())
    return {
        "number": number_of(month, payer),
        "month": f"{month:%Y-%m}",
        "payer": payer,
        "payer_name": name,
        "sessions": total.sessions,
        "counted_ms": total.counted_ms,
        "charges_minor": total.amount_minor - line.amount_minor,
        "lines_minor": line.amount_minor,
        "amount_minor": total.amount_minor,
        "settlement": settled.modes.settlement(payer, month),
        "due_minor": due.get(payer, 0) if settled.modes.prepays(payer, month) else total.amount_minor,
        "classes": [
            {"kind": kind, "sessions": one.sessions, "counted_ms": one.counted_ms, "amount_minor": one.amount_minor}
            for kind, one in classes.items()
        ],
    }
