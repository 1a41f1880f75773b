"""Logs the plans and payers that 0004 and 0007 made, so that the audit log has every row that is compared with it.

Existing rows stay. What the log does not have is logged as it is stored now.
"""

from collections import defaultdict
from datetime import date
from typing import Any

from django.db import migrations

_REASON = "known before the log had it"


def log_the_rest(apps: Any, _editor: Any) -> None:
    """Log the values of plans and payers, and the plans of members, that no row of the log has."""
    from fabgate.collector.db import audit  # noqa: PLC0415 (models are not loaded when migrations are imported)

    Change, PlanChange = (apps.get_model("collector", name) for name in ("Change", "PlanChange"))
    known: dict[str, dict[str, Any]] = defaultdict(dict)
    days: dict[str, set[str]] = defaultdict(set)
    changes = Change.objects.filter(kind__in=("plan", "payer", "member")).order_by("pk")
    for kind, verb, key, after in changes.values_list("kind", "verb", "key", "after").iterator(1_000):
        if kind != "member":
            known[f"{kind}/{key}"].update(after)
        elif verb == "member.plan":
            days[key].add(after.get("since", ""))
    for name in ("Plan", "Payer"):
        model = apps.get_model("collector", name)
        events = []
        for row in model.objects.order_by("pk"):
            key = row.name if name == "Plan" else row.pk
            stored = {
                field.name: value if value is None or isinstance(value, (int, str)) else str(value)
                for field in model._meta.concrete_fields
                if field.name != "folded"
                for value in (getattr(row, field.attname),)
            }
            has = known[f"{name.lower()}/{key}"]
            if new := {field: value for field, value in stored.items() if field not in has or has[field] != value}:
                events.append((key, {field: has[field] for field in new if field in has}, new))
        audit.record_many(audit.START, f"{name.lower()}.added", model, events, reason=_REASON)
    history: dict[str, list[tuple[date, str]]] = defaultdict(list)
    for member, since, plan in PlanChange.objects.order_by("since").values_list("member_id", "since", "plan__name"):
        history[member].append((since, plan or ""))
    given = []
    for member, steps in sorted(history.items()):
        if any(since.isoformat() not in days[member] for since, _plan in steps):
            before = ""
            for since, plan in steps:  # all of them, because the order in the log matters
                given.append((member, {"plan": before}, {"plan": plan, "since": since.isoformat()}))
                before = plan
    audit.record_many(audit.START, "member.plan", apps.get_model("collector", "Member"), given, reason=_REASON)


class Migration(migrations.Migration):
    """Adds rows to the log, and changes no table."""

    dependencies = [
        ("collector", "0013_statements"),
    ]

    operations = [
        migrations.RunPython(log_the_rest, migrations.RunPython.noop),
    ]
