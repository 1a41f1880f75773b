"""The age of a roster since its last confirmation."""

from __future__ import annotations

import threading

from fabgate.gate.roster.http_source import Receipt, age_ms
from fabgate.gate.roster.source import RosterConfirmed
from fabgate.rules import vocabulary
from tests.gate.fakes import NOON
from tests.gate.roster.collector import Harness
from tests.gate.shell import wait


def test_age_counts_from_the_last_confirmation(harness: Harness) -> None:
    assert harness.age_ms() is None
    harness.fetch()
    harness.time.ms += 5_000
    assert harness.age_ms() == 5_000
    harness.fetch()
    assert harness.age_ms() == 0


def test_age_survives_a_restart_by_the_boot_clock_and_a_reboot_by_the_wall_clock(harness: Harness) -> None:
    harness.fetch()
    harness.time.ms += 1_000
    harness.source = harness.make()
    assert harness.age_ms() == 1_000
    harness.time.reboot(off_s=3_600)
    harness.source = harness.make()
    assert harness.age_ms() == 3_601_000
    harness.time.wall -= 10_000
    assert harness.age_ms() is None, "a confirmation from the future says nothing of its age"


class Receipts:
    """The receipt on disk, and how often it was written."""

    def __init__(self, harness: Harness) -> None:
        self._path = harness.stored.with_suffix(".json")
        self._last = self._inode()
        self.written = 0

    def _inode(self) -> tuple[int, int]:
        found = self._path.stat()
        return found.st_ino, found.st_mtime_ns

    def look(self) -> int:
        now = self._inode()
        self.written += now != self._last
        self._last = now
        return self.written


def test_a_day_of_confirmations_writes_a_receipt_each_quarter_of_an_hour(harness: Harness) -> None:
    harness.fetch()
    receipts = Receipts(harness)
    for _ in range(120):
        harness.time.ms += 60_000
        assert harness.fetch() == [RosterConfirmed()]
        assert harness.age_ms() == 0, "what this process knows is exact"
        receipts.look()
    assert receipts.written == 8


def test_after_a_power_cut_the_age_errs_towards_old_and_by_a_quarter_of_an_hour_at_most(harness: Harness) -> None:
    harness.fetch()
    for minutes in range(1, 40):
        harness.time.ms += 60_000
        harness.fetch()
        left = harness.make()  # as after a kill: nothing was written at the end
        age_ms = left.age_ms(harness.time.clock().now())
        assert age_ms == minutes % 15 * 60_000


def test_an_orderly_end_leaves_the_last_confirmation(harness: Harness) -> None:
    harness.fetch()
    harness.time.ms += 60_000
    thread = threading.Thread(target=harness.source.run)
    thread.start()
    wait(lambda: RosterConfirmed() in harness.posted, "the confirmation")
    harness.source.stop()
    thread.join()
    assert harness.make().age_ms(harness.time.clock().now()) == 0


def test_an_end_on_a_full_disk_is_an_end(harness: Harness) -> None:
    harness.fetch()
    harness.time.ms += 60_000
    harness.fetch()
    harness.stored.with_suffix(".new").mkdir()
    harness.source.stop()
    harness.source.run()


def test_without_any_time_nobody_knows_the_age() -> None:
    now = vocabulary.Now(1, NOON, synced=True)
    assert age_ms(None, now, "b") is None
    assert age_ms(Receipt(version=1, hash="", boot="a", wall_ms=None), now, "b") is None
    assert age_ms(Receipt(version=1, hash="", boot="a", wall_ms=5), vocabulary.Now(1, None), "b") is None
