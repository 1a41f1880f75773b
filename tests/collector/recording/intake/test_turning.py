"""When a gate turns between its journals, the stored sessions stay what verify would settle, after each single batch."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from fabgate import seal
from fabgate.collector.ground.models import LedgerLine, Quarantine, Review, UsageSession
from fabgate.collector.recording.broker.message import Received
from fabgate.collector.recording.intake.store import Store
from fabgate.collector.recording.sessions import derive
from fabgate.collector.recording.sessions import rows as session_rows
from tests.collector import plans
from tests.collector.gates import NOON, Journal, ack
from tests.collector.postgresql import EXAMPLES

pytestmark = pytest.mark.usefixtures("database")


def begun(name: str = "", **data: str | None) -> Journal:
    journal = Journal(name=name) if name else Journal()
    journal.write("gate.started", version="1", **data)
    return journal


def with_session(journal: Journal, session: str) -> Journal:
    journal.start(session)
    journal.end(session, 1_000)
    return journal


def doubts() -> dict[str, str | None]:
    rows = UsageSession.objects.values_list("id", "doubt", "review")
    assert all(doubt == review for _, doubt, review in rows)
    assert set(Review.objects.filter(settled_at=None).values_list("session", "why")) == {
        (session, doubt) for session, doubt, _ in rows if doubt is not None
    }
    return {session: doubt for session, doubt, _ in rows}


def settled_wrongly() -> list[tuple[object, object]]:
    """Return the stored sessions that verify would settle in another way, and how."""
    stored = session_rows.load_sessions(UsageSession.objects.values_list("pk", flat=True))
    again = {session: session_rows.copy_of(row) for session, row in stored.items()}
    derive.settle_again(again)
    return [(row, again[session]) for session, row in stored.items() if row != again[session]]


@pytest.mark.parametrize("batches", ["entry, status", "status, entry", "both"])
def test_an_end_whose_start_is_lost_is_in_doubt_once_its_gate_writes_the_next_journal(store, batches):
    old = with_session(begun(), "s-1")
    store.store([old.status(), old.message(1), old.message(3)], NOON)
    assert doubts() == {"s-1": None}  # its start may still come
    new = begun(replaces=old.name)
    said = {"entry": new.message(1), "status": new.status(), "both": None}
    for batch in [[said["entry"], said["status"]]] if batches == "both" else [[said[n]] for n in batches.split(", ")]:
        store.store(batch, NOON)
    assert doubts() == {"s-1": "no-start"}
    assert settled_wrongly() == []


def test_a_start_may_come_again_once_its_gate_turns_back_to_the_journal(store):
    first = begun()
    store.store([*first.messages(), first.status()], NOON)
    second = with_session(begun(), "s-1")
    store.store([second.status(head=2)], NOON)
    store.store([first.status()], NOON)
    store.store([second.message(1), second.message(3)], NOON)
    assert doubts() == {"s-1": "no-start"}
    store.store([second.status()], NOON)
    assert doubts() == {"s-1": None}
    kinds = LedgerLine.objects.order_by("pk").values_list("kind", "review")
    assert list(kinds) == [("ended", "no-start"), ("changed", "")]
    store.store([second.message(2)], NOON)
    assert doubts() == {"s-1": None}


def test_a_gate_that_turns_away_and_back_within_a_batch_ends_the_journal_between(store):
    first, second = begun(), with_session(begun(), "s-1")
    second.start("s-2")
    store.store([*first.messages(), first.status()], NOON)
    store.store(second.messages(3), NOON)
    assert doubts() == {"s-1": None, "s-2": None}  # the status that names it may still come
    store.store([second.status(), first.status()], NOON)
    assert doubts() == {"s-1": "no-start", "s-2": "journal-lost"}
    assert settled_wrongly() == []


def test_a_lower_floor_puts_a_journal_in_order_again(store):
    # Its first entry, which never arrived, is on the card again: it may say what it follows.
    first, second = Journal(), with_session(begun(), "s-1")
    first.write("gate.started", version="1")
    store.store([first.status(floor=1), second.message(1), second.message(3)], NOON)
    assert doubts() == {"s-1": None}
    store.store([first.status(floor=2)], NOON)
    assert doubts() == {"s-1": "no-start"}
    store.store([first.status(floor=1)], NOON)
    assert doubts() == {"s-1": None}
    assert settled_wrongly() == []


def test_an_ack_that_passes_an_end_puts_it_in_doubt_although_an_older_entry_arrives_with_what_was_missing(store):
    journal = begun()
    journal.start("s-1")
    journal.write("clock.synced")
    journal.write("clock.synced")
    journal.end("s-1", 1_000)
    store.store([journal.status(floor=3)], NOON)  # the first two are lost
    store.store([journal.message(3), journal.message(5)], NOON)
    assert doubts() == {"s-1": None}
    store.store([journal.message(1), journal.message(4)], NOON)
    assert doubts() == {"s-1": "no-start"}


@pytest.mark.parametrize("kind", ["end", "first entry"])
def test_a_copy_of_another_gates_journal_is_quarantined_and_changes_nothing_of_that_gate(store, kind):
    older, own = begun(), begun()
    own.start("s-1")
    store.store(older.messages(), NOON)
    store.store(own.messages(), NOON)
    rogue = Journal(gate="saw-1")
    rogue.write("gate.started", version="1")
    if kind == "end":  # whether its start is lost would depend on the other gate's journals
        ended = {"session": "s-2", "member": "m", "badge": "b", "energised_ms": 1, "running_ms": 0, "reason": "badge"}
        rogue.write("session.ended", copyof=f"{own.name}/9/{seal.to_text(own.hash(1))}", **ended)
    else:  # it would say that the other gate's older journal follows the one that it writes
        copyof = f"{older.name}/1/{seal.to_text(older.hash(1))}"
        rogue.write("gate.started", copyof=copyof, version="1", replaces=own.name)
    said = ack(store.store([*rogue.messages(), rogue.status()], NOON), "saw-1")
    assert doubts() == {"s-1": None}
    assert (said.journal, said.seq) == (rogue.name, 2)
    assert list(Quarantine.objects.values_list("reason", "journal__name", "seq")) == [("copyof", rogue.name, 2)]
    new = begun(replaces=own.name)
    store.store([*new.messages(), new.status()], NOON)
    assert doubts() == {"s-1": "journal-lost"}
    assert settled_wrongly() == []


def test_turning_costs_as_much_after_many_sessions_as_after_a_few(store):
    old, new = begun(), begun()
    store.store([*old.messages(), old.status()], NOON)

    def statements_of_a_turn() -> int:
        with plans.listening() as asked, CaptureQueriesContext(connection) as counted:
            store.store([new.status()], NOON)
            store.store([old.status()], NOON)
        if connection.vendor == "sqlite":
            assert [walk for walk in plans.plans(asked).walks if walk.table == "collector_usagesession"] == []
        return len(counted)

    def after(count: int) -> int:
        for number in range(count):
            with_session(old, f"s-{old.head}-{number}")
        store.store(old.messages(), NOON)
        statements_of_a_turn()  # the first one stores the head, too
        return statements_of_a_turn()

    few = after(3)
    assert after(300) == few


@dataclass
class Cards:
    """Two or three journals of a gate, as two cards, their images and new cards write them, and what has arrived."""

    chance: random.Random
    journals: list[Journal] = field(default_factory=list)

    def __post_init__(self) -> None:
        for number in range(self.chance.choice([2, 2, 3])):
            self.journals.append(self._begun())
            self._use(self.journals[-1], number)
        if self.chance.random() < 0.3:
            clone = self.chance.choice(self.journals[:-1])  # it writes on after another journal followed it
            self._use(clone, 9)

    def _begun(self) -> Journal:
        earlier = self.chance.choice([*self.journals, None, None])
        name = f"j-{len(self.journals)}"
        if earlier is not None and self.chance.random() < 0.4:
            return earlier.fork(mark=self.chance.randrange(earlier.head + 1), name=name)
        return begun(name, replaces=earlier.name if earlier else None)

    def _use(self, journal: Journal, number: int) -> None:
        for session in range(self.chance.randrange(1, 4)):
            if self.chance.random() < 0.1:
                journal.off -= timedelta(days=self.chance.randrange(9))  # before what its gate wrote first
            if self.chance.random() < 0.3:
                journal.boot, journal.synced = f"boot-{journal.head}-{number}", self.chance.random() < 0.5
                journal.write("gate.started", version="1")
            journal.start(f"s-{number}-{session}")
            if self.chance.random() < 0.2:
                journal.progress(f"s-{number}-{session}", 500)
            if self.chance.random() < 0.8:
                journal.end(f"s-{number}-{session}", 1_000, reason=self.chance.choice(["badge", "power-loss"]))

    def messages(self) -> list[Received]:
        """Return statuses and entries in the order of their arrival. Some entries come late, some twice, some never."""
        chance = self.chance
        placed = [(chance.random(), message) for journal in self.journals for message in journal.messages()]
        if chance.random() < 0.5:  # mostly in order
            placed = [(place / 9 + n / len(placed), message) for n, (place, message) in enumerate(placed)]
        placed = [one for one in placed if chance.random() < 0.8] + chance.sample(placed, len(placed) // 9)
        for _ in range(chance.randrange(1, 12)):
            journal = chance.choice(self.journals)
            head = chance.choice([journal.head, chance.randrange(journal.head + 1)])
            floor = chance.choice([1, 1, chance.randrange(1, journal.head + 1)])
            placed.append((chance.random() * 1.2, journal.status(head=head, floor=floor)))
        return [message for _, message in sorted(placed, key=lambda one: one[0])]


@settings(max_examples=3 * EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 1 << 32), sizes=st.lists(st.sampled_from([1, 1, 2, 4]), min_size=1, max_size=9))
def test_after_each_batch_the_sessions_are_what_verify_settles(seed, sizes):
    queue, turn = Cards(random.Random(seed)).messages(), 0
    seen: set[str | None] = set()
    with transaction.atomic():
        store = Store("lyon")
        while queue:
            size = sizes[turn % len(sizes)]
            store.store(queue[:size], NOON)
            queue, turn = queue[size:], turn + 1
            assert settled_wrongly() == []
            seen |= set(doubts().values())
        event(f"doubts: {sorted(map(str, seen))}")
        transaction.set_rollback(True)
