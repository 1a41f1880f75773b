"""Compares what people decided about money with the audit log, and the terms of charges with their digests."""

from __future__ import annotations

import hashlib
import json

from fabgate.collector.models import BillingTerms, Charge, ChargeTerms, Contest, ManualLine, Waiver
from fabgate.collector.verify.findings import Report
from fabgate.collector.verify.money import logged
from fabgate.collector.verify.snapshot import PAGE


def check(report: Report) -> None:
    """Compare the currency, waivers, lines and contests with the audit log; check the rules and plans of charges."""
    for model in (BillingTerms, Waiver, ManualLine, Contest):
        logged.compare(report, model)
    _check_terms(report)


def _check_terms(report: Report) -> None:
    known = set()
    for row in ChargeTerms.objects.order_by("pk").iterator(PAGE):
        report.compared["chargeterms"] += 1
        known.add(row.pk)
        digest = hashlib.sha256(json.dumps(row.snapshot, sort_keys=True).encode()).hexdigest()
        if digest != row.digest:  # either was changed
            report.changed("chargeterms", row.pk, "digest or snapshot", row.digest, digest)
    named = Charge.objects.exclude(terms_id=None).order_by().values_list("terms_id", flat=True).distinct()
    for pk in sorted(set(named) - known):
        report.missing("chargeterms", pk, "charges name it")
