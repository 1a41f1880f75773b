"""The choices for extending a session: at most what its gate grants.

A gate extends by at most the machine's limit at once (docs/reference.md, Topics). Longer choices are not offered, because the
gate would grant less and still answer "done".
"""

from __future__ import annotations

from typing import Final

from fabgate.collector.faces.pages.words import durations
from fabgate.collector.ground.models import Machine

_USUAL_S: Final = (15 * 60, 30 * 60, 60 * 60)
_VERB: Final = "extend-"


def choices(machine: Machine) -> dict[str, str]:
    """Return the buttons for a machine: the command each sends, and its label."""
    limit_s = machine.wire_rules().limit_s
    choices_s = [seconds for seconds in _USUAL_S if seconds < limit_s]
    if limit_s <= _USUAL_S[-1]:
        choices_s.append(limit_s)
    return {f"{_VERB}{seconds}": durations.in_words(seconds) for seconds in choices_s}


def seconds_of(verb: str) -> int | None:
    """Return the seconds of an extension command; None for other commands."""
    return int(verb.removeprefix(_VERB)) if verb.startswith(_VERB) else None
