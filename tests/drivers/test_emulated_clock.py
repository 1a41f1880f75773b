"""A clock that is played: boot, boot time, wall time and trust come from a file that may be replaced at any time."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from fabgate.drivers.emulated.clock import EmulatedClock, Played
from fabgate.errors import HardwareError
from fabgate.gate.clock import open_clock


def test_a_clock_that_nobody_touched_is_this_computers(tmp_path: Path) -> None:
    file = tmp_path / "clock.json"
    Played(boot="b1").write(file)
    clock = EmulatedClock(file)
    assert clock.boot == "b1"
    assert clock.synced()
    assert abs(clock.wall() - time.time()) < 1
    assert abs(clock.boot_ms() - time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000) < 1_000


def test_it_jumps_while_it_runs_and_its_boot_goes_on(tmp_path: Path) -> None:
    file = tmp_path / "clock.json"
    Played(boot="b1").write(file)
    clock = EmulatedClock(file)
    Played(boot="b2", on_at_ms=10**12, ahead_s=3600, synced=False).write(file)
    assert 3599 < clock.wall() - time.time() < 3601
    assert not clock.synced()
    assert clock.boot == "b1"
    assert clock.boot_ms() > 0


def test_after_a_power_cut_boot_time_counts_from_the_power_and_the_gates_clock_says_so(tmp_path: Path) -> None:
    file = tmp_path / "clock.json"
    on_at_ms = time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000
    Played(boot="b2", on_at_ms=on_at_ms, ahead_s=-600, synced=False).write(file)
    clock = open_clock("emulated", tmp_path)
    now = clock.now()
    assert clock.boot == "b2"
    assert 0 <= now.boot_ms < 10_000
    assert not now.synced
    assert now.local is not None
    assert 590 < time.time() - now.local.timestamp() < 610


@pytest.mark.parametrize("text", ["", "{}", '{"boot": 5}', '{"boot": "b", "colour": "red"}'])
def test_a_file_that_says_nothing_of_use_is_told_by_its_name(tmp_path: Path, text: str) -> None:
    file = tmp_path / "clock.json"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(HardwareError, match=r"clock\.json: the played clock cannot be read"):
        EmulatedClock(file)
