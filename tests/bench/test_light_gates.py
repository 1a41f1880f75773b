"""Do light gates say what true ones would, and is what they count what a collector must hold?"""

from __future__ import annotations

import asyncio

import pytest

from bench.gates.people import SITE
from bench.peers import journals, light_mqtt
from bench.peers.broker import broker
from bench.peers.light_gates import Workload, deliver
from bench.process import calling
from bench.run import Run
from fabgate import seal, wire
from fabgate.collector.recording.entries.decode import ValidEntry, read


def test_a_journal_is_a_chain_of_entries_that_a_collector_takes():
    journal = journals.journal("laser-1", 41, seed=3)
    before = seal.first_prev(journal.name)
    for seq, message in enumerate(journal.messages(), 1):
        fact = read(message, site=SITE)
        assert isinstance(fact, ValidEntry)
        assert (fact.seq, fact.prev) == (seq, before)
        before = fact.hash


def test_what_is_counted_is_what_the_entries_say():
    journal = journals.journal("laser-1", 41)
    facts = [wire.decode_data(wire.decode_entry(body)) for body in journal.bodies]
    ends = [data for data in facts if isinstance(data, wire.SessionEnded)]
    assert (journal.ended, journal.energised_ms) == (len(ends), sum(data.energised_ms for data in ends))
    assert journal.refused == sum(isinstance(data, wire.AccessRefused) for data in facts)
    assert len(ends) == 10


def test_a_machine_is_said_to_be_in_use_between_start_and_end():
    journal = journals.journal("laser-1", 9)
    assert {seq: wire.decode(body, wire.State).state for seq, body in journal.states.items()} == {
        2: "active",
        4: "idle",
        6: "active",
        8: "idle",
    }


@pytest.mark.parametrize("size", [1, 127, 128, 20_000])
def test_a_packet_has_its_length_in_front(size):
    made = light_mqtt.packet(0x30, b"x" * size)
    length, shift, at = 0, 0, 1
    while True:
        length |= (made[at] & 127) << shift
        at, shift = at + 1, shift + 7
        if not made[at - 1] & 128:
            break
    assert (length, made[at:]) == (size, b"x" * size)


async def _heard(cut: int) -> list[tuple[str, bytes]]:
    client = light_mqtt.Client("me", "some/topic")
    heard: list[tuple[str, bytes]] = []
    client.received = lambda topic, body: heard.append((topic, body))
    before, after = light_mqtt.publish("some/topic", b"body" * 50, {})
    stream = (before + b"\0\x07" + after) * 3
    for start in range(0, len(stream), cut):
        client.data_received(stream[start : start + cut])
    return heard


@pytest.mark.parametrize("cut", [1, 7, 215, 5000])
def test_messages_are_whole_however_the_network_cuts_them(cut):
    assert asyncio.run(_heard(cut)) == [("some/topic", b"body" * 50)] * 3


@pytest.mark.parametrize("stock", [False, True], ids=["as the ingest reads", "as paho reads"])
def test_all_is_told_over_a_real_broker_and_a_tenth_of_it_twice(tmp_path, stock):
    run = Run("light", tmp_path, tmp_path)
    with broker(run) as port, calling("bench.peers.light_collector") as light:
        light.call("subscribe", port, 250, stock)
        outcome = deliver(Workload(port=port, prefix="g", gates=3, entries=250))
    assert outcome.entries == 750
    assert outcome.published == 750 + 3 * 2 * 10
    assert outcome.took_s > 0
