"""Up to when are the records complete, in one moment that anybody understands?"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from fabgate.collector.ground.models import Entry, Gate, Hole, Journal, Machine
from fabgate.collector.recording.entries import completeness
from fabgate.collector.recording.entries.completeness import GateRecords

NOON = datetime(2026, 11, 12, 12, tzinfo=UTC)


def gate(name: str, seen: datetime, *, head: int = 0, ack: int = 0) -> Journal:
    machine = Machine.objects.create(name=name)
    row = Gate.objects.create(name=name, machine=machine, seen_at=seen)
    return Journal.objects.create(name=f"journal-{name}", gate=row, head=head, ack_seq=ack)


def test_completeness_is_unknown_before_a_gate_was_online(database):
    assert completeness.now() == completeness.Records(until=None, behind=(), lost=0)


def test_the_gate_that_was_silent_longest_limits_completeness(database):
    gate("saw", NOON, head=3, ack=3)
    gate("laser", NOON - timedelta(hours=2))
    assert completeness.now() == completeness.Records(until=NOON - timedelta(hours=2), behind=(), lost=0)


def test_a_gate_that_is_behind_counts_up_to_its_last_stored_entry(database):
    journal = gate("saw", NOON, head=9, ack=2)
    for seq, minutes in ((1, 50), (2, 40), (5, 10)):
        at = NOON - timedelta(minutes=minutes)
        Entry.objects.create(
            journal=journal, seq=seq, uid=f"u{seq}", type="t", body=b"", hash=b"", arrived_at=NOON, occurred_at=at
        )
    assert completeness.now() == completeness.Records(until=NOON - timedelta(minutes=40), behind=("saw",), lost=0)


def test_entries_that_no_gate_has_any_more_are_counted(database):
    journal = gate("saw", NOON)
    Hole.objects.create(journal=journal, first=3, last=7, state=Hole.LOST, found_at=NOON)
    Hole.objects.create(journal=journal, first=9, last=9, state=Hole.FILLED, found_at=NOON)
    assert completeness.now().lost == 5


def test_of_each_gate_and_of_all_that_count(database):
    gate("saw", NOON, head=3, ack=3)
    gate("laser", NOON - timedelta(hours=2))
    old = gate("lathe", NOON - timedelta(days=90)).gate
    Machine.objects.filter(pk=old.machine_id).update(retired_at=NOON)
    found = completeness.by_gate()
    hours = [("laser", 2, True), ("lathe", 90 * 24, False), ("saw", 0, True)]
    assert found == [
        GateRecords(name, NOON - timedelta(hours=since), is_behind=False, counts=counts)
        for name, since, counts in hours
    ]
    assert completeness.complete_until(found) == NOON - timedelta(hours=2)
    Journal.objects.filter(gate=old).update(head=1)  # and nothing of it is stored: how much is missing is not known
    assert completeness.complete_until(completeness.by_gate()) is None
    assert completeness.complete_until([]) is None


@pytest.mark.parametrize("hours", [1, 2, 3])
def test_a_month_can_be_closed_as_soon_as_all_gates_are_complete_until_its_end(database, hours):
    gate("saw", NOON)
    gate("laser", NOON - timedelta(hours=2))
    until = completeness.complete_until(completeness.by_gate())
    end = NOON - timedelta(hours=hours)
    assert until is not None
    assert (completeness.incomplete_before(end) == []) is (until >= end)
