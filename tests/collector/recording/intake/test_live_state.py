"""What the floor shows: machines as their gates say them, refusals as they happen, orders and what became of them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from fabgate import wire
from fabgate.collector.ground.db import pulse
from fabgate.collector.ground.models import Gate, Order, Pulse, Refusal
from fabgate.collector.recording.broker.message import Received
from fabgate.collector.recording.entries import decode
from tests.collector.gates import NOON, Journal


@pytest.fixture
def journal() -> Journal:
    return Journal()


def told(journal: Journal, leaf: str, message: Any) -> Received:
    return Received(journal.topics.topic(leaf), wire.encode(message))


def topics() -> list[str]:
    return list(Pulse.objects.order_by("id").values_list("topic", flat=True))


def test_what_a_machine_does_is_kept_as_its_gate_says_it(store, journal):
    running = wire.State(
        state="active",
        causes=["lock-idle"],
        session="s-1",
        member="m-1",
        since=NOON,
        energised_ms=61_000,
        running_ms=9_000,
    )
    store.store([journal.status(reader="ok", version="1.2", problems=["clock"], mark=0)], NOON)
    store.store([told(journal, "state", running)], NOON)
    gate = Gate.objects.get()
    assert (gate.state, gate.causes, gate.session, gate.session_member) == ("active", ["lock-idle"], "s-1", "m-1")
    assert (gate.state_since, gate.energised_ms, gate.running_ms) == (NOON, 61_000, 9_000)
    assert (gate.reader, gate.version, gate.problems, gate.online) == ("ok", "1.2", ["clock"], True)
    for reader, stored, is_broken in (("ok", "unsupervised", False), ("fault", "fault", True), ("ok", "ok", False)):
        store.store([journal.status(reader=reader, reader_supervised=stored == "ok")], NOON)
        gate.refresh_from_db()
        assert (gate.reader, gate.is_reader_broken) == (stored, is_broken)
    for senses in (None, True, False):
        store.store([journal.status(senses_work=senses)], NOON)
        gate.refresh_from_db()
        assert gate.senses_work is senses
    store.store([told(journal, "state", wire.State(state="idle"))], NOON)
    gate.refresh_from_db()
    assert (gate.state, gate.causes, gate.session, gate.session_member, gate.state_since) == ("idle", [], "", "", None)


def test_what_a_gate_says_of_itself_has_a_size(store, journal):
    """4,500 causes made the floor a megabyte."""
    flood = [f"cause-{n}" for n in range(4_500)]
    state = told(journal, "state", wire.State(state="idle", causes=flood))
    store.store([state, journal.status(problems=flood)], NOON)
    store.store([journal.write("access.refused", badge="b", reasons=["x" * 20_000, *flood[:500]])], NOON)
    gate = Gate.objects.get(name="laser-1")
    assert gate.causes == flood[: decode.MAX_WORDS]
    assert gate.problems == flood[: decode.MAX_WORDS]
    assert Refusal.objects.get().reasons == ["x" * decode.MAX_WORD_LENGTH, *flood[: decode.MAX_WORDS - 1]]


def test_an_answer_has_a_size(store, journal):
    store.store([journal.status()], NOON)
    order(Gate.objects.get())
    store.store([told(journal, "reply", wire.Reply(id="c-1", outcome="done", detail="x" * 60_000))], NOON)
    assert len(Order.objects.get().detail) == decode.MAX_WORD_LENGTH


def test_the_last_will_takes_nothing_away_but_that_it_is_there(store, journal):
    store.store([journal.status(reader="ok", version="1.2", problems=["clock"])], NOON)
    store.store([Received(journal.topics.topic("status"), wire.encode(wire.Status(online=False)))], NOON)
    gate = Gate.objects.get()
    assert (gate.online, gate.reader, gate.version, gate.problems) == (False, "ok", "1.2", ["clock"])


def test_pages_are_woken_by_what_they_show_and_not_by_a_heartbeat(store, journal):
    state = wire.State(state="active", session="s-1", member="m-1", since=NOON, energised_ms=1_000)
    store.store([journal.status(), told(journal, "state", state)], NOON)
    assert topics() == ["change", "floor"]  # the log has the new gate
    later = wire.State(state="active", session="s-1", member="m-1", since=NOON, energised_ms=61_000)
    store.store([journal.status(), told(journal, "state", later)], NOON + timedelta(minutes=1))
    assert topics() == ["change", "floor"]
    assert Gate.objects.get().energised_ms == 61_000
    store.store([told(journal, "state", wire.State(state="idle"))], NOON)
    assert topics() == ["change", "floor", "floor"]
    assert Pulse.objects.latest("id").gate == "laser-1"


def test_a_refusal_is_kept_once_with_every_reason(store, journal):
    refused = journal.write("access.refused", badge="d-1", member="m-1", reasons=["payment-due", "training-missing"])
    store.store([refused, refused], NOON)
    store.store([refused], NOON + timedelta(hours=1))
    found = Refusal.objects.get()
    assert (found.gate.name, found.journal.name, found.seq) == ("laser-1", journal.name, 1)
    assert (found.member, found.badge, found.reasons) == ("m-1", "d-1", ["payment-due", "training-missing"])
    assert (found.at, found.is_timed, found.seen_at) == (NOON + timedelta(seconds=1), True, NOON)
    assert topics() == ["change", "refusal"]


def test_a_refusal_of_a_gate_without_the_time_is_dated_by_when_it_was_heard_of(store):
    journal = Journal(synced=False)
    store.store([journal.write("access.refused", badge="d-1", reasons=["unknown-badge"])], NOON)
    found = Refusal.objects.get()
    assert (found.member, found.at, found.is_timed) == ("", NOON, False)


@pytest.mark.parametrize(("more", "named"), [(1, ["laser-1", "saw-0"]), (pulse.MOST_NAMED, [""])])
def test_a_batch_tells_each_gate_once_a_topic_and_names_none_where_they_are_many(store, more, named):
    one, others = Journal(), [Journal(gate=f"saw-{number}") for number in range(more)]
    messages = [j.write("access.refused", badge="d", reasons=["unknown-badge"]) for j in (one, one, *others)]
    store.store(messages, NOON)
    assert [(pulse.topic, pulse.gate) for pulse in Pulse.objects.exclude(topic=Pulse.CHANGE)] == [
        ("refusal", gate) for gate in named
    ]


def order(gate: Gate, **more: Any) -> Order:
    said = {"command": "stop", "actor": "eve", "at": NOON, "until": NOON + timedelta(minutes=1), **more}
    return Order.objects.create(id="c-1", gate=gate, **said)


def test_an_order_is_answered_by_the_reply_and_the_first_answer_stays(store, journal):
    store.store([journal.status()], NOON)
    order(Gate.objects.get())
    store.store([told(journal, "reply", wire.Reply(id="c-1", outcome="done", detail="2 min"))], NOON)
    store.store([told(journal, "reply", wire.Reply(id="c-1", outcome="refused"))], NOON + timedelta(seconds=5))
    found = Order.objects.get()
    assert (found.outcome, found.detail, found.answered_at) == ("done", "2 min", NOON)
    assert "order" in topics()


def test_an_order_is_answered_by_the_journal_where_the_reply_was_lost(store, journal):
    store.store([journal.status()], NOON)
    order(Gate.objects.get())
    store.store([journal.write("command.executed", command="c-1", verb="stop", outcome="refused", reason="late")], NOON)
    found = Order.objects.get()
    assert (found.outcome, found.detail) == ("refused", "late")


def test_no_gate_answers_for_its_neighbour(store, journal):
    store.store([journal.status()], NOON)
    order(Gate.objects.get())
    store.store([told(Journal(gate="saw-1"), "reply", wire.Reply(id="c-1", outcome="done"))], NOON)
    assert Order.objects.get().answered_at is None


def test_a_reply_that_is_none_is_quarantined_and_stops_nothing(store, journal):
    acks = store.store(
        [Received(journal.topics.topic("reply"), b"{}"), journal.write("gate.stopping", reason="x")], NOON
    )
    assert len(acks) == 1


def test_only_the_newest_pulses_are_kept(database, monkeypatch):
    monkeypatch.setattr(Pulse, "KEPT", 3)
    Pulse.objects.bulk_create(Pulse(topic="floor", at=NOON) for _ in range(10))
    last = Pulse.newest()
    assert Pulse.prune() == 7
    assert (Pulse.newest(), Pulse.objects.count()) == (last, 3)
    Pulse.objects.all().delete()
    # A number is never given twice, or a page would believe that nothing happened.
    assert Pulse.objects.create(topic="floor", at=NOON).pk == last + 1
