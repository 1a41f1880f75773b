"""Any shuffling, doubling, dropping and resending of a gate's stream ends in the same sessions, and ack = head."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from django.db import transaction
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from fabgate.collector.intake.store import Store
from fabgate.collector.models import Entry, Hole, Quarantine, UsageSession
from fabgate.collector.models import Journal as Row
from tests.collector.gates import NOON, Journal
from tests.collector.postgresql import EXAMPLES

#: What sessions are made of comes often, or few would ever end.
OFTEN = ["start", "progress", "end"]
MOVES = [*OFTEN, *OFTEN, *OFTEN, "wrong-end", "boot", "sync", "replace", "fork", "refuse", "jump"]


@dataclass
class Gate:
    """Writes what a gate could: one session at a time, cut off by restarts, lost journals and restored images."""

    journals: list[Journal] = field(default_factory=lambda: [Journal()])
    session: str | None = None
    count: int = 0
    energised_ms: int = 0

    def __post_init__(self) -> None:
        self.journals[0].write("gate.started", version="1")

    @property
    def journal(self) -> Journal:
        return self.journals[-1]

    def move(self, what: str, ms: int) -> None:
        journal = self.journal
        if what == "start" and self.session is None:
            self.count += 1
            self.session, self.energised_ms = f"s-{self.count}", 0
            journal.start(self.session, f"m-{self.count % 3}")
        elif what == "progress" and self.session:
            self.energised_ms += ms
            journal.progress(self.session, self.energised_ms, f"m-{self.count % 3}", running_ms=self.energised_ms // 2)
        elif what in {"end", "wrong-end"} and self.session:
            reason = "badge" if what == "end" else "power-loss"
            energised = self.energised_ms + ms if what == "end" else max(0, self.energised_ms - ms)
            member = f"m-{self.count % 3}"
            journal.end(self.session, energised, member, reason=reason, uncertainty_ms=0 if what == "end" else ms)
            if what == "end":
                self.session = None  # after the other, a second end may follow
        elif what == "boot":
            journal.boot, journal.boottime_ms, journal.synced = f"boot-{journal.head}-{len(self.journals)}", 0, False
            journal.write("gate.started", version="1")
        elif what in {"sync", "jump"}:
            journal.synced = True
            # All arrives at noon: what is dated before it may have waited, what is dated long after it is wrong.
            journal.off += timedelta(milliseconds=60 * (ms - 50_000)) if what == "jump" else timedelta()
            journal.write("clock.synced", time=None)
        elif what == "replace" and len(self.journals) < 3:
            new = Journal(
                gate=journal.gate,
                boot=journal.boot,
                synced=journal.synced,
                boottime_ms=journal.boottime_ms,
                off=journal.off,
            )
            new.write("gate.started", version="1", replaces=journal.name)
            self.journals.append(new)
            self.session = None
        elif what == "fork" and len(self.journals) < 3:
            self.journals.append(journal.fork(mark=min(ms % 7, journal.head)))
        elif what == "refuse":
            journal.write("access.refused", badge="d9", reasons=["unknown-badge"])


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
