"""A clock that is played: boot, boot time, wall time and trust come from a file that may be replaced at any time."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from fabgate.drivers.emulated.clock import ClockState, EmulatedClock
from fabgate.errors import HardwareError
from fabgate.gate.clock import boottime_ms, open_clock
from fabgate.rules import vocabulary


def between(this_computers: Callable[[], float], played: Callable[[], float]) -> bool:
    """Whether a played clock shows a moment between two looks at this computer's, each rounded down to a millisecond."""
    before = this_computers()
    found = played()
    return before - 0.001 <= found <= this_computers()


def wall_of(now: vocabulary.Now) -> float:
    assert now.local is not None
    return now.local.timestamp()


def test_a_clock_that_nobody_touched_is_this_computers(tmp_path: Path) -> None:
    file = tmp_path / "clock.json"
    ClockState(boot="b1").write(file)
    clock = EmulatedClock(file)
    assert clock.boot == "b1"
    assert clock.synced()
    assert between(time.time, clock.wall)
    assert between(boottime_ms, clock.boot_ms)


def test_it_jumps_while_it_runs_and_its_boot_goes_on(tmp_path: Path) -> None:
    file = tmp_path / "clock.json"
    ClockState(boot="b1").write(file)
    clock = EmulatedClock(file)
    ClockState(boot="b2", on_at_ms=10**12, ahead_s=3600, synced=False).write(file)
    assert between(lambda: time.time() + 3600, clock.wall)
    assert not clock.synced()
    assert clock.boot == "b1"
    assert clock.boot_ms() > 0


def test_after_a_power_cut_boot_time_counts_from_the_power_and_the_gates_clock_says_so(tmp_path: Path) -> None:
    file = tmp_path / "clock.json"
    on_at_ms = boottime_ms()
    ClockState(boot="b2", on_at_ms=on_at_ms, ahead_s=-600, synced=False).write(file)
    clock = open_clock("emulated", tmp_path)
    assert clock.boot == "b2"
    assert between(lambda: boottime_ms() - on_at_ms, lambda: clock.now().boot_ms)
    assert not clock.now().synced
    assert between(lambda: time.time() - 600, lambda: wall_of(clock.now()))


@pytest.mark.parametrize("text", ["", "{}", '{"boot": 5}', '{"boot": "b", "colour": "red"}'])
def test_a_file_that_says_nothing_of_use_is_told_by_its_name(tmp_path: Path, text: str) -> None:
    file = tmp_path / "clock.json"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(HardwareError, match=r"clock\.json: the emulated clock cannot be read"):
        EmulatedClock(file)
