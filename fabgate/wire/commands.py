"""What may a collector order a gate to do?"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from fabgate.wire.machine_rules import Lock
from fabgate.wire.messages import Count, Id, Message, Text

#: The purpose of a command's seal: a seal for one purpose is invalid for another.
PURPOSE_COMMAND: Final = "command"
#: A command is refused this long after it was issued.
COMMAND_LIFE_S: Final = 60
COMMANDS: Final = ("lock", "unlock", "stop", "extend", "fetch-roster", "identify", "clear-fault")
#: Commands that are accepted without a synchronised clock: they make the machine safer, or change nothing.
COMMANDS_WITHOUT_CLOCK: Final = frozenset({"lock", "stop", "identify", "fetch-roster"})


class Command(Message, frozen=True, kw_only=True):
    """On ``…/command``: expires within 60 s of `issued`. No command can switch power on."""

    id: Text
    verb: Text
    boot: Id
    actor: Text
    issued: datetime
    expires: datetime
    reason: str | None = None
    roster: Count | None = None
    #: The id of the collector that made the roster version `roster`; both come with a lock.
    collector: Text | None = None
    lock: Lock | None = None
    seconds: Count | None = None


class Reply(Message, frozen=True, kw_only=True):
    """On ``…/reply``: the outcome of one command, by its id."""

    id: Text
    outcome: Text
    detail: str | None = None
