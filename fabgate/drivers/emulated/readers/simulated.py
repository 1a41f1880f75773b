"""The cards of the reader ``simulated``, which has no device."""

from __future__ import annotations

import threading

from fabgate.drivers.emulated.cards import RANDOM_FIRST_BYTE
from fabgate.drivers.emulated.control import bench_at
from fabgate.drivers.readers import Card, Misread, MisreadReason
from fabgate.errors import HardwareError, UsageError


class SimulatedBench:
    """The simulated cards on the reader. Thread-safe: the control socket's thread writes, the reader's thread reads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._answers_left: dict[bytes, int | None] = {}
        self._plugged = True
        self._brown_outs = 0
        self._empty_polls = 0

    @property
    def empty_polls(self) -> int | None:
        """How many polls in a row have found the field empty; None while a card is there."""
        with self._lock:
            return None if any(left != 0 for left in self._answers_left.values()) else self._empty_polls

    def place(self, uid: bytes, *, torn: int | None) -> None:
        """Place a card that is gone after `torn` answers. Raises UsageError when it is there already."""
        with self._lock:
            if self._answers_left.get(uid, 0) != 0:
                raise UsageError(f"{uid.hex().upper()} is on the reader already: remove it first")
            self._answers_left[uid] = torn

    def remove(self, uid: bytes | None) -> None:
        """Remove the card, or all cards. Raises UsageError when it is not there."""
        with self._lock:
            if uid is None:
                self._answers_left.clear()
            elif uid in self._answers_left:
                del self._answers_left[uid]
            else:
                here = ", ".join(one.hex().upper() for one in self._answers_left) or "no card"
                raise UsageError(f"found {here} on the reader, wanted {uid.hex().upper()}: place it first")

    def unplug(self) -> None:
        """Unplug the reader."""
        with self._lock:
            self._plugged, self._empty_polls = False, 0

    def plug(self) -> None:
        """Plug the reader in again."""
        with self._lock:
            self._plugged = True

    def brown_out(self) -> None:
        """Let the reader have a transient failure, from which it recovers."""
        with self._lock:
            self._brown_outs += 1

    def check(self) -> None:
        """Raise HardwareError when unplugged."""
        if not self._plugged:
            raise HardwareError("the simulated reader is unplugged: ask its control socket to plug it in")

    def look(self) -> tuple[Card | Misread | None, int]:
        """Return the result of a poll, and the number of brown-outs since the last one.

        Raises HardwareError when unplugged.
        """
        with self._lock:
            self.check()
            upsets, self._brown_outs = self._brown_outs, 0
            here = [uid for uid, left in self._answers_left.items() if left != 0]
            self._empty_polls = 0 if here else self._empty_polls + 1
            whole = [self._spend(uid) for uid in here]
        if len(here) > 1:
            return Misread(MisreadReason.TWO_CARDS), upsets
        if not here:
            return None, upsets
        if not whole[0]:
            return Misread(MisreadReason.TORN), upsets
        uid = here[0]
        if len(uid) == 4 and uid[0] == RANDOM_FIRST_BYTE:
            return Misread(MisreadReason.RANDOM_UID), upsets
        return Card(uid), upsets

    def _spend(self, uid: bytes) -> bool:
        """Use up answers for one activation; return whether the card gave all of them."""
        left = self._answers_left[uid]
        if left is None:
            return True
        needed = 1 + 2 * {4: 1, 7: 2, 10: 3}[len(uid)]  # ATQA, then UID and SAK at each cascade level
        self._answers_left[uid] = max(0, left - needed)
        return left >= needed


def bench_of_cards(control_socket: str) -> SimulatedBench:
    """Return the cards of this process behind `control_socket`; the first call makes both. Raises HardwareError."""
    bench = bench_at(control_socket, SimulatedBench)
    if not isinstance(bench, SimulatedBench):
        raise HardwareError(f"{control_socket} belongs to an emulated chip: choose another path")
    return bench
