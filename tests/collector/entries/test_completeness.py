"""Up to when are the records complete, in one moment that anybody understands?"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from fabgate.collector.entries import completeness
from fabgate.collector.models import Entry, Gate, Hole, Journal, Machine

NOON = datetime(2026, 11, 12, 12, tzinfo=UTC)


def gate(name: str, seen: datetime, *, head: int = 0, ack: int = 0) -> Journal:
    machine = Machine.objects.create(name=name)
    row = Gate.objects.create(name=name, machine=machine, seen_at=seen)
    return Journal.objects.create(name=f"journal-{name}", gate=row, head=head, ack_seq=ack)


def test_nothing_is_said_before_a_gate_was_heard(database):
    assert completeness.now() == completeness.Records(until=None, behind=(), lost=0)


def test_the_gate_that_was_silent_longest_says_until_when(database):
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
