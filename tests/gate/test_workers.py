"""A thread that dies is an event, and is started again."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from fabgate.gate import workers as module
from fabgate.gate.workers import WorkerFailed, WorkerRestarted, Workers
from tests.gate.shell import wait
from tests.support.patience import HANGS_S


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RESTART_FIRST_S", 0.001)
    monkeypatch.setattr(module, "RESTART_MOST_S", 0.004)


def failing(times: int, then: Callable[[], None] = lambda: None) -> Callable[[], None]:
    left = iter(range(times))

    def run() -> None:
        for number in left:
            raise ZeroDivisionError(f"failure {number}")
        then()

    return run


def test_a_thread_that_raised_is_told_and_started_again_until_it_returns() -> None:
    told: list[object] = []
    workers = Workers(told.append)
    done = threading.Event()
    workers.start("reader", failing(4, done.set))
    assert done.wait(HANGS_S)
    assert workers.stop(timeout_s=HANGS_S) == []
    assert told == [
        event
        for n in range(4)
        for event in (WorkerFailed("reader", f"ZeroDivisionError: failure {n}"), WorkerRestarted("reader"))
    ]


def test_a_thread_that_a_driver_ended_with_sys_exit_is_told_and_started_again() -> None:
    posted: list[object] = []
    done = threading.Event()
    raised = iter([SystemExit("bye")])

    def run() -> None:
        for error in raised:
            raise error
        done.set()

    workers = Workers(posted.append)
    workers.start("panel", run)
    assert done.wait(HANGS_S)
    assert posted == [WorkerFailed("panel", "SystemExit: bye"), WorkerRestarted("panel")]
    assert workers.stop(timeout_s=HANGS_S) == []


def test_a_thread_that_ran_well_before_it_failed_is_started_again_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RESTART_MOST_S", 0.0)
    told: list[object] = []
    workers = Workers(told.append)
    workers.start("uplink", failing(3))
    wait(lambda: told.count(WorkerRestarted("uplink")) == 3, "the restarts")
    workers.stop(timeout_s=HANGS_S)


def test_nothing_is_started_again_once_all_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RESTART_FIRST_S", 600.0)
    told: list[object] = []
    workers = Workers(told.append)
    workers.start("panel", failing(1_000))
    wait(lambda: told, "the failure")
    assert workers.stop(timeout_s=HANGS_S) == []
    assert told == [WorkerFailed("panel", "ZeroDivisionError: failure 0")]


def test_those_that_do_not_end_are_named() -> None:
    workers = Workers(lambda _: None)
    forever, started = threading.Event(), threading.Event()

    def hang() -> None:
        started.set()
        forever.wait()

    workers.start("journal", hang)
    workers.start("panel", lambda: None)
    started.wait()
    wait(lambda: [one.is_alive() for one in workers._threads].count(True) == 1, "the panel's end")
    assert workers.stop(timeout_s=0.05) == ["journal"]
    forever.set()
    assert workers.stop(timeout_s=HANGS_S) == []
