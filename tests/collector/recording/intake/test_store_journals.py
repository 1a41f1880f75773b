from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from fabgate.collector.ground.models import Entry, Hole, UsageSession
from fabgate.collector.ground.models import Journal as Row
from fabgate.collector.recording.broker.message import Received
from tests.collector.gates import NOON, Journal, ack

pytestmark = pytest.mark.usefixtures("database")


def test_a_new_journal_closes_what_the_old_one_left_open_and_a_late_end_still_wins(store):
    old = Journal()
    old.write("gate.started", version="1")
    old.start("s-1")
    old.progress("s-1", 900_000)
    end = old.end("s-1", 1_000_000)
    store.store(old.messages()[:3], NOON)
    new = Journal()
    new.write("gate.started", version="1", replaces=old.name)
    said = ack(store.store([*new.messages(), new.status()], NOON))
    assert said.journal == new.name
    row = UsageSession.objects.get()
    assert (row.reason, row.review, row.energised_ms) == ("journal-lost", "journal-lost", 900_000)
    assert row.ended_at == NOON + timedelta(seconds=3)
    assert store.store([end], NOON) == []  # the retained ack of the living journal is not overwritten
    row.refresh_from_db()
    assert (row.reason, row.review, row.energised_ms) == ("badge", None, 1_000_000)


def test_a_start_that_arrives_after_its_journal_was_replaced_is_closed_too(store):
    old, new = Journal(), Journal()
    old.write("gate.started", version="1")
    old.start("s-1")
    new.write("gate.started", version="1", replaces=old.name)
    store.store(new.messages(), NOON)
    store.store(old.messages(), NOON)
    assert UsageSession.objects.get().reason == "journal-lost"


def test_a_new_journal_that_names_no_older_one_closes_what_its_gate_left_open(store, journal):
    journal.start("s-2")
    store.store(journal.messages(), NOON)
    new, elsewhere = Journal(), Journal(gate="saw")
    elsewhere.write("gate.started", version="1")
    elsewhere.start("s-3")
    store.store(elsewhere.messages(), NOON)
    new.write("gate.started", version="1")
    store.store(new.messages(), NOON)
    assert {row.id: row.reason for row in UsageSession.objects.all()} == {
        "s-1": "badge",
        "s-2": "journal-lost",
        "s-3": None,
    }


def test_what_never_arrived_of_a_replaced_journal_is_named_up_to_its_last_known_head(store, journal):
    store.store([journal.message(1), journal.message(3), journal.status()], NOON)
    new = Journal()
    new.write("gate.started", version="1", replaces=journal.name)
    store.store(new.messages(), NOON)
    assert list(Hole.objects.order_by("first").values_list("first", "last", "state")) == [
        (2, 2, "lost"),
        (4, 4, "lost"),
    ]


def test_copies_of_what_is_stored_take_their_numbers_and_count_nothing_twice(store, journal):
    store.store(journal.messages(), NOON)
    wanted = UsageSession.objects.values().get()
    new = journal.fork()
    assert ack(store.store([*new.messages(), new.status()], NOON)).seq == 5
    assert UsageSession.objects.values().get() == wanted
    assert Entry.objects.filter(is_copy=True).count() == 4
    assert not Hole.objects.exists()


@pytest.mark.parametrize("backwards", [False, True])
def test_copies_of_what_never_arrived_count_and_are_no_holes(store, journal, backwards):
    store.store([journal.message(1), journal.message(4)], NOON)
    new = journal.fork()
    for message in new.messages()[:: -1 if backwards else 1]:
        store.store([message], NOON)
    row = UsageSession.objects.get()
    assert (row.reason, row.energised_ms, row.started_at) == ("badge", 1_234_567, NOON + timedelta(seconds=2))
    states = {n: h.state for h in Hole.objects.all() for n in range(h.first, h.last + 1)}
    assert states == {2: "copied", 3: "copied"}
    assert Row.objects.get(name=new.name).ack_seq == 5


def test_a_session_concluded_by_a_restored_image_goes_to_review(store):
    image = Journal()
    image.write("gate.started", version="1")
    image.start("s-1")
    store.store(image.messages(), NOON)
    image.end("s-1", 30_000, reason="power-loss", uncertainty_ms=30_000)
    new = image.fork(mark=2)
    store.store(new.messages(), NOON)
    row = UsageSession.objects.get()
    assert (row.reason, row.uncertainty_ms, row.review) == ("power-loss", 30_000, "restored-image")


def test_a_clone_that_still_writes_the_old_journal_is_an_alarm_and_closes_nothing(store, journal):
    store.store(journal.messages(), NOON)
    new = journal.fork(mark=4)
    store.store([*new.messages(), new.status()], NOON)
    journal.start("s-clone")
    store.store(journal.messages()[4:], NOON)
    assert Row.objects.get(name=journal.name).cloned
    assert UsageSession.objects.get(id="s-clone").reason is None


def test_on_connect_each_gate_hears_of_the_journal_that_it_writes_now(store, journal):
    old = Journal()
    old.write("gate.started", version="1")
    store.store(old.messages(), NOON)
    journal.bodies.clear()
    journal.types.clear()
    journal.write("gate.started", version="1", replaces=old.name)
    store.store(journal.messages(), NOON)
    said = ack(store.greetings())
    assert (said.journal, said.seq) == (journal.name, 1)


@pytest.mark.parametrize("is_chain", [False, True], ids=["each begins anew", "each names the one before"])
def test_one_more_journal_costs_as_much_after_hundreds_as_after_a_few(store, is_chain):
    def begun(number: int) -> list[Received]:
        journal = Journal(name=f"j-{number}")
        journal.write("gate.started", version="1", replaces=f"j-{number - 1}" if is_chain and number else None)
        return journal.messages()

    def statements_of_one_more(number: int) -> int:
        with CaptureQueriesContext(connection) as asked:
            store.store(begun(number), NOON)
            store.greetings()
        return len(asked)

    for number in range(5):
        store.store(begun(number), NOON)
    few = statements_of_one_more(5)
    store.store([message for number in range(6, 300) for message in begun(number)], NOON)
    assert statements_of_one_more(300) == few
    assert len(store.greetings()) == 1
