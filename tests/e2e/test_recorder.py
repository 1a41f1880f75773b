"""The program that records a version writes at least the kinds of messages and files of the last recording."""

from __future__ import annotations

from pathlib import Path

import pytest

from fabgate import wire
from tests.support import recorder
from tests.support.mosquitto import MOSQUITTO
from tests.support.recording import ALL, TOPICS, Recording

pytestmark = [pytest.mark.broker]


def test_a_recording_has_all_that_the_last_one_has(tmp_path: Path) -> None:
    if not Path(MOSQUITTO).exists():
        pytest.skip("no mosquitto on this computer: apt install mosquitto")
    folder, last = tmp_path / "9.9.9", ALL[-1]
    recorder.record(folder)
    new = Recording(folder)
    assert kinds(new) >= kinds(last)
    assert [row["member"] for row in new.sessions()] == [row["member"] for row in last.sessions()]
    assert [row["reason"] for row in new.sessions()] == [row["reason"] for row in last.sessions()]
    body, headers = new.roster()
    covered = wire.sealed_roster(body, headers["nonce"])
    new.keys().verify(headers[wire.HEADER_SEAL], wire.PURPOSE_ROSTER, TOPICS.account, covered)
    assert headers.keys() >= last.roster()[1].keys()
    assert {file.name for file in folder.iterdir()} >= {file.name for file in last.folder.iterdir()}
    new.unpack_site(tmp_path)
    assert (tmp_path / TOPICS.gate / "journal.db").exists()
    assert (tmp_path / "collector" / "collector.db").exists()
    with pytest.raises(FileExistsError):
        recorder.record(folder)


def kinds(recording: Recording) -> set[str]:
    return {message.topic for message in recording.messages()}
