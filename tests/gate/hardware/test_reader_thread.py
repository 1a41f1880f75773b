"""The reader's thread: polls become events, a fault is reported once, and so is its end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any, Self

import pytest

from fabgate import badge
from fabgate.badge import Kind
from fabgate.drivers.readers import Card, Misread, MisreadReason
from fabgate.gate.hardware import reader_thread as module
from fabgate.gate.hardware.reader_thread import ReaderFault, ReaderRecovered, ReaderThread
from fabgate.rules import vocabulary
from tests.gate.fakes import FakeReader
from tests.gate.shell import BADGE_KEY, digest
from tests.support.patience import HANGS_S, wait

LYING = vocabulary.Lying(digest("ada"), before_empty=True)


class Harness:
    """A reader and its thread. Time is moved by hand, and the thread ends with the block, also where a test fails."""

    def __init__(self, reader: FakeReader | None = None) -> None:
        self.reader = reader or FakeReader()
        self.posted: list[object] = []
        self.ms = 1_000
        self.sensing = ReaderThread(self.reader, self.posted.append, badge_key=BADGE_KEY, boot_ms=lambda: self.ms)
        self.thread = threading.Thread(target=self.sensing.run, daemon=True)

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.reader.answers.set()
        self.sensing.stop()
        self.thread.join(HANGS_S)

    def wait(self, condition: Callable[[], object], what: str) -> None:
        """Wait for something; fail at once where the thread has ended."""
        wait(lambda: condition() or not self.thread.is_alive(), what)
        assert condition(), f"the reader's thread has ended before: {what}"

    def wait_for_event(self, event: object) -> None:
        self.wait(lambda: event in self.posted, f"{event}")

    def wait_for_poll(self) -> None:
        """Wait until a poll began and ended after this call."""
        polls = self.reader.polls + 2
        self.wait(lambda: self.reader.polls >= polls, "a poll of the reader")

    def advance(self, ms: int) -> None:
        self.wait_for_poll()
        self.ms += ms
        self.wait_for_poll()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "POLL_S", 0.002)
    monkeypatch.setattr(module, "REOPEN_FIRST_S", 0.002)


@pytest.fixture
def harness() -> Iterator[Harness]:
    with Harness() as started:
        for _ in range(5):
            started.advance(150)  # the field is seen empty: a card that comes now is tapped
        yield started


def test_a_card_is_presented_once_and_removed_after_it_was_out_of_sight_for_a_while(harness: Harness) -> None:
    harness.reader.lay("ada")
    harness.wait_for_event(vocabulary.Presented(digest("ada")))
    harness.advance(5_000)
    harness.reader.lift()
    harness.advance(400)
    harness.reader.lay("ada")
    harness.advance(400)
    harness.reader.lift()
    assert harness.posted == [vocabulary.Presented(digest("ada"))]
    harness.advance(600)
    harness.wait_for_event(vocabulary.Removed(digest("ada")))


def test_a_badge_of_each_kind_is_presented_under_its_own_digest(harness: Harness) -> None:
    found = [
        badge.parse(text) for text in ("em-hex:0A00B1C2D3", "w26:10,177", "w37-hex:00A00B1C2", "number10:0012345678")
    ]
    for one in found:
        harness.reader.seen = Card.of(one)
        harness.wait_for_event(vocabulary.Presented(badge.digest(one, BADGE_KEY)))
    harness.reader.lift()
    harness.advance(600)
    harness.wait_for_event(vocabulary.Removed(badge.digest(found[-1], BADGE_KEY)))


@pytest.mark.parametrize("seen", [Misread(MisreadReason.TWO_CARDS), Misread(MisreadReason.TORN)])
def test_a_card_that_cannot_be_read_is_told(harness: Harness, seen: Misread) -> None:
    harness.reader.seen = seen
    harness.advance(300)
    harness.wait_for_event(vocabulary.Misread(seen.reason))


def test_a_random_uid_is_no_badge(harness: Harness) -> None:
    harness.reader.lay("08A1B2C3")
    harness.advance(300)
    harness.wait_for_event(vocabulary.Misread(MisreadReason.RANDOM_UID))
    assert not [event for event in harness.posted if isinstance(event, vocabulary.Presented)]


def test_a_fault_is_told_once_takes_the_card_away_and_ends_when_the_reader_answers(harness: Harness) -> None:
    harness.reader.lay("ada")
    harness.wait_for_event(vocabulary.Presented(digest("ada")))
    harness.reader.plugged = False
    harness.wait_for_event(ReaderFault("the fake reader is unplugged"))
    opened = harness.reader.opened
    harness.wait(lambda: harness.reader.opened > opened + 3, "tries to open it")
    harness.ms += 60_000
    harness.reader.plugged = True
    harness.wait_for_event(ReaderRecovered("the reader answers again"))
    assert harness.sensing.answered_ms == harness.ms, "the silence before does not count against it"
    harness.wait_for_event(LYING)
    assert harness.posted.count(vocabulary.Presented(digest("ada"))) == 1, (
        "nobody tapped the card that lies there still"
    )
    assert harness.posted[1:4] == [
        vocabulary.Removed(digest("ada")),
        ReaderFault("the fake reader is unplugged"),
        ReaderRecovered("the reader answers again"),
    ]


def test_a_reader_that_repaired_itself_is_told(harness: Harness) -> None:
    harness.reader.recoveries = 2
    harness.wait_for_event(ReaderRecovered("the reader had lost its settings and was configured again"))
    harness.wait_for_poll()
    assert len(harness.posted) == 1


def test_it_opens_the_reader_anew_when_asked(harness: Harness) -> None:
    harness.wait_for_poll()
    opened = harness.reader.opened
    harness.sensing.reopen()
    harness.wait(lambda: harness.reader.opened == opened + 1, "the reader to be opened")


def test_it_closes_the_reader_before_it_opens_it_again(harness: Harness) -> None:
    calls = harness.reader.calls
    harness.wait_for_poll()
    harness.sensing.reopen()
    harness.wait(lambda: calls[-2:] == ["close", "open"], "the reader to be closed and opened")


def test_a_card_that_a_deaf_reader_missed_does_not_tap_when_the_reader_is_opened_again(harness: Harness) -> None:
    harness.reader.before_open = lambda: harness.reader.lay("ada")  # it had lain there, and the reader did not see it
    harness.sensing.reopen()
    harness.wait_for_event(LYING)
    harness.wait_for_poll()
    assert harness.posted == [LYING]


def test_a_card_that_a_reader_missed_before_it_repaired_itself_does_not_tap(harness: Harness) -> None:
    harness.reader.before_poll = lambda: harness.reader.recover_with("ada")
    harness.wait_for_event(LYING)
    assert not [event for event in harness.posted if isinstance(event, vocabulary.Presented)]


def test_a_reader_that_counts_from_nought_when_it_is_opened_still_says_that_it_repaired_itself(
    harness: Harness,
) -> None:
    repaired = ReaderRecovered("the reader had lost its settings and was configured again")
    harness.reader.recoveries = 2
    harness.wait_for_event(repaired)
    harness.reader.before_open = lambda: setattr(harness.reader, "recoveries", 0)
    opened = harness.reader.opened
    harness.sensing.reopen()
    harness.wait(lambda: harness.reader.opened > opened, "the reader to be opened")
    harness.wait_for_poll()
    harness.reader.recoveries = 1
    harness.wait(lambda: harness.posted.count(repaired) == 2, "the second repair")


def test_a_card_that_is_found_after_a_poll_hung_does_not_tap(harness: Harness) -> None:
    harness.reader.answers.clear()
    harness.wait(harness.reader.hanging.is_set, "a poll that hangs")
    harness.ms += module.HANG_MS + 1
    harness.reader.lay("ada")
    harness.reader.answers.set()
    harness.wait_for_event(LYING)
    assert harness.posted == [LYING]


@pytest.mark.parametrize("recoveries", [None, "many"])
def test_a_driver_that_does_not_count_its_recoveries_is_a_fault(harness: Harness, recoveries: Any) -> None:
    harness.reader.recoveries = recoveries
    harness.wait(
        lambda: any(isinstance(event, ReaderFault) and "recoveries" in event.detail for event in harness.posted), "it"
    )
    assert harness.thread.is_alive()
    harness.reader.recoveries = 0
    harness.wait_for_event(ReaderRecovered("the reader answers again"))


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
    ("does", "detail"),
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
        (Card(b"\x04\xa1\xb2\xc3", 3), f"{NAME} returned a kind of the type int, wanted a fabgate.badge.Kind"),  # type: ignore[arg-type]
        (
            Card(b"\x04\xa1\xb2\xc3", Kind.EM4100),
            (
                f"{NAME} returned a badge of the kind EM4100 that cannot be (found a badge of 4 bytes, wanted 5), wanted"
                " the bytes of its kind"
            ),
        ),
        ("04A1B2C3", f"{NAME} returned the type str, wanted a Card, a Misread, PENDING or None"),
    ],
)
def test_a_driver_that_misbehaves_is_one_fault_that_names_it_and_ends_when_it_behaves(
    monkeypatch: pytest.MonkeyPatch, does: object, detail: str
) -> None:
    monkeypatch.setattr(module, "REOPEN_MOST_S", 0.002)
    reader = Misbehaving()
    reader.does = does
    with Harness(reader) as harness:
        # 100 polls without a fault mean that the thread accepts what the driver does.
        harness.wait(lambda: reader.asked > 10 or reader.polls > 100, "several tries to open it")
        assert harness.posted == [ReaderFault(detail)], "one fault, however often it is tried, and no recovery"
        reader.does = None
        harness.wait_for_event(ReaderRecovered("the reader answers again"))
        assert len(harness.posted) == 2
