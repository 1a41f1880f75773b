"""A move that is killed at any moment, or during a power cut, and repeated: it ends whole, or exactly as before."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabgate.by_hand.part import COLLECTOR, GATE
from fabgate.by_hand.unit_changes import DROP_IN
from fabgate.errors import FabgateError
from tests.by_hand.emulated import ENABLED, ETC, NEW, OLD, RESTARTS, RUNS, UNITS, Emulated, KilledError

#: More changes than any move has that fails and is undone. A test below makes sure of it.
MOST = 170
MIGRATE = "/usr/sbin/fabgate-collector migrate"
FAILURES = {GATE: ("", "systemctl enable"), COLLECTOR: ("", "systemctl enable", MIGRATE, RUNS, RESTARTS)}
parts = st.sampled_from([GATE, COLLECTOR])
#: After how many changes each attempt is killed, and whether the computer starts again then.
kills = st.lists(st.tuples(st.integers(1, MOST), st.booleans()), max_size=4)


def prepared(folder, part, tables):
    computer = Emulated(Path(folder))
    computer.tables = tables
    computer.install_by_hand(part)
    if part is GATE:  # a file of the name that ours has, as an earlier move that went back by hand leaves it
        computer.put(f"{ETC}/{UNITS[part][-1]}.d/{DROP_IN}", "[Unit]\nAfter=x.service\n")
    unit = f"{ETC}/{UNITS[part][-1]}"
    computer.put(unit, computer.text(unit).replace("[Unit]", "[Unit]\nRequiresMountsFor=/srv") + "\n")
    computer.install_package(part)
    return computer


@cache
def whole(part, tables):
    """Return what a move leaves that nothing disturbs, and how many changes it has."""
    with TemporaryDirectory() as folder:
        computer = prepared(folder, part, tables)
        computer.move(part)
        return computer.files(), dict(computer.running), computer.changes


def check(part, tables, kills, fails="", fails_from=0):
    """Move, with kills and failures, and assert that it ended whole or exactly as before; return how many changes were made."""
    with TemporaryDirectory() as folder:
        computer = prepared(folder, part, tables)
        before, running = computer.files(), dict(computer.running)
        said = computer.move_with_kills(part, kills, fails, fails_from)
        changes = computer.changes
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
            assert computer.rows() == computer.rows_recorded, "what a collector recorded while it ran is lost"
        return changes


def without_rows(files):
    return {name: text.partition("\n")[0] if name.endswith("collector.db") else text for name, text in files.items()}


@given(part=parts, kills=kills, tables=st.sampled_from([OLD, NEW]), fails_from=st.integers(0, 3), data=st.data())
def test_a_move_that_is_killed_and_repeated_ends_whole_or_exactly_as_before(part, kills, tables, fails_from, data):
    check(part, tables, kills, data.draw(st.sampled_from(FAILURES[part])), fails_from)


@pytest.mark.parametrize("fails_from", [0, 1])
@pytest.mark.parametrize(("part", "fails"), [(part, fails) for part, each in FAILURES.items() for fails in each])
def test_a_power_cut_at_any_step_of_a_move_that_fails_loses_nothing(part, fails, fails_from):
    last = check(part, NEW, [], fails)
    assert last < MOST
    for kill_at in range(1, last + 1):
        check(part, NEW, [(kill_at, True)], fails, fails_from)


@pytest.mark.parametrize("part", [GATE, COLLECTOR], ids=["gate", "collector"])
def test_nothing_starts_with_the_computer_while_only_some_of_its_files_are_there(tmp_path, part):
    for kill_at in range(1, MOST):
        computer = prepared(tmp_path / str(kill_at), part, OLD)
        before = set(computer.files())
        computer.kill_at, computer.fails = kill_at, "systemctl start"
        try:
            computer.move(part)
        except KilledError:
            missing = {name for name in before - set(computer.files()) if ".wants/" not in name}
            by_hand = [target for unit in ENABLED[part] for target in computer.enabled(unit) if target.startswith(ETC)]
            assert not (missing and by_hand)
        except FabgateError:
            return
    raise AssertionError("the move has more changes")


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
    steps = ["on, by hand", "off", "on, package"]
    assert computer.history == steps[: len(computer.history)]
