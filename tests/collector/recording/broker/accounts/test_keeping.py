"""The thread that keeps the broker's accounts: when it looks, and what the worker reports of it."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fabgate import wire
from fabgate.collector.ground.base.key_files import write_secret
from fabgate.collector.ground.models import BrokerAccount, Gate, Heartbeat
from fabgate.collector.processes.worker import Worker
from fabgate.collector.recording.broker.accounts import keeping, wanted
from fabgate.collector.recording.broker.accounts.control import Control
from fabgate.collector.recording.broker.accounts.keeping import Keeping
from fabgate.errors import FabgateError
from tests.collector.recording.broker.accounts.conftest import password_file
from tests.support.mosquitto import MOSQUITTO

needs_broker = pytest.mark.skipif(
    not Path(MOSQUITTO).exists(), reason="Mosquitto is not installed here (Debian: mosquitto)"
)


class FakeKeeper:
    """Counts its turns; `due` and `wrong` are what the database and the broker would say."""

    def __init__(self) -> None:
        self.due = False
        self.wrong: Exception | None = None
        self.trouble = ""
        self.turns = 0

    def is_due(self) -> bool:
        return self.due

    def turn(self) -> None:
        self.turns += 1
        if self.wrong:
            raise self.wrong


@pytest.fixture
def fake(env, monkeypatch) -> FakeKeeper:
    found = FakeKeeper()
    monkeypatch.setattr(keeping, "Keeper", lambda _env: found)
    return found


@pytest.fixture
def thread(env, fake) -> Keeping:
    return Keeping(env, threading.Event())


def test_it_compares_at_its_start_after_a_change_and_once_in_a_while(thread, fake):
    thread.look(100.0)
    assert fake.turns == 1
    thread.look(100.0 + keeping.TURN_EVERY_S / 2)
    assert fake.turns == 1
    fake.due = True
    thread.look(101.0 + keeping.TURN_EVERY_S / 2)
    assert fake.turns == 2
    fake.due = False
    thread.look(101.0 + keeping.TURN_EVERY_S * 1.5)
    assert fake.turns == 3


@pytest.mark.parametrize("wrong", [FabgateError("no broker"), None], ids=["off", "some"])
def test_what_failed_is_tried_again_soon_and_not_at_every_look(thread, fake, wrong):
    fake.due, fake.wrong, fake.trouble = True, wrong, "saw-1: no password"
    thread.look(100.0)
    thread.look(101.0)
    assert fake.turns == 1
    thread.look(100.0 + keeping.RETRY_S)
    assert fake.turns == 2
    fake.wrong, fake.trouble = None, ""
    thread.look(100.0 + 2 * keeping.RETRY_S)
    thread.look(101.0 + 2 * keeping.RETRY_S)
    assert fake.turns == 4


def test_a_gate_is_cut_off_within_a_minute_even_after_a_failure():
    assert keeping.LOOK_EVERY_S + keeping.RETRY_S < 60


def test_the_worker_reports_a_change_that_waits_too_long(thread, fake, gate, told):
    now = datetime.now(UTC)
    wanted.give(gate, "secret")
    worker = Worker(thread)
    worker.turn(now)
    assert Heartbeat.objects.get(name=Heartbeat.WORKER).trouble == ""
    fake.wrong = FabgateError("no broker")
    thread.look(100.0)
    worker.turn(now + timedelta(minutes=2))
    assert (
        Heartbeat.objects.get(name=Heartbeat.WORKER).trouble == "accounts of the broker are not up to date: no broker"
    )
    BrokerAccount.objects.update(confirmed_at=now)
    worker.turn(now + timedelta(minutes=3))
    assert Heartbeat.objects.get(name=Heartbeat.WORKER).trouble == ""


def test_a_worker_without_a_broker_of_its_own_reports_nothing(gate, told):
    wanted.give(gate, "secret")
    BrokerAccount.objects.update(asked_at=datetime.now(UTC) - timedelta(hours=1))
    Worker().turn(datetime.now(UTC))
    assert Heartbeat.objects.get(name=Heartbeat.WORKER).trouble == ""


# --- many gates -------------------------------------------------------------------------------------------------------

STAY, COME = 50, 200


def let_in(env, names: list[str]) -> None:
    """Let gates in without their rosters, which take longer than all the rest."""
    for name in names:
        gate = Gate.objects.create(name=name, token_hash="x")
        password = f"password of {name}"
        path = password_file(env, name)
        path.parent.mkdir(parents=True)
        write_secret(path, password)
        wanted.give(gate, password)


@pytest.mark.broker
@needs_broker
def test_nobody_is_disconnected_while_two_hundred_gates_come_and_go(broker, keeper, connect):
    staying = [f"stays-{number}" for number in range(STAY)]
    let_in(broker.env, staying)
    keeper.turn()
    gates = {name: connect(name) for name in staying}
    collector = connect("collector", client_id="ingest")
    collector.subscribe("fabgate/v1/lyon/+/state")
    ends, sent, refused = threading.Event(), [0], []

    def deliver() -> None:
        while not ends.is_set():
            for name, gate in gates.items():
                answer = gate.publish(wire.GateTopics("lyon", name).topic("state"), str(sent[0]).encode())
                refused.extend([answer] if answer != "Success" else [])
                sent[0] += 1

    delivering = threading.Thread(target=deliver)
    delivering.start()
    try:
        for first in range(0, COME, 50):
            let_in(broker.env, [f"comes-{number}" for number in range(first, first + 50)])
            keeper.turn()
        with Control(broker.env) as control:
            assert len(control.clients()) == STAY + COME + 2
        for gate in Gate.objects.filter(name__startswith="comes-"):
            wanted.take(gate)
        keeper.turn()
    finally:
        ends.set()
        delivering.join()
    assert [gate.lost for gate in gates.values()] == [[]] * STAY
    assert refused == []
    received = sorted(int(collector.received.get(timeout=60)[1]) for _ in range(sent[0]))
    assert received == list(range(sent[0])), "nothing is lost, and nothing is doubled"
    with Control(broker.env) as control:
        assert len(control.clients()) == STAY + 2
