"""Which errors does fabgate raise on purpose, and with which exit code does a command end for each?

Every error says what was found, what was wanted and what to do. Each is also the builtin that a caller
would expect, so that nobody needs this module to catch one.
"""

from __future__ import annotations


class FabgateError(Exception):
    """Something went wrong that is described in the message; exit code 1."""

    exit_code = 1


class UsageError(FabgateError, ValueError):
    """The input is wrong: a configuration, a spelling, a roster file; exit code 2."""

    exit_code = 2


class HardwareError(FabgateError, OSError):
    """A reader, an output or a pin does not answer as it should; exit code 3."""

    exit_code = 3


class JournalError(FabgateError, OSError):
    """The journal cannot be opened, written or trusted; exit code 4."""

    exit_code = 4


class SealError(FabgateError, ValueError):
    """A seal is missing, malformed or wrong: the payload is not what its author sealed; exit code 5."""

    exit_code = 5
