"""How a gate starts: on a disk that cannot be used, and after a run that ended in any way."""

from __future__ import annotations

import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from random import Random

import pytest

from fabgate import wire
from fabgate.drivers.outputs.memory import MemoryOutput
from fabgate.errors import JournalError, UsageError
from fabgate.gate import daemon as module
from fabgate.gate.config.gate_yaml import MachineSection
from fabgate.gate.journal.writer import Journal
from fabgate.rules import vocabulary
from tests.gate.shell import Bench, digest, gate_config, running, wait, write_roster
from tests.support.disk import fill, small_disk

# --- a disk that cannot be used at the start --------------------------------------------------------------------------


def test_a_broken_disk_at_the_start_means_no_power_a_clear_status_and_recovery_by_itself(
    cold: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "JOURNAL_RETRY_S", 0.05)
    cold.disk.broken = "unable to open database file"
    cold.start(ready=False)
    found = cold.wait_for_status(lambda status: status["problems"])
    assert found["causes"] == ["journal"]
    assert "the journal cannot be opened (unable to open database file)" in found["problems"][0]
    assert "STATUS=blocked: the journal cannot be opened" in cold.said
    cold.disk.broken = "attempt to write a readonly database"
    cold.wait_for_status(lambda status: "readonly" in status["problems"][0])
    cold.daemon.post(vocabulary.Presented(digest("ada")))
    assert cold.levels == []
    cold.disk.broken = ""
    cold.wait_until_ready()
    assert cold.levels == []
    cold.use("ada")


def test_a_gate_that_waits_for_its_disk_can_be_stopped(cold: Bench) -> None:
    cold.disk.broken = "unable to open database file"
    cold.start(ready=False)
    cold.wait_for_status(lambda status: status["problems"])
    assert cold.stop() == 0


def test_a_journal_of_another_gate_is_never_written(cold: Bench) -> None:
    cold.config.state_dir.mkdir()
    other = Journal(cold.journal, wire.GateTopics("lyon", "saw"))
    other.open()
    other.close()
    cold.start(ready=False)
    found = cold.wait_for_status(lambda status: status["problems"])
    assert "belongs to lyon/saw" in found["problems"][0]
    assert cold.levels == []


def test_on_a_full_disk_a_session_still_ends_from_the_reserve_which_is_restored_later(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 4096) as folder:
        roster = tmp_path / "roster.json"
        write_roster(roster)
        config = gate_config(tmp_path, state_dir=folder)
        with running(tmp_path, state_dir=folder, roster=config.roster) as bench:
            for _ in range(8):  # so much that the file has to grow, or its WAL would be folded into it and make room
                bench.use("ada")
                bench.tap("ada")
            bench.use("ada")
            reserve = folder / "reserve"
            assert reserve.stat().st_size == 1024 * 1024
            filler = fill(folder)
            bench.advance(7_000)
            bench.tap("ada")
            assert not bench.output.on
            wait(lambda: len(bench.of("session.ended")) == 9, "the session's end on disk")
            assert not reserve.exists()
            assert bench.causes == ["journal"]
            found = bench.wait_for_status(lambda status: status["problems"])
            assert "the journal cannot be written (database or disk is full)" in found["problems"][0]
            bench.tap("bob")
            assert bench.state == "idle"
            filler.unlink()
            wait(lambda: not bench.causes, "the all-clear")
            assert reserve.stat().st_size == 1024 * 1024
            assert [ended.energised_ms for ended in bench.of("session.ended")][-1] == 7_000
            bench.use("bob")


def test_a_disk_that_is_full_at_the_start_is_told_and_the_gate_recovers_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "JOURNAL_RETRY_S", 0.05)
    with small_disk(tmp_path / "disk", 4096) as folder:
        with running(tmp_path, state_dir=folder) as bench:
            bench.use("ada")
            bench.cut_power()
        (folder / "reserve").unlink(missing_ok=True)  # freed for the end that could not be written either
        filler = fill(folder)
        bench.time.reboot()
        bench.start(ready=False)
        found = bench.wait_for_status(lambda status: status["problems"])
        assert any(word in found["problems"][0] for word in ("no room for the reserve", "the disk is not full"))
        assert found["causes"] == ["journal"]
        bench.daemon.post(vocabulary.Presented(digest("ada")))
        wait(bench.daemon._inbox.empty, "the card to be seen while nothing can start")
        filler.unlink()
        bench.wait_until_ready()
        assert bench.levels == [True, False]
        assert bench.of("session.ended")[0].reason == "power-loss"
        bench.stop()


def test_a_read_only_disk_is_told_and_the_gate_recovers_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "JOURNAL_RETRY_S", 0.05)
    with small_disk(tmp_path / "disk", 4096) as folder:
        with running(tmp_path, state_dir=folder) as bench:
            bench.written()
        subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
        bench.start(ready=False)
        wait(lambda: any("blocked" in line for line in bench.said), "the block")
        assert "the journal cannot be opened" in caplog.text
        subprocess.run(["mount", "-o", "remount,rw", folder], check=True)
        bench.wait_until_ready()
        bench.use("ada")
        bench.stop()


# --- starting again ---------------------------------------------------------------------------------------------------


def test_a_restart_within_the_boot_ends_the_open_session_with_all_the_time_that_nobody_saw(bench: Bench) -> None:
    bench.use("ada")
    bench.advance(31_000)
    bench.written()
    bench.advance(20_000)
    bench.cut_power()
    bench.time.ms += 9_000
    bench.start()
    bench.written()
    (ended,) = bench.of("session.ended")
    assert (ended.reason, ended.energised_ms, ended.uncertainty_ms) == ("restart", 31_000, 29_000)
    assert not bench.output.on
    assert bench.state == "idle"


def test_a_power_cut_ends_the_open_session_with_the_doubt_of_a_late_checkpoint(bench: Bench) -> None:
    bench.use("ada")
    bench.advance(45_000)
    bench.written()
    bench.cut_power()
    bench.time.reboot(off_s=8 * 3600)
    bench.start()
    (ended,) = bench.of("session.ended")
    assert (ended.reason, ended.energised_ms, ended.uncertainty_ms) == ("power-loss", 45_000, 30_000 + 60_000)


@pytest.mark.parametrize(("synced", "doubt_ms"), [(True, 30_000 + 60_000 + 7_000), (False, 30_000 + 60_000 + 600_000)])
def test_a_power_cut_of_seconds_leaves_no_doubt_of_hours_where_the_clock_tells(
    tmp_path: Path, synced: bool, doubt_ms: int
) -> None:
    with running(tmp_path, machine=MachineSection(name="Laser", finish="wait", finish_max_s=600)) as bench:
        bench.use("ada")
        bench.advance(45_000)
        bench.written()
        bench.cut_power()
        bench.time.reboot(off_s=7)
        bench.time.synced = synced
        bench.start()
        (ended,) = bench.of("session.ended")
        assert (ended.reason, ended.energised_ms, ended.uncertainty_ms) == ("power-loss", 45_000, doubt_ms)


@pytest.mark.parametrize(("finish", "waits_ms"), [("cut", 0), ("wait", 600_000)])
def test_after_an_hour_of_a_hanging_disk_and_then_a_cut_the_doubt_still_holds(
    tmp_path: Path, finish: str, waits_ms: int
) -> None:
    machine = MachineSection(name="Laser", finish=finish, finish_max_s=600, run_on_s=20)
    with running(tmp_path, machine=machine) as bench:
        bench.use("ada")
        began_ms = bench.time.ms
        bench.advance(30_000)
        bench.written()
        bench.disk.hold()
        off_ms = None
        for _ in range(3_600):
            bench.time.ms += 1_000
            bench.daemon.post(vocabulary.Tick())
            bench.settle()
            if off_ms is None and not bench.output.on:
                off_ms = bench.time.ms
                break
        assert off_ms is not None
        true_ms = off_ms - began_ms
        assert true_ms >= 30_000 + waits_ms
        bench.time.ms += 3_600_000
        bench.cut_power()
        bench.time.reboot()
        bench.start()
        (ended,) = bench.of("session.ended")
        assert ended.energised_ms == 30_000
        assert ended.energised_ms <= true_ms <= ended.energised_ms + ended.uncertainty_ms


def test_nothing_is_switched_on_by_starting_whatever_state_the_files_are_in(tmp_path: Path) -> None:
    with running(tmp_path) as bench:
        bench.use("ada")
        bench.advance(40_000)
        bench.written()
        bench.cut_power()
        state = {path.name: path.read_bytes() for path in bench.config.state_dir.iterdir()}
        random = Random(20261124)
        for n in range(24):
            for name, content in state.items():
                damaged = bytearray(content)
                if name.startswith(("journal", "roster", "status")) and damaged:
                    if n % 3 == 0:
                        damaged = damaged[: random.randrange(len(damaged))]
                    else:
                        for _ in range(random.choice((1, 20, 400))):
                            damaged[random.randrange(len(damaged))] = random.randrange(256)
                if n % 3 != 2 or random.random() < 0.7:
                    (bench.config.state_dir / name).write_bytes(damaged)
                else:
                    (bench.config.state_dir / name).unlink(missing_ok=True)
            bench.output = MemoryOutput()
            bench.time.reboot()
            bench.start(ready=False)
            wait(lambda: bench.over or "READY=1" in bench.said or any("blocked" in s for s in bench.said), "an answer")
            bench.daemon.post(vocabulary.Tick())
            bench.stop()
            assert bench.levels == [], f"round {n}"
            assert bench.error is None or isinstance(bench.error, OSError | ValueError | sqlite3.Error), bench.error


def test_two_daemons_on_one_state_directory_are_one_too_many(bench: Bench) -> None:
    bench.use("ada")
    other = Bench(bench.folder)
    other.start(ready=False)
    other.join()
    assert isinstance(other.error, UsageError)
    assert other.error.exit_code == 2
    assert "another fabgate runs" in str(other.error)
    assert bench.output.on
    assert other.levels == []


def test_a_state_directory_that_cannot_be_used_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no directory")
    bench = Bench(tmp_path, state_dir=tmp_path / "file" / "state")
    bench.start(ready=False)
    bench.join()
    assert isinstance(bench.error, JournalError)
    assert "the state directory cannot be used" in str(bench.error)


#: As gates before the first release kept their one lock.
OLD_LOCK = '{"lock":{"id":"l-1","when":"now","reason":"broken belt"},"version":5}'


@pytest.mark.parametrize(
    ("statement", "wanted"),
    [
        ("UPDATE meta SET value = 1 WHERE key = 'schema'", "found a journal of schema 1, wanted 2"),
        (f"REPLACE INTO meta VALUES ('lock', '{OLD_LOCK}')", "the machine's lock in the journal is damaged"),
    ],
)
def test_the_state_of_a_gate_before_the_first_release_is_refused_and_its_lock_is_not_forgotten(
    bench: Bench, caplog: pytest.LogCaptureFixture, statement: str, wanted: str
) -> None:
    bench.stop()
    with closing(sqlite3.connect(bench.config.state_dir / "journal.db")) as db, db:
        db.execute(statement)
    bench.start(ready=False)
    wait(lambda: "STATUS=blocked: the journal cannot be opened" in bench.said, "the refusal")
    assert wanted in caplog.text
    assert "READY=1" not in bench.said
    bench.stop()
    assert True not in bench.levels


def test_an_output_that_cannot_be_claimed_ends_the_start(cold: Bench) -> None:
    cold.output.broken = True
    cold.start(ready=False)
    cold.join()
    assert getattr(cold.error, "exit_code", None) == 3
