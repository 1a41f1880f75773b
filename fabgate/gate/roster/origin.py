"""The sources of rosters, and the adoption that lets a roster of another source replace the stored one.

The version of a roster is a time of the computer that made it. Two versions say which roster is newer only where the
same source made both. A source is the members file of this gate, or one collector by the id of its database, which the
sealed roster carries. Its address and the gate's seal key do not identify it: both may change while the collector stays.

A roster of another source is refused until a person on the gate adopts it (``fabgate roster adopt``). The adoption is a
small file. It names the stored roster and the one that replaces it, so it is void for every other change, even if a
crash leaves the file behind.
"""

from __future__ import annotations

import contextlib
import logging
import os
from pathlib import Path
from typing import Final

import msgspec

from fabgate import wire
from fabgate.errors import UsageError
from fabgate.gate.clock import fsync_directory
from fabgate.gate.roster.directory import Directory, content_of

log = logging.getLogger(__name__)

#: The source of rosters that come from ``roster.file``.
FILE: Final = "file"
_COLLECTOR: Final = "collector:"
#: How much of the file is read; an adoption has about 300 bytes.
_MAX_BYTES: Final = 4096

HOW_TO_ADOPT: Final = "run 'fabgate roster adopt' on this gate"


def of_collector(collector: str) -> str:
    """Return the source of a roster that a collector with this id made."""
    return f"{_COLLECTOR}{collector}"


def describe_source(source: str) -> str:
    """Return a source in words, for a message."""
    return "the members file" if source == FILE else f"the collector {source.removeprefix(_COLLECTOR)[:64]}"


def refusal(stored: str, offered: str) -> str:
    """Return why a roster of another source is refused, and what to do."""
    return (
        f"found a roster of {describe_source(offered)}, but the one in force is of {describe_source(stored)} and stays in"
        f" force. To use the other one instead, {HOW_TO_ADOPT}"
    )


class RosterId(msgspec.Struct, frozen=True):
    """One roster: its source, its version, and a hash of everything in it (hex)."""

    source: str
    version: int
    content: str

    @classmethod
    def of(cls, roster: wire.Roster, source: str) -> RosterId:
        """Return the identity of a roster. Raises UsageError for a badge that is not a digest."""
        return cls(source, roster.version, content_of(roster).hex())

    @classmethod
    def stored(cls, path: Path) -> RosterId | None:
        """Return the identity of the stored roster, or None where there is none that can be read."""
        try:
            with contextlib.closing(Directory(path)) as directory:
                return cls(directory.source, directory.version, directory.content.hex())
        except UsageError:
            return None


class Adoption(msgspec.Struct, frozen=True):
    """The permission of a person: the roster `takes` may replace the roster `replaces`."""

    replaces: RosterId
    takes: RosterId


class AdoptionFile:
    """The adoption of one gate, a file next to its stored roster. Not thread-safe."""

    def __init__(self, stored: Path) -> None:
        self._stored = stored
        self._path = stored.with_suffix(".adopt")
        self._noticed: tuple[int, ...] | None = None
        self._examined: tuple[int, ...] | None = None

    def write(self, adoption: Adoption) -> None:
        """Write an adoption durably; ``roster adopt`` calls it. Raises OSError."""
        fresh = self._path.with_name(f"{self._path.name}.new")
        with fresh.open("wb") as file:
            os.fchmod(file.fileno(), 0o644)  # root may write it for the gate's account; it contains no secret
            file.write(msgspec.json.encode(adoption))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._path)
        fsync_directory(self._path.parent)

    def arrived(self) -> bool:
        """Return whether an adoption has appeared since the last call."""
        before, self._noticed = self._noticed, self._stamp()
        return self._noticed is not None and self._noticed != before

    def waits(self) -> bool:
        """Return whether there is an adoption that no call of ``allows`` has examined yet."""
        stamp = self._stamp()
        return stamp is not None and stamp != self._examined

    def allows(self, roster: wire.Roster, source: str) -> bool:
        """Return whether a person allowed this roster to replace the stored one.

        An adoption of an earlier change, or of another version than the one offered now, is deleted. One for another
        source stays: its gate.yaml may be in use only after a restart.
        """
        self._examined = self._stamp()
        if self._examined is None:
            return False
        try:
            with self._path.open("rb") as file:
                adoption = msgspec.json.decode(file.read(_MAX_BYTES), type=Adoption)
        except (OSError, UnicodeDecodeError, msgspec.MsgspecError) as error:
            log.warning("%s: the adoption cannot be read (%s); %s again", self._path, error, HOW_TO_ADOPT)
            self.use_up()
            return False
        if adoption.replaces != RosterId.stored(self._stored):
            log.info("%s: the adoption was for an earlier change; it is deleted", self._path)
            self.use_up()
            return False
        if adoption.takes.source != source:
            return False
        if adoption.takes != RosterId.of(roster, source):
            log.warning(
                "%s: the adoption was for version %d, and version %d is offered now; %s again",
                self._path,
                adoption.takes.version,
                roster.version,
                HOW_TO_ADOPT,
            )
            self.use_up()
            return False
        return True

    def use_up(self) -> None:
        """Delete the adoption. If that fails, it is void anyway, because it names the earlier roster."""
        with contextlib.suppress(OSError):
            self._path.unlink()
            fsync_directory(self._path.parent)

    def _stamp(self) -> tuple[int, ...] | None:
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_ctime_ns, status.st_ino
