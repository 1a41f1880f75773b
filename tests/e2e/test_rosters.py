"""Real collector, real gates: a block is obeyed as soon as the gate is nudged, and a lock survives a night and a new card."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path

import pytest

from fabgate.demo.gate import SimulatedGate
from fabgate.demo.people import CARDS, members_file
from fabgate.demo.process import wait_for
from fabgate.demo.script import refused
from fabgate.demo.taps import hold
from fabgate.demo.workshop import Workshop
from tests.e2e.test_restored import use

pytestmark = [pytest.mark.broker]

#: A gate that asks for a newer roster so seldom has been nudged where it knows of one. How soon: `make bench ONLY=roster-push`.
SELDOM_S = 86_400


def bring_up(workshop: Workshop) -> SimulatedGate:
    gate = workshop.let_in("laser-1", "laser", "Laser 1", limit_s=600)
    workshop.collector("import-members", str(members_file(workshop.folder, machines=frozenset({"laser"}))))
    workshop.start_collector()
    config = json.loads(gate.config.read_text())
    config["roster"]["fetch_every_s"] = SELDOM_S
    gate.config.write_text(json.dumps(config))
    gate.start()
    use(gate, "bob")
    wait_for("delivery", gate.delivered)
    return gate


def without_bob(folder: Path) -> Path:
    """The same members, but Bob has no machine any more: he moves to the refusals, one of four."""
    return members_file(folder, machines=frozenset({"laser"}), without="Bob")


def version(gate: SimulatedGate) -> int:
    return int((gate.status().get("roster") or {}).get("version", 0))


def test_a_member_blocked_at_the_collector_is_refused_once_the_gate_is_nudged(workshop: Workshop) -> None:
    gate = bring_up(workshop)
    before = version(gate)
    workshop.collector("import-members", str(without_bob(workshop.folder)))
    wait_for("the new roster", lambda: version(gate) > before)
    hold(gate.socket, CARDS["bob"], "the refusal", lambda: refused(gate, "training-missing"))
    assert not gate.observer.on
    assert not any("roster" in problem for problem in gate.status()["problems"])  # not mistaken for a shrunken one
    use(gate, "ada")


def test_a_block_is_obeyed_although_the_collector_was_restored_from_yesterdays_copy(workshop: Workshop) -> None:
    gate = bring_up(workshop)
    copy = workshop.folder / "yesterday.tar.gz"
    workshop.collector("backup", str(copy))
    for _ in range(3):  # today many rosters are built: their versions are ahead of yesterday's
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
    gate = bring_up(workshop)
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

    # Yesterday's collector knows nothing of the lock, and must not lift it.
    workshop.collector("restore", str(copy), "--replace")
    before = version(gate)
    workshop.start_collector()
    wait_for("a rebuilt roster", lambda: version(gate) > before)
    assert gate.status().get("causes") == ["lock-now"]
    workshop.collector("lock", "laser-1", "--when", "now", "--reason", "Broken belt")

    # A new card knows nobody and nothing until the collector answers; then it is locked again.
    assert gate.process.end() == 0
    shutil.rmtree(gate.state_dir)
    gate.start()
    wait_for("the lock again", lambda: gate.status().get("causes") == ["lock-now"])
    hold(gate.socket, CARDS["ada"], "the refusal", lambda: refused(gate, "blocked-lock-now"))
    assert not gate.observer.on
    workshop.collector("unlock", "laser-1")
    wait_for("the lock to fall", lambda: not gate.status().get("causes"))
    use(gate, "bob")  # Ada's card was here a moment ago, and must be seen to leave first


def test_a_gate_that_is_let_in_beside_another_machine_leaves_the_lock_of_the_first_one(workshop: Workshop) -> None:
    gate = bring_up(workshop)
    workshop.collector("lock", "laser-1", "--when", "now", "--reason", "Broken belt")
    wait_for("the lock", lambda: gate.status().get("causes") == ["lock-now"])
    workshop.collector("gate-add", "laser-1", "--machine", "spare", "--new-token")
    assert gate.process.end() == 0
    gate.start()  # which reads its new seal key
    wait_for("the lock to fall", lambda: not gate.status().get("causes"))
    workshop.collector("lock", "laser-1", "--when", "idle", "--reason", "No training yet")
    wait_for("the lock of the second machine", lambda: gate.status().get("causes") == ["lock-idle"])
