"""What does the reader see? Its thread: look, turn looks into events, notice when the reader is gone, open it again."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from typing import Final, TypeVar

import msgspec

from fabgate.badge import UID_LENGTHS, Badge, Kind, digest
from fabgate.drivers.readers import Card, Misread, MisreadReason, Reader
from fabgate.errors import HardwareError
from fabgate.rules import vocabulary as w
from fabgate.rules.presence import Presence

log = logging.getLogger(__name__)

T = TypeVar("T")

POLL_S: Final = 0.05
REOPEN_FIRST_S: Final = 0.5
REOPEN_MOST_S: Final = 10.0
#: A reader whose poll takes this long hangs.
LATE_MS: Final = 5_000


class ReaderFault(msgspec.Struct, frozen=True):
    """The reader does not answer."""

    detail: str


class ReaderRecovered(msgspec.Struct, frozen=True):
    """The reader answers again, or repaired itself."""

    detail: str


class Sensing:
    """One reader's thread. `post` takes the rules' events and ``ReaderFault``/``ReaderRecovered``."""

    def __init__(
        self,
        reader: Reader,
        post: Callable[[object], None],
        *,
        badge_key: bytes,
        boot_ms: Callable[[], int],
        other_keys: Sequence[bytes] = (),
        emergency: AbstractSet[str] = frozenset(),
    ) -> None:
        self._reader = reader
        kind = type(reader)
        #: What a fault calls the driver: it may be a stranger's.
        self._driver = f"the reader driver {kind.__module__}.{kind.__qualname__}"
        self._post = post
        self._badge_key = badge_key
        self._other_keys = other_keys
        self._emergency = emergency
        #: The digest under which the card that lies there was told: its removal must name the same.
        self._told = ""
        self._boot_ms = boot_ms
        self._presence = Presence()
        self._stop = threading.Event()
        self._reopen = threading.Event()
        #: The driver's count of recoveries when it was last read, and whether it grew with the last poll.
        self._recoveries = 0
        self._repaired = False
        #: Whether it answered when it was last asked; a poll that hangs changes nothing.
        self.well = True
        #: When the reader was last seen to answer: a poll that hangs looks like nothing else.
        self.looked_at_ms = boot_ms()

    def stop(self) -> None:
        """Ask the thread to end."""
        self._stop.set()

    def use_key(self, badge_key: bytes) -> None:
        """Digest badges under another key from the next look on; any thread may."""
        self._badge_key = badge_key

    def reopen(self) -> None:
        """Ask for the reader to be closed and opened again; any thread may."""
        self._reopen.set()

    def run(self) -> None:
        """Look until told to stop."""
        pause_s = REOPEN_FIRST_S
        while not self._stop.is_set():
            try:
                self._presence.restarted()
                self._ask(self._reader.open)
                self.looked_at_ms = self._boot_ms()  # or the long silence before would count as the next fault
                self._look_until_stopped()
                self._close()
            except HardwareError as error:
                if self.well:
                    pause_s = REOPEN_FIRST_S
                self._lost(str(error))
                self._stop.wait(pause_s)
                pause_s = min(pause_s * 2, REOPEN_MOST_S)

    def _lost(self, why: str) -> None:
        for event in self._presence.lost():
            self._post(self._digested(event))
        if self.well:
            self._post(ReaderFault(why))
        self.well = False
        self._close()

    def _close(self) -> None:
        # Whatever closing brings up, the reader is opened again or the thread ends: there is nothing else to do.
        with contextlib.suppress(HardwareError):
            self._ask(self._reader.close)

    def _ask(self, call: Callable[[], T]) -> T:
        """Call the driver. Raises HardwareError, also for a mistake of the driver, which may even be sys.exit()."""
        try:
            return call()
        except HardwareError:
            raise
        except BaseException as error:
            # A stranger's driver may raise anything, and this thread is the only one that would hear of it.
            if self.well:
                log.exception("%s failed", self._driver)
            raise HardwareError(f"{self._driver} raised {type(error).__name__}: {error}") from error

    def _look_until_stopped(self) -> None:
        self._reopen.clear()
        self._recoveries = min(self._recoveries, self._recovered())  # some drivers count from 0 after each opening
        while not self._stop.is_set() and not self._reopen.is_set():
            events = self._look()
            if not self.well:  # said only now: a driver may open, and still never read a card
                self.well = True
                self._post(ReaderRecovered("the reader answers again"))
            for event in events:
                self._post(self._digested(event))
            if self._repaired:
                self._repaired = False
                self._post(ReaderRecovered("the reader had lost its settings and was configured again"))
            self._stop.wait(POLL_S)

    def _look(self) -> list[w.Event]:
        seen = self._ask(self._reader.poll)
        before_ms, at_ms = self.looked_at_ms, self._boot_ms()
        self.looked_at_ms = at_ms
        self._check(seen)
        recoveries = self._recovered()
        if recoveries > self._recoveries:
            self._recoveries, self._repaired = recoveries, True
        if self._repaired or at_ms - before_ms > LATE_MS:
            self._presence.restarted()
        if seen is None:
            return self._presence.nothing(at_ms)
        if isinstance(seen, Card):
            badge = Badge(Kind.ISO14443A, seen.uid)
            if badge.is_random:
                return self._presence.misread(MisreadReason.RANDOM_UID, at_ms)
            return self._presence.saw(seen.uid.hex(), at_ms)
        return self._presence.misread(seen.reason, at_ms)

    def _recovered(self) -> int:
        """Return how often the driver says that it repaired the reader. Raises HardwareError."""
        found: object = self._ask(lambda: self._reader.recoveries)
        if not isinstance(found, int):
            raise HardwareError(f"{self._driver} has recoveries of the type {type(found).__name__}, wanted an int")
        return found

    def _check(self, seen: object) -> None:
        """Raise HardwareError for what no reader may return (fabgate.drivers.readers)."""
        if isinstance(seen, Card):
            uid: object = seen.uid
            if not isinstance(uid, bytes):
                found, wanted = f"a UID of the type {type(uid).__name__}", "bytes"
            elif len(uid) not in UID_LENGTHS:
                found, wanted = f"a UID of {len(uid)} bytes", "4, 7 or 10"
            elif Badge(Kind.ISO14443A, uid).is_half:
                found, wanted = "half of a 7-byte UID (it starts with the cascade tag 88)", "all"
            else:
                return
        elif seen is None or isinstance(seen, Misread):
            return
        else:
            found, wanted = f"the type {type(seen).__name__}", "a Card, a Misread or None"
        raise HardwareError(f"{self._driver} returned {found}, wanted {wanted}")

    def _digested(self, event: w.Event) -> w.Event:
        """Return the event with the card's digest. A card stays the same card when the site changes its key."""
        if isinstance(event, w.Removed):
            return w.Removed(self._told)
        if isinstance(event, w.Presented | w.Lying):
            self._told = self._digest(Badge(Kind.ISO14443A, bytes.fromhex(event.badge)))
            return type(event)(self._told)
        return event

    def _digest(self, badge: Badge) -> str:
        # Emergency badges are in gate.yaml, under whichever key it was written with.
        for key in self._other_keys if self._emergency else ():
            found = digest(badge, key)
            if found in self._emergency:
                return found
        return digest(badge, self._badge_key)
