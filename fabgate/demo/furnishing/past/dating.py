"""Moments of the demo's history, in the workshop's time zone, and audit log entries with their dates."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

from django.conf import settings

from fabgate.collector.ground.models import Change


def zone() -> ZoneInfo:
    """Return the workshop's time zone."""
    return ZoneInfo(settings.TIME_ZONE)


def moment(day: date, at: time) -> datetime:
    """Return a moment of a day in the workshop's time zone."""
    return datetime.combine(day, at, zone()).astimezone(UTC)


@contextmanager
def logged_at(at: datetime) -> Iterator[None]:
    """Date the audit log entries that the block writes."""
    last = Change.objects.order_by("id").values_list("id", flat=True).last() or 0
    yield
    Change.objects.filter(id__gt=last).update(at=at)
