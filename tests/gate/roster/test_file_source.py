"""A gate that follows a roster file."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any

import pytest

from fabgate import wire
from fabgate.gate.roster import file as roster_file
from fabgate.gate.roster.directory import Directory
from fabgate.gate.roster.source import FileSource, RosterConfirmed, RosterRefused, RosterStored
from fabgate.rules import vocabulary
from tests.gate.shell import BADGE_KEY, digest, write_roster


class FileDesk:
    def __init__(self, folder: Path) -> None:
        self.path, self.stored = folder / "people.json", folder / "roster.db"
        self.posted: list[object] = []
        self.source = self.make()

    def make(self, **changes: Any) -> FileSource:
        """Make the source anew, as a restart does."""
        options: dict[str, Any] = {
            "badge_key": BADGE_KEY,
            "topics": wire.GateTopics("lyon", "laser-1"),
            "fallback": wire.MachineRules(),
        }
        return FileSource(self.path, self.stored, self.posted.append, **{**options, **changes})

    def look(self) -> list[object]:
        self.posted.clear()
        self.source.poll()
        return list(self.posted)

    def read(self) -> list[object]:
        """Look twice, as it takes to believe a file."""
        assert self.look() == []
        return self.look()

    def write(self, count: int, **rest: Any) -> None:
        """Write a file of so many members."""
        rows = [{"id": f"m-{number}", "badges": [f"04A1B2{number:02X}"]} for number in range(count)]
        self.path.write_text(json.dumps({"members": rows, **rest}))


def test_a_roster_file_is_read_when_it_changes(tmp_path: Path) -> None:
    harness = FileDesk(tmp_path)
    write_roster(harness.path)
    (stored,) = harness.read()
    assert isinstance(stored, RosterStored)
    assert harness.look() == []
    write_roster(harness.path, people=("ada", "bob", "max", "sue"))
    assert len(harness.read()) == 1


def test_a_roster_file_is_not_read_while_somebody_writes_it(tmp_path: Path) -> None:
    harness = FileDesk(tmp_path)
    harness.path = tmp_path / "people.csv"
    harness.source = harness.make()
    with harness.path.open("w") as file:
        for part in ("id,badges,reasons\n", "m-ada,04A1B2C3,\n", "m-bob,04A1B2C4", ",", "suspended"):
            file.write(part)
            file.flush()
            assert harness.look() == [], "m-bob would be admitted, were it read before the end"
    assert harness.look() == [RosterStored(harness.path.stat().st_mtime_ns // 1_000_000, 1)]
    with contextlib.closing(Directory(harness.stored)) as directory:
        assert directory.find(digest("bob")) == vocabulary.Barred(("suspended",), "m-bob")


@pytest.mark.parametrize("text", ["id,badges\nm-bob,04A1B2C4\n", "id,badges\nm-bob,what\n"])
def test_a_roster_file_that_changed_while_it_was_read_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    harness = FileDesk(tmp_path)
    harness.path = tmp_path / "people.csv"
    harness.source = harness.make()
    harness.path.write_text(text)
    read = roster_file.read

    def read_and_write(*args: Any, **options: Any) -> wire.Roster:
        try:
            return read(*args, **options)
        finally:
            harness.path.write_text("id,badges,reasons\nm-bob,04A1B2C4,suspended\n")

    with monkeypatch.context() as patch:
        patch.setattr(roster_file, "read", read_and_write)
        assert harness.read() == []
    assert not harness.stored.exists()
    assert len(harness.read()) == 1
    with contextlib.closing(Directory(harness.stored)) as directory:
        assert directory.find(digest("bob")) == vocabulary.Barred(("suspended",), "m-bob")


def test_a_roster_file_of_the_same_size_and_time_is_another_one(tmp_path: Path) -> None:
    harness = FileDesk(tmp_path)
    harness.write(2)
    harness.read()
    before = harness.path.stat()
    harness.path.write_text(harness.path.read_text().replace("04A1B201", "04A1B20F"))
    os.utime(harness.path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert harness.path.stat().st_size == before.st_size
    assert isinstance(harness.read()[0], RosterStored)


def test_a_roster_file_that_did_not_change_is_no_news_after_a_restart(tmp_path: Path) -> None:
    harness = FileDesk(tmp_path)
    write_roster(harness.path)
    harness.read()
    harness.source = harness.make()
    assert harness.read() == [RosterConfirmed()]
    assert harness.look() == []
    for changes in ({"fallback": wire.MachineRules(limit_s=60)}, {"badge_key": b"another key of a workshop......."}):
        harness.source = harness.make(**changes)
        assert isinstance(harness.read()[0], RosterStored), "what gate.yaml adds to it did"
        harness.source = harness.make()
        harness.read()


def test_a_roster_file_with_a_mistake_is_told_once_and_one_that_is_missing_too(tmp_path: Path) -> None:
    harness = FileDesk(tmp_path)
    assert harness.read() == [], "not there yet, and never was"
    harness.path.write_text("{")
    (refused,) = harness.read()
    assert isinstance(refused, RosterRefused)
    assert harness.look() == []
    harness.path.write_text("[]")
    assert len(harness.read()) == 1
    write_roster(harness.path)
    assert isinstance(harness.read()[0], RosterStored)
    harness.path.unlink()
    (refused,) = harness.read()
    assert isinstance(refused, RosterRefused)
    assert "cannot be read" in refused.detail
    assert harness.look() == []


def test_a_pipe_in_the_place_of_a_roster_file_is_told_and_not_waited_for(tmp_path: Path) -> None:
    harness = FileDesk(tmp_path)
    write_roster(harness.path)
    harness.read()
    harness.path.unlink()
    os.mkfifo(harness.path)
    (refused,) = harness.read()
    assert isinstance(refused, RosterRefused)
    assert "found a named pipe, wanted a regular file" in refused.detail
    harness.path.unlink()
    write_roster(harness.path, limit_s=60)
    assert isinstance(harness.read()[0], RosterStored)


def test_a_mistake_that_is_taken_back_is_no_problem_any_more(tmp_path: Path) -> None:
    harness = FileDesk(tmp_path)
    write_roster(harness.path)
    harness.read()
    good = tmp_path / "good.json"
    harness.path.rename(good)
    harness.path.write_text("{")
    harness.read()
    good.replace(harness.path)
    assert harness.read() == [RosterConfirmed()]


def test_a_roster_file_that_shrank_keeps_those_who_vanished(tmp_path: Path) -> None:
    harness = FileDesk(tmp_path)
    harness.write(10)
    harness.read()
    harness.write(4)
    stored, refused = harness.read()
    assert isinstance(stored, RosterStored)
    assert isinstance(refused, RosterRefused)
    assert "6 of 10 members are missing" in refused.reason
    assert "remove at most 5 at a time, or run 'fabgate roster adopt' on this gate" in refused.reason
    harness.source = harness.make()
    assert harness.read() == [RosterConfirmed(), refused], "after a restart it still is a problem, and no news"


def test_one_of_four_members_may_leave_a_roster_file(tmp_path: Path) -> None:
    harness = FileDesk(tmp_path)
    harness.write(4)
    harness.read()
    harness.write(3)
    (stored,) = harness.read()
    assert isinstance(stored, RosterStored)
    with contextlib.closing(Directory(harness.stored)) as directory:
        assert directory.member_ids() == {"m-0", "m-1", "m-2"}


def test_a_roster_file_that_the_disk_did_not_take_is_tried_again_and_told_once(tmp_path: Path) -> None:
    harness = FileDesk(tmp_path)
    write_roster(harness.path)
    in_the_way = harness.stored.with_suffix(".new")
    in_the_way.mkdir()
    (refused,) = harness.read()
    assert isinstance(refused, RosterRefused)
    assert "could not be stored" in refused.reason
    assert harness.look() == []
    in_the_way.rmdir()
    assert isinstance(harness.look()[0], RosterStored)


def test_what_leaves_the_gate_of_a_broken_roster_file_quotes_no_badge(tmp_path: Path) -> None:
    harness = FileDesk(tmp_path)
    harness.path.write_text('[{"id": "m-1", "badges": [], "valid_until": "04:A1:B2:C3", "level": "ada@example.org"}]')
    (refused,) = harness.read()
    assert isinstance(refused, RosterRefused)
    assert refused.reason == "people.json: 1 mistake; the gate's log names them"
    assert "04:A1:B2:C3" in refused.detail


def test_a_roster_file_with_text_that_nothing_can_encode_is_refused_and_told(tmp_path: Path) -> None:
    harness = FileDesk(tmp_path)
    harness.path.write_text('[{"id": "m-1", "badges": [], "\\ud800x": 1}]')
    (refused,) = harness.read()
    assert isinstance(refused, RosterRefused)
    assert refused.reason.encode()
    assert "\\ud800x" in refused.detail
