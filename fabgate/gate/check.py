"""Is a gate.yaml right, and the roster file that it names? For ``fabgate check``: nothing is stored, no key is made.

The gate itself starts under a roster file with mistakes: the last good roster stays in force. Whoever checks is told.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fabgate import wire
from fabgate.errors import UsageError
from fabgate.gate import config, roster_file
from fabgate.gate.config import Config

#: Whose digest is whose does not depend on the key, and the gate's own may not be there yet or not be ours to read.
_ANY_KEY = bytes(32)


@dataclass(frozen=True, slots=True)
class Checked:
    """A configuration without a mistake, and its roster file's content; `roster` is None where a collector has it."""

    config: Config
    roster: wire.Roster | None


def check(path: Path) -> Checked:
    """Read gate.yaml, then its roster file. Raises UsageError with a line for every mistake of the first that has one."""
    found = config.load(path)
    if found.roster.file is None:
        return Checked(found, None)
    rules = found.machine.rules()
    roster = roster_file.read(found.roster.file, key=_ANY_KEY, topics=found.topics, fallback=rules)
    idle_off_s = roster.machine.idle_off_s
    if idle_off_s is not None and found.inputs.running_pin is None:
        raise UsageError(f"{found.roster.file}: machine.idle_off_s: {config.NO_RUN_SENSE.format(idle_off_s)}")
    return Checked(found, roster)
