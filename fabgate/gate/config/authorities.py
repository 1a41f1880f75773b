"""The authorities by which a gate knows its collector and its broker (docs/decisions/0151).

They are in the files that gate.yaml names, until a sealed roster says which ones the collector trusts. Those are kept in
the state folder, and take the place of these files until somebody changes the files.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fabgate.errors import FabgateError
from fabgate.gate.clock import fsync_directory
from fabgate.gate.config.gate_yaml import Config, Tls
from fabgate.mqtt import authorities

if TYPE_CHECKING:
    import ssl

log = logging.getLogger(__name__)

#: The first line of the file; the hash of the files whose place it takes follows.
_IN_PLACE: Final = "# Written by the gate, from a sealed roster. In place of files with the SHA-256 "
#: A roster with more of them is a mistake: a gate would try each one at each connection.
MOST: Final = 8


class Authorities:
    """The authorities of one gate. One thread calls `take`; others may read meanwhile."""

    def __init__(self, config: Config) -> None:
        self._path = config.state_dir / "authorities.pem"
        #: The file in which others are tried before they are taken.
        self._fresh = self._path.with_suffix(".new")
        tls = config.mqtt.tls if config.mqtt is not None else None
        files = [path for path in (config.roster.ca, tls.ca if tls is not None else None) if path is not None]
        texts = [_read(path) for path in files]
        digest = hashlib.sha256("\0".join(texts).encode()).hexdigest()
        self._first_line = f"{_IN_PLACE}{digest}\n"
        kept = _read(self._path)
        self._is_kept = kept.startswith(self._first_line) and bool(authorities.certificates(kept))
        own = [authorities.certificates(text) for text in ([kept] if self._is_kept else texts)]
        #: Each authority that is trusted for roster or broker.
        self._trusted: tuple[bytes, ...] = tuple(dict.fromkeys(one for some in own for one in some))
        #: Those that are trusted for both.
        self._common = tuple(one for one in self._trusted if all(one in some for some in own))
        #: Why an authority that the collector no longer trusts is still trusted here; "" if there is none.
        self.problem = ""

    @property
    def fingerprints(self) -> tuple[str, ...]:
        """Return the SHA-256 of each authority that roster and broker are trusted by."""
        return tuple(map(authorities.fingerprint, self._common))

    @property
    def digest(self) -> str:
        """Return a text that names all authorities of now, and never "": it says whether they are still the same."""
        return hashlib.sha256("".join(sorted(self.fingerprints)).encode()).hexdigest()

    def file(self, ca: Path) -> Path:
        """Return the file to use in place of `ca`, which gate.yaml names."""
        return self._path if self._is_kept else ca

    def still_trusts(self, fingerprints: Sequence[str]) -> bool:
        """Return whether all that were trusted still are."""
        return set(fingerprints) <= set(self.fingerprints)

    def take(self, offered: str, works: Callable[[Path], None]) -> None:
        """Trust the authorities that a sealed roster names, from the next connection on. Raises OSError.

        `works` connects with the authorities in a file, and raises OSError, ValueError or FabgateError where that fails.
        An authority of now is dropped only if it works without it; else `problem` says why it is kept.
        """
        wanted = authorities.certificates(offered)
        if not self._trusted or not wanted or len(wanted) > MOST:
            return  # a gate without an authority of its own, or a collector that names none
        dropped = [one for one in self._trusted if one not in wanted]
        before, self.problem = self.problem, ""
        if not dropped and set(wanted) == set(self._common):
            return
        self._write(wanted)
        if dropped and (problem := _failure(works, self._fresh)):
            self.problem = (
                f"the collector has dropped an authority without which this gate does not reach it: {problem}"
            )
            if self.problem != before:
                log.warning("%s", self.problem)
            wanted = [*wanted, *dropped]
            if set(wanted) == set(self._common):
                return
            self._write(wanted)
        self._fresh.replace(self._path)
        fsync_directory(self._path.parent)
        self._trusted = self._common = tuple(wanted)
        self._is_kept = True
        log.info("the authorities of the collector are now %s", ", ".join(one[:16] for one in self.fingerprints))

    def _write(self, certificates: Sequence[bytes]) -> None:
        try:
            with self._fresh.open("w", encoding="ascii") as file:
                file.write(self._first_line + authorities.pem(certificates))
                file.flush()
                os.fsync(file.fileno())
        except OSError:
            with contextlib.suppress(OSError):
                self._fresh.unlink()  # frees room on a full disk
            raise


def tls_context(tls: Tls, ca: Path) -> ssl.SSLContext:
    """Return what connects to the broker by the authorities in `ca`, with the gate's own certificate. Raises OSError."""
    import ssl  # noqa: PLC0415 - most gates start without it

    context = ssl.create_default_context(cafile=str(ca))
    if tls.cert is not None:
        context.load_cert_chain(tls.cert, tls.key)
    return context


def _failure(works: Callable[[Path], None], file: Path) -> str:
    try:
        works(file)
    except (OSError, ValueError, FabgateError) as error:
        return str(error)
    return ""


def _read(path: Path) -> str:
    """Return the text of a file of certificates; "" if it cannot be read, as if it had none."""
    try:
        return path.read_text("latin-1")
    except OSError:
        return ""
