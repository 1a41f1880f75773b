"""The data of an event for a meter: its time in seconds, and the values to group by."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from fabgate.collector.money.billing.sinks.contract import Usage


def data_of(item: Usage, *, with_members: bool) -> dict[str, Any]:
    """Return the data of an event. Seconds are decimal texts, because binary numbers cannot hold 0.1."""
    found: dict[str, Any] = {
        "counted_s": seconds(item.counted_ms),
        "running_s": seconds(item.running_ms),
        "machine": item.machine,
        "machine_category": item.machine_category,
        "purpose": item.purpose,
        "session": item.session,
        "kind": item.kind,
    }
    if with_members:
        found["member"] = item.used_by
    if item.first:
        found |= {"first": item.first, "reverses": item.reverses}
    return found


def time_of(item: Usage) -> datetime:
    """Return when an event counts: the end of the session; a later change counts when it was made.

    So it comes into a period that is still open, as a correction of a closed month does here.
    """
    return (item.at if item.first else item.ended_at or item.at).astimezone(UTC)


def seconds(ms: int) -> str:
    """Return milliseconds as seconds: 90500 is ``90.5``."""
    whole, rest = divmod(abs(ms), 1000)
    text = f"{whole}.{rest:03d}".rstrip("0").rstrip(".") if rest else str(whole)
    return f"-{text}" if ms < 0 else text
