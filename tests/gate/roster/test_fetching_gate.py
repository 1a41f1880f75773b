"""A whole gate that fetches its roster from a collector."""

from __future__ import annotations

import threading

import pytest

from fabgate import wire
from fabgate.gate.roster import http_source as module
from fabgate.gate.roster.source import RosterConfirmed
from fabgate.gate.uplink.events import RosterNudged
from tests.gate.roster.collector import WEEK_MS, Harness, everybody, many, roster
from tests.gate.shell import Bench, digest, wait


def confirm(harness: Harness, bench: Bench) -> None:
    """Let the gate ask once and hear the answer."""
    answered = len(harness.collector.answered)
    bench.post(RosterNudged())
    wait(lambda: len(harness.collector.answered) > answered, "the answer")
    wait(
        lambda: (info := bench.daemon._in_force.info(bench.time.clock().now())) and info.age_s == 0, "the confirmation"
    )
    bench.settle()


def test_seven_days_without_a_change_but_confirmed_are_never_stale_and_then_cut_it_is_when_it_says(
    harness: Harness, bench: Bench
) -> None:
    for _ in range(8):
        bench.advance(86_400_000)
        confirm(harness, bench)
        assert bench.causes == []
    assert bench.of("roster.replaced")[0].version == 100
    bench.advance(WEEK_MS)
    assert not bench.daemon._in_force.is_stale(bench.time.clock().now())
    bench.advance(1)
    found = bench.wait_for_status(lambda status: status["roster"] and status["roster"].get("stale"))
    assert "age_s" not in found["roster"], "it would change the file each minute; whoever shows it computes it"
    assert bench.daemon._in_force.info(bench.time.clock().now()).age_s == 604_800  # type: ignore[union-attr]
    bench.use("ada")
    assert bench.of("session.started")[-1].basis.stale_roster is True


def test_while_only_its_age_changes_the_status_is_not_written_again(harness: Harness, bench: Bench) -> None:
    status = bench.config.state_dir / "status.json"
    bench.wait_for_status(lambda found: found["roster"] and found["roster"]["version"] == 100)
    bench.settle()
    told: list[object] = []
    bench.daemon._status_file.write = lambda *_: told.append(_)  # type: ignore[method-assign,assignment]
    for _ in range(30):
        bench.advance(60_000)
    assert told == []
    bench.advance(WEEK_MS)
    wait(lambda: told, "the status that says that it is stale")
    assert status.exists()


def test_a_machine_that_denies_when_stale_blocks_until_the_collector_confirms(harness: Harness, bench: Bench) -> None:
    harness.collector.current = roster(101, machine=wire.MachineRules(on_stale="deny"))
    bench.post(RosterNudged())
    wait(lambda: bench.daemon._in_force.version == 101, "the roster")
    bench.settle()
    bench.advance(WEEK_MS + 1)
    assert bench.causes == ["stale"]
    bench.tap("ada")
    bench.written()
    assert bench.of("access.refused")[-1].reasons == ["blocked-stale"]
    bench.post(RosterNudged())
    wait(lambda: bench.causes == [], "the all-clear")
    bench.use("ada")


def test_a_member_who_was_blocked_is_refused_right_after_the_nudge(harness: Harness, bench: Bench) -> None:
    barred = wire.Barred(badges=[digest("ada")], reasons=["payment", "training-missing"], id="m-ada")
    harness.collector.current = roster(101, ("bob", "max", "sue", "eve"), refusals=[barred])
    bench.post(RosterNudged())
    wait(lambda: bench.daemon._in_force.version == 101, "the roster")
    bench.settle()
    bench.tap("ada")
    bench.written()
    assert bench.levels == []
    assert bench.of("access.refused")[-1].reasons == ["payment", "training-missing"]


def test_a_shrunken_roster_is_a_problem_until_a_whole_one_comes(harness: Harness, bench: Bench) -> None:
    harness.collector.current = roster(101, members=[*everybody(), *many()])
    bench.post(RosterNudged())
    wait(lambda: bench.daemon._in_force.version == 101, "the roster")
    harness.collector.current = roster(102, ("ada",))
    bench.post(RosterNudged())
    assert "are missing without a reason" in bench.wait_for_entries("roster.rejected")[0].reason
    bench.wait_for_status(lambda found: any("roster-members: " in line for line in found["problems"]))
    confirm(harness, bench)
    assert any("are missing without a reason" in line for line in bench.status()["problems"]), (
        "a 304 confirms no vanished member"
    )
    harness.collector.tamper = lambda *_: (500, b"", {})
    bench.post(RosterNudged())
    bench.wait_for_status(lambda found: len(found["problems"]) == 2)
    harness.collector.tamper = None
    harness.collector.current = roster(103, ("ada",), shrink_confirmed=True)
    bench.post(RosterNudged())
    bench.wait_for_status(lambda found: not found["problems"])
    bench.tap("bob")
    assert bench.levels == []


def test_after_a_failure_it_asks_again_soon_and_a_stop_ends_the_waiting(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RETRY_FIRST_S", 0.01)
    harness.fetch()
    harness.collector.tamper = lambda *_: (500, b"", {})
    thread = threading.Thread(target=harness.source.run)
    thread.start()
    wait(lambda: len(harness.collector.answered) >= 4, "tries")
    harness.collector.tamper = None
    wait(lambda: RosterConfirmed() in harness.posted, "the confirmation")
    asked = len(harness.collector.asked)
    harness.source.fetch_now()
    wait(lambda: len(harness.collector.asked) == asked + 1, "the fetch that was asked for")
    harness.source.stop()
    thread.join()


class Hasty(threading.Event):
    """An event that remembers how long somebody wanted to wait for it, and keeps nobody for so long."""

    def __init__(self) -> None:
        super().__init__()
        self.pauses: list[float | None] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.pauses.append(timeout)
        return super().wait(0.005)


def test_whoever_asks_for_a_fetch_after_a_long_outage_makes_it_try_soon_again(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ADOPTION_EVERY_S", 3600.0)  # each pause is one wait
    harness.collector.tamper = lambda *_: (502, b"", {})  # the broker is back before the web server is
    pauses = Hasty()
    harness.source._fetch_wanted = pauses
    thread = threading.Thread(target=harness.source.run)
    thread.start()
    try:
        wait(lambda: len(pauses.pauses) >= 8, "a long outage")
        assert pauses.pauses[:7] == [2, 4, 8, 16, 32, 60, 60]
        harness.source.fetch_now()
        wait(lambda: pauses.pauses.count(2) == 2, "the first of the short pauses")
    finally:
        harness.source.stop()
        thread.join()
