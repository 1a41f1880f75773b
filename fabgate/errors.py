"""The errors that fabgate raises, and their exit codes.

Every message says what was found, what was wanted and what to do. Each error is also a builtin, so that it can be caught
without this module.
"""

from __future__ import annotations


class FabgateError(Exception):
    """An error that the message describes; exit code 1."""

    exit_code = 1


class UsageError(FabgateError, ValueError):
    """The input is wrong: a configuration, a spelling, a roster file; exit code 2."""

    exit_code = 2


class NewerTablesError(UsageError):
    """The collector's database has the tables of a newer version; exit code 7 of `migrate`, and 2 of other verbs."""

    exit_code = 7


class HardwareError(FabgateError, OSError):
    """A reader, an output or a pin does not answer as it should; exit code 3."""

    exit_code = 3


class JournalError(FabgateError, OSError):
    """The journal cannot be opened, written or trusted; exit code 4."""

    exit_code = 4


class AlteredError(FabgateError):
    """The books of the collector were altered; exit code 6."""

    exit_code = 6


class SealError(FabgateError, ValueError):
    """A seal is missing, malformed or wrong: the payload is not the one that was sealed; exit code 5."""

    exit_code = 5
