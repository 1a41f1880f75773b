"""A statement by hand brings the same instances as the ORM, whatever their columns hold."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.db.models import Model

from fabgate.collector.ground.db.rows import RowReader
from fabgate.collector.ground.models import Gate, Journal, Machine

pytestmark = pytest.mark.usefixtures("database")
AT = datetime(2026, 11, 26, 3, 7, 12, 345_678, tzinfo=UTC)


def values(row: Model) -> dict[str, object]:
    return {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}


@pytest.fixture
def gates(database) -> list[Gate]:
    machine = Machine.objects.create(name="saw")
    told = {"hints": {"s-1": 7}, "causes": ["lock"], "problems": ["é"], "seen_at": AT, "online": True, "synced": False}
    return [
        Gate.objects.create(name="saw-1", machine=machine, **told),
        Gate.objects.create(name="saw-2"),
    ]


def test_instances_are_those_of_the_orm(gates):
    found = RowReader(Gate).where(name={"saw-1", "saw-2", "saw-3"})
    assert sorted(map(values, found), key=lambda row: row["id"]) == list(map(values, Gate.objects.order_by("id")))
    assert found[0].seen_at is None or found[0].seen_at.tzinfo is UTC


def test_each_column_narrows_what_is_found(gates):
    machine = gates[0].machine_id
    assert [gate.name for gate in RowReader(Gate).where(name={"saw-1", "saw-2"}, machine_id={machine})] == ["saw-1"]
    assert RowReader(Gate).where(name={"saw-2"}, machine_id={machine}) == []


def test_a_row_can_be_saved_as_any_other(gates):
    Journal.objects.create(name="j-1", gate=gates[0])
    (found,) = RowReader(Journal).where(name={"j-1"})
    found.head = 9
    found.save(update_fields=["head"])
    assert Journal.objects.get().head == 9
