"""The files of authority and certificates in /etc/fabgate.

A certificate and its key are one file, so that no program ever finds a new one of the first beside an old one of the
second. OpenSSL, and with it Python and Mosquitto, takes each from the same file.

While one authority takes the place of another (docs/decisions/0151), there are more files in the folder of the authority.
Each is written whole, so that a kill leaves one of these states:

=============  =======================================================================================================
``next.pem``   an authority that waits until gates know it, with its key
``turned.pem`` the same, from the moment at which it signs until it is in ca.crt and ca.key
``before.crt`` the certificate of the authority that signed before; gates trust it until the day that it names
=============  =======================================================================================================
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509

from fabgate.collector.ground.base import data_folder
from fabgate.collector.setup.authority import authority
from fabgate.collector.setup.authority.authority import Authority, Use
from fabgate.collector.setup.authority.names import Names
from fabgate.errors import FabgateError, UsageError
from fabgate.mqtt import authorities

#: Where the authority is, and where what everybody may have of it; only root opens the first one.
_PRIVATE: Final = "authority"
_KEY: Final = "ca.key"
_CERTIFICATE: Final = "ca.crt"
_NEXT: Final = "next.pem"
_TURNED: Final = "turned.pem"
_BEFORE: Final = "before.crt"
#: How long the authority that signed before stays trusted. A collector that is lost in this time can come back from an
#: older copy, with that authority.
TRUSTED_FOR: Final = timedelta(days=30)
#: The first line of the file that says so, before the day.
_UNTIL: Final = "# Gates trust this authority until "


@dataclass(frozen=True, slots=True)
class Files:
    """The folder /etc/fabgate; `readers` are the ids of the groups that may read the certificates with their keys."""

    folder: Path
    readers: Mapping[Use, int]

    def published(self) -> Path:
        """Return the path of the authority's certificate, which gates, phones and the collector itself trust."""
        return self.folder / _CERTIFICATE

    def server(self, use: Use) -> Path:
        """Return the path of a certificate with its key."""
        return self.folder / "tls" / f"{use.value}.pem"

    def load(self, now: datetime) -> Authority | None:
        """Return the authority, or None before it is made. Raises UsageError if it cannot be used, and OSError."""
        folder = self.folder / _PRIVATE
        if turned := self._pair(_TURNED, now):
            return turned
        try:
            key = (folder / _KEY).read_bytes()
        except FileNotFoundError:
            return None
        ended = (
            f"no gate connects any more. To make a new one: mv {folder} {folder}-ended, then sudo fabgate-collector setup"
            " --new-authority; then each gate has to join again: fabgate-collector join-code GATE --replace"
        )
        return authority.load((folder / _CERTIFICATE).read_bytes(), key, whose=str(folder), now=now, ended=ended)

    def next(self, now: datetime) -> Authority | None:
        """Return the authority that waits, if there is one. Raises as `load` does."""
        return self._pair(_NEXT, now)

    def store_next(self, made: Authority) -> None:
        """Let an authority wait. Raises OSError."""
        _replace(self.folder / _PRIVATE / _NEXT, made.certificate_pem + made.key_pem, mode=0o600)

    def turn(self, now: datetime) -> None:
        """Let the authority that waits sign from now on; that of now stays trusted. Raises as `load` does."""
        folder, made = self.folder / _PRIVATE, self.load(now)
        if made is not None and self.next(now) is not None:
            first = f"{_UNTIL}{now + TRUSTED_FOR:%Y-%m-%d}\n".encode()
            _replace(folder / _BEFORE, first + made.certificate_pem, mode=0o644)
            (folder / _NEXT).replace(folder / _TURNED)
            data_folder.sync_directory(folder)
        self.settle(now)

    def settle(self, now: datetime) -> None:
        """Write an authority that signs into ca.crt and ca.key, where a person looks for it. Raises as `load` does."""
        folder = self.folder / _PRIVATE
        if turned := self._pair(_TURNED, now):
            _replace(folder / _CERTIFICATE, turned.certificate_pem, mode=0o644)
            _replace(folder / _KEY, turned.key_pem, mode=0o600)
            (folder / _TURNED).unlink()  # last: until then it is the one that counts
            data_folder.sync_directory(folder)

    def trusted_until(self) -> datetime | None:
        """Return until when the authority that signed before is trusted; None without one. Raises UsageError."""
        path = self.folder / _PRIVATE / _BEFORE
        try:
            first, _, _ = path.read_text("ascii").partition("\n")
            return datetime.fromisoformat(first.removeprefix(_UNTIL)).replace(tzinfo=UTC)
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise UsageError(f"{path}: found {first[:60]!r} first, wanted a day: {_UNTIL}2027-01-31") from error

    def is_over(self, now: datetime) -> bool:
        """Say whether the authority that signed before is no longer to be trusted."""
        until = self.trusted_until()
        return until is not None and until <= now

    def drop(self) -> None:
        """Let nobody trust the authority that signed before. Raises OSError."""
        (self.folder / _PRIVATE / _BEFORE).unlink(missing_ok=True)
        data_folder.sync_directory(self.folder / _PRIVATE)

    def store(self, made: Authority) -> None:
        """Store a new authority, and publish its certificate. Interrupted, nothing or all of it is there. Raises OSError."""
        folder = self.folder / _PRIVATE
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _replace(folder / _CERTIFICATE, made.certificate_pem, mode=0o644)
        _replace(folder / _KEY, made.key_pem, mode=0o600)  # last: `load` finds an authority by its key
        self.publish(made)

    def publish(self, made: Authority) -> None:
        """Publish the certificates of this authority and of those that are trusted beside it. Raises OSError."""
        if not self.is_published(made):
            _replace(self.published(), self._trusted(made), mode=0o644)

    def is_published(self, made: Authority) -> bool:
        """Say whether these certificates are published, that of the authority that signs first. Raises OSError."""
        with contextlib.suppress(FileNotFoundError):
            return self.published().read_bytes() == self._trusted(made)
        return False

    def _trusted(self, made: Authority) -> bytes:
        """Return what gates, phones and the collector itself trust."""
        beside = [
            path.read_text("ascii") for name in (_NEXT, _BEFORE) if (path := self.folder / _PRIVATE / name).exists()
        ]
        return authorities.pem(authorities.certificates("".join([made.certificate_pem.decode(), *beside]))).encode()

    def _pair(self, name: str, now: datetime) -> Authority | None:
        path = self.folder / _PRIVATE / name
        if not path.exists():
            return None
        content = path.read_bytes()
        return authority.load(content, content, whose=str(path), now=now)

    def due(self, made: Authority, names: Names, now: datetime) -> dict[Use, str]:
        """Return which certificates have to be issued, by their use, and why, in words after "because". Raises OSError."""
        reasons = {use: self._why(use, made, names, now) for use in Use}
        return {use: reason for use, reason in reasons.items() if reason}

    def renew(self, made: Authority, names: Names, now: datetime) -> dict[Use, str]:
        """Issue each certificate that is due, and return why, as `due` does.

        Raises UsageError if the authority is not valid for a name, and OSError if a file cannot be read or written.
        """
        reasons = self.due(made, names, now)
        for use in reasons:
            issued = authority.issue(made, use, names, now)
            path = self.server(use)
            path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            _replace(path, issued.certificate_pem + issued.key_pem, mode=0o640, group=self.readers[use])
        return reasons

    def _why(self, use: Use, made: Authority, names: Names, now: datetime) -> str:
        try:
            found = x509.load_pem_x509_certificate(self.server(use).read_bytes())
        except FileNotFoundError:
            return "it is missing"
        except ValueError:
            return "it cannot be read"
        return authority.why_renew(found, made.certificate, names, now)


def _replace(path: Path, content: bytes, *, mode: int, group: int | None = None) -> None:
    """Write a file with this mode and group under another name, and rename it. Raises FabgateError, and OSError."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        try:
            if group is not None:
                os.fchown(file.fileno(), -1, group)
        except PermissionError as error:
            raise FabgateError(f"{path} cannot get the group {group}; run this as root") from error
        os.fchmod(file.fileno(), mode)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    data_folder.sync_directory(path.parent)
