"""Logs the values of rows that the audit log does not have, so that they can be compared with it from then on."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any, Final

from django.db import models

from fabgate.collector.db import audit
from fabgate.collector.db.logged import AT_ONCE, Table

#: The verb of these rows, and their reason.
KNOWN: Final = "books.known"
REASON: Final = "known before the log had it"


def log(model: type[models.Model], *, fields: Sequence[str] | None = None) -> int:
    """Log what the log lacks of each row of `model`, as it is stored now, and which rows are gone; return how many.

    `fields` are those that are logged, for a model of a migration, which does not know them.
    """
    meta = model._meta  # noqa: SLF001 (Django's name for it)
    assert meta.pk is not None
    has_name = audit.has_own_name(model)
    table, count = Table(model, fields=fields), 0
    ids = model._base_manager.order_by("pk").values_list("pk", flat=True).iterator(AT_ONCE)  # noqa: SLF001 (as above)
    while page := list(islice(ids, AT_ONCE)):
        logged = table.of(page)
        events: list[tuple[str, dict[str, Any], dict[str, Any]]] = []
        for pk, values in sorted(audit.stored(model, page, fields=fields).items()):
            known = {name: one.value for name, one in logged.get(pk, {}).items()}
            new = {
                name: value
                for name, value in values.items()
                if (name not in known and value is not None) or (name in known and known[name] != value)
            }
            # A digest that the log has and the row has not: the secret was removed.
            new |= dict.fromkeys(known.keys() - values.keys())
            if new:
                key = str(values["name"] if has_name else pk)
                events.append((key, {name: known[name] for name in new if name in known}, new))
        audit.record_many(audit.START, KNOWN, model, events, reason=REASON)
        count += len(events)
    stored = list(model._base_manager.values_list("pk", flat=True)) if has_name else []  # noqa: SLF001 (as above)
    gone: list[tuple[str, dict[str, Any], dict[str, Any]]] = []
    for pk, logged_values in table.without(stored):
        before = {meta.pk.name: pk, **{name: one.value for name, one in logged_values.items()}}
        gone.append((str(before["name"] if has_name else pk), before, {}))
    audit.record_many(audit.START, KNOWN, model, gone, reason=REASON)
    return count + len(gone)
