"""Logs the values of rows that a test or a measurement stored without the audit log, so that they agree with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import models

from fabgate.collector.ground.db import audit, statements
from fabgate.collector.ground.db.logged import AT_ONCE, Table
from fabgate.collector.processes.verify.tables import logged, unchecked


def log_the_rest() -> None:
    """Log what the log lacks of all tables that are compared with it."""
    for table, model in logged.tables():
        if table not in unchecked.MADE_WITHOUT_LOG:
            log(model)


def log(model: type[models.Model]) -> None:
    """Log what the log lacks of each row of `model`, as it is stored now, and which rows are gone."""
    has_name, table = audit.has_own_name(model), Table(model)
    ids = model._base_manager.order_by("pk").values_list("pk", flat=True).iterator(AT_ONCE)
    for page in statements.pages(ids, AT_ONCE):
        known = table.of(page)
        events = []
        for pk, values in sorted(audit.stored(model, page).items()):
            before = {name: one.value for name, one in known.get(pk, {}).items()}
            after = {name: value for name, value in values.items() if before.get(name) != value}
            after |= dict.fromkeys(before.keys() - values.keys())  # a secret that was removed
            if after:
                key = str(values["name"] if has_name else pk)
                events.append((key, {name: before[name] for name in after if name in before}, after))
        _record(model, events)
    stored = list(model._base_manager.values_list("pk", flat=True)) if has_name else []
    pk_name = model._meta.pk.name
    gone = [
        (pk, {pk_name: pk, **{name: one.value for name, one in values.items()}}) for pk, values in table.without(stored)
    ]
    _record(model, [(str(before["name"] if has_name else pk), before, {}) for pk, before in gone])


def _record(model: type[models.Model], events: Sequence[tuple[str, dict[str, Any], dict[str, Any]]]) -> None:
    audit.record_many(audit.START, "test.known", model, events, reason="known before the log had it")
