"""What became of a machine: who locked it, who changed its rules? From the audit log, in words."""

from __future__ import annotations

from typing import Any, Final

from django.db.models import Q

from fabgate.collector.models import Change, Machine
from fabgate.collector.pages import who
from fabgate.collector.pages.log import words as log_words
from fabgate.collector.pages.machines import words

SHOWN: Final = 25


def of(*objects: tuple[str, str]) -> list[dict[str, Any]]:
    """Return the newest changes of these objects (kind, key)."""
    named = Q(pk=None)
    for kind, key in objects:
        named |= Q(kind=kind, key=key)
    rows = list(Change.objects.filter(named).order_by("-at", "-id")[:SHOWN])
    titles = {machine.pk: str(machine) for machine in Machine.objects.all()}
    called = who.signing_in(row.actor for row in rows)
    return [
        {
            "change": row,
            "actor": called.get(row.actor, row.actor),
            "what": log_words.verb(row.verb),
            "of": row.key if row.kind != "machine" else "",
            "fields": words.changed(row.before, row.after, titles),
        }
        for row in rows
    ]
