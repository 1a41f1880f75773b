"""Restores images and collectors, and replaces cards: all entries arrive again, and no session counts twice."""

from __future__ import annotations

import shutil
import signal

import pytest

from fabgate.demo.furnishing.people import CARDS
from fabgate.demo.processes.workshop import Workshop
from fabgate.demo.taps import hold
from fabgate.demo.waiting import wait_for
from tests.e2e import records
from tests.e2e.use import start_gate, use

pytestmark = [pytest.mark.broker]


def session_ids(workshop: Workshop) -> set[str]:
    return {row["session"] for row in workshop.sessions()}


def test_a_restored_sd_image_continues_in_a_new_journal_and_counts_no_session_twice(workshop: Workshop) -> None:
    gate = start_gate(workshop)
    assert gate.process.end() == 0
    image = gate.state_dir.with_suffix(".image")
    shutil.copytree(gate.state_dir, image)
    old = records.journal_id(gate)
    gate.start()
    use(gate, "bob")
    wait_for("delivery", gate.settled)
    before = session_ids(workshop)
    assert gate.process.end() == 0

    shutil.rmtree(gate.state_dir)
    shutil.copytree(image, gate.state_dir)
    gate.start()
    use(gate, "ada")
    wait_for("another journal", lambda: records.journal_id(gate) != old)
    wait_for("delivery", gate.settled)

    assert before < session_ids(workshop)
    assert len(session_ids(workshop)) == 3
    everything = records.uids(workshop)
    assert len(everything) == len(set(everything))
    assert gate.process.end() == 0
    ours = records.journal(gate)
    theirs = records.stored(workshop, records.journal_id(gate))
    assert [seq for seq, body in theirs.items() if ours[seq] != body] == []


def test_gates_fill_a_collector_that_was_restored_from_yesterdays_backup(workshop: Workshop) -> None:
    gate = start_gate(workshop)
    copy = workshop.folder / "yesterday.tar.gz"
    workshop.collector("backup", str(copy))  # while everything runs
    use(gate, "bob")
    use(gate, "ada")
    wait_for("delivery", gate.settled)
    workshop.ingest.end(signal.SIGKILL)
    workshop.collector("restore", str(copy), "--replace")
    assert len(session_ids(workshop)) == 1
    workshop.ingest.start()
    wait_for("the gap to be filled", lambda: len(session_ids(workshop)) == 3)
    wait_for("delivery", gate.settled)
    heads = records.journal(gate)
    assert gate.process.end() == 0
    assert records.disagreements(workshop, gate, heads) == []


def test_gates_fill_an_empty_collector_from_the_oldest_entry_that_they_keep(workshop: Workshop) -> None:
    gate = start_gate(workshop)
    workshop.ingest.end(signal.SIGKILL)
    shutil.rmtree(workshop.folder / "collector")
    workshop.ingest = type(workshop.ingest)(
        ["collector", "ingest", "--takeover"], workshop.folder / "collector.log", workshop.environment
    )
    workshop.ingest.start()
    path = workshop.folder / "collector" / "collector.db"
    wait_for("a new database", path.exists)
    wait_for(
        "the entries again",
        lambda: len(records.stored(workshop, records.journal_id(gate))) >= len(records.journal(gate)),
    )
    heads = records.journal(gate)
    assert gate.process.end() == 0
    assert records.disagreements(workshop, gate, heads) == []


def test_a_new_card_starts_a_new_journal_and_old_sessions_stay(workshop: Workshop) -> None:
    gate = start_gate(workshop)
    hold(gate.socket, CARDS["bob"], "power", lambda: gate.observer.on)
    wait_for("delivery", gate.delivered)
    gate.process.end(signal.SIGKILL)
    shutil.rmtree(gate.state_dir)
    gate.start()
    assert not gate.observer.on
    use(gate, "ada")
    wait_for("delivery", gate.settled)
    rows = {row["reason"]: row for row in workshop.sessions()}
    assert set(rows) == {"badge", "journal-lost"}
    assert rows["journal-lost"]["member"] == "m-2"
