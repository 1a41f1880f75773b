"""Decides which commands may be executed: sealed by the collector, for this gate and this boot, fresh, and new.

No command can switch power on: there is no verb for it. While the wall clock is not synchronised, only commands are
accepted that make the machine safer or change nothing.

A command passes two checks. ``CommandFilter``, in the uplink's thread, admits only what the collector has sealed, and few
at a time, so that a flood of messages never reaches the loop that owns the power. ``CommandChecker``, in the loop, does
the rest.
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
#: How many commands may wait for the loop at once. People send one at a time, and the loop needs a millisecond for each.
PENDING_MOST: Final = 16
#: How many times a gate reacts to one command id: the second time it answers that the command was executed already,
#: later ones are dropped.
TIMES_MOST: Final = 2
#: What to do about a command whose time does not fit.
_CLOCKS: Final = "; compare the clocks of gate and collector"
#: For how many command ids the number of arrivals is remembered.
IDS_MOST: Final = 1_000


class CommandFilter:
    """Admits what the collector has sealed: each command at most twice, and few at a time. `keys` are the gate's own.

    One thread calls ``admit`` and the loop calls ``handled``; each writes only its own counter, so they need no lock.
    """

    def __init__(self, *, account: str, keys: Keys | None) -> None:
        self._account = account
        self._keys = keys
        self._times: dict[str, int] = {}
        self._admitted = 0
        self._handled = 0

    def admit(self, payload: bytes, seal: str | None) -> wire.Command:
        """Return a command for the loop. Raises SealError or UsageError if the message must be rejected."""
        if self._keys is None:
            raise SealError("commands need a gate_key_file in gate.yaml: without it their seals cannot be checked")
        self._keys.verify(seal, wire.PURPOSE_COMMAND, self._account, payload)
        command = wire.decode(payload, wire.Command)
        times = self._times.get(command.id, 0)
        if times >= TIMES_MOST:
            raise UsageError(f"command {command.id[:40]} came more than {TIMES_MOST} times; send a new one")
        if self._admitted - self._handled >= PENDING_MOST:
            raise UsageError(f"{PENDING_MOST} commands are waiting already; send it again")
        self._times[command.id] = times + 1
        if len(self._times) > IDS_MOST:
            del self._times[next(iter(self._times))]
        self._admitted += 1
        return command

    def handled(self) -> None:
        """Count a command that the loop has handled."""
        self._handled += 1


class CommandChecker:
    """Checks admitted commands. `executed` are the ids of commands on record: each is executed once."""

    def __init__(self, *, boot: str, executed: set[str]) -> None:
        self._boot = boot
        self._executed = executed
        self._refused: set[str] = set()

    def check(self, command: wire.Command, now: Now) -> None:
        """Accept a command that may be executed. Raises UsageError saying why it may not.

        RefusedError, which is answered and recorded, is raised once for an id: a sealed command that is replayed a
        thousand times must not fill the journal.
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
            raise RefusedError(
                command, f"found the verb {command.verb!r}, wanted {', '.join(wire.COMMANDS)}; update the gate"
            )
        if command.boot != self._boot:
            raise RefusedError(
                command,
                "it was sent before this gate restarted, and the machine may have changed; look at it and send it again",
            )
        if command.id in self._executed:
            raise RefusedError(command, "it was executed already; to repeat it, send a new one")
        self._check_time(command, now)
        if command.verb in ("lock", "unlock"):
            _check_lock(command)
        if command.verb == "extend" and not (command.seconds and command.seconds > 0):
            raise RefusedError(command, f"found {command.seconds} seconds to extend by, wanted more than 0")
        self._executed.add(command.id)

    def _check_time(self, command: wire.Command, now: Now) -> None:
        if not now.synced or now.local is None:
            if command.verb not in wire.COMMANDS_WITHOUT_CLOCK:
                reason = "the gate's clock is not synchronised, so the age of the command is unknown"
                raise RefusedError(command, f"{reason}; run 'timedatectl' on the gate")
            return
        at = now.local.astimezone(UTC)
        life = timedelta(seconds=wire.COMMAND_LIFE_S)
        if command.issued.tzinfo is None or command.expires.tzinfo is None:
            raise RefusedError(command, "its times have no time zone, wanted UTC")
        # Differences, not sums, which could exceed the year 9999.
        if at > command.expires or at - command.issued > life + SKEW:
            raise RefusedError(
                command, f"it expired at {command.expires:%H:%M:%S}; now it is {at:%H:%M:%S}; send it again{_CLOCKS}"
            )
        if command.issued - at > SKEW:
            raise RefusedError(
                command, f"it was issued at {command.issued:%H:%M:%S}, which is in the future here{_CLOCKS}"
            )


def _check_lock(command: wire.Command) -> None:
    if command.lock is None or command.roster is None or not command.collector:
        raise RefusedError(command, "found no lock, no roster version or no collector, wanted all three")
    if command.lock.when not in ("now", "idle"):
        raise RefusedError(command, f"found a lock for {command.lock.when!r}, wanted now or idle")
    if not 0 <= command.roster < 1 << 63:
        raise RefusedError(command, f"found the roster version {command.roster}, wanted one of 63 bits")


class RefusedError(UsageError):
    """A command of the collector that may not be executed: it is answered with the reason."""

    def __init__(self, command: wire.Command, reason: str) -> None:
        super().__init__(reason)
        self.command = command
