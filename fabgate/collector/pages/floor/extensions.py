"""By how much can a session be made longer from a page? By what its gate will give, and never by less than was said.

A gate gives at most the machine's limit at once (wire.md, commands): who asked for half an hour on a machine of ten
minutes got ten, and was told "done".
"""

from __future__ import annotations

from typing import Final

from fabgate.collector.models import Machine
from fabgate.collector.pages.machines.words import lasting

_USUAL_S: Final = (15 * 60, 30 * 60, 60 * 60)
_VERB: Final = "extend-"


def choices(machine: Machine) -> dict[str, str]:
    """Return the buttons of a machine: what each sends, and what it says."""
    limit_s = machine.wire_rules().limit_s
    found = [seconds for seconds in _USUAL_S if seconds < limit_s]
    if limit_s <= _USUAL_S[-1]:
        found.append(limit_s)
    return {f"{_VERB}{seconds}": lasting(seconds) for seconds in found}


def seconds_of(verb: str) -> int | None:
    """Return by how many seconds a button makes a session longer; None where it is another order."""
    return int(verb.removeprefix(_VERB)) if verb.startswith(_VERB) else None
