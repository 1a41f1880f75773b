"""Any shuffling, doubling, dropping and resending of a gate's stream ends in the same sessions, and ack = head."""

from __future__ import annotations

import pytest
from django.db import transaction
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from fabgate.collector.ground.models import Entry, Hole, Quarantine, UsageSession
from fabgate.collector.ground.models import Journal as Row
from fabgate.collector.recording.intake.store import Store
from tests.collector.gates import NOON
from tests.collector.postgresql import EXAMPLES
from tests.collector.recording.intake.moves import MOVES, Gate


def told(store: Store) -> dict[str, object]:
    """Return everything that is known, without the numbers of rows."""
    names = dict(Row.objects.values_list("id", "name"))
    rows = UsageSession.objects.order_by("id").values()
    holes = Hole.objects.exclude(state=Hole.FILLED).values_list("journal__name", "first", "last")
    return {
        "sessions": [{**row, "opened_in_id": names[row["opened_in_id"]], "gate_id": 0} for row in rows],
        "acks": {row.name: row.ack for row in Row.objects.all()},
        "entries": set(Entry.objects.values_list("journal__name", "seq", "uid")),
        "holes": set(holes),
    }


@pytest.mark.usefixtures("database")
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    moves=st.lists(st.tuples(st.sampled_from(MOVES), st.integers(0, 100_000)), min_size=6, max_size=30),
    data=st.data(),
)
def test_any_order_of_arrival_ends_in_the_same_sessions_and_an_ack_at_the_head(moves, data):
    gate = Gate()
    for what, ms in moves:
        gate.move(what, ms)
    stream = [message for journal in gate.journals for message in journal.messages()]
    with transaction.atomic():
        store = Store("lyon")
        store.store(stream, NOON)
        wanted = told(store)
        event(f"sessions that ended: {UsageSession.objects.exclude(reason=None).count()}")
        transaction.set_rollback(True)
    order = data.draw(st.lists(st.integers(0, len(stream) - 1), max_size=2 * len(stream)), label="delivered")
    cuts = data.draw(st.lists(st.integers(1, 9), min_size=1, max_size=9), label="batches")
    resent = data.draw(st.permutations(range(len(stream))), label="resent")
    with transaction.atomic():
        store = Store("lyon")
        queue = [stream[n] for n in (*order, *resent)]
        turn = 0
        while queue:
            size = cuts[turn % len(cuts)]
            store.store(queue[:size], NOON)
            queue, turn = queue[size:], turn + 1
        assert not Quarantine.objects.exists()
        assert told(store) == wanted
        assert {row.name: row.ack_seq for row in Row.objects.all()} == {j.name: j.head for j in gate.journals}
        transaction.set_rollback(True)
