"""A row or more in each table that people change: members with their rights, machines, accounts and the rest."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django.db import models

from fabgate.collector.ground.db import audit
from fabgate.collector.ground.models import (
    Account,
    ApiKey,
    Badge,
    Block,
    Collector,
    Grant,
    Group,
    IssuedStatement,
    Machine,
    Member,
    OneTimeLink,
    Opening,
    Sink,
    SpecialDay,
    Training,
    Workshop,
)
from fabgate.collector.members.accounts import links, manage

NOON = datetime(2026, 11, 12, 12, tzinfo=UTC)


def added(row: models.Model, **many: list[Any]) -> Any:
    """Store a row with its many-to-many fields, and log it."""
    with audit.change("maya", f"{type(row).__name__.lower()}.added", row):
        row.save(force_insert=True)
        for name, others in many.items():
            getattr(row, name).set(others)
    return row


def write_people() -> None:
    """Write them, each with its row in the log."""
    saw, laser = (Machine.objects.get(name=name) for name in ("saw-1", "laser-1"))
    with audit.change("maya", "machine.updated", saw):
        saw.rules, saw.category, saw.lifted = {"limit_s": 3600, "run_on_s": 60, "idle_off_s": 300}, "wood", ["l-1"]
        saw.save()
    with audit.change("maya", "machine.locked", laser):
        laser.set_lock("idle", "belt", "", by="maya", at=NOON)
        laser.save()
    kim = added(Member(id="m-kim", name="Kim", level="supervisor", joined_on=date(2026, 1, 2)), machines=[saw])
    group = added(Group(name="Robots", kind="class", note="Tuesdays"), members=[kim], machines=[saw, laser])
    with audit.change("maya", "group.updated", group):
        group.name = "Robots 2"
        group.save()
    maya, _token = manage.invite("maya", Account.MANAGER, actor="cli:root", display_name="Maya")
    manage.set_password(maya, "a long enough one")
    links.make(OneTimeLink.RESET, maya, "cli:root")
    trainer, _token = manage.invite("toni", Account.TRAINER, actor="maya", member=kim)
    saws = added(Training(name="saws", title="Saws"), machines=[saw], trainers=[trainer])
    added(Training(name="lasers", prerequisite=saws, expires_after_days=365), machines=[laser])
    added(Grant(member=kim, training=saws, stage=Grant.AUTONOMOUS, since=date(2026, 2, 3), trainer="toni"))
    added(Block(member=kim, reason="payment-due", actor="maya", at=NOON))
    given = added(Badge(digest="d-kim", key_id="b1", number="12", member=kim, since=NOON))
    added(Badge(digest="d-group", spelling="uid:04a1b2c3", group=group, kind="class", since=NOON))
    with audit.change("maya", "badge.lost", given):
        given.end(Badge.LOST, "maya", NOON + timedelta(days=1))
    added(Opening(days=[1, 2], start=time(9), to=time(18)))
    added(SpecialDay(day=date(2026, 12, 25), note="closed", machine=saw))
    key, _token = ApiKey.make("books", ["sessions:read"], made_by=maya, expires_at=None)
    audit.record("maya", "key.made", key, after=audit.stored(ApiKey, [key.pk])[key.pk])
    added(Workshop(name="The Lab", address="1 rue Neuve"))
    added(Sink(name="tryton"))
    collector = Collector.objects.get()
    with audit.change("maya", "collector.badge-forms", collector):
        collector.badge_forms = "number8"
        collector.save(update_fields=["badge_forms"])
    IssuedStatement.objects.create(month=date(2026, 9, 1), payer="m-0", amount_minor=100, words={"name": "Ada"})
    erased = IssuedStatement.objects.create(month=date(2026, 9, 1), payer="m-1", amount_minor=100)
    with audit.change("maya", "statement.erased", erased):
        erased.erased_at = NOON
        erased.save()
