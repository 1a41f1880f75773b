"""How much is kept of what cannot be an entry, of each gate, and for how long?"""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db.models import Sum
from django.db.models.functions import Length

from fabgate.collector.ground.db import statements
from fabgate.collector.ground.models import Gate, Quarantine
from fabgate.collector.processes.worker import Worker
from fabgate.collector.recording.broker.message import Received
from fabgate.collector.recording.intake import quarantine
from tests.collector.gates import NOON, Journal, ack

pytestmark = pytest.mark.usefixtures("env")


def broken(number: int, size: int = 20, gate: str = "laser-1") -> Received:
    return Received(f"fabgate/v1/lyon/{gate}/event/gate/started", f"{number:08d}".encode().ljust(size, b"x"))


def kept_bytes(gate: str) -> int:
    return Quarantine.objects.filter(gate__name=gate).aggregate(sum=Sum(Length("body")))["sum"]


def test_one_gate_fills_no_disk_and_hides_no_evidence_of_another(store):
    store.store([broken(n, gate="saw-1") for n in range(3)], NOON)
    for first in range(0, 300, 50):
        store.store([broken(n, 60_000) for n in range(first, first + 50)], NOON)
    kept = Quarantine.objects.filter(gate__name="laser-1").count()
    assert kept_bytes("laser-1") == kept * 60_000 <= quarantine.MOST_BYTES, "each of them whole"
    assert kept_bytes("laser-1") + 60_000 > quarantine.MOST_BYTES, "as many as there is room for"
    assert Quarantine.objects.filter(gate__name="saw-1").count() == 3
    assert Gate.objects.get(name="laser-1").quarantine_dropped == 300 - kept
    assert Gate.objects.get(name="saw-1").quarantine_dropped == 0
    assert bytes(Quarantine.objects.latest("id").body).startswith(b"00000299"), "the newest stay"


def test_many_small_messages_are_too_many_too(store, monkeypatch):
    monkeypatch.setattr(quarantine, "MOST_ROWS", 10)
    store.store([broken(n) for n in range(8)], NOON)
    store.store([broken(n) for n in range(8)], NOON)  # again the same: only counted
    assert (Quarantine.objects.count(), Gate.objects.get().quarantine_dropped) == (8, 0)
    store.store([broken(n) for n in range(8, 25)], NOON)
    assert [bytes(row.body)[:8] for row in Quarantine.objects.order_by("id")] == [b"%08d" % n for n in range(15, 25)]
    assert Gate.objects.get().quarantine_dropped == 15


def test_of_a_batch_that_is_far_too_much_all_that_is_beyond_goes(store, monkeypatch):
    monkeypatch.setattr(quarantine, "MOST_ROWS", 2)
    monkeypatch.setattr(statements, "CHUNK", 3)
    store.store([broken(n) for n in range(12)], NOON)
    assert [row.body[:8] for row in Quarantine.objects.order_by("id")] == [b"00000010", b"00000011"]


def test_topics_of_no_gate_have_the_same_quota(store, monkeypatch):
    monkeypatch.setattr(quarantine, "MOST_ROWS", 10)
    store.store([Received("fabgate/v1/lyon", b"%d" % n) for n in range(25)], NOON)
    assert Quarantine.objects.filter(gate=None).count() == 10


def test_what_fills_a_number_is_never_dropped_so_that_the_ack_still_passes_it(store, monkeypatch):
    monkeypatch.setattr(quarantine, "MOST_ROWS", 1)
    journal = Journal()
    journal.write("gate.started", version="1")
    topic = journal.topics.event("gate.started")
    numbered = [Received(topic, b"{" + b"x" * 60_000, journal.name, str(seq)) for seq in range(2, 12)]
    acked = ack(store.store([*journal.messages(), *numbered], NOON))
    assert acked.seq == 11
    store.store([broken(1), broken(2)], NOON)  # of these one is kept: what fills a number takes no room of theirs
    assert list(Quarantine.objects.filter(counts=False).values_list("body", flat=True)) == [broken(2).body]
    Quarantine.objects.filter(counts=False).delete()
    assert Quarantine.objects.filter(counts=True).count() == 10
    assert kept_bytes("laser-1") == 10 * quarantine.MOST_OF_NUMBERED
    assert quarantine.expire(NOON + quarantine.KEPT * 2) == 0
    assert ack(store.greetings()).seq == 11
    assert ack(store.store(numbered, NOON)).seq == 11, "its hash is still that of all bytes"
    assert Quarantine.objects.count() == 10


def test_what_did_not_come_again_for_a_while_is_deleted(store, env):
    store.store([broken(1), broken(2)], NOON)
    store.store([broken(2)], NOON + timedelta(days=30))
    Worker().turn(NOON + quarantine.KEPT + timedelta(minutes=1))
    assert [bytes(row.body)[:8] for row in Quarantine.objects.all()] == [b"00000002"]
    assert Gate.objects.get().quarantine_dropped == 0, "nothing newer took its room"
