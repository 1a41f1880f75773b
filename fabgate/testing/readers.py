"""The test of the Reader contract. The author of a reader subclasses it; pytest is imported only when the tests run::

class TestMyReader(ReaderContract):
    @pytest.fixture(autouse=True)
    def on_my_bench(self):
        ...

    def make(self):
        return MyReader(MyReader.Options(port="/dev/ttyUSB0"))

    def place(self, uid, *, torn=None):
        my_bench.lay_down(uid)
"""

from __future__ import annotations

import threading
import time
from typing import Any, ClassVar

from fabgate.badge import Kind
from fabgate.drivers.readers import Card, Misread, MisreadReason, Reader
from fabgate.errors import HardwareError

SINGLE = bytes.fromhex("04A1B2C3")
DOUBLE = bytes.fromhex("04A1B2C3D4E5F6")
TRIPLE = bytes.fromhex("04A1B2C3D4E5F6071829")
#: How long a poll may take.
POLL_S = 0.1


class ManualClock:
    """A clock that advances only in ``sleep``; `slept` lists the length of each sleep in seconds."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        """Return the time in seconds."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let `seconds` pass at once."""
        self.slept.append(seconds)
        self.now += seconds


class ReaderContract:
    """What every badge reader must do (``fabgate.drivers.readers``).

    A subclass makes a reader and places cards on it. A method that raises NotImplementedError (for two cards at once, a
    torn card, pulling the plug) skips the tests that need it.
    """

    #: Three badges that the reader can read; a reader of another kind has others. `place` gets their bytes.
    cards: ClassVar[tuple[Card, Card, Card]] = (Card(SINGLE), Card(DOUBLE), Card(TRIPLE))

    def make(self) -> Reader:
        """Return a new reader that is not open yet, without a card in its field."""
        raise NotImplementedError

    def place(self, uid: bytes, *, torn: int | None = None) -> None:
        """Place a card; with `torn` it is gone after that many answers."""
        raise NotImplementedError

    def remove(self, uid: bytes | None = None) -> None:
        """Remove a card, or all cards."""
        raise NotImplementedError

    def unplug(self) -> None:
        """Unplug the device."""
        raise NotImplementedError

    def plug(self) -> None:
        """Plug the device in again."""
        raise NotImplementedError

    def test_it_has_the_shape_of_a_reader(self) -> None:
        """It has the methods and attributes, and its class names its options."""
        reader = self.make()
        assert isinstance(reader, Reader)
        assert isinstance(type(reader).Options, type)  # type: ignore[attr-defined]
        assert isinstance(reader.continuous, bool)
        assert reader.recoveries == 0
        for silence_ms in ("gone_after_ms", "start_up_ms"):
            found = getattr(reader, silence_ms, 0)
            assert isinstance(found, int)
            assert found >= 0

    def test_polling_before_open_is_a_hardware_error(self) -> None:
        """The constructor claims nothing, and a closed reader never returns 'no card'."""
        reader = self.make()
        self._try(self.place, self.cards[0].uid)
        with _pytest().raises(HardwareError):
            reader.poll()

    def test_no_card_is_none(self) -> None:
        """An empty reader returns None each time."""
        reader = self._opened()
        assert [reader.poll() for _ in range(3)] == [None] * 3

    def test_a_card_of_each_length_is_read_whole(self) -> None:
        """4, 7 and 10 bytes of a UID, without cascade tags and BCC; of a badge of another kind all its bytes."""
        reader = self._opened()
        for card in self.cards:
            self._try(self.place, card.uid)
            assert reader.poll() == card
            self.remove(card.uid)
            assert _soon(reader, None)

    def test_a_card_that_stays_is_seen_by_every_poll(self) -> None:
        """That is what `continuous` promises; without it the first poll is enough."""
        reader = self._opened()
        self._try(self.place, self.cards[1].uid)
        polls = 10 if reader.continuous else 1
        assert [reader.poll() for _ in range(polls)] == [self.cards[1]] * polls

    def test_a_reader_that_only_sends_returns_a_frame_once(self) -> None:
        """The gate counts the silence after it, also if the card stays."""
        reader = self._opened()
        if reader.continuous:
            _pytest().skip("it sees a card that stays in every poll")
        self._try(self.place, self.cards[1].uid)
        assert [reader.poll() for _ in range(3)] == [self.cards[1], None, None]

    def test_cards_that_share_all_bytes_but_one_are_two_cards(self) -> None:
        """No byte of the UID is cut off."""
        reader = self._opened()
        uid, kind = self.cards[1].uid, self.cards[1].kind
        for one in (uid, uid[:-1] + b"\x00", b"\x05" + uid[1:]):
            self._try(self.place, one)
            assert reader.poll() == Card(one, kind)
            self.remove(one)
            assert _soon(reader, None)

    def test_two_cards_are_never_one(self) -> None:
        """With two cards no Card is returned, and when one is removed the other is read."""
        reader = self._opened()
        self._try(self.place, self.cards[0].uid)
        self._try(self.place, self.cards[1].uid)
        assert [reader.poll() for _ in range(3)] == [Misread(MisreadReason.TWO_CARDS)] * 3
        self.remove(self.cards[0].uid)
        assert _soon(reader, self.cards[1])

    def test_a_torn_card_is_never_a_card(self) -> None:
        """Its UID is never guessed."""
        reader = self._opened()
        for answers in range(1, 5):
            found = None
            while found is None:
                recoveries = reader.recoveries
                self._try(self.place, self.cards[1].uid, torn=answers)
                found = reader.poll()
                self.remove()
                if found is None:  # a busy computer let the reader start again, and by then the card was gone
                    assert reader.recoveries > recoveries
            assert found == Misread(MisreadReason.TORN)

    def test_a_random_uid_is_refused_by_its_own_reason(self) -> None:
        """A phone gets another reason than a card that could not be read."""
        reader = self._opened()
        if self.cards[0].kind is not Kind.ISO14443A:
            _pytest().skip("badges of this kind have no random UIDs")
        self._try(self.place, b"\x08\x12\x34\x56")
        assert reader.poll() == Misread(MisreadReason.RANDOM_UID)

    def test_unplugged_is_an_error_and_never_no_card(self) -> None:
        """Every poll raises."""
        reader = self._opened()
        self._try(self.unplug)
        for _ in range(2):
            with _pytest().raises(HardwareError):
                reader.poll()

    def test_opening_what_is_unplugged_is_an_error_until_it_is_back(self) -> None:
        """The gate tries again and again: the same object has to work later."""
        reader = self.make()
        self._try(self.unplug)
        for _ in range(2):
            with _pytest().raises(HardwareError):
                reader.open()
        reader.close()
        self.plug()
        reader.open()
        self._try(self.place, self.cards[0].uid)
        assert reader.poll() == self.cards[0]
        reader.close()

    def test_it_can_be_closed_twice_and_opened_again(self) -> None:
        """Closing never raises."""
        reader = self._opened()
        reader.close()
        reader.close()
        reader.open()
        self._try(self.place, self.cards[0].uid)
        assert reader.poll() == self.cards[0]
        reader.close()

    def test_it_can_be_closed_when_it_is_unplugged(self) -> None:
        """Closing never raises."""
        reader = self._opened()
        self._try(self.unplug)
        reader.close()

    def test_a_poll_is_short(self) -> None:
        """With and without a card; the fastest of five polls, because the computer may be busy."""
        reader = self._opened()
        assert min(_seconds(reader) for _ in range(5)) < POLL_S
        self._try(self.place, self.cards[2].uid)
        assert min(_seconds(reader) for _ in range(5)) < POLL_S

    def test_it_starts_no_threads(self) -> None:
        """The gate owns the thread that polls."""
        before = threading.active_count()
        reader = self._opened()
        reader.poll()
        assert threading.active_count() == before

    def _opened(self) -> Reader:
        reader = self.make()
        reader.open()
        return reader

    def _try(self, act: Any, *args: object, **kwargs: object) -> None:
        try:
            act(*args, **kwargs)
        except NotImplementedError:
            _pytest().skip(f"this bench does not define {act.__name__}() for {args or ''}{kwargs or ''}")


def _soon(reader: Reader, wanted: Card | None) -> bool:
    """Return whether `wanted` is read: in the first poll of a continuous reader, in the first three of any other."""
    return any(reader.poll() == wanted for _ in range(1 if reader.continuous else 3))


def _seconds(reader: Reader) -> float:
    start = time.perf_counter()
    reader.poll()
    return time.perf_counter() - start


def _pytest() -> Any:
    import pytest  # noqa: PLC0415 - a gate that imports this module by mistake needs no pytest

    return pytest
