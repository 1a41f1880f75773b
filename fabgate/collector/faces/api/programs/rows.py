"""Charges, lines and closed months as programs get them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final

from ninja import Field, Schema

from fabgate.collector.faces.api.programs import money
from fabgate.collector.ground.models import ClosedMonth, Machine, ManualLine
from fabgate.collector.ground.models.sessions.words import PURPOSES
from fabgate.collector.members.people.display_names import DisplayName
from fabgate.collector.money.billing import closing, rating
from fabgate.collector.money.billing.charges import record, vat_codes
from fabgate.collector.money.billing.charges.record import Record
from fabgate.collector.money.billing.paying import payers
from fabgate.collector.money.billing.prepaid import ledger, words
from fabgate.collector.money.billing.prepaid.settlement import Settled
from fabgate.collector.money.billing.vat import amounts, months

_SEALED: Final = Field(description="The text that the SHA-256 of the month covers; null while the month is open.")
SETTLEMENT: Final = Field(
    description="prepaid: paid from the payer's credit, so it must not be invoiced; otherwise receivable.",
    json_schema_extra={"enum": [words.PREPAID, words.RECEIVABLE]},
)


class ChargeRow(Schema):
    """What one session costs one payer, even if the amount is 0; or the reversal of such a charge."""

    charge_id: str = Field(description="Depends on the facts and the amount only: the same after a restore.")
    month: str = Field(description="The month in which it is charged, such as 2027-01.")
    of_month: str = Field(description="The month in which the session ended: an earlier one if it is charged late.")
    session: str
    payer: str = Field(description="The payer: a member's id, group:N, or payer:N for an organisation.")
    payer_name: str = money.PAYER_NAME
    used_by: str = Field(description="The user of the machine: a member's id, group:N, or emergency:LABEL.")
    used_by_name: str = Field(description="The present name.")
    machine: str
    machine_category: str = Field(
        description="The category of the machine when `of_month` was closed; the present one if it is open."
    )
    plan: str = Field(description="The member's plan on the day of the end, by its name; empty without one.")
    purpose: str = Field(json_schema_extra={"enum": [*PURPOSES]})
    kind: str = Field(description="The class of the session.", json_schema_extra={"enum": [*rating.CLASSES]})
    started_at: datetime | None
    ended_at: datetime
    counted_ms: int = Field(description="The billable time, in whole milliseconds; negative in a reversal.")
    running_ms: int = Field(description="Negative in a reversal.")
    free_ms: int = Field(description="The free time that it uses; negative in a reversal.")
    amount_minor: int = Field(description="In the smallest unit of the currency; negative in a reversal.")
    rule: int | None = Field(description="The number of the rule by which it was rated; null without one.")
    vat_code: str = Field(description="The VAT code of the rule by which it was rated; may be empty.")
    vat_percent: str | None = money.VAT_PERCENT
    settlement: str = SETTLEMENT
    reverses: str = Field(description="The `charge_id` of the charge that it reverses; empty if it is not a reversal.")
    sealed: str | None = _SEALED


class LineRow(Schema):
    """A charge for something other than a session, entered by a person; a reduction is negative."""

    charge_id: str = Field(description="As of a charge; webhooks and files have it too.")
    line: int = Field(description="The number of the line.")
    month: str = Field(description="The month of its day; the first open one if that was closed.")
    day: date = Field(description="The day that it is about.")
    payer: str
    payer_name: str = money.PAYER_NAME
    text: str
    amount_minor: int
    vat_code: str
    vat_percent: str | None = money.VAT_PERCENT
    settlement: str = SETTLEMENT
    session: str = Field(description="The session that it is about, or empty.")
    author: str
    at: datetime
    sealed: str | None = _SEALED


class MonthClosed(Schema):
    """A month whose charges and lines are final: `period.closed`."""

    month: str
    closed_at: datetime
    closed_by: str
    reason: str = Field(description="Why it was closed although something was open; otherwise empty.")
    charges: int = Field(ge=0, description="How many charges it has, with reversals.")
    lines: int = Field(ge=0)
    amount_minor: int = Field(description="The sum of all its charges and lines.")
    net_minor: int | None = money.NET
    vat_minor: int | None = money.VAT
    gross_minor: int | None = money.GROSS
    before: str = Field(description="The SHA-256 of the month before; 64 zeros for the first.")
    sha256: str = Field(
        description="Over `before`, `sealed`, `sealed` of all charges and lines, and `sealed_prepaid`; see the docs."
    )
    sealed: str = Field(description="The text of the month itself that the SHA-256 covers.")
    sealed_prepaid: list[str] = Field(
        description="The texts of the prepaid ledger that it covers: settlements, then credits, refunds, reversals and totals."
    )
    archive: dict[str, str] = Field(description="The SHA-256 of each file of its archive, by the file's name.")


def charge_rows(
    records: Sequence[Record], closed: Mapping[date, ClosedMonth], names: Mapping[str, DisplayName]
) -> list[dict[str, Any]]:
    """Return charges as the API shows them. `closed` has at least the months of these that are closed.

    `names` has the names of members by their ids.
    """
    called = payers.legal_names({one.payer for one in records})
    settled = Settled.of(month__in=sorted({one.month for one in records}))
    codes = vat_codes.by_terms() if records else {}
    present, percents = _categories({one.machine for one in records}), money.vat_percents()
    return [
        {
            **_charge_row(one, closed, names, present),
            "vat_code": codes[one.terms] if one.terms else "",
            "vat_percent": percents.get(codes[one.terms]) if one.amount_minor else None,
            "payer_name": called.get(one.payer, ""),
            "settlement": settled.charge(one.id, one.payer, one.month),
        }
        for one in records
    ]


def _charge_row(
    one: Record,
    closed: Mapping[date, ClosedMonth],
    names: Mapping[str, DisplayName],
    present: Mapping[str, str],
) -> dict[str, Any]:
    frozen = closed[one.of_month].terms["categories"] if one.of_month in closed else present
    same = ("session", "payer", "machine", "plan", "purpose", "kind", "started_at", "ended_at", "running_ms")
    return {
        **{name: getattr(one, name) for name in (*same, "free_ms", "amount_minor", "reverses")},
        "charge_id": one.id,
        "month": f"{one.month:%Y-%m}",
        "of_month": f"{one.of_month:%Y-%m}",
        "used_by": one.used_by,
        "used_by_name": str(names.get(one.used_by, "")),
        "machine_category": frozen.get(one.machine, present.get(one.machine, "")),
        "counted_ms": one.counted_ms,
        "rule": one.rule_id,
        "sealed": record.line_of(one) if one.month in closed else None,
    }


def line_rows(lines: Iterable[ManualLine], closed: Collection[date]) -> list[dict[str, Any]]:
    """Return lines as the API shows them."""
    lines = list(lines)
    if not lines:
        return []
    percents = money.vat_percents()
    settled = Settled.of(month__in=sorted({line.month for line in lines}))
    called = payers.legal_names({line.payer for line in lines})
    same = ("payer", "text", "amount_minor", "vat_code", "session", "author", "at")
    return [
        {
            **{name: getattr(line, name) for name in same},
            "charge_id": record.line_id(
                *(line.pk, line.month, line.payer, line.text, line.amount_minor, line.vat_code),
                *(line.session, line.author, line.at, line.day),
            ),
            "line": line.pk,
            "vat_percent": percents.get(line.vat_code),
            "month": f"{line.month:%Y-%m}",
            "day": line.day,
            "payer_name": called.get(line.payer, ""),
            "settlement": settled.line(line.pk, line.payer, line.month),
            "sealed": _sealed(closing.text_of_line(line)) if line.month in closed else None,
        }
        for line in lines
    ]


def month_row(closed: ClosedMonth) -> dict[str, Any]:
    """Return a closed month as the API shows it."""
    earlier = ClosedMonth.objects.filter(month__lt=closed.month).order_by("-month")
    same = ("closed_at", "closed_by", "reason", "charges", "lines", "amount_minor", "sha256", "archive")
    return {
        **{name: getattr(closed, name) for name in same},
        "month": str(closed),
        **money.split(amounts.together(months.by_payer(closed.month).values())),
        "before": earlier.values_list("sha256", flat=True).first() or closing.FIRST,
        "sealed": _sealed(closing.text_of(closed)),
        "sealed_prepaid": list(ledger.lines(closed.month)),
    }


def _categories(machines: Collection[str]) -> dict[str, str]:
    if not machines:
        return {}
    return dict(Machine.objects.filter(name__in=machines).values_list("name", "category"))


def _sealed(text: bytes) -> str:
    return text.decode().removesuffix("\n")
