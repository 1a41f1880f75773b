"""Is a card held to the reader until the gate has answered, also where the reader misses it the first time?"""

from __future__ import annotations

from pathlib import Path

import pytest

from fabgate.demo import taps
from fabgate.demo.waiting import DemoError
from fabgate.drivers.emulated.control import ControlServer

UID = "04A1B2C3"


class Starved:
    """A reader without processor time: it misses each card that comes before the `nth`."""

    #: It does not count its polls: a card comes at once.
    empty_polls = None

    def __init__(self, *, nth: int) -> None:
        self.nth = nth
        self.requests: list[str] = []

    @property
    def has_seen(self) -> bool:
        return self.requests.count("place") >= self.nth

    def place(self, uid: bytes, *, torn: int | None) -> None:
        assert uid == bytes.fromhex(UID)
        self.requests.append("place")

    def remove(self, uid: bytes | None) -> None:
        self.requests.append("remove")

    def plug(self) -> None: ...

    def unplug(self) -> None: ...

    def brown_out(self) -> None: ...


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(taps, "AGAIN_AFTER_S", 0.05)
    monkeypatch.setattr(taps, "BETWEEN_TAPS_S", 0.0)


@pytest.mark.parametrize("nth", [1, 3])
def test_a_card_that_was_missed_is_taken_away_and_held_there_again(tmp_path: Path, nth: int) -> None:
    reader, path = Starved(nth=nth), tmp_path / "reader.sock"
    server = ControlServer(str(path), reader)
    try:
        taps.hold(path, UID, "the answer", lambda: reader.has_seen)
    finally:
        server.stop()
    assert reader.requests == ["place", "remove"] * nth


def test_a_gate_that_never_answers_is_given_up_and_the_card_taken_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(taps, "WAIT_S", 0.1)
    reader, path = Starved(nth=10**9), tmp_path / "reader.sock"
    server = ControlServer(str(path), reader)
    try:
        with pytest.raises(DemoError, match="for the answer, which did not happen"):
            taps.hold(path, UID, "the answer", lambda: reader.has_seen)
    finally:
        server.stop()
    assert reader.requests[-1] == "remove"
