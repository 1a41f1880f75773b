"""A collector of today understands the gate of each released version: everything is stored once, and nothing is lost."""

from __future__ import annotations

from datetime import timedelta

import pytest

from fabgate import wire
from fabgate.collector.ground.models import Entry, Gate, Quarantine, UsageSession
from fabgate.collector.recording.broker.message import Received
from fabgate.collector.recording.intake.store import Store
from tests.support.recording import TOPICS, Recording

pytestmark = pytest.mark.usefixtures("database")


def stream(recording: Recording) -> list[Received]:
    spoken = ("event/", "status", "state", "reply")
    return [
        Received(message.topic, message.body, message.properties.get("journal"), message.properties.get("seq"))
        for message in recording.messages()
        if message.topic.removeprefix(f"{TOPICS.base}/").startswith(spoken)
    ]


def last_ack(recording: Recording) -> wire.Ack:
    *_, last = recording.messages("ack")
    return wire.decode(last.body, wire.Ack)


@pytest.mark.parametrize("batch", [1, 7, 1_000])
def test_the_stream_of_an_old_gate_gives_the_same_sessions_and_the_same_acknowledgement(
    recording: Recording, batch: int
):
    arrived = recording.recorded_at + timedelta(hours=1)
    store, received = Store("demo"), stream(recording)
    for first in range(0, len(received), batch):
        store.store(received[first : first + batch], arrived)
    assert not Quarantine.objects.exists()
    columns = ("id", "member", "energised_ms", "uncertainty_ms", "reason")
    rows = UsageSession.objects.order_by("started_at").values_list(*columns)
    assert [dict(zip(("session", *columns[1:]), row, strict=True)) for row in rows] == recording.sessions()
    entries = [message.body for message in recording.messages("event/")]
    stored = {bytes(body) for body in Entry.objects.values_list("body", flat=True)}
    assert stored == set(entries)
    expected = last_ack(recording)
    (said,) = store.store([one for one in received if "/event/" in one.topic], arrived)
    newest = wire.decode(said.body, wire.Ack)
    assert (newest.journal, newest.seq, newest.hash) == (expected.journal, expected.seq, expected.hash)


def test_what_an_old_gate_says_of_itself_is_shown(recording: Recording):
    Store("demo").store(stream(recording), recording.recorded_at + timedelta(hours=1))
    gate = Gate.objects.get()
    assert (gate.name, gate.version, gate.online) == ("laser-1", recording.version, False)
