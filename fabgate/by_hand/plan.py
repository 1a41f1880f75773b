"""What one move to the package consists of: written to the backup folder before the first change, so that a repetition goes on."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Final

from fabgate.by_hand.part import Part
from fabgate.computer import Computer
from fabgate.errors import FabgateError

BACKUPS: Final = "/var/backups/fabgate-by-hand"
_FILE: Final = "plan.json"


class State(StrEnum):
    """How far the move is. Until it is `DONE` or `UNDONE`, a repetition of the command goes on with it."""

    FORWARD = "forward"
    #: Files and tables are those of the package, and it may run: what it records must not be undone by a later repetition.
    IN_USE = "in-use"
    BACK = "back"
    DONE = "done"
    UNDONE = "undone"


@dataclass(frozen=True, slots=True)
class Plan:
    """A move of one part. All names are absolute."""

    #: The backup folder, which is named after the part.
    folder: str
    state: State = State.FORWARD
    #: Files and links that go to the backup folder.
    moves: list[str] = field(default_factory=list)
    #: Files of the database that are copied before its tables change.
    kept: list[str] = field(default_factory=list)
    #: Those of `kept` that were there; None until all are copied.
    copied: list[str] | None = None
    drop_ins: dict[str, str] = field(default_factory=dict)
    enabled: list[str] = field(default_factory=list)
    started: list[str] = field(default_factory=list)
    #: What the doctor says of the tables if the package has to change them, otherwise "".
    tables: str = ""

    def backup(self, name: str) -> str:
        """Return where the backup folder has a file."""
        return f"{self.folder}{name}"

    def saved(self, computer: Computer, **changes: object) -> Plan:
        """Return the plan with changes, after writing it. Raises OSError."""
        plan = replace(self, **changes)  # type: ignore[arg-type]
        computer.write(f"{self.folder}/{_FILE}", json.dumps(asdict(plan), indent=2) + "\n", 0o600)
        return plan


def unfinished(computer: Computer, part: Part) -> Plan | None:
    """Return the move that was interrupted. Raises FabgateError."""
    for path in computer.system.found(f"{BACKUPS}/{part.name}-*/{_FILE}"):
        try:
            values = json.loads(path.read_text("utf-8"))
            plan = Plan(**values | {"state": State(values["state"])})
        except (ValueError, TypeError, KeyError) as error:
            raise FabgateError(
                f"{path}: found {error}, wanted the plan of a move; restore this file, or delete it"
            ) from error
        if plan.state not in (State.DONE, State.UNDONE):
            return plan
    return None
