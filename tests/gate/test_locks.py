"""A lock is state and falls only by name: not to an old command, an old database, or a night without power."""

from __future__ import annotations

from pathlib import Path

import pytest

from fabgate import wire
from fabgate.gate.locks import Locked
from fabgate.gate.uplink import CommandArrived
from tests.gate.shell import running, wait, write_roster
from tests.gate.test_commands import now, send

BELT = wire.Lock(id="l-1", when="now", reason="broken belt", back="Friday")
DUST = wire.Lock(id="l-2", when="idle", reason="dust")


def rules(lock: wire.Lock | None = None, *lifted: str) -> wire.MachineRules:
    return wire.MachineRules(lock=lock, lifted=list(lifted))


def test_a_roster_locks() -> None:
    assert Locked().by_roster(rules(BELT), 5) == Locked(BELT, 5)


def test_a_roster_that_knows_nothing_of_the_lock_does_not_lift_it() -> None:
    assert Locked(BELT, 5).by_roster(rules(), 9) == Locked(BELT, 9)


def test_a_roster_lifts_the_lock_that_it_names_and_no_other() -> None:
    assert Locked(BELT, 5).by_roster(rules(None, "l-1"), 9) == Locked(None, 9)
    assert Locked(BELT, 5).by_roster(rules(None, "l-2"), 9) == Locked(BELT, 9)


def test_an_older_roster_does_not_lock_what_a_newer_word_unlocked() -> None:
    assert Locked(None, 9).by_roster(rules(BELT), 8) == Locked(None, 9)
    assert Locked(None, 9).by_roster(rules(BELT), 9) == Locked(BELT, 9)


def test_a_lock_is_replaced_by_the_one_that_a_roster_brings() -> None:
    assert Locked(BELT, 5).by_roster(rules(DUST), 6) == Locked(DUST, 6)


@pytest.mark.parametrize("verb", ["lock", "unlock"])
def test_a_command_that_is_not_newer_than_the_last_word_is_ignored(verb: str) -> None:
    held = Locked(BELT, 5)
    assert held.by_command(verb, BELT, 5, 0) is None
    assert held.by_command(verb, BELT, 7, 7) is None
    assert held.by_command(verb, BELT, 8, 7) == Locked(BELT if verb == "lock" else None, 8)


def test_an_unlock_command_lifts_only_the_lock_that_it_names() -> None:
    assert Locked(BELT, 5).by_command("unlock", DUST, 9, 0) is None
    assert Locked(None, 5).by_command("unlock", DUST, 9, 0) == Locked(None, 9)


def test_whether_a_late_command_says_what_holds_already() -> None:
    assert Locked(BELT, 5).agrees("lock", BELT)
    assert not Locked(BELT, 5).agrees("unlock", BELT)
    assert Locked(BELT, 5).agrees("unlock", DUST)
    assert not Locked(None, 5).agrees("lock", BELT)


@pytest.mark.parametrize("held", [Locked(), Locked(BELT, 5), Locked(None, 1 << 60)])
def test_what_holds_can_be_kept_and_read_again(held: Locked) -> None:
    assert Locked.from_text(held.to_text()) == held


def test_nothing_kept_is_no_lock() -> None:
    assert Locked.from_text(None) == Locked()


def test_a_lock_by_command_survives_a_power_cut_and_a_roster_without_it(tmp_path: Path) -> None:
    with running(tmp_path) as bench:
        send(bench, now(bench, "lock"))
        bench.written()
        bench.pull_the_plug()
        bench.time.reboot(off_s=12 * 3600)
        bench.start()
        assert bench.causes == ["lock-now"]
        write_roster(bench.config.roster.file, limit_s=777)  # type: ignore[arg-type]
        wait(lambda: bench.daemon._gate.rules.limit_ms == 777_000, "the new roster")
        assert bench.causes == ["lock-now"]
        bench.tap("ada")
        assert bench.levels == []
        write_roster(bench.config.roster.file, limit_s=778, lifted=["l-1"])  # type: ignore[arg-type]
        wait(lambda: bench.causes == [], "the lock to fall")
        bench.written()
        bench.stop()
        bench.start()
        assert bench.causes == []


def test_a_lock_in_the_roster_holds_from_the_start_and_its_unlock_is_not_undone_by_the_same_roster(
    tmp_path: Path,
) -> None:
    lock = {"id": "l-1", "when": "now", "reason": "broken belt"}
    tmp_path.mkdir(exist_ok=True)
    write_roster(tmp_path / "roster.json", lock=lock)
    with running(tmp_path) as bench:
        assert bench.causes == ["lock-now"]
        version = bench.daemon._standing.version
        send(bench, now(bench, "unlock", version=version))
        assert bench.causes == ["lock-now"], "it is as old as the roster that locked"
        send(bench, now(bench, "unlock", id="c-2", version=version + 1))
        assert bench.causes == []
        bench.written()
        bench.stop()
        bench.start()
        assert bench.causes == [], "the roster that still says so is older than the unlock"


def test_a_command_that_the_roster_overtook_is_answered_as_done_or_refused(tmp_path: Path) -> None:
    write_roster(tmp_path / "roster.json", lock={"id": "l-1", "when": "now", "reason": "broken belt"})
    with running(tmp_path) as bench:
        send(bench, now(bench, "lock", version=1))
        send(bench, now(bench, "unlock", id="c-2", version=1))
        bench.written()
        found = [(data.verb, data.outcome, data.reason) for data in bench.of("command.executed")]
        assert found == [
            ("lock", "done", "the roster had said so already"),
            ("unlock", "refused", "a newer roster or command has said otherwise"),
        ]
        assert bench.causes == ["lock-now"]
        bench.post(CommandArrived(b"", None))
