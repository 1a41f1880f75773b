"""``fabgate calibrate``: a person shows the gate its machine off, on and running, and gets the thresholds of its meter.

Nothing here switches anything, and nothing is written: the levels are asked of the running gate, power comes from a
maintainer's tap in an ordinary session that is recorded, and the thresholds are printed for gate.yaml, which the gate itself
cannot change (docs/decisions/0115).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import msgspec

from fabgate.errors import UsageError
from fabgate.gate.config.gate_yaml import Config
from fabgate.gate.panel import trial
from fabgate.gate.selftest.steps import Tester
from fabgate.gate.selftest.watch import Watch

#: How many measurements each state is watched for, a second apart.
LOOKS: Final = 15
#: The machine running takes at least so many times what it takes standing still; otherwise the two are not told apart.
LEAST_RATIO: Final = 1.5


class NotFoundError(Exception):
    """There are no thresholds; its text says why, and what to do."""


class Watched(msgspec.Struct, frozen=True):
    """What was measured in one state: the least, and the most."""

    least: float
    most: float

    @classmethod
    def of(cls, levels: list[float]) -> Watched:
        """Return the bounds of levels."""
        return cls(min(levels), max(levels))


class Found(msgspec.Struct, frozen=True):
    """The result: thresholds in the unit of the meter, and from what they follow."""

    unit: str
    running_above: float
    stopped_below: float
    off: Watched
    standing: Watched
    running: Watched


def thresholds(standing: Watched, running: Watched) -> tuple[float, float]:
    """Return above which level the machine works, and below which it has stopped, each with two digits.

    They divide the gap between the two states into three equal ratios, because noise and load vary by ratios. Raises
    NotFoundError where the gap is too small.
    """
    low = max(standing.most, running.least / 100)  # a machine that takes nothing while it stands still
    if not 0 < low * LEAST_RATIO <= running.least:
        raise NotFoundError(
            f"found at most {standing.most:.3g} while the machine stands still, and at least {running.least:.3g} while"
            f" it runs; wanted {LEAST_RATIO} times the first value. Put the clamp around one conductor of the motor"
            " alone, or use a contact and inputs.running_pin (docs/sensing.md)"
        )
    step = math.cbrt(running.least / low)
    above, below = _two_digits(low * step * step), _two_digits(low * step)
    return above, below


def _two_digits(level: float) -> float:
    return float(f"{level:.2g}")


class Calibration:
    """One run. `pause` waits for the next measurement."""

    def __init__(self, config: Config, person: Tester, watch: Watch, *, pause: Callable[[float], None]) -> None:
        self._config = config
        self._person = person
        self._watch = watch
        self._pause = pause
        self._unit = ""

    def run(self) -> Found:
        """Go through the three states.

        Raises NotFoundError where there are no thresholds, UsageError without a meter or a gate that runs, and
        HardwareError where the gate is silent.
        """
        if not self._config.meter:
            raise UsageError("found no meter in gate.yaml, wanted one; docs/sensing.md says how to wire and name it")
        status = self._watch.status()
        problems = [*status.get("causes", []), *([status["state"]] if status["state"] != "idle" else [])]
        if problems:
            raise NotFoundError(
                f"found the machine not idle ({', '.join(problems)}), wanted an idle one: see fabgate status"
            )
        self._person.tell("The machine is off. Do not touch it.")
        off = self._levels("the machine switched off")
        began = self._start()
        standing = self._asked(
            "Leave the machine switched on but idle, with everything on that stays on between two jobs."
        )
        running = self._asked("Let the machine do its lightest work, and go on until the next question.")
        self._person.tell(
            "Stop the machine, and end the session as always: tap the same badge again, or take the badge away."
        )
        self._still_of(began)
        above, below = thresholds(standing, running)
        return Found(self._unit, above, below, off, standing, running)

    def _start(self) -> str:
        self._person.tell("Tap the badge of a maintainer; in the mode hold, leave it on the reader.")
        began = self._watch.wait(lambda now: now["state"] == "active" and now["session"])
        if began is None:
            raise NotFoundError("found no session, wanted that of a maintainer; nothing was switched")
        member = str(began.get("member"))
        if not self._watch.is_maintainer(member):
            raise NotFoundError(f"found a session of {member}, wanted that of a maintainer; end it as always")
        return str(began["session"])

    def _asked(self, text: str) -> Watched:
        self._person.tell(text)
        while self._person.ask("Is this true?") != "y":
            self._person.tell(text)
        return self._levels("the machine switched on")

    def _still_of(self, session: str) -> None:
        now = self._watch.status()
        if now["session"] != session:
            raise NotFoundError("the session ended during the measurement; calibrate again")

    def _levels(self, what: str) -> Watched:
        """Watch for some seconds; the gate measures once a second."""
        self._person.tell(f"  measuring for {LOOKS} seconds …")
        levels: list[float] = []
        for _ in range(LOOKS):
            self._pause(1.0)
            found = [one for one in trial.levels(self._config.state_dir) if one.level is not None]
            if not found:
                raise NotFoundError(
                    f"found no measurement of {what}, wanted one each second; fabgate status says what is wrong with"
                    " the meter"
                )
            self._unit = found[0].unit
            levels.append(found[0].level or 0.0)
        watched = Watched.of(levels)
        self._person.tell(f"  {watched.least:.2f} to {watched.most:.2f} {self._unit}")
        return watched


def as_yaml(found: Found) -> list[str]:
    """Return the lines for the section ``meter`` of gate.yaml."""
    unit = found.unit.lower()
    return [f"    running_above_{unit}: {found.running_above:g}", f"    stopped_below_{unit}: {found.stopped_below:g}"]
