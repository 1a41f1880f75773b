"""Checks the credit that months used. All other entries are compared with the audit log; the seal of a month covers its total."""

from __future__ import annotations

from fabgate.collector.ground.models import PrepaidEntry
from fabgate.collector.money.billing import terms
from fabgate.collector.processes.verify.findings import Report


def check(report: Report) -> None:
    """Report entries with the total of a month that is not closed."""
    used = PrepaidEntry.objects.filter(kind=PrepaidEntry.USED).order_by("pk")
    if (first := terms.first_open_day()) is not None:
        used = used.filter(day__gte=first)
    for pk in used.values_list("pk", flat=True):
        report.added("prepaidentry", pk, "its month is not closed")
