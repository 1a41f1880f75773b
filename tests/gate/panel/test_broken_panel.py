"""A panel that is unplugged for a day: one line in the log, one problem, and it comes back by itself."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from fabgate.gate import workers
from fabgate.gate.config import gate_yaml
from fabgate.gate.config.gate_yaml import Driver
from fabgate.gate.panel import panel_thread
from fabgate.gate.status.status_file import StatusFile
from fabgate.gate.workers import WorkerFailed, WorkerRestarted
from tests.gate.panel.plugged import Device, Display, Options
from tests.gate.shell import Bench, running
from tests.support.patience import wait


class Blind(Display):
    """A display that can be opened while it is unplugged: only showing fails, in a new way each time."""

    def open(self) -> None:
        self._device.opened += 1
        if not self._device.is_plugged:
            return
        super().open()

    def show(self, notice: Any) -> None:
        if not self._device.is_plugged:
            raise ZeroDivisionError(f"a bug of the driver, number {self._device.opened}")
        super().show(notice)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    points = [EntryPoint(name, f"{place}:{name.capitalize()}", "fabgate.panels") for name, place in DRIVERS.items()]
    monkeypatch.setattr(gate_yaml, "entry_points", lambda group: points)
    for module, first, most in (
        (workers, "RESTART_FIRST_S", "RESTART_MOST_S"),
        (panel_thread, "RETRY_FIRST_S", "RETRY_MOST_S"),
    ):
        monkeypatch.setattr(module, first, 0.001, raising=False)
        monkeypatch.setattr(module, most, 0.001, raising=False)


DRIVERS = {"display": "tests.gate.panel.test_panel_thread", "blind": __name__}


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The problems of each status that was written to status.json; the same status goes to the broker."""
    found: list[list[str]] = []
    write = StatusFile.write

    def write_(self: StatusFile, state: Any, status: Any, *rest: Any) -> None:
        found.append(list(status.problems))
        write(self, state, status, *rest)

    monkeypatch.setattr(StatusFile, "write", write_)
    return found


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was logged about the panel."""

    class Found(list[str]):
        def __iter__(self) -> Iterator[str]:
            return (record.getMessage() for record in caplog.records if "panel" in record.getMessage())

    caplog.set_level(logging.INFO)
    return Found()


@pytest.mark.parametrize("kind", list(DRIVERS))
def test_an_unplugged_display_is_one_line_and_one_problem_until_it_shows_something(
    tmp_path: Path, written: list[list[str]], lines: list[str], kind: str
) -> None:
    device = Device()
    with running(tmp_path, panel=[Driver(driver=kind, options=Options(device))]) as bench:
        wait(lambda: device.seen, "the first notice")
        assert bench.wait_for_status(lambda found: not found["problems"])
        bench.settle()
        before = len(written)
        device.is_plugged = False
        bench.tap("04FFFFFF")
        wait(lambda: device.opened > 50, "fifty attempts")
        bench.settle()
        assert len(list(lines)) == 1
        problems = [found for found in written[before:] if found]
        assert len({tuple(found) for found in problems}) == 1, "one problem; its text does not change with each attempt"
        assert len(written) - before <= 10, "fifty attempts, and a status now and then, as time passes"
        assert [text.partition(":")[0] for text in problems[-1]] == ["panel"]
        device.seen.clear()
        device.is_plugged = True
        wait(lambda: device.seen, "the display")
        bench.wait_for_status(lambda found: not found["problems"])
        assert len(list(lines)) == 2
        bench.use("ada")


def test_only_the_display_that_is_unplugged_is_named(tmp_path: Path) -> None:
    devices = [Device(), Device()]
    panel = [Driver(driver="display", options=Options(device)) for device in devices]
    with running(tmp_path, panel=panel) as bench:
        devices[1].is_plugged = False
        bench.tap("04FFFFFF")
        bench.wait_for_status(lambda found: found["problems"] == ["panel-2: no display"])
        wait(lambda: devices[0].seen, "the other one")


def test_a_thread_that_fails_again_and_again_is_one_line_and_one_problem_until_it_has_run_for_a_while(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    for n in range(3):
        bench.post(WorkerFailed("roster", f"ZeroDivisionError: failure {n}"))
        bench.post(WorkerRestarted("roster"))
        bench.advance(workers.WORKS_AFTER_MS)
        assert bench.daemon._reports.problems == {"thread-roster": "ZeroDivisionError: failure 0"}
    bench.advance(1)
    assert bench.daemon._reports.problems == {}


def test_a_hardware_error_of_a_display_needs_no_traceback(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    device = Device()
    device.is_plugged = False
    with running(tmp_path, panel=[Driver(driver="display", options=Options(device))]):
        wait(lambda: device.opened > 3, "a few attempts")
    (record,) = [one for one in caplog.records if "no display" in one.getMessage()]
    assert record.exc_info is None
