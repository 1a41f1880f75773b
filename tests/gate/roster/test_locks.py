"""A lock is state and falls only by name: not to an old command, an old database, or a night without power."""

from __future__ import annotations

from pathlib import Path

import pytest

from fabgate import wire
from fabgate.errors import JournalError
from fabgate.gate.roster.locks import Locks
from fabgate.gate.uplink.events import RosterNudged
from tests.gate.roster.collector import Harness, roster
from tests.gate.shell import Bench, running, wait, write_roster
from tests.gate.uplink.commanding import now, send

BELT = wire.Lock(id="l-1", when="now", reason="broken belt", back="Friday")
DUST = wire.Lock(id="l-2", when="idle", reason="dust")


def rules(lock: wire.Lock | None = None, *lifted: str) -> wire.MachineRules:
    return wire.MachineRules(lock=lock, lifted=list(lifted))


def held(*locks: wire.Lock, version: int, source: str = "") -> Locks:
    return Locks(locks, version, source)


def test_a_roster_locks() -> None:
    assert Locks().by_roster(rules(BELT), 5) == held(BELT, version=5)


def test_a_roster_that_knows_nothing_of_the_lock_does_not_lift_it() -> None:
    assert held(BELT, version=5).by_roster(rules(), 9) == held(BELT, version=9)


def test_a_roster_lifts_the_lock_that_it_names_and_no_other() -> None:
    assert held(BELT, version=5).by_roster(rules(None, "l-1"), 9) == held(version=9)
    assert held(BELT, version=5).by_roster(rules(None, "l-2"), 9) == held(BELT, version=9)
    assert held(BELT, DUST, version=5).by_roster(rules(DUST, "l-1"), 9) == held(DUST, version=9)


def test_an_older_roster_does_not_lock_what_a_newer_word_unlocked() -> None:
    assert held(version=9).by_roster(rules(BELT), 8) == held(version=9)
    assert held(DUST, version=9).by_roster(rules(BELT), 8) == held(DUST, version=9)
    assert held(version=9).by_roster(rules(BELT), 9) == held(BELT, version=9)


@pytest.mark.parametrize("other", ["file", "collector:b"])
def test_versions_of_two_sources_are_not_compared_so_a_lock_of_the_new_one_holds(other: str) -> None:
    kept = held(DUST, version=9, source="collector:a")
    assert kept.by_roster(rules(BELT), 8, other) == held(DUST, BELT, version=8, source=other)
    assert kept.by_roster(rules(), 8, other).locks == (DUST,), "and one of the old source stays until it is named"
    assert kept.by_roster(rules(None, "l-2"), 8, other).locks == ()
    assert kept.by_roster(rules(BELT), 8, "collector:a").locks == (DUST,), "within one source the older one is none"


def test_a_command_of_a_collector_is_not_compared_with_the_time_of_a_members_file() -> None:
    under_file = held(version=9, source="file")
    found = under_file.by_command("lock", BELT, 5, 9, source="collector:a", roster_source="file")
    assert found == held(BELT, version=5, source="collector:a")
    assert found.by_command("unlock", BELT, 5, 9, source="collector:a", roster_source="file") is None, (
        "older than its own"
    )
    assert found.by_command("unlock", BELT, 6, 9, source="collector:a", roster_source="file") is not None


def test_a_lock_stands_beside_another_one_until_each_is_named() -> None:
    both = held(BELT, version=5).by_roster(rules(DUST), 6)
    assert both == held(BELT, DUST, version=6)
    assert both.lock == BELT, "a lock for when the machine is idle makes no other one milder"
    assert both.by_command("unlock", DUST, 7, 6) == held(BELT, version=7)
    assert both.by_command("unlock", BELT, 7, 6) == held(DUST, version=7)
    assert held(BELT, version=7).by_command("lock", DUST, 8, 7) == held(BELT, DUST, version=8)


def test_of_several_locks_the_strictest_rules_and_of_those_the_newest() -> None:
    fire = wire.Lock(id="l-3", when="now", reason="smoke")
    fair = wire.Lock(id="l-4", when="idle", reason="fair")
    assert Locks().lock is None
    assert held(DUST, fair, version=1).lock == fair
    assert held(fire, BELT, DUST, version=1).lock == BELT
    assert held(BELT, fair, fire, version=1).lock == fire


def test_a_lock_that_is_told_again_takes_its_own_place() -> None:
    milder = wire.Lock(id="l-1", when="idle", reason="belt ordered")
    assert held(BELT, version=5).by_roster(rules(milder), 6) == held(milder, version=6)
    assert held(BELT, DUST, version=5).by_command("lock", milder, 6, 5) == held(milder, DUST, version=6)


def test_an_older_roster_does_not_make_milder_what_a_newer_word_made_stricter() -> None:
    stricter = wire.Lock(id="l-2", when="now", reason="dust in the lungs")
    assert held(stricter, version=9).by_roster(rules(DUST), 8) == held(stricter, version=9)


def test_a_roster_that_lifts_what_it_brings_leaves_the_machine_locked() -> None:
    assert Locks().by_roster(rules(BELT, "l-1"), 5) == held(BELT, version=5)


@pytest.mark.parametrize("verb", ["lock", "unlock"])
def test_a_command_that_is_not_newer_than_the_last_word_is_ignored(verb: str) -> None:
    here = held(BELT, version=5)
    assert here.by_command(verb, BELT, 5, 0) is None
    assert here.by_command(verb, BELT, 7, 7) is None
    assert here.by_command(verb, BELT, 8, 7) == held(*([BELT] if verb == "lock" else []), version=8)


def test_an_unlock_command_lifts_only_the_lock_that_it_names() -> None:
    assert held(BELT, version=5).by_command("unlock", DUST, 9, 0) == held(BELT, version=9)
    assert held(version=5).by_command("unlock", DUST, 9, 0) == held(version=9)


def test_whether_a_late_command_says_what_holds_already() -> None:
    assert held(BELT, version=5).agrees("lock", BELT)
    assert not held(BELT, version=5).agrees("unlock", BELT)
    assert held(BELT, version=5).agrees("unlock", DUST)
    assert not held(version=5).agrees("lock", BELT)
    assert held(BELT, DUST, version=5).agrees("lock", BELT)


@pytest.mark.parametrize("here", [Locks(), held(BELT, DUST, version=5), held(version=1 << 60)])
def test_what_holds_can_be_kept_and_read_again(here: Locks) -> None:
    assert Locks.from_text(here.to_text()) == here


def test_nothing_kept_is_no_lock() -> None:
    assert Locks.from_text(None) == Locks()


@pytest.mark.parametrize(
    "kept",
    [
        *("", "\x00", "[]", '{"version": "5"}', '{"locks": [{}], "version": 5, "source": ""}', '{"locks": []}'),
        # as commits before the release of 0.1.0 kept one lock, and none
        '{"lock":{"id":"l-1","when":"now","reason":"broken belt","back":"Friday"},"version":5}',
        '{"lock":{"id":"l-1","when":"now","reason":"broken belt"},"version":5,"source":"","locks":[]}',
        '{"lock":null,"version":5}',
    ],
)
def test_a_damaged_lock_is_an_error_that_says_what_to_do_and_no_open_machine(kept):
    with pytest.raises(JournalError, match=r"lock in the journal is damaged .*Move journal\.db away"):
        Locks.from_text(kept)


def test_a_lock_that_the_collector_has_forgotten_is_told_by_its_id(tmp_path: Path) -> None:
    path = tmp_path / "roster.json"
    write_roster(path, lock={"id": "l-1", "when": "now", "reason": "broken belt"})
    with running(tmp_path) as bench:
        assert "lock" not in bench.daemon._reports.problems
        write_roster(path, limit_s=777, lock={"id": "l-2", "when": "idle", "reason": "dust"})
        told = bench.wait_for_status(lambda found: found["problems"])["problems"]
        assert told == ["lock: the roster does not know of l-1 (broken belt); a lock is lifted only by its id"]
        assert bench.causes == ["lock-now"]
        bench.stop()
        path.unlink()  # it starts by what it has stored: nobody says anything of a roster
        bench.start()
        assert "lock" in bench.daemon._reports.problems
        write_roster(path, limit_s=778, lifted=["l-1", "l-2"])
        bench.wait_for_status(lambda found: not found["problems"] and not found.get("causes"))


def test_a_lock_by_command_that_no_roster_carries_yet_is_no_problem(tmp_path: Path) -> None:
    with running(tmp_path) as bench:
        send(bench, now(bench, "lock"))
        assert bench.causes == ["lock-now"]
        assert bench.daemon._reports.problems == {}


def test_a_milder_lock_by_command_gives_a_locked_machine_back_to_nobody(harness: Harness, bench: Bench) -> None:
    version = locked_by_roster(harness, bench)
    send(bench, now(bench, "lock", lock=DUST, version=version + 1))
    assert bench.causes == ["lock-now"]
    send(bench, now(bench, "unlock", id="c-2", lock=DUST, version=version + 2))
    assert bench.causes == ["lock-now"], "only the lock that is named falls"
    bench.written()
    bench.cut_power()
    bench.time.reboot(off_s=12 * 3600)
    bench.start()
    assert bench.causes == ["lock-now"]
    boot = bench.time.boot
    send(bench, now(bench, "lock", id="c-3", lock=DUST, version=version + 3, boot=boot))
    send(bench, now(bench, "unlock", id="c-4", version=version + 4, boot=boot))
    assert bench.causes == ["lock-idle"], "the other one stands and now rules"
    bench.written()
    answers = [(data.verb, data.outcome, data.reason) for data in bench.of("command.executed")][-2:]
    assert answers == [
        ("lock", "done", None),
        ("unlock", "done", "still locked: dust"),
    ]
    bench.stop()
    bench.start()
    assert bench.causes == ["lock-idle"]


def test_a_lock_by_command_survives_a_power_cut_and_a_roster_without_it(tmp_path: Path) -> None:
    with running(tmp_path) as bench:
        send(bench, now(bench, "lock"))
        bench.written()
        bench.cut_power()
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


def test_a_lock_in_the_roster_holds_and_its_unlock_is_not_undone_by_the_same_roster(
    harness: Harness, bench: Bench
) -> None:
    version = locked_by_roster(harness, bench)
    send(bench, now(bench, "unlock", version=version))
    assert bench.causes == ["lock-now"], "it is as old as the roster that locked"
    send(bench, now(bench, "unlock", id="c-2", version=version + 1))
    assert bench.causes == []
    bench.written()
    bench.stop()
    bench.start()
    assert bench.causes == [], "the roster with the lock is older than the unlock"


def test_a_command_that_the_roster_overtook_is_answered_as_done_or_refused(harness: Harness, bench: Bench) -> None:
    locked_by_roster(harness, bench)
    send(bench, now(bench, "lock", version=1))
    send(bench, now(bench, "unlock", id="c-2", version=1))
    bench.written()
    found = [(data.verb, data.outcome, data.reason) for data in bench.of("command.executed")]
    assert found == [
        ("lock", "done", "the roster had done this already"),
        ("unlock", "refused", "a newer roster or command overrules it"),
    ]
    assert bench.causes == ["lock-now"]


def locked_by_roster(harness: Harness, bench: Bench) -> int:
    """Let the collector lock the machine by a roster; return the roster's version."""
    harness.collector.current = roster(101, machine=wire.MachineRules(lock=BELT))
    bench.post(RosterNudged())
    wait(lambda: bench.causes == ["lock-now"], "the lock")
    bench.settle()
    return 101
