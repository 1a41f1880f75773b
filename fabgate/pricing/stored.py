"""Tariffs as JSON values: decimals are texts, times are ``HH:MM``."""

from __future__ import annotations

from datetime import time
from decimal import Decimal
from typing import Any

from fabgate.pricing.tariffs import Peak, Tariff


def to_json(tariff: Tariff) -> dict[str, Any]:
    """Return a tariff as JSON values, all fields named."""
    return {
        "price": _text(tariff.price),
        "basis": tariff.charged_for,
        "idle_price": _text(tariff.idle_price),
        "peaks": [
            {
                "days": sorted(peak.days),
                "start": peak.start.strftime("%H:%M"),
                "end": peak.end.strftime("%H:%M"),
                "price": _text(peak.price),
            }
            for peak in tariff.peaks
        ],
        "session_fee": _text(tariff.session_fee),
        "minimum": _text(tariff.minimum),
        "daily_cap": None if tariff.daily_cap is None else _text(tariff.daily_cap),
        "grace_s": tariff.grace_s,
        "step_s": tariff.step_s,
    }


def from_json(values: dict[str, Any]) -> Tariff:
    """Return the tariff of `to_json`."""
    return Tariff(
        price=Decimal(values["price"]),
        charged_for=values["basis"],
        idle_price=Decimal(values["idle_price"]),
        peaks=tuple(
            Peak(
                frozenset(peak["days"]),
                time.fromisoformat(peak["start"]),
                time.fromisoformat(peak["end"]),
                Decimal(peak["price"]),
            )
            for peak in values["peaks"]
        ),
        session_fee=Decimal(values["session_fee"]),
        minimum=Decimal(values["minimum"]),
        daily_cap=None if values["daily_cap"] is None else Decimal(values["daily_cap"]),
        grace_s=values["grace_s"],
        step_s=values["step_s"],
    )


def _text(amount: Decimal) -> str:
    """Return a decimal without an exponent and without zeros that say nothing: equal amounts have equal texts."""
    return f"{amount.normalize():f}" if amount else "0"
