"""status.json: always whole, of the newest state, and written in the end whatever the disk does meanwhile."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fabgate import wire
from fabgate.gate.journal.recorder import EntriesStored
from fabgate.gate.status import status_file as module
from fabgate.gate.status.status_file import StatusFile
from fabgate.gate.uplink.events import LinkChanged
from tests.gate.shell import gate_config, wait


class Harness:
    def __init__(self, folder: Path) -> None:
        self.path = folder / "status.json"
        self.file = StatusFile(self.path, gate_config(folder))
        self.thread = threading.Thread(target=self.file.run)

    def write(self, *problems: str) -> None:
        status = wire.Status(online=True, version="1", problems=list(problems))
        self.file.write(wire.State(state="idle"), status, LinkChanged(connected=True), EntriesStored(7, 2), "j")

    def read(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.path.read_text())
        return found


@pytest.fixture
def harness(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Harness]:
    monkeypatch.setattr(module, "RETRY_S", 0.01)
    found = Harness(tmp_path)
    found.thread.start()
    yield found
    found.file.stop()
    found.thread.join()


def test_the_newest_status_is_what_can_be_read(harness: Harness) -> None:
    for n in range(50):
        harness.write(f"problem {n}")
    wait(lambda: harness.path.exists() and harness.read()["problems"] == ["problem 49"], "the newest")
    wanted = {"id": "j", "floor": 1, "head": 7, "unacknowledged": 2, "newest_kept": 100_000}
    assert harness.read()["journal"] == wanted
    assert harness.read()["machine"] == "Laser"


def test_a_reader_never_sees_half_of_it(harness: Harness) -> None:
    harness.write("x")
    wait(harness.path.exists, "the file")
    for n in range(200):
        harness.write("y" * (n * 37 % 3_000))
        assert harness.read()["state"] == "idle"


def test_what_the_disk_did_not_take_is_tried_again(harness: Harness) -> None:
    harness.write()
    wait(harness.path.exists, "the file")
    spare = harness.path.with_suffix(".new")
    wait(spare.exists, "the spare")
    spare.unlink()
    spare.mkdir()
    harness.write("the disk is full")
    wait(harness.file._queue.empty, "a try")
    assert harness.read()["problems"] == []
    spare.rmdir()
    wait(lambda: harness.read()["problems"] == ["the disk is full"], "the next try")


def test_room_for_the_next_one_is_kept(harness: Harness) -> None:
    harness.write()
    spare = harness.path.with_suffix(".new")
    wait(lambda: spare.exists() and spare.stat().st_size == module.SPARE_BYTES, "the spare")
