"""Runs a real collector and gate: a nudge makes a gate obey a block, and a lock survives a night off and a new card."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path

import pytest

from fabgate.demo.furnishing.people import CARDS, members_file
from fabgate.demo.processes.gate import SimulatedGate
from fabgate.demo.processes.workshop import Workshop
from fabgate.demo.script import refused
from fabgate.demo.taps import hold
from fabgate.demo.waiting import wait_for
from tests.e2e.use import use

pytestmark = [pytest.mark.broker]

#: Seconds between fetches, so that a gate with a newer roster must have been nudged. `make bench ONLY=roster-push` measures
#: how soon.
FETCH_EVERY_S = 86_400


def start_site(workshop: Workshop) -> SimulatedGate:
    gate = workshop.let_in("laser-1", "laser", "Laser 1", limit_s=600)
    workshop.collector("import-members", str(members_file(workshop.folder, machines=frozenset({"laser"}))))
    workshop.start_collector()
    config = json.loads(gate.config.read_text())
    config["roster"]["fetch_every_s"] = FETCH_EVERY_S
    gate.config.write_text(json.dumps(config))
    gate.start()
    use(gate, "bob")
    wait_for("delivery", gate.delivered)
    return gate


def without_bob(folder: Path) -> Path:
    """Write the same members, except that Bob may no longer use the machine: the roster then refuses him."""
    return members_file(folder, machines=frozenset({"laser"}), without="Bob")


def version(gate: SimulatedGate) -> int:
    return int((gate.status().get("roster") or {}).get("version", 0))


def test_a_blocked_member_is_refused_once_the_gate_is_nudged(workshop: Workshop) -> None:
    gate = start_site(workshop)
    before = version(gate)
    workshop.collector("import-members", str(without_bob(workshop.folder)))
    wait_for("the new roster", lambda: version(gate) > before)
    hold(gate.socket, CARDS["bob"], "the refusal", lambda: refused(gate, "training-missing"))
    assert not gate.observer.on
    assert not any("roster" in problem for problem in gate.status()["problems"])  # the guard took it for no broken list
    use(gate, "ada")


def test_a_block_is_obeyed_after_the_collector_was_restored_from_yesterdays_backup(workshop: Workshop) -> None:
    gate = start_site(workshop)
    copy = workshop.folder / "yesterday.tar.gz"
    workshop.collector("backup", str(copy))
    for _ in range(3):  # today's rosters have higher versions than yesterday's
        workshop.collector("machine-set", "laser", "limit_s=500")
    wait_for("today's roster", lambda: version(gate) > 0 and gate.delivered())
    today = version(gate)
    for process in (workshop.ingest, workshop.web):
        process.end(signal.SIGKILL)
    workshop.collector("restore", str(copy), "--replace")
    workshop.start_collector()
    wait_for("a rebuilt roster", lambda: version(gate) > today)
    restored = version(gate)
    workshop.collector("import-members", str(without_bob(workshop.folder)))
    wait_for("the block", lambda: version(gate) > restored)
    hold(gate.socket, CARDS["bob"], "the refusal", lambda: refused(gate, "training-missing"))


def test_a_lock_survives_a_night_off_a_new_card_and_a_restored_collector(workshop: Workshop) -> None:
    gate = start_site(workshop)
    copy = workshop.folder / "yesterday.tar.gz"
    workshop.collector("backup", str(copy))
    workshop.collector("lock", "laser-1", "--when", "now", "--reason", "Broken belt")
    wait_for("the lock", lambda: gate.status().get("causes") == ["lock-now"])

    # A night off, with the collector away in the morning.
    assert gate.process.end() == 0
    for process in (workshop.ingest, workshop.web):
        assert process.end() == 0
    gate.start()
    assert gate.status().get("causes") == ["lock-now"]
    hold(gate.socket, CARDS["ada"], "the refusal", lambda: refused(gate, "blocked-lock-now"))

    # The restored collector does not know the lock, and must not lift it.
    workshop.collector("restore", str(copy), "--replace")
    before = version(gate)
    workshop.start_collector()
    wait_for("a rebuilt roster", lambda: version(gate) > before)
    assert gate.status().get("causes") == ["lock-now"]
    workshop.collector("lock", "laser-1", "--when", "now", "--reason", "Broken belt")

    # A new card is empty until the collector answers; then the machine is locked again.
    assert gate.process.end() == 0
    shutil.rmtree(gate.state_dir)
    gate.start()
    wait_for("the lock again", lambda: gate.status().get("causes") == ["lock-now"])
    hold(gate.socket, CARDS["ada"], "the refusal", lambda: refused(gate, "blocked-lock-now"))
    assert not gate.observer.on
    workshop.collector("unlock", "laser-1")
    wait_for("the lock to be lifted", lambda: not gate.status().get("causes"))
    use(gate, "bob")  # the reader must first see Ada's card leave


def test_a_gate_that_moves_to_another_machine_drops_the_lock_of_the_first(workshop: Workshop) -> None:
    gate = start_site(workshop)
    workshop.collector("lock", "laser-1", "--when", "now", "--reason", "Broken belt")
    wait_for("the lock", lambda: gate.status().get("causes") == ["lock-now"])
    workshop.collector("gate-add", "laser-1", "--machine", "spare", "--new-token")
    assert gate.process.end() == 0
    gate.start()  # it reads its new seal key
    wait_for("the lock to be lifted", lambda: not gate.status().get("causes"))
    workshop.collector("lock", "laser-1", "--when", "idle", "--reason", "No training yet")
    wait_for("the lock of the second machine", lambda: gate.status().get("causes") == ["lock-idle"])
