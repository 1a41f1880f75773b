"""A whole gate with its broker: commands, the floor in its status."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest

from fabgate.errors import UsageError
from fabgate.gate.config.gate_yaml import JournalOptions
from fabgate.gate.journal.reader import JournalReader
from fabgate.gate.uplink.connection import Uplink
from tests.gate.shell import Bench, gate_config, wait
from tests.gate.uplink.commanding import now, sealed
from tests.gate.uplink.harness import (
    BASE,
    COLLECTOR,
    Listener,
    needs_broker,
    way_to,
)
from tests.support.mosquitto import Mosquitto

pytestmark = [pytest.mark.broker, needs_broker]


def test_a_command_reaches_the_machine_and_is_answered(broker: Mosquitto, listener: Listener, tmp_path: Path) -> None:
    bench = Bench(tmp_path / "gate", mqtt=way_to(broker))
    bench.reader.supervised = False
    try:
        bench.start()
        bench.wait_for_status(lambda status: status["mqtt"]["connected"])
        bench.use("ada")
        payload, its_seal = sealed(now(bench, "stop"))
        listener.say(f"{BASE}/command", payload, UserProperty=("seal", its_seal))
        wait(lambda: not bench.output.on, "the stop")
        wait(lambda: listener.on(f"{BASE}/reply"), "the reply")
        assert json.loads(listener.on(f"{BASE}/reply")[0].payload)["outcome"] == "done"
        kinds = [message.topic.split("/event/")[1] for message in listener.events()]
        wait(lambda: "session/ended" in [m.topic.split("/event/")[1] for m in listener.events()], "the end")
        assert kinds[0] == "gate/started"
        assert (listener.statuses()[-1].boot, listener.statuses()[-1].reader_supervised) == ("boot-1", False)
        assert "m-ada" in "".join(m.payload.decode() for m in listener.on(f"{BASE}/state"))
    finally:
        bench.close()


def test_a_floor_that_moves_while_nothing_else_happens_is_told_before_the_next_heartbeat(
    broker: Mosquitto, listener: Listener, tmp_path: Path
) -> None:
    options = JournalOptions(keep_days=1)
    bench = Bench(tmp_path / "gate", mqtt=way_to(broker), journal=options)
    try:
        bench.start()
        bench.use("ada")
        bench.tap("ada")
        bench.written()
        bench.time.wall += 3 * 86_400
        bench.settle()
        bench.written()
        wait(lambda: [m.topic for m in listener.events()][-1].endswith("clock/synced"), "the newest entry")
        with contextlib.closing(JournalReader(bench.journal)) as reader:
            head = reader.bounds()[1]
            journal, digest = reader.id, reader.hash_at(head)
        assert digest is not None
        listener.announce()
        wait(lambda: listener.statuses()[-1].collector == COLLECTOR, "the collector")
        listener.ack(journal, head, digest)
        wait(lambda: listener.statuses()[-1].floor == head, "the new floor")
    finally:
        bench.close()


def test_a_gate_without_a_broker_has_no_uplink(tmp_path: Path) -> None:
    with pytest.raises(AssertionError):
        Uplink(gate_config(tmp_path), None, print)  # type: ignore[arg-type]
    assert issubclass(UsageError, ValueError)
