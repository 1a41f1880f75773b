"""May this command be obeyed? Sealed by the collector, for this gate and this boot, fresh, and never seen before.

None can switch power on: there is no word for it. While the wall clock is not synchronised only what makes the machine
safer, or merely tells, is taken.

Two look at it. The ``Door`` stands in the uplink's thread: whatever anybody sends, the loop that owns the power sees of
it only what the collector sealed, and little of that at a time. The ``CommandDesk`` stands in the loop and judges the
rest.
"""

from __future__ import annotations

from datetime import UTC, timedelta
from typing import Final

from fabgate import wire
from fabgate.errors import SealError, UsageError
from fabgate.rules.vocabulary import Now
from fabgate.seal import Keys

#: How far the clocks of gate and collector may differ.
SKEW: Final = timedelta(seconds=5)
#: So many commands may wait for the loop at once. People send one at a time, and each takes it a millisecond.
PENDING_MOST: Final = 16
#: A command that comes again is answered that it was obeyed already; one that comes yet again is not even looked at.
TIMES_MOST: Final = 2
#: The ids of so many commands are known to have come before.
IDS_MOST: Final = 1_000


class Door:
    """Admits what the collector sealed: each command at most twice, and few at a time. `keys` are the gate's own.

    One thread calls ``admit``, the loop calls ``taken``, and each writes a number of its own: neither waits.
    """

    def __init__(self, *, account: str, keys: Keys | None) -> None:
        self._account = account
        self._keys = keys
        self._times: dict[str, int] = {}
        self._admitted = 0
        self._taken = 0

    def admit(self, payload: bytes, seal: str | None) -> wire.Command:
        """Return a command for the loop. Raises SealError or UsageError for what it is not to see."""
        if self._keys is None:
            raise SealError("commands need a gate_key_file in gate.yaml: without it nobody can tell who sent them")
        self._keys.verify(seal, wire.PURPOSE_COMMAND, self._account, payload)
        command = wire.decode(payload, wire.Command)
        times = self._times.get(command.id, 0)
        if times >= TIMES_MOST:
            raise UsageError(f"command {command.id[:40]} came more than {TIMES_MOST} times")
        if self._admitted - self._taken >= PENDING_MOST:
            raise UsageError(f"{PENDING_MOST} commands wait already; send it again")
        self._times[command.id] = times + 1
        if len(self._times) > IDS_MOST:
            del self._times[next(iter(self._times))]
        self._admitted += 1
        return command

    def taken(self) -> None:
        """Take that the loop has dealt with one."""
        self._taken += 1


class CommandDesk:
    """Judges what the door admitted. `seen` are the ids on record; a command is taken once."""

    def __init__(self, *, boot: str, seen: set[str]) -> None:
        self._boot = boot
        self._seen = seen
        self._refused: set[str] = set()

    def check(self, command: wire.Command, now: Now) -> None:
        """Take a command that may be obeyed. Raises UsageError saying why it may not.

        RefusedError, which is answered and recorded, is raised once for an id: whoever replays a sealed command a
        thousand times must not be able to fill the journal.
        """
        try:
            self._check(command, now)
        except RefusedError as error:
            if command.id in self._refused:
                raise UsageError(f"command {command.id[:40]} again: {error}") from None
            self._refused.add(command.id)
            raise

    def _check(self, command: wire.Command, now: Now) -> None:
        if command.verb not in wire.COMMANDS:
            raise RefusedError(command, f"found the verb {command.verb!r}, wanted {', '.join(wire.COMMANDS)}")
        if command.boot != self._boot:
            raise RefusedError(
                command, "it was meant for another boot of this gate; the machine may have changed since"
            )
        if command.id in self._seen:
            raise RefusedError(command, "it was obeyed already")
        self._check_time(command, now)
        if command.verb in ("lock", "unlock"):
            _check_lock(command)
        if command.verb == "extend" and not (command.seconds and command.seconds > 0):
            raise RefusedError(command, f"found {command.seconds} seconds to extend by, wanted more than 0")
        self._seen.add(command.id)

    def _check_time(self, command: wire.Command, now: Now) -> None:
        if not now.synced or now.local is None:
            if command.verb not in wire.COMMANDS_WITHOUT_CLOCK:
                raise RefusedError(
                    command, "the gate's clock is not synchronised, so it cannot tell whether this is fresh"
                )
            return
        at = now.local.astimezone(UTC)
        life = timedelta(seconds=wire.COMMAND_LIFE_S)
        if command.issued.tzinfo is None or command.expires.tzinfo is None:
            raise RefusedError(command, "its times do not say in which time zone they are; wanted UTC")
        # Differences, never sums: nothing lies beyond the year 9999.
        if at > command.expires or at - command.issued > life + SKEW:
            raise RefusedError(command, f"it expired at {command.expires:%H:%M:%S}; now it is {at:%H:%M:%S}")
        if command.issued - at > SKEW:
            raise RefusedError(command, f"it was issued at {command.issued:%H:%M:%S}, which is in the future")


def _check_lock(command: wire.Command) -> None:
    if command.lock is None or command.roster is None:
        raise RefusedError(command, "a lock command names its lock and the roster version that it belongs to")
    if command.lock.when not in ("now", "idle"):
        raise RefusedError(command, f"found a lock for {command.lock.when!r}, wanted now or idle")
    if not 0 <= command.roster < 1 << 63:
        raise RefusedError(command, f"found the roster version {command.roster}, wanted one of 63 bits")


class RefusedError(UsageError):
    """A command that was truly sent and may not be obeyed: it is answered with the reason."""

    def __init__(self, command: wire.Command, reason: str) -> None:
        super().__init__(reason)
        self.command = command
