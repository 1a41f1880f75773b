"""Does the clock measure durations whatever happens to the wall clock, and say when it is not sure of the time?"""

from __future__ import annotations

import ctypes
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabgate.gate import clock as clock_module
from fabgate.gate.clock import SOURCES, Clock, boot_id, boottime_ms, fsync_directory, kernel_synced

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
TEN_YEARS = timedelta(days=3652)


class Hands:
    """What a clock reads: to be turned by a test."""

    def __init__(self) -> None:
        self.boot = 1000
        self.wall = NOON.timestamp()
        self.synced = True

    def clock(self, zone: str = "UTC") -> Clock:
        return Clock(
            zone=zone, boot="boot-1", boot_ms=lambda: self.boot, wall=lambda: self.wall, synced=lambda: self.synced
        )

    def pass_ms(self, ms: int) -> None:
        self.boot += ms
        self.wall += ms / 1000


def test_a_reading_has_boot_time_wall_time_in_the_sites_zone_and_whether_it_is_sure():
    now = Hands().clock("Europe/Paris").now()
    assert (now.boot_ms, now.local, now.synced) == (1000, NOON, True)
    assert now.local is not None
    assert now.local.isoformat() == "2026-11-24T13:00:00+01:00"


@pytest.mark.parametrize("jump", [TEN_YEARS, -TEN_YEARS, timedelta(hours=-1), timedelta(seconds=2)])
def test_a_jump_of_the_wall_clock_changes_no_duration_and_is_seen(jump):
    hands = Hands()
    clock = hands.clock()
    start, tie = clock.now(), clock.wall_minus_boot()
    hands.pass_ms(90_000)
    assert clock.wall_minus_boot() == tie
    hands.wall += jump.total_seconds()
    hands.pass_ms(30_000)
    end = clock.now()
    assert end.boot_ms - start.boot_ms == 120_000
    assert clock.wall_minus_boot() - tie == jump
    assert end.local == NOON + timedelta(minutes=2) + jump


def test_while_it_is_not_synchronised_no_time_is_before_the_last_one_on_record():
    hands = Hands()
    clock = hands.clock("Europe/Paris")
    clock.floor = NOON
    hands.wall -= 3600
    assert clock.now().local == NOON - timedelta(hours=1), "synchronised, it is believed"
    hands.synced = False
    now = clock.now()
    assert (now.local, now.synced) == (NOON, False)
    hands.wall += 7200
    assert clock.now().local == NOON + timedelta(hours=1), "later than the floor may be right"
    clock.floor = None
    hands.wall = 0
    assert clock.now().local == datetime(1970, 1, 1, tzinfo=UTC)


OUT_OF_RANGE = [1e18, -1e18, 1e300, float("inf"), float("nan"), -62_135_596_801.0]


@pytest.mark.parametrize("wall", OUT_OF_RANGE)
@pytest.mark.parametrize("floor", [None, NOON])
def test_a_wall_clock_out_of_all_range_is_not_believed_and_crashes_nothing(wall, floor):
    hands = Hands()
    clock = hands.clock("America/New_York")
    clock.floor = floor
    hands.wall = wall
    now = clock.now()
    assert (now.boot_ms, now.synced) == (1000, False)
    assert now.local == (floor or datetime(1970, 1, 1, tzinfo=UTC))
    assert isinstance(clock.wall_minus_boot(), timedelta)


def test_the_last_and_first_hours_of_all_time_exist_in_utc_only_and_crash_nothing():
    for wall, zone in ((253_402_300_799.0, "Asia/Tokyo"), (-62_135_596_800.0, "America/New_York")):
        hands = Hands()
        clock = hands.clock(zone)
        clock.floor = NOON
        hands.wall = wall
        assert (clock.now().local, clock.now().synced) == (NOON, False)


@given(wall=st.floats(), boot=st.integers(0, 2**60), synced=st.booleans())
def test_no_reading_crashes(wall, boot, synced):
    hands = Hands()
    hands.wall, hands.boot, hands.synced = wall, boot, synced
    clock = hands.clock("Europe/Paris")
    assert clock.now().boot_ms == boot
    assert isinstance(clock.wall_minus_boot(), timedelta)


def test_the_real_clock_runs_and_knows_its_boot():
    clock = Clock("assume-synced")
    assert clock.boot == boot_id() == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    before = time.clock_gettime(time.CLOCK_BOOTTIME)
    assert before * 1000 - 1 <= boottime_ms() <= time.clock_gettime(time.CLOCK_BOOTTIME) * 1000
    now = clock.now()
    assert now.synced
    assert now.local is not None
    assert abs(now.local - datetime.now(UTC)) < timedelta(minutes=1)


def test_each_source_asks_whom_it_names(monkeypatch, tmp_path):
    flag = tmp_path / "synchronized"
    monkeypatch.setattr(clock_module, "_TIMESYNCD", flag)
    monkeypatch.setattr(clock_module, "kernel_synced", lambda: False)
    synced = {source: Clock(source).now().synced for source in SOURCES if source != "emulated"}
    assert synced == {"kernel": False, "timesyncd": False, "assume-synced": True}
    flag.touch()
    assert Clock("timesyncd").now().synced


# --- the kernel's word ------------------------------------------------------------------------------------------------

STATUS_AT = 5 * ctypes.sizeof(ctypes.c_long)


def answering(result: int, status: int = 0) -> SimpleNamespace:
    def adjtimex(timex: ctypes.Array[ctypes.c_char]) -> int:
        ctypes.c_int.from_buffer(timex, STATUS_AT).value = status
        return result

    return SimpleNamespace(adjtimex=adjtimex)


@pytest.mark.parametrize(
    ("libc", "synced"),
    [
        (answering(0, 0x2001), True),  # TIME_OK, STA_PLL | STA_NANO
        (answering(1, 0x2001), True),  # a leap second is announced
        (answering(5, 0x40), False),  # TIME_ERROR
        (answering(0, 0x40), False),  # STA_UNSYNC
        (answering(-1, 0), False),  # EPERM from a seccomp filter: the struct stays zero and looks synchronised
        (SimpleNamespace(), False),  # a C library without the call
    ],
)
def test_the_kernel_is_believed_only_when_it_answers_and_says_so(libc, synced):
    assert kernel_synced(libc) is synced


def test_the_real_kernel_can_be_asked():
    assert kernel_synced() in {True, False}


def test_a_directory_can_be_synced_and_a_missing_one_is_an_error(tmp_path):
    before = len(list(Path("/proc/self/fd").iterdir()))
    fsync_directory(tmp_path)
    with pytest.raises(FileNotFoundError):
        fsync_directory(tmp_path / "none")
    assert len(list(Path("/proc/self/fd").iterdir())) == before
