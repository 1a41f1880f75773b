"""A statement as plain values, for JSON: ids next to names, times in UTC, amounts in the currency's smallest unit."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from fabgate.collector.money.billing.statements.compose import Credit, Item, Statement
from fabgate.collector.money.billing.statements.priced import Priced


def of(statement: Statement) -> dict[str, Any]:
    """Return the statement. Its charges and lines add up to ``amount_minor``."""
    head = statement.head
    return {
        "number": head.number,
        "month": f"{head.month:%Y-%m}",
        "payer": head.payer,
        "payer_details": dict(statement.words.payer),
        "workshop": dict(statement.words.workshop),
        "is_final": head.closed_at is not None,
        "closed_at": _utc(head.closed_at),
        "not_charged_since": _utc(head.not_charged_since),
        "currency": head.currency,
        "digits": head.digits,
        "includes_vat": head.includes_vat,
        "amount_minor": statement.amount_minor,
        "net_minor": statement.vat.net_minor,
        "vat_minor": statement.vat.vat_minor,
        "gross_minor": statement.vat.gross_minor,
        "by_vat_code": [
            {"settlement": settlement, **part._asdict(), "vat_percent": _percent(part.vat_percent)}
            for settlement, found in statement.settled.items()
            for part in found.parts
        ],
        "to_pay_minor": statement.to_pay_minor,
        "prepaid": _credit(statement.credit),
        "charges": [
            {"used_by_name": person.name, "machine_title": machine.title, **_charge(item)}
            for person in statement.persons
            for machine in person.machines
            for item in machine.items
        ],
        "lines": [{**line._asdict(), "day": line.day.isoformat(), "at": _utc(line.at)} for line in statement.lines],
    }


def _credit(credit: Credit | None) -> dict[str, Any] | None:
    if credit is None:
        return None
    return {
        "opening_minor": credit.opening_minor,
        "entries": [{**entry._asdict(), "day": entry.day.isoformat()} for entry in credit.entries],
        "used_minor": credit.used_minor,
        "due_minor": credit.due_minor,
        "closing_minor": credit.closing_minor,
    }


def _price(found: Priced | None) -> dict[str, Any] | None:
    """Return how an amount was made; of a reversal, the amount that it reverses. Prices are in the main unit."""
    if found is None:
        return None
    price, tariff = found.price, found.tariff
    return {
        "segments": [
            {
                "kind": segment.kind,
                "since": _utc(segment.since),
                "ms": segment.ms,
                "added_ms": segment.added_ms,
                "free_ms": segment.free_ms,
                "price": str(segment.price),
            }
            for segment in found.segments
        ],
        "session_fee": str(tariff.session_fee) if price.fee else None,
        "minimum": str(tariff.minimum) if price.topped_up else None,
        "cap_left_minor": found.cap_left_minor,
        "discount_percent": str(found.discount_percent) if price.discounted else None,
    }


def _charge(item: Item) -> dict[str, Any]:
    charge = item.charge
    return {
        "id": charge.id,
        "session": charge.session,
        "of_month": f"{charge.of_month:%Y-%m}",
        "used_by": charge.used_by,
        "machine": charge.machine,
        "class": charge.kind,
        "started_at": _utc(charge.started_at),
        "ended_at": _utc(charge.ended_at),
        "counted_ms": charge.counted_ms,
        "billed_ms": item.billed_ms,
        "free_ms": charge.free_ms,
        "price": _price(item.priced),
        "amount_minor": charge.amount_minor,
        "vat_code": item.vat_code,
        "reverses": charge.reverses,
        "why": item.why,
        "is_corrected": item.is_corrected,
        "is_contested": item.is_contested,
    }


def _percent(percent: Decimal | None) -> str | None:
    return None if percent is None else str(percent)


def _utc(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).isoformat() if moment else None
