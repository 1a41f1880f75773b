"""The reader's thread: looks become events, a fault is told once, and so is its end."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from fabgate.drivers.readers import Misread, MisreadReason
from fabgate.gate import sensing as module
from fabgate.gate.sensing import ReaderFault, ReaderRecovered, Sensing
from fabgate.rules import words as w
from tests.gate.shell import BADGE_KEY, FakeReader, digest, wait


class Desk:
    def __init__(self) -> None:
        self.reader = FakeReader()
        self.posted: list[object] = []
        self.ms = 1_000
        self.sensing = Sensing(self.reader, self.posted.append, badge_key=BADGE_KEY, boot_ms=lambda: self.ms)
        self.thread = threading.Thread(target=self.sensing.run)

    def await_(self, event: object) -> None:
        wait(lambda: event in self.posted, f"{event}")

    def pass_(self, ms: int) -> None:
        self.reader.looked()
        self.ms += ms
        self.reader.looked()


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.setattr(module, "POLL_S", 0.002)
    monkeypatch.setattr(module, "REOPEN_FIRST_S", 0.002)
    found = Desk()
    found.thread.start()
    found.pass_(500)
    found.pass_(500)  # the field is seen empty: what comes now was laid there
    yield found
    found.sensing.stop()
    found.thread.join()


def test_a_card_is_presented_once_and_removed_after_it_was_out_of_sight_for_a_while(desk: Desk) -> None:
    desk.reader.lay("ada")
    desk.await_(w.Presented(digest("ada")))
    desk.pass_(5_000)
    desk.reader.lift()
    desk.pass_(400)
    desk.reader.lay("ada")
    desk.pass_(400)
    desk.reader.lift()
    assert desk.posted == [w.Presented(digest("ada"))]
    desk.pass_(600)
    desk.await_(w.Removed(digest("ada")))


@pytest.mark.parametrize("seen", [Misread(MisreadReason.TWO_CARDS), Misread(MisreadReason.TORN)])
def test_a_card_that_cannot_be_read_is_told(desk: Desk, seen: Misread) -> None:
    desk.reader.seen = seen
    desk.pass_(300)
    desk.await_(w.Misread(seen.reason))


def test_a_random_uid_is_no_badge(desk: Desk) -> None:
    desk.reader.lay("08A1B2C3")
    desk.pass_(300)
    desk.await_(w.Misread(MisreadReason.RANDOM_UID))
    assert not [event for event in desk.posted if isinstance(event, w.Presented)]


def test_a_fault_is_told_once_takes_the_card_away_and_ends_when_the_reader_answers(desk: Desk) -> None:
    desk.reader.lay("ada")
    desk.await_(w.Presented(digest("ada")))
    desk.reader.plugged = False
    desk.await_(ReaderFault("the fake reader is unplugged"))
    opened = desk.reader.opened
    wait(lambda: desk.reader.opened > opened + 3, "tries to open it")
    desk.ms += 60_000
    desk.reader.plugged = True
    desk.await_(ReaderRecovered("the reader answers again"))
    assert desk.sensing.looked_at_ms == desk.ms, "the silence before does not count against it"
    desk.await_(w.Lying(digest("ada")))
    assert desk.posted.count(w.Presented(digest("ada"))) == 1, "nobody tapped the card that lies there still"
    assert desk.posted[1:4] == [
        w.Removed(digest("ada")),
        ReaderFault("the fake reader is unplugged"),
        ReaderRecovered("the reader answers again"),
    ]


def test_a_reader_that_repaired_itself_is_told(desk: Desk) -> None:
    desk.reader.recoveries = 2
    desk.await_(ReaderRecovered("the reader had lost its settings and was configured again"))
    desk.reader.looked()
    assert len(desk.posted) == 1


def test_it_opens_the_reader_anew_when_asked(desk: Desk) -> None:
    desk.reader.looked()
    opened = desk.reader.opened
    desk.sensing.reopen()
    wait(lambda: desk.reader.opened == opened + 1, "the reader to be opened")


def test_a_bug_of_the_driver_is_a_fault_that_ends_when_the_thread_runs_again() -> None:
    desk = Desk()
    desk.reader.buggy = True
    with pytest.raises(ZeroDivisionError):
        desk.sensing.run()
    assert desk.posted == [ReaderFault("ZeroDivisionError: a bug of the driver")]
    desk.thread.start()
    desk.await_(ReaderRecovered("the reader answers again"))
    desk.sensing.stop()
    desk.thread.join()
