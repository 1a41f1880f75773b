"""How a gate ends, and what people see of it."""

from __future__ import annotations

import logging
import os
import threading
from pathlib import Path

import pytest

from fabgate.drivers.outputs.memory import MemoryOutput
from fabgate.errors import UsageError
from fabgate.gate import daemon as module
from fabgate.gate.config.gate_yaml import EmergencyBadge, MachineSection
from fabgate.rules import vocabulary
from tests.gate.fakes import CARDS, FakeReader, Time
from tests.gate.shell import Bench, digest, drafts, gate_config, running, wait, write_roster

# --- the end ----------------------------------------------------------------------------------------------------------


def test_sigterm_switches_off_first_and_leaves_a_whole_journal(bench: Bench) -> None:
    bench.use("ada")
    bench.advance(2_500)
    bench.disk.hold()
    bench.daemon.stop("SIGTERM")
    wait(lambda: not bench.output.on, "off, whatever the disk does")
    bench.disk.go_on()
    bench.join()
    assert bench.code == 0
    kinds = [kind for kind, _ in bench.entries()]  # it checks the chain of hashes, too
    assert kinds[-3:] == ["session.started", "session.ended", "gate.stopping"]
    assert bench.levels == [True, False]
    assert bench.of("session.ended")[0].energised_ms == 2_500
    assert bench.of("gate.stopping")[0].reason == "SIGTERM"
    assert "STOPPING=1" in bench.said
    assert not bench.output.is_open


def test_a_stop_does_not_wait_for_a_disk_that_hangs(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STOP_S", 0.1)
    bench.use("ada")
    bench.disk.hold()
    bench.tap("ada")
    bench.daemon.stop()
    bench.join()
    assert bench.code == 0
    assert bench.levels == [True, False]
    bench.disk.go_on()


def test_signals_ask_for_an_orderly_stop(bench: Bench) -> None:
    import signal

    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        bench.daemon.handle_signals()
        os.kill(os.getpid(), signal.SIGTERM)
        bench.join()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert bench.of("gate.stopping")[0].reason == "SIGTERM"


def test_the_watchdog_is_fed_by_the_loop_and_only_by_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "3000000")
    with running(tmp_path) as bench:
        fed = bench.said.count("WATCHDOG=1")
        bench.advance(100)
        assert bench.said.count("WATCHDOG=1") == fed
        bench.advance(1_500)
        assert bench.said.count("WATCHDOG=1") == fed + 1


# --- people -----------------------------------------------------------------------------------------------------------


def test_an_emergency_badge_needs_no_roster(tmp_path: Path) -> None:
    roster = tmp_path / "roster.json"
    roster.write_text("{broken")
    emergency = [EmergencyBadge(digest=digest("04:11:22:33"), label="front-desk")]
    bench = Bench(tmp_path, emergency_badges=emergency)
    try:
        bench.start(ready=False)
        wait(lambda: "READY=1" in bench.said, "the start")
        bench.settle()
        bench.tap("ada")
        assert bench.state == "idle"
        bench.use("04:11:22:33")
        bench.written()
        (started,) = bench.of("session.started")
        assert (started.member, started.basis.kind) == ("emergency:front-desk", "emergency")
        assert bench.of("access.refused")[0].reasons == ["unknown-badge"]
        bench.post(vocabulary.CauseRaised(vocabulary.Cause.ESTOP, "pressed"))
        bench.tap("04:11:22:33")
        assert not bench.output.on, "never despite a cause"
    finally:
        bench.close()


def test_a_roster_that_changes_takes_effect_at_once(bench: Bench) -> None:
    bench.use("ada")
    write_roster(bench.config.roster.file, people=("bob", "max", "sue", "eve"), limit_s=7_200)  # type: ignore[arg-type]
    wait(lambda: not bench.output.on, "the end of a session whose member left")
    assert bench.wait_for_entries("session.ended")[0].reason == "revoked"
    bench.tap("ada")
    bench.written()
    assert bench.of("access.refused")[-1].reasons == ["unknown-badge"]


@pytest.mark.parametrize("content", [b"", b"torn"])
def test_a_gate_whose_badge_key_is_torn_does_not_fill_its_journal_with_starts(tmp_path: Path, content: bytes) -> None:
    with running(tmp_path, badge_key_file=None) as bench:
        bench.stop()
        starts = len(bench.of("gate.started"))
        key = bench.config.state_dir / "badge.key"
        whole = key.read_bytes()
        key.write_bytes(content)
        for _ in range(3):
            bench.start(ready=False).join()
            assert isinstance(bench.error, UsageError)
        assert len(bench.of("gate.started")) == starts
        key.write_bytes(whole)
        bench.start()
        assert len(bench.of("gate.started")) == starts + 1


def damage(bench: Bench) -> None:
    """Spoil all of the stored roster but the header of its file."""
    stored = bench.config.state_dir / "roster.db"
    with stored.open("r+b") as file:
        file.seek(24)
        file.write(b"\xff" * (stored.stat().st_size - 24))


def test_a_damaged_roster_knows_nobody_and_cuts_nobody(bench: Bench) -> None:
    # So many that no look-up has brought all of the file into memory.
    crowd = tuple(f"04AA{number:04X}" for number in range(1_000))
    write_roster(bench.config.roster.file, people=(*CARDS, *crowd), limit_s=90)  # type: ignore[arg-type]
    wait(lambda: bench.daemon._gate.rules.limit_ms == 90_000, "a large roster")
    bench.use("ada")
    bench.config.roster.file.unlink()  # type: ignore[union-attr]  # nothing is there to mend it with
    damage(bench)
    bench.tap(crowd[-1])
    assert bench.output.on
    bench.tap("ada")
    assert not bench.output.on
    bench.tap(crowd[-1])
    bench.written()
    assert bench.of("access.refused")[-1].reasons == ["unknown-badge"]
    write_roster(bench.config.roster.file, people=tuple(CARDS), limit_s=60)  # type: ignore[arg-type]
    wait(lambda: bench.daemon._gate.rules.limit_ms == 60_000, "a whole roster")
    bench.use("bob")


def test_a_damaged_roster_is_mended_by_the_first_badge_that_finds_it_so(bench: Bench) -> None:
    crowd = tuple(f"04AA{number:04X}" for number in range(1_000))
    write_roster(bench.config.roster.file, people=(*CARDS, *crowd), limit_s=90)  # type: ignore[arg-type]
    wait(lambda: bench.daemon._gate.rules.limit_ms == 90_000, "a large roster")
    stored = bench.config.state_dir / "roster.db"
    before = stored.stat().st_ino
    damage(bench)
    bench.tap(crowd[-1])
    wait(lambda: stored.stat().st_ino != before, "the same file, read and stored anew")
    bench.wait_for_entries("roster.replaced", 3)
    bench.settle()
    bench.use(crowd[-1])
    assert len(bench.of("roster.replaced")) == 3, "once is enough"


def test_a_session_longer_than_any_entry_may_be_is_cut_to_fit(bench: Bench) -> None:
    bench.post(vocabulary.CauseRaised(vocabulary.Cause.ESTOP, "x" * 100_000))
    bench.written()
    assert len(bench.of("machine.blocked")[0].detail) == 200
    assert bench.causes == ["estop"]


def test_audit_mode_records_and_switches_nothing(tmp_path: Path) -> None:
    with running(tmp_path, machine=MachineSection(mode="audit", finish="cut")) as bench:
        bench.tap("ada")
        wait(lambda: bench.state == "active", "the session")
        bench.advance(5_000)
        bench.tap("ada")
        bench.written()
        assert bench.levels == []
        assert bench.of("session.ended")[0].energised_ms == 5_000


def test_the_status_says_what_the_gate_thinks(bench: Bench) -> None:
    bench.use("ada")
    found = bench.wait_for_status(lambda status: status["state"] == "active")
    assert found["member"] == "m-ada"
    assert found["site"] == "lyon"
    assert found["boot"] == "boot-1"
    assert found["mqtt"] == {"configured": False, "connected": False, "problem": "not connected yet"}
    assert found["pid"] == os.getpid()


def test_defaults_come_from_the_configuration(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    config = gate_config(tmp_path)
    found = module.Daemon(config, readers=[FakeReader()])
    assert isinstance(found._output, MemoryOutput)
    threading.Thread(target=found.stop).start()
    assert found.run() == 0


def test_time_and_drafts_of_these_tests_are_what_they_say() -> None:
    time = Time()
    before = time.clock().now()
    time.reboot(off_s=10)
    after = time.clock().now()
    assert before.local is not None
    assert after.local is not None
    assert (after.local - before.local).total_seconds() == 10
    assert [draft.uid for draft in drafts(2)] == ["u1", "u2"]
