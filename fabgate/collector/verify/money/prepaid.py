"""Compares settlements, admissions, credits and refunds with the audit log. The seal of a closed month covers its total."""

from __future__ import annotations

from fabgate.collector.billing import terms
from fabgate.collector.models import Admission, PrepaidChange, PrepaidEntry
from fabgate.collector.verify.findings import Report
from fabgate.collector.verify.money import logged


def check(report: Report) -> None:
    """Compare with the audit log, but for what months used: that was not decided by a person."""
    logged.compare(report, PrepaidChange)
    logged.compare(report, Admission)
    logged.compare(report, PrepaidEntry, stored=PrepaidEntry.objects.exclude(kind=PrepaidEntry.USED))
    _check_used(report)


def _check_used(report: Report) -> None:
    """Report entries with the total of a month that is not closed."""
    used = PrepaidEntry.objects.filter(kind=PrepaidEntry.USED).order_by("pk")
    if (first := terms.first_open_day()) is not None:
        used = used.filter(day__gte=first)
    for pk in used.values_list("pk", flat=True):
        report.added("prepaidentry", pk, "its month is not closed")
