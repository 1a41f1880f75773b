"""The thread of a badge reader: polls it, turns polls into events, and opens it again after a fault."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Final, TypeVar

import msgspec

from fabgate.badge import UID_LENGTHS, Badge, Kind, digest
from fabgate.drivers.readers import START_UP_MS, Card, Misread, MisreadReason, Pending, Reader
from fabgate.errors import HardwareError, UsageError
from fabgate.rules import vocabulary
from fabgate.rules.presence import Presence

log = logging.getLogger(__name__)

T = TypeVar("T")

POLL_S: Final = 0.05
REOPEN_FIRST_S: Final = 0.5
REOPEN_MOST_S: Final = 10.0
#: A poll that takes this long hangs.
HANG_MS: Final = 5_000
#: The same for one of several readers: a fob with two chips must not be read so late that its tap no longer counts as an
#: echo (``fabgate.rules.readers``).
SLOW_MS: Final = 1_000
_NOISE: Final = (
    "the reader sends what cannot be read, again and again: a badge that its format does not fit lies on it, or its wires"
    " catch noise"
)


class ReaderFault(msgspec.Struct, frozen=True):
    """A reader does not answer."""

    detail: str
    reader: int = 0


class ReaderRecovered(msgspec.Struct, frozen=True):
    """A reader answers again, or repaired itself."""

    detail: str
    reader: int = 0


class ReaderThread:
    """One reader's thread. `post` takes events of the rules, ``ReaderFault`` and ``ReaderRecovered``.

    `other_keys` are further badge keys under which the digests of `emergency` badges may have been made. `number` is the
    reader's place in gate.yaml. A poll that takes longer than `slow_ms` proves nothing about when its card arrived. `stop`, with
    which the thread waits, is replaced by tests only.
    """

    def __init__(
        self,
        reader: Reader,
        post: Callable[[object], None],
        *,
        badge_key: bytes,
        boot_ms: Callable[[], int],
        other_keys: Sequence[bytes] = (),
        emergency: AbstractSet[str] = frozenset(),
        number: int = 0,
        slow_ms: int = HANG_MS,
        stop: threading.Event | None = None,
    ) -> None:
        self._reader = reader
        kind = type(reader)
        #: The driver's name in a fault: it may be from another package.
        self._driver = f"the reader driver {kind.__module__}.{kind.__qualname__}"
        self._post = post
        self._badge_key = badge_key
        self._other_keys = other_keys
        self._emergency = emergency
        self._number = number
        self._slow_ms = slow_ms
        #: The digest of the card on the reader, as it was posted: the card's removal must name the same digest.
        self._presented = ""
        self._boot_ms = boot_ms
        self._presence = Presence(
            continuous=reader.continuous,
            gone_after_ms=getattr(reader, "gone_after_ms", 0),
            start_up_ms=getattr(reader, "start_up_ms", 0 if reader.continuous else START_UP_MS),
        )
        #: When the poll began that is not over; None without one.
        self._asked_ms: int | None = None
        self._stop = stop or threading.Event()
        self._reopen = threading.Event()
        #: The driver's count of recoveries at the last poll, and whether it has grown since the last report.
        self._recoveries = 0
        self._recovered = False
        #: Whether the last call of the driver succeeded, and brought no noise; a poll that hangs does not change it.
        self.is_working = True
        #: When the reader last answered: the only way to notice a poll that hangs.
        self.answered_ms = boot_ms()

    def stop(self) -> None:
        """Ask the thread to end."""
        self._stop.set()

    def use_key(self, badge_key: bytes) -> None:
        """Digest badges under another key from the next poll on. Thread-safe."""
        self._badge_key = badge_key

    def reopen(self) -> None:
        """Close the reader and open it again. Thread-safe."""
        self._reopen.set()

    @property
    def longest_pause_ms(self) -> int:
        """The longest pause between two repetitions of a badge, with a frame; 0 for a reader that proves presence."""
        return 0 if self._reader.continuous else self._presence.longest_pause_ms

    def run(self) -> None:
        """Poll until asked to stop."""
        pause_s = REOPEN_FIRST_S
        while not self._stop.is_set():
            try:
                self._presence.restarted()
                self._call(self._reader.open)
                self.answered_ms = self._boot_ms()  # otherwise the silence before would count as the next fault
                self._poll_until_stopped()
                self._close()
            except HardwareError as error:
                if self.is_working:
                    pause_s = REOPEN_FIRST_S
                self._lost(str(error))
                self._stop.wait(pause_s)
                pause_s = min(pause_s * 2, REOPEN_MOST_S)

    def _lost(self, why: str) -> None:
        for event in self._presence.lost():
            self._post(self._digested(event))
        self._fails(why)
        self._close()

    def _fails(self, why: str) -> None:
        if self.is_working:
            self._post(ReaderFault(why, self._number))
        self.is_working = False

    def _close(self) -> None:
        # A failure to close changes nothing: the reader is opened again, or the thread ends.
        with contextlib.suppress(HardwareError):
            self._call(self._reader.close)

    def _call(self, method: Callable[[], T]) -> T:
        """Call the driver. Raises HardwareError, also for a mistake of the driver, which may even be sys.exit()."""
        try:
            return method()
        except HardwareError:
            raise
        except BaseException as error:
            # A driver of another package may raise anything, and only this thread can report it.
            if self.is_working:
                log.exception("%s failed", self._driver)
            raise HardwareError(f"{self._driver} raised {type(error).__name__}: {error}") from error

    def _poll_until_stopped(self) -> None:
        self._reopen.clear()
        self._asked_ms = None
        self._recoveries = min(
            self._recoveries, self._count_recoveries()
        )  # some drivers count from 0 after each opening
        while not self._stop.is_set() and not self._reopen.is_set():
            events = self._poll()
            if self._presence.is_noisy:
                self._fails(_NOISE)
            elif not self.is_working:  # posted only after a poll: a driver may open and still never read a card
                self.is_working = True
                self._post(ReaderRecovered("the reader answers again", self._number))
            for event in events:
                self._post(self._digested(event))
            if self._recovered:
                self._recovered = False
                again = "the reader had lost its settings and was configured again"
                self._post(ReaderRecovered(again, self._number))
            self._stop.wait(POLL_S)

    def _poll(self) -> list[vocabulary.Event]:
        asked_ms = self._boot_ms() if self._asked_ms is None else self._asked_ms
        seen = self._call(self._reader.poll)
        before_ms, at_ms = min(self.answered_ms, asked_ms), self._boot_ms()
        self.answered_ms = at_ms
        self._check(seen)
        self._asked_ms = asked_ms if isinstance(seen, Pending) else None
        recoveries = self._count_recoveries()
        if recoveries > self._recoveries:
            self._recoveries, self._recovered = recoveries, True
        if self._recovered or at_ms - before_ms > self._slow_ms:
            self._presence.restarted()
        if isinstance(seen, Pending):
            return []
        if seen is None:
            return self._presence.nothing(asked_ms)  # a card may have come since
        if isinstance(seen, Misread):
            return self._presence.misread(seen.reason, at_ms, whole=seen.reason is not MisreadReason.TORN)
        if seen.badge.is_random:
            return self._presence.misread(MisreadReason.RANDOM_UID, at_ms, whole=True)
        return self._presence.saw(bytes((seen.kind, *seen.uid)).hex(), at_ms)

    def _count_recoveries(self) -> int:
        """Return how often the reader has recovered, as the driver counts it. Raises HardwareError."""
        recoveries: object = self._call(lambda: self._reader.recoveries)
        if not isinstance(recoveries, int):
            raise HardwareError(f"{self._driver} has recoveries of the type {type(recoveries).__name__}, wanted an int")
        return recoveries

    def _check(self, seen: object) -> None:
        """Raise HardwareError for a value that the contract does not allow (fabgate.drivers.readers)."""
        if isinstance(seen, Card):
            uid: object = seen.uid
            if not isinstance(uid, bytes):
                found, wanted = f"a UID of the type {type(uid).__name__}", "bytes"
            elif not isinstance(seen.kind, Kind):
                found, wanted = f"a kind of the type {type(seen.kind).__name__}", "a fabgate.badge.Kind"
            elif seen.kind is Kind.ISO14443A and len(uid) not in UID_LENGTHS:
                found, wanted = f"a UID of {len(uid)} bytes", "4, 7 or 10"
            elif problem := _problem(seen):
                found, wanted = (
                    f"a badge of the kind {seen.kind.name} that cannot be ({problem})",
                    "the bytes of its kind",
                )
            elif seen.badge.is_half:
                found, wanted = "half of a 7-byte UID (it starts with the cascade tag 88)", "all"
            else:
                return
        elif seen is None or isinstance(seen, Misread | Pending):
            return
        else:
            found, wanted = f"the type {type(seen).__name__}", "a Card, a Misread, PENDING or None"
        raise HardwareError(f"{self._driver} returned {found}, wanted {wanted}")

    def _digested(self, event: vocabulary.Event) -> vocabulary.Event:
        """Return the event with the card's digest. A card on the reader keeps its digest when the site changes its key."""
        if isinstance(event, vocabulary.Removed):
            return vocabulary.Removed(self._presented, self._number)
        if isinstance(event, vocabulary.Presented | vocabulary.Lying):
            kind, *uid = bytes.fromhex(event.badge)
            self._presented = self._digest(Badge(Kind(kind), bytes(uid)))
            return replace(event, badge=self._presented, reader=self._number)
        return event

    def _digest(self, badge: Badge) -> str:
        # The emergency badges of gate.yaml may have been digested under any of the keys.
        for key in self._other_keys if self._emergency else ():
            emergency = digest(badge, key)
            if emergency in self._emergency:
                return emergency
        return digest(badge, self._badge_key)


def _problem(card: Card) -> str:
    """Return why a card is no badge of its kind, or ""."""
    try:
        _ = card.badge
    except UsageError as error:
        return str(error)
    return ""
