"""A move that is killed at any moment, or during a power cut, and repeated: it ends whole, or exactly as before."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabgate.by_hand.part import COLLECTOR, GATE
from tests.by_hand.emulated import ETC, NEW, OLD, SERVICES, UNITS, Emulated, KilledError

#: More changes than any move has. The test below makes sure of it.
MOST = 70
FAILURES = {
    GATE: ("systemctl enable", ""),
    COLLECTOR: ("", "systemctl enable", "/usr/sbin/fabgate-collector migrate", "package runs"),
}
parts = st.sampled_from([GATE, COLLECTOR])
#: After how many changes each attempt is killed, and whether the computer starts again then.
kills = st.lists(st.tuples(st.integers(1, MOST), st.booleans()), max_size=4)


def prepared(folder, part, tables):
    computer = Emulated(Path(folder))
    computer.tables = tables
    computer.install_by_hand(part)
    computer.put(f"{ETC}/{UNITS[part][-1]}.d/40-from-the-installation-by-hand.conf", "[Unit]\nAfter=x.service\n")
    unit = f"{ETC}/{UNITS[part][-1]}"
    computer.put(unit, computer.text(unit).replace("[Unit]", "[Unit]\nRequiresMountsFor=/srv") + "\n")
    computer.install_package(part)
    return computer


@cache
def whole(part, tables):
    """Return what a move leaves that nothing disturbs."""
    with TemporaryDirectory() as folder:
        computer = prepared(folder, part, tables)
        computer.move(part)
        return computer.files(), dict(computer.running), computer.changes


def without_rows(files):
    return {name: text.partition("\n")[0] if name.endswith("collector.db") else text for name, text in files.items()}


@given(part=parts, kills=kills, tables=st.sampled_from([OLD, NEW]), data=st.data())
def test_a_move_that_is_killed_and_repeated_ends_whole_or_exactly_as_before(part, kills, tables, data):
    fails = data.draw(st.sampled_from(FAILURES[part]))
    with TemporaryDirectory() as folder:
        computer = prepared(folder, part, tables)
        before, running = computer.files(), dict(computer.running)
        computer.fails = fails
        recorded = computer.rows_recorded
        said = computer.move_with_kills(part, kills)
        computer.fails = ""
        if "rollback` says the way back" in said:
            # The tables had changed, and the package may have recorded something: from here the move only goes on.
            assert tables == NEW
            said = computer.move(part)
        ended = without_rows(computer.files()), dict(computer.running)
        if "the installation by hand is as it was" in said:
            assert fails
            assert ended == (without_rows(before), running)
        else:
            files, running, _ = whole(part, tables)
            assert ended == (without_rows(files), running)
        if part is COLLECTOR:
            assert computer.rows() == recorded, "what a collector recorded while it ran is lost"


@pytest.mark.parametrize("part", [GATE, COLLECTOR], ids=["gate", "collector"])
def test_kills_reach_each_change_of_a_move(part):
    assert 20 < whole(part, NEW)[2] < MOST


@pytest.mark.parametrize("kill_at", range(1, 60))
def test_a_gate_that_is_killed_has_its_machine_off_or_a_program_that_holds_it(tmp_path, kill_at):
    computer = prepared(tmp_path, GATE, OLD)
    computer.kill_at = kill_at
    try:
        computer.move(GATE)
    except KilledError:
        assert (computer.history[-1] == "off") != bool(computer.running)
    assert computer.history in (
        ["on, by hand"],
        ["on, by hand", "off"],
        ["on, by hand", "off", "on, package"],
    )


@pytest.mark.parametrize("kill_at", range(1, MOST))
def test_no_start_of_the_computer_lets_a_collector_run_half_way(tmp_path, kill_at):
    """Either all of the one, or all of the other, or nothing runs."""
    computer = prepared(tmp_path, COLLECTOR, NEW)
    computer.kill_at = kill_at
    try:
        computer.move(COLLECTOR)
    except KilledError:
        computer.start()
    services = {unit: program for unit, program in computer.running.items() if unit in SERVICES}
    assert len(set(computer.running.values())) <= 1
    assert not services or len(services) == len(SERVICES)
