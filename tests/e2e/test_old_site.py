"""The state folder of a gate and the database of a collector of each released version are continued."""

from __future__ import annotations

from pathlib import Path

import pytest

from fabgate.demo.furnishing.places import Made
from fabgate.demo.processes.workshop import Workshop
from fabgate.demo.waiting import wait_for
from tests.e2e import records
from tests.e2e.use import use
from tests.support.recording import Recording

pytestmark = [pytest.mark.broker]


def test_a_gate_and_a_collector_continue_what_an_older_version_left(
    recording: Recording, workshop: Workshop, tmp_path: Path
) -> None:
    recording.unpack_site(tmp_path)
    workshop.collector("migrate")
    secrets = tmp_path / "collector" / "gates" / "laser-1"
    gate = workshop.served(
        "laser-1", "Laser 1", Made(*(str(secrets / name) for name in ("token", "seal.keys", "badge.keys")))
    )
    journal, before = records.journal_id(gate), records.journal(gate)
    assert workshop.sessions() == recording.sessions()

    workshop.start_collector()
    gate.start()
    use(gate, "bob")
    wait_for("delivery", gate.settled)

    assert records.journal_id(gate) == journal
    after = records.journal(gate)
    assert {seq: after[seq] for seq in before} == before
    (added,) = [row for row in workshop.sessions() if row not in recording.sessions()]
    assert added["member"] == "m-2"
    assert len(workshop.sessions()) == len(recording.sessions()) + 1
    workshop.collector("verify")
