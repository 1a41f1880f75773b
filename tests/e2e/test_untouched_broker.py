"""Runs a broker with default settings while the collector is away: it drops acknowledged messages, but no entry is lost."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from fabgate import wire
from fabgate.demo.processes.gate import SITE
from fabgate.demo.processes.workshop import Workshop
from fabgate.demo.waiting import wait_for
from fabgate.gate.config import gate_yaml as gate_config
from fabgate.gate.journal.ids import uuid7
from fabgate.gate.journal.reader import JournalReader
from fabgate.gate.journal.writer import Draft, Journal
from fabgate.gate.uplink.connection import Uplink
from fabgate.gate.uplink.events import MarkMoved
from tests.e2e import records

pytestmark = [pytest.mark.broker]

GATES = 50
ENTRIES = 80


class LightGate:
    """The journal and the uplink of a gate, without machine, reader and process."""

    def __init__(self, folder: Path, number: int, port: int) -> None:
        self.name = f"light-{number}"
        state_dir = folder / self.name
        state_dir.mkdir()
        path = folder / f"{self.name}.yaml"
        (folder / "unused").touch()
        path.write_text(
            json.dumps(
                {
                    "site": SITE,
                    "gate": self.name,
                    "state_dir": str(state_dir),
                    "demo": True,
                    "reader": {"driver": "simulated", "control_socket": "unused"},
                    "output": {"driver": "memory"},
                    "roster": {"file": "unused"},
                    "mqtt": {"host": "127.0.0.1", "port": port},
                    "uplink": {"resend_s": 3, "resend_max_s": 20},
                }
            )
        )
        config = gate_config.load(path)
        journal = Journal(state_dir / "journal.db", config.topics)
        journal.open()
        clock = wire.Clock(boot="b", boottime_ms=1)
        drafts = [
            Draft(uuid7(), "access.refused", wire.AccessRefused(clock=clock, badge="b", reasons=["expired"]), None)
            for _ in range(ENTRIES)
        ]
        journal.append(drafts)
        journal.close()
        self.reader = JournalReader(state_dir / "journal.db")
        self.mark = 0
        self.uplink = Uplink(config, JournalReader(state_dir / "journal.db"), self._post)

    def _post(self, event: object) -> None:
        if isinstance(event, MarkMoved):
            self.mark = event.seq

    def start(self) -> None:
        for run in (self.uplink.run_network, self.uplink.run):
            threading.Thread(target=run, daemon=True).start()


def test_all_entries_of_fifty_gates_arrive_although_the_broker_drops_messages(workshop: Workshop) -> None:
    # The broker keeps messages for the collector only if its session exists.
    workshop.ingest.start()
    wait_for("the collector", lambda: "serving" in (workshop.folder / "collector.log").read_text())
    workshop.ingest.end()
    gates = [LightGate(workshop.folder, number, workshop.port) for number in range(GATES)]
    for gate in gates:
        gate.start()
    log = workshop.folder / "broker" / "mosquitto.log"
    wait_for(
        "the broker to drop messages", lambda: "discard" in log.read_text().lower() or "drop" in log.read_text().lower()
    )
    workshop.ingest.start()
    wait_for("all acknowledgements", lambda: all(gate.mark == ENTRIES for gate in gates))
    for gate in gates:
        gate.uplink.stop()
    for gate in gates:
        ours = {entry.seq: entry.body for entry in gate.reader.after(0, most=1000)}
        assert records.stored(workshop, gate.reader.id) == ours
        gate.reader.close()
