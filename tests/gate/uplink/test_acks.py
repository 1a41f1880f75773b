"""Which acknowledgements and other messages the uplink accepts."""

from __future__ import annotations

import itertools
import logging
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from fabgate import seal, wire
from fabgate.demo.processes.ports import free_port
from fabgate.errors import JournalError
from fabgate.gate.journal.reader import JournalReader
from fabgate.gate.uplink.connection import BATCH
from fabgate.gate.uplink.events import (
    CommandArrived,
    CommandsRefused,
    ForkFound,
    LinkChanged,
    MarkMoved,
    MessageArrived,
    RosterNudged,
)
from fabgate.gate.workers import WorkerFailed, Workers
from tests.gate.shell import drafts, wait
from tests.gate.uplink.commanding import command, sealed
from tests.gate.uplink.harness import (
    BASE,
    COLLECTOR,
    Harness,
    Listener,
    needs_broker,
)
from tests.support.mosquitto import Mosquitto

pytestmark = [pytest.mark.broker, needs_broker]


def test_an_ack_moves_the_mark(broker: Mosquitto, listener: Listener, make: Callable[..., Harness]) -> None:
    harness = make(broker.port, entries=9).start()
    listener.announce()
    listener.ack(harness.journal.id, 7, harness.hash(7))
    wait(lambda: MarkMoved(7) in harness.posted, "the mark")
    harness.advance(60_001)
    wait(lambda: listener.statuses()[-1].mark == 7, "the status")
    assert listener.statuses()[-1].collector == COLLECTOR
    assert listener.statuses()[-1].hash == seal.to_text(harness.hash(7))


@pytest.mark.parametrize("first", ["ack", "status"])
def test_a_retained_ack_and_the_collectors_status_may_come_in_either_order(
    broker: Mosquitto, listener: Listener, make: Callable[..., Harness], first: str
) -> None:
    harness = make(broker.port, entries=4)
    listener.ack(harness.journal.id, 4, harness.hash(4), retain=True)
    if first == "status":
        listener.announce()
    harness.start()
    wait(listener.statuses, "the greeting")
    if first == "ack":
        assert harness.of(MarkMoved) == []
        listener.announce()
    wait(lambda: MarkMoved(4) in harness.posted, "the mark")


@pytest.mark.parametrize("wrong", ["collector", "journal"])
def test_an_ack_of_another_collector_or_another_journal_is_not_ours(
    broker: Mosquitto, listener: Listener, make: Callable[..., Harness], wrong: str
) -> None:
    harness = make(broker.port, entries=4).start()
    listener.announce()
    if wrong == "collector":
        listener.ack(harness.journal.id, 3, harness.hash(3), "collector-2")
    else:
        listener.ack("another", 3, harness.hash(3))
    listener.ack(harness.journal.id, 2, harness.hash(2))
    wait(lambda: harness.of(MarkMoved), "the mark")
    assert harness.of(MarkMoved) == [MarkMoved(2)]
    assert harness.of(ForkFound) == []


def test_a_collector_that_is_announced_as_offline_is_not_followed(
    broker: Mosquitto, listener: Listener, make: Callable[..., Harness]
) -> None:
    harness = make(broker.port, entries=4).start()
    listener.announce()
    listener.ack(harness.journal.id, 2, harness.hash(2))
    wait(lambda: MarkMoved(2) in harness.posted, "the mark")
    listener.announce("collector-2", online=False)  # the last will of one that ran before, published late
    listener.ack(harness.journal.id, 4, harness.hash(4), "collector-2")
    listener.ack(harness.journal.id, 3, harness.hash(3))
    wait(lambda: MarkMoved(3) in harness.posted, "the mark of the one that is online")
    assert MarkMoved(4) not in harness.posted
    listener.announce("collector-2")
    wait(lambda: MarkMoved(4) in harness.posted or listener.statuses()[-1].collector == "collector-2", "the other one")
    listener.ack(harness.journal.id, 4, harness.hash(4), "collector-2")
    wait(lambda: MarkMoved(4) in harness.posted, "the mark of one that took over")


def test_a_message_larger_than_any_of_ours_is_kept_out_by_the_broker(
    broker: Mosquitto, listener: Listener, make: Callable[..., Harness], caplog: pytest.LogCaptureFixture
) -> None:
    harness = make(broker.port, entries=1).start()
    listener.announce()
    listener.say(f"{BASE}/ack", b"x" * 1_000_000)
    listener.ack(harness.journal.id, 1, harness.hash(1))
    wait(lambda: MarkMoved(1) in harness.posted, "what follows")
    assert "refused a message" not in caplog.text, "1 MB was read to be refused"
    assert len(harness.of(LinkChanged)) == 1


def test_a_configured_collector_is_obeyed_before_it_announces_itself_and_no_other_ever(
    broker: Mosquitto, listener: Listener, make: Callable[..., Harness]
) -> None:
    harness = make(broker.port, entries=4, collector_id=COLLECTOR).start()
    listener.ack(harness.journal.id, 2, harness.hash(2))
    wait(lambda: MarkMoved(2) in harness.posted, "the mark")
    listener.ack(harness.journal.id, 4, harness.hash(4), "collector-2")
    listener.announce("collector-2")
    listener.ack(harness.journal.id, 3, harness.hash(3))
    wait(lambda: MarkMoved(3) in harness.posted, "the mark of the configured one")
    assert MarkMoved(4) not in harness.posted


@pytest.mark.parametrize("why", ["hash", "head"])
def test_another_history_of_the_journal_is_a_fork_that_is_reported_once_and_ends_the_publishing(
    broker: Mosquitto, listener: Listener, make: Callable[..., Harness], why: str
) -> None:
    harness = make(broker.port, entries=4).start()
    wait(lambda: len(listener.events()) == 4, "the entries")
    listener.announce()
    wait(lambda: listener.statuses()[-1].collector == COLLECTOR, "the answer to the collector")
    for _ in range(3):
        listener.ack(harness.journal.id, 3 if why == "hash" else 5, b"\x01" * 32)
    wait(lambda: harness.of(ForkFound), "the fork")
    statuses = len(listener.statuses())
    harness.grow(2)
    harness.advance(60_001)
    listener.say(f"{BASE}/roster", b"{}")
    wait(lambda: harness.of(RosterNudged), "the end of what was said")
    assert harness.of(ForkFound) == [ForkFound()]
    assert harness.of(MarkMoved) == []
    assert len(listener.events()) == 4
    assert len(listener.statuses()) == statuses
    harness.journal.renew("j2", drafts(1, uid="f")[0])
    listener.received.clear()
    harness.uplink.journal_replaced()
    wait(lambda: len(listener.events()) == 7, "the new journal")
    assert listener.statuses()[0].journal == "j2"
    assert listener.seqs() == [1, 2, 3, 4, 5, 6, 7]
    assert {dict(message.properties.UserProperty)["journal"] for message in listener.events()} == {"j2"}
    listener.ack("j2", 7, harness.hash(7))
    wait(
        lambda: MarkMoved(7, generation=1) in harness.posted,
        "the mark of the journal that was read after it was renewed",
    )


class Fragile(JournalReader):
    """A reader that a sick disk does not let open for so many times."""

    refusals = 0

    def __init__(self, path: Path) -> None:
        if Fragile.refusals:
            Fragile.refusals -= 1
            raise JournalError(f"{path}: the journal cannot be read (disk I/O error)")
        super().__init__(path)


def test_a_renewed_journal_that_cannot_be_read_at_first_is_read_as_soon_as_it_can(
    broker: Mosquitto, listener: Listener, make: Callable[..., Harness]
) -> None:
    harness = make(broker.port, entries=2)
    harness.uplink._journal.close()
    harness.uplink._journal = Fragile(harness.journal.path)
    workers = Workers(harness.posted.append)
    harness.start(workers=workers)
    wait(lambda: len(listener.events()) == 2, "the entries")
    harness.journal.renew("j2", drafts(1, uid="f")[0])
    listener.received.clear()
    Fragile.refusals = 2
    harness.uplink.journal_replaced()
    wait(lambda: len(listener.events()) == 3, "the new journal")
    assert Fragile.refusals == 0
    assert {dict(message.properties.UserProperty)["journal"] for message in listener.events()} == {"j2"}
    wait(lambda: listener.statuses() and listener.statuses()[-1].journal == "j2", "the status")
    assert [failed.name for failed in harness.of(WorkerFailed)] == ["uplink"] * 2, "a person can see why nothing moves"


def test_acks_that_come_between_a_fork_and_the_new_journal_move_nothing(make: Callable[..., Harness]) -> None:
    harness = make(free_port(), entries=4, collector_id=COLLECTOR)

    def ack(seq: int, digest: bytes) -> None:
        found = wire.Ack(collector=COLLECTOR, journal=harness.journal.id, seq=seq, hash=seal.to_text(digest))
        harness.uplink._turn(MessageArrived(f"{BASE}/ack", wire.encode(found)))

    ack(4, b"\x01" * 32)
    ack(2, harness.hash(2))  # it would be taken for one of the new journal, where number 2 is another entry
    assert harness.of(ForkFound) == [ForkFound()]
    assert harness.of(MarkMoved) == []


def test_an_ack_below_what_is_kept_is_no_fork(
    broker: Mosquitto, listener: Listener, make: Callable[..., Harness]
) -> None:
    harness = make(broker.port, entries=9).start()
    wait(lambda: len(listener.events()) == 9, "the entries")
    listener.announce()
    listener.ack(harness.journal.id, 9, harness.hash(9))
    wait(lambda: MarkMoved(9) in harness.posted, "the mark")
    harness.journal.acknowledge(9)
    harness.journal.trim(before_ms=0, most=4)  # and the uplink has not heard of it yet
    listener.ack(harness.journal.id, 2, b"\x07" * 32)
    wait(lambda: harness.uplink._delivery._below is not None, "the ack")
    listener.received.clear()
    harness.advance(5_001)
    wait(lambda: MarkMoved(5) in harness.posted, "the mark, which is also kept")
    wait(lambda: listener.seqs() == [6, 7, 8, 9], "all that is kept")
    assert harness.of(ForkFound) == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[1]",
        b"null",
        b'{"collector":"collector-1"}',
        b'{"collector":"collector-1","journal":"%j","seq":-1,"hash":""}',
        b'{"collector":"collector-1","journal":"%j","seq":3,"hash":"AAAA"}',
        b'{"collector":"collector-1","journal":"%j","seq":3,"hash":"\xc3\xa4"}',
        b'{"collector":"collector-1","journal":"%j","seq":' + b"9" * 40 + b',"hash":""}',
        b'{"collector":"collector-1","journal":"%j","seq":"3","hash":""}',
        b"[" * 60_000,
        b"x" * (wire.MAX_MESSAGE_BYTES + 1),
    ],
)
def test_a_message_that_makes_no_sense_is_a_line_in_the_log_and_nothing_else(
    broker: Mosquitto, listener: Listener, make: Callable[..., Harness], caplog: pytest.LogCaptureFixture, body: bytes
) -> None:
    caplog.set_level(logging.WARNING)
    harness = make(broker.port, entries=4).start()
    listener.announce()
    listener.say(f"{BASE}/ack", body.replace(b"%j", harness.journal.id.encode()))
    listener.say(f"{BASE}/roster", body)
    listener.ack(harness.journal.id, 4, harness.hash(4))
    wait(lambda: MarkMoved(4) in harness.posted, "a good ack")
    assert harness.of(MarkMoved) == [MarkMoved(4)]
    assert harness.of(ForkFound) == []
    assert len(harness.of(LinkChanged)) == 1
    refused = [record.getMessage() for record in caplog.records if "refused a message" in record.getMessage()]
    assert refused
    assert f"on {BASE}/ack" in refused[0]
    assert "Traceback" not in caplog.text


def test_a_collectors_status_that_makes_no_sense_is_refused(
    broker: Mosquitto, listener: Listener, make: Callable[..., Harness], caplog: pytest.LogCaptureFixture
) -> None:
    harness = make(broker.port, entries=1).start()
    listener.say("fabgate/v1/lyon/collector/status", b"{}")
    refusal = "refused a message on fabgate/v1/lyon/collector/status"
    wait(lambda: refusal in caplog.text, "the refusal, before another status takes its place")
    listener.announce()
    listener.ack(harness.journal.id, 1, harness.hash(1))
    wait(lambda: MarkMoved(1) in harness.posted, "a good ack")


def test_nudges_and_sealed_commands_are_handed_on_and_others_are_counted(
    broker: Mosquitto, listener: Listener, make: Callable[..., Harness]
) -> None:
    harness = make(broker.port).start()
    payload, its_seal = sealed(command())
    listener.say(f"{BASE}/command", b"\x00whatever", UserProperty=("seal", "k1:abc"))
    listener.say(f"{BASE}/command", payload)
    listener.say(f"{BASE}/command", payload, UserProperty=("seal", its_seal))
    listener.say(f"{BASE}/roster", b'{"version":1}')
    wait(lambda: harness.of(RosterNudged), "the nudge")
    assert harness.of(CommandArrived) == [CommandArrived(command())]
    assert [told.count for told in harness.of(CommandsRefused)] == [1], "told once, not for each"
    harness.advance(60_001)
    wait(lambda: len(harness.of(CommandsRefused)) == 2, "the count, with the heartbeat")
    assert harness.of(CommandsRefused)[1].count == 2
    assert "found no seal" in harness.of(CommandsRefused)[1].detail


def test_each_new_connection_leads_to_a_status_and_to_a_look_for_a_roster_that_was_missed(
    broker: Mosquitto, listener: Listener, make: Callable[..., Harness]
) -> None:
    listener.say(f"{BASE}/roster", b'{"version":1}', retain=True)
    harness = make(broker.port).start()
    wait(lambda: len(harness.of(RosterNudged)) == 1, "the nudge")
    harness.uplink.handled(RosterNudged())
    wait(listener.statuses, "the greeting")
    listener.received.clear()
    assert harness.uplink._client is not None
    harness.uplink._client._sock.shutdown(socket.SHUT_RDWR)  # type: ignore[union-attr]
    wait(lambda: len(harness.of(RosterNudged)) == 2, "the nudge that waited at the broker")
    wait(
        lambda: listener.statuses() and listener.statuses()[-1].online,
        "the greeting, with or without a last will before it",
    )


def test_a_flood_holds_up_neither_entries_nor_the_heartbeat(make: Callable[..., Harness]) -> None:
    harness = make(free_port())
    taken: list[object] = []
    harness.uplink._handle = taken.append  # type: ignore[method-assign]
    turns: list[int] = []

    def turn(event: object) -> None:
        turns.append(len(taken))
        if len(turns) < 50:
            for _ in range(2 * BATCH):  # the flood never ends
                harness.uplink._queue.put(MessageArrived(f"{BASE}/command", b""))
        else:
            harness.uplink.stop()

    harness.uplink._turn = turn  # type: ignore[method-assign]
    harness.uplink._queue.put(MessageArrived(f"{BASE}/command", b""))
    harness.uplink.run()
    assert max(b - a for a, b in itertools.pairwise(turns)) == BATCH


def test_a_topic_that_was_not_asked_for_is_ignored(make: Callable[..., Harness]) -> None:
    harness = make(free_port())
    harness.uplink._handle(MessageArrived("fabgate/v1/lyon/saw/ack", b"{}"))
    assert harness.posted == []
