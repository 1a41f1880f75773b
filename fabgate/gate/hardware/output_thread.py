"""The thread of an output on a network: orders go in and return at once, and this thread tells the output.

The loop of the gate sees an Output (``fabgate.drivers.outputs``) whose ``set`` never blocks. What really happened is in
``is_on``, ``trouble`` and ``alarms``, which the loop looks at in each turn; it is woken when they change.

Requests go out one after another, never two at once. An order to switch off comes before everything else: it ends the request
that runs, and no order to stay on follows it. Power is given up on the gate's side (``trouble``) before the output's own timer
ends, so that nothing is switched on again behind the back of the member. It is given up, too, when the loop hangs: a thread that
kept the machine on by itself would defeat the output's timer.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from fabgate.drivers.outputs import NetworkOutput
from fabgate.drivers.outputs.confirmed import Confirmed
from fabgate.errors import HardwareError

log = logging.getLogger(__name__)

#: How often the output is asked how it is.
TEND_S: Final = 1.0
#: The same for some time after an order to switch off, so that a welded contact shows soon.
SOON_S: Final = 0.2
SOON_FOR_S: Final = 3.0
#: An output that is off and has not answered for this long is in trouble; a lost packet is not.
AWAY_S: Final = 3.0
#: A session ends when the output, if it is not reached again, stays on for less than this.
GIVE_UP_S: Final = 3.0
#: Pauses between attempts to reach an output that is in trouble.
REOPEN_FIRST_S: Final = 1.0
REOPEN_MOST_S: Final = 8.0
#: A call that takes longer than this hangs.
HANG_S: Final = 15.0
#: Power is given up when the loop has not attended for this long: its checks run at least once a second.
LOOP_S: Final = 5.0


class OutputThread:
    """One gate's output on a network. `wake` is called after each change that the loop should look at."""

    def __init__(
        self, output: NetworkOutput, wake: Callable[[], None], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._output = output
        self._wake = wake
        self._clock = clock
        self._lock = threading.Lock()
        self._news = threading.Event()
        self._stopping = False
        # What the loop orders:
        self._wanted = False
        #: Whether an order to switch off has not been passed on yet. None is ever skipped.
        self._off_is_due = True
        # What this thread found:
        self._is_on = False
        self._is_open = False
        self._trouble = ""
        #: Whether power was lost in a session, and the loop has not ordered off since.
        self._has_lost = False
        #: Whether the newest answer said that the output is off, as it shall be.
        self._is_known_off = False
        #: Whether the output has been off since it was last ordered on: if it is on, then by somebody else's order. An answer
        #: that is lost changes nothing about that.
        self._has_been_off = False
        self._was_welded = False
        self._alarms: deque[str] = deque(maxlen=20)
        self._reached_s = self._attended_s = clock()
        #: When the loop last ordered off.
        self._ordered_off_s = float("-inf")
        self._soon_until_s = 0.0
        self._pause_s = REOPEN_FIRST_S
        self._busy_since_s: float | None = None

    # --- for the loop: nothing here waits -----------------------------------------------------------------------------

    def open(self) -> None:
        """Do nothing: the thread opens the output, which may take as long as it wants."""

    def set(self, *, on: bool) -> None:
        """Order power, or no power. Never raises; ``is_on`` and ``trouble`` tell what became of it."""
        with self._lock:
            if self._wanted and not on:
                self._output.hurry()  # before this thread can see the order, which ends the hurry
            self._wanted, self._attended_s = on, self._clock()
            if not on:
                self._off_is_due, self._is_on, self._has_lost = True, False, False
                self._ordered_off_s = self._attended_s
        self._news.set()

    def attend(self) -> None:
        """Note that the loop lives. Called at each of its checks."""
        self._attended_s = self._clock()

    def read_back(self) -> bool | None:
        """Return what the output says of its load side; None while power is ordered or may still be on."""
        return self._output.read_back() if self._is_known_off else None

    def close(self) -> None:
        """Order no power. The thread closes the output when it ends."""
        self.set(on=False)

    def stop(self) -> None:
        """Ask the thread to switch off and to end."""
        self._stopping = True
        self.set(on=False)

    @property
    def is_on(self) -> bool:
        """Whether the output has confirmed that it is on, since the last order."""
        return self._is_on

    @property
    def may_be_on(self) -> bool:
        """Whether the output has not been seen off since the last order, or is ordered on."""
        return self._wanted or not self._is_known_off

    @property
    def trouble(self) -> str:
        """Why the output cannot be used now, or ""."""
        since_s = self._busy_since_s
        if since_s is not None and self._clock() - since_s > HANG_S:
            return "the output does not answer"
        return self._trouble

    @property
    def power_w(self) -> float | None:
        """The watts that the output measured last; None while they are not known, or where it has no meter."""
        watts: float | None = getattr(self._output, "power_w", None)
        return watts

    @property
    def energy_wh(self) -> int | None:
        """The output's own counter in whole watt-hours; None while it is not known, or where it has no meter."""
        counted: int | None = getattr(self._output, "energy_wh", None)
        return counted

    def bounds_ms(self, energised_ms: int, *, goes_on: bool = False) -> tuple[int, int]:
        """Return the least and the most time with power of a session whose power was ordered `energised_ms` ago.

        `goes_on`: the machine is handed over, so that what follows belongs to another session.
        """
        confirmed: Confirmed | None = getattr(self._output, "confirmed", None)
        now_s = self._clock()
        began_s = now_s - energised_ms / 1000
        was_ordered = self._wanted or self._has_lost or self._ordered_off_s >= began_s
        if confirmed is None or not energised_ms or not was_ordered:
            return energised_ms, energised_ms  # in the mode audit nothing is ordered
        least_s, most_s = confirmed.bounds_s(began_s, now_s, 0.0 if goes_on else self.stays_on_ms / 1000)
        return math.floor(least_s * 1000), math.ceil(most_s * 1000)

    @property
    def stays_on_ms(self) -> int:
        """For how long the output may stay on by itself after the gate's last order."""
        return round(getattr(self._output, "stays_on_s", 0.0) * 1000)

    def alarms(self) -> list[str]:
        """Return what a person has to know, each once."""
        found: list[str] = []
        while self._alarms:
            found.append(self._alarms.popleft())
        return found

    # --- the thread ---------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Pass orders on, and look after the output, until asked to stop; then switch off."""
        try:
            while not self._stopping:
                self._news.wait(self.step())
            self._output.close()
        except BaseException as error:
            # A driver of another package may raise anything. Its own timer switches the output off meanwhile.
            self._is_open = self._is_known_off = False
            why = f"{type(error).__name__}: {error}"
            if not self._lose(why):
                self._off_is_due = True
                self._tell(why)
            raise

    def step(self) -> float:
        """Do what is due, with a few requests at most; return after how many seconds to do so again."""
        self._news.clear()
        with self._lock:
            wanted, off_is_due, self._off_is_due = self._wanted, self._off_is_due, False
        self._busy_since_s = self._clock()
        try:
            if off_is_due:
                self._soon_until_s = self._clock() + SOON_FOR_S
                self._pause_s = REOPEN_FIRST_S
                self._output.set(on=False)
            return self._reached(wanted=wanted)
        except HardwareError as error:
            return self._not_reached(str(error))
        finally:
            self._busy_since_s = None

    def _reached(self, *, wanted: bool) -> float:
        """Open, switch on or tend the output. Raises HardwareError."""
        if not self._is_open:
            self._output.open()
            self._is_open = True
        if wanted:
            self._is_known_off = self._has_been_off = False
        if wanted and not self._is_on:
            self._output.set(on=True)
            with self._lock:
                # An order off that is due, even before another order on, comes first.
                self._is_on = self._wanted and not self._off_is_due
            self._wake()
        elif wanted and self._clock() - self._attended_s > LOOP_S:
            self._lose("the gate's own loop does not answer")
        elif wanted:
            if not self._output.tend(on=True):
                self._lose("the plug was switched off at its button, by itself or by a power cut; tap again")
        else:
            self._tend_off()
        self._reached_s = self._clock()
        return SOON_S if self._clock() < self._soon_until_s or self._was_welded else TEND_S

    def _tend_off(self) -> None:
        is_known_off = getattr(self._output, "is_known_off", False)  # before the look: its order off was confirmed
        if self._output.tend(on=False):
            if self._has_been_off or is_known_off:
                detail = (
                    "it was on without a session, and was switched off: its button, another program, or a late order"
                )
                log.warning("the output: %s", detail)
                self._alarms.append(detail)
                self._wake()
            self._is_known_off = self._has_been_off = False
            self._soon_until_s = self._clock() + SOON_FOR_S
            return
        self._is_known_off = self._has_been_off = True
        self._pause_s = REOPEN_FIRST_S
        if self._trouble and not self._has_lost:
            self._tell("")
        is_welded = self._output.read_back() is True
        if is_welded and not self._was_welded:
            self._wake()
        self._was_welded = is_welded

    def _not_reached(self, why: str) -> float:
        if self._is_on and self._is_open and self._output.remaining_s() > GIVE_UP_S:
            return TEND_S
        if self._lose(why):
            return 0.0
        is_away = not self._is_open or self._clock() - self._reached_s > AWAY_S
        self._is_known_off = self._was_welded = False
        if not is_away:
            return SOON_S
        self._is_open = False  # it may come back with other settings, or be another one
        self._tell(why)
        pause_s, self._pause_s = self._pause_s, min(self._pause_s * 2, REOPEN_MOST_S)
        return pause_s

    def _lose(self, why: str) -> bool:
        """Give power up if it is ordered: order off, and let the loop end the session. Return whether it was."""
        with self._lock:
            if not self._wanted:
                return False  # the loop has ordered off meanwhile
            self._wanted, self._is_on, self._off_is_due, self._has_lost = False, False, True, True
        self._news.set()
        self._tell(why)
        return True

    def _tell(self, trouble: str) -> None:
        if trouble != self._trouble:
            if trouble:
                log.warning("the output: %s", trouble)
            else:
                log.info("the output answers again")
        self._trouble = trouble
        self._wake()
