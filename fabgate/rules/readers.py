"""Several readers at one machine: which taps count, which reader holds a card, and whose fault forbids use.

Each reader has a ``presence`` of its own. With one reader, nothing here decides anything.

* A fob may have two chips, each with a badge of the same member, and two readers may read it in the same moment. So a tap
  is an *echo* if a tap of the same person on another reader counted at most ``ECHO_MS`` before: it starts, ends and
  answers nothing. Only a tap that counted has echoes, so nobody is kept from ending a session for longer.
* In hold mode one reader has the holder. What lies on another one proves nothing about the card in the holder.
* In hold mode the fault of the holder's reader forbids use, otherwise only the fault of all readers. What a reader with a
  fault reads starts nothing; it can end the session of its badge.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from fabgate.rules.vocabulary import Mode

#: A member who taps a fob with two chips moves it past both readers in this time.
ECHO_MS: Final = 3_000


class Place(NamedTuple):
    """A reader on which a card is, and what a tap there can prove.

    `continuous`: it proves presence. `beside`: it is another one than that with the holder; `held` is the card that is in
    the holder meanwhile. `has_fault`: what it reads starts nothing.
    """

    continuous: bool = True
    beside: bool = False
    held: str | None = None
    has_fault: bool = False


class Readers:
    """The readers of one machine, by their order in gate.yaml. Times are boot milliseconds.

    `continuous` says of each whether it proves presence; `holder` is the one that holds cards in hold mode.
    """

    def __init__(self, continuous: Sequence[bool] = (True,), *, holder: int = 0) -> None:
        self._places = [Place(proves, beside=reader != holder) for reader, proves in enumerate(continuous)]
        self._holder = holder
        self._faults: dict[int, str] = {}
        #: The newest tap of each person that counted: its reader, and when.
        self._counted: dict[str, tuple[int, int]] = {}
        #: The card in the holder.
        self._held: str | None = None

    @property
    def several(self) -> bool:
        """Whether there is more than one reader."""
        return len(self._places) > 1

    @property
    def any_fault(self) -> bool:
        """Whether a reader has a fault."""
        return bool(self._faults)

    def place(self, reader: int) -> Place:
        """Return what a card on this reader proves."""
        place = self._places[reader]
        if not place.beside and not self._faults:
            return place  # the usual case first, because every card calls this
        return place._replace(held=self._held if place.beside else None, has_fault=reader in self._faults)

    def lies(self, badge: str, reader: int) -> None:
        """Note that a card is on a reader."""
        if reader == self._holder:
            self._held = badge

    def lifted(self, badge: str, reader: int) -> None:
        """Note that a card left a reader."""
        if reader == self._holder and badge == self._held:
            self._held = None

    def is_echo(self, person: str, reader: int, at_ms: int) -> bool:
        """Return whether a tap of `person` (a member, or an unknown badge) is an echo; otherwise it counts."""
        if not self.several:
            return False
        before = self._counted.get(person)
        if before is not None and before[0] != reader and at_ms - before[1] <= ECHO_MS:
            return True
        self._counted = {who: tap for who, tap in self._counted.items() if at_ms - tap[1] <= ECHO_MS}
        self._counted[person] = (reader, at_ms)
        return False

    def forget(self, person: str) -> None:
        """Let the newest tap of `person` have no echo."""
        self._counted.pop(person, None)

    def failed(self, reader: int, detail: str) -> None:
        """Note that a reader does not work."""
        self._faults[reader] = detail

    def works(self, reader: int) -> None:
        """Note that a reader works again."""
        self._faults.pop(reader, None)

    def fault(self, mode: Mode) -> str | None:
        """Return the fault that forbids use in this mode, or None."""
        if mode is Mode.HOLD:
            return self._faults.get(self._holder)
        if len(self._faults) < len(self._places):
            return None
        return "; ".join(self._faults[reader] for reader in sorted(self._faults))
