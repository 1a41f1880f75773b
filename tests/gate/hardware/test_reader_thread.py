"""The reader's thread: looks become events, a fault is told once, and so is its end."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from fabgate.drivers.readers import Card, Misread, MisreadReason
from fabgate.gate.hardware import reader_thread as module
from fabgate.gate.hardware.reader_thread import ReaderFault, ReaderRecovered, ReaderThread
from fabgate.rules import vocabulary as w
from tests.gate.shell import BADGE_KEY, FakeReader, digest, wait


class Desk:
    def __init__(self, reader: FakeReader | None = None) -> None:
        self.reader = reader or FakeReader()
        self.posted: list[object] = []
        self.ms = 1_000
        self.sensing = ReaderThread(self.reader, self.posted.append, badge_key=BADGE_KEY, boot_ms=lambda: self.ms)
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
    for _ in range(5):
        found.pass_(150)  # the field is seen empty: what comes now was laid there
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
    assert desk.sensing.answered_ms == desk.ms, "the silence before does not count against it"
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


def test_it_closes_the_reader_before_it_opens_it_again(desk: Desk) -> None:
    calls = desk.reader.calls
    desk.reader.looked()
    desk.sensing.reopen()
    wait(lambda: calls[-2:] == ["close", "open"], "the reader to be closed and opened")


def test_a_card_that_a_deaf_reader_missed_does_not_tap_when_the_reader_is_opened_again(desk: Desk) -> None:
    desk.reader.before_open = lambda: desk.reader.lay("ada")  # it had lain there, and the reader did not see it
    desk.sensing.reopen()
    desk.await_(w.Lying(digest("ada")))
    desk.reader.looked()
    assert desk.posted == [w.Lying(digest("ada"))]


def test_a_card_that_a_reader_missed_before_it_repaired_itself_does_not_tap(desk: Desk) -> None:
    desk.reader.before_poll = lambda: desk.reader.recover_with("ada")
    desk.await_(w.Lying(digest("ada")))
    assert not [event for event in desk.posted if isinstance(event, w.Presented)]


def test_a_reader_that_counts_from_nought_when_it_is_opened_still_says_that_it_repaired_itself(desk: Desk) -> None:
    repaired = ReaderRecovered("the reader had lost its settings and was configured again")
    desk.reader.recoveries = 2
    desk.await_(repaired)
    desk.reader.before_open = lambda: setattr(desk.reader, "recoveries", 0)
    opened = desk.reader.opened
    desk.sensing.reopen()
    wait(lambda: desk.reader.opened > opened, "the reader to be opened")
    desk.reader.looked()
    desk.reader.recoveries = 1
    wait(lambda: desk.posted.count(repaired) == 2, "the second repair")


def test_a_card_that_is_found_after_a_poll_hung_does_not_tap(desk: Desk) -> None:
    desk.reader.answers.clear()
    desk.reader.hanging.wait()
    desk.ms += module.HANG_MS + 1
    desk.reader.lay("ada")
    desk.reader.answers.set()
    desk.await_(w.Lying(digest("ada")))
    assert desk.posted == [w.Lying(digest("ada"))]


@pytest.mark.parametrize("recoveries", [None, "many"])
def test_a_driver_that_does_not_count_its_recoveries_is_a_fault(desk: Desk, recoveries: Any) -> None:
    desk.reader.recoveries = recoveries
    wait(lambda: any(isinstance(event, ReaderFault) and "recoveries" in event.detail for event in desk.posted), "it")
    assert desk.thread.is_alive()
    desk.reader.recoveries = 0
    desk.await_(ReaderRecovered("the reader answers again"))


class Misbehaving(FakeReader):
    """A stranger's driver. `poll` raises, or returns, whatever it is given for as long as it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.does: object = None
        self.asked = 0

    def open(self) -> None:
        self.asked += 1
        super().open()

    def poll(self) -> Any:
        found = super().poll()
        if isinstance(self.does, BaseException):
            raise self.does
        return found if self.does is None else self.does


NAME = "the reader driver tests.gate.hardware.test_reader_thread.Misbehaving"


@pytest.mark.parametrize(
    ("does", "told"),
    [
        (ZeroDivisionError("a bug"), f"{NAME} raised ZeroDivisionError: a bug"),
        (SystemExit("bye"), f"{NAME} raised SystemExit: bye"),
        (KeyboardInterrupt(), f"{NAME} raised KeyboardInterrupt: "),
        (Card(b"\x04\xa1\xb2"), f"{NAME} returned a UID of 3 bytes, wanted 4, 7 or 10"),
        (Card(b"\x04\xa1\xb2\xc3\xd4"), f"{NAME} returned a UID of 5 bytes, wanted 4, 7 or 10"),
        (
            Card(b"\x88\x04\xa1\xb2"),
            f"{NAME} returned half of a 7-byte UID (it starts with the cascade tag 88), wanted all",
        ),
        (Card("04A1B2C3"), f"{NAME} returned a UID of the type str, wanted bytes"),  # type: ignore[arg-type]
        ("04A1B2C3", f"{NAME} returned the type str, wanted a Card, a Misread or None"),
    ],
)
def test_a_driver_that_misbehaves_is_one_fault_that_names_it_and_ends_when_it_behaves(
    monkeypatch: pytest.MonkeyPatch, does: object, told: str
) -> None:
    monkeypatch.setattr(module, "POLL_S", 0.002)
    monkeypatch.setattr(module, "REOPEN_FIRST_S", 0.002)
    monkeypatch.setattr(module, "REOPEN_MOST_S", 0.002)
    desk = Desk(Misbehaving())
    assert isinstance(desk.reader, Misbehaving)
    desk.reader.does = does
    desk.thread.start()
    wait(lambda: desk.reader.asked > 10, "several tries")  # type: ignore[attr-defined]
    assert desk.posted == [ReaderFault(told)], (
        "one fault, however often it is tried, and nobody is told that it is well"
    )
    desk.reader.does = None
    desk.await_(ReaderRecovered("the reader answers again"))
    assert len(desk.posted) == 2
    desk.sensing.stop()
    desk.thread.join()
