"""The history of a machine, from the audit log: locks, changed rules, moved gates."""

from __future__ import annotations

from typing import Any, Final

from django.db.models import Q

from fabgate.collector.faces.pages.log import labels, values
from fabgate.collector.ground.models import Change

SHOWN: Final = 25


def of(*objects: tuple[str, str]) -> list[dict[str, Any]]:
    """Return the newest changes of these objects (kind, key)."""
    named = Q(pk=None)
    for kind, key in objects:
        named |= Q(kind=kind, key=key)
    rows = list(Change.objects.filter(named).order_by("-at", "-id")[:SHOWN])
    names = values.Names(rows)
    return [
        {
            "change": row,
            "actor": names.actor(row.actor),
            "what": labels.verb(row.verb),
            "of": row.key if row.kind != "machine" else "",
            "fields": values.changed_fields(row, names),
            "reason": values.reason(row),
        }
        for row in rows
    ]
