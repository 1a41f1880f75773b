"""Compares what people decided about money with the audit log, and the terms of charges with their digests."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Final

from fabgate.collector.db import audit
from fabgate.collector.models import BillingTerms, Change, Charge, ChargeTerms, ManualLine, Waiver
from fabgate.collector.verify.findings import Report, as_text
from fabgate.collector.verify.snapshot import PAGE

_MODELS: Final = (BillingTerms, Waiver, ManualLine)


def check(report: Report) -> None:
    """Compare the currency, waivers and lines with the audit log, and check the rules and plans that charges name."""
    for model in _MODELS:
        _compare(report, model)
    _check_terms(report)


def _compare(report: Report, model: type[BillingTerms | Waiver | ManualLine]) -> None:
    table, own = model.__name__.lower(), audit.fields_of(model)
    logged = _logged(table)
    rows = model._default_manager.order_by("pk")  # noqa: SLF001 (Django's name for it)
    for row in rows.iterator(PAGE):
        report.compared[table] += 1
        wanted = logged.pop(str(row.pk), None) or logged.pop(audit.key_of(row), None)
        if wanted is None:
            report.added(table, row.pk, "the audit log does not have it")
            continue
        for name in own:
            found = getattr(row, name)
            if as_text(found) != as_text(wanted.get(name)):
                report.changed(table, row.pk, name, found, wanted.get(name))
    for key, wanted in logged.items():
        report.missing(
            table, wanted.get("id", key), f"the audit log has it, by {wanted.get('author') or wanted.get('started_by')}"
        )


def _logged(table: str) -> dict[str, dict[str, Any]]:
    """Return the values of each row that was added and not removed, by key."""
    found: dict[str, dict[str, Any]] = {}
    rows = Change.objects.filter(kind=table).order_by("pk").values_list("key", "before", "after")
    for key, before, after in rows.iterator(PAGE):
        if before and not after:
            found.pop(key, None)
        else:
            found.setdefault(key, {}).update(after)
    return found


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
