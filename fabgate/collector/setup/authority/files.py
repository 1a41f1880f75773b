"""The files of authority and certificates in /etc/fabgate.

A certificate and its key are one file, so that no program ever finds a new one of the first beside an old one of the
second. OpenSSL, and with it Python and Mosquitto, takes each from the same file.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from cryptography import x509

from fabgate.collector.ground.base import data_folder
from fabgate.collector.setup.authority import authority
from fabgate.collector.setup.authority.authority import Authority, Use
from fabgate.collector.setup.authority.names import Names
from fabgate.errors import FabgateError

#: Where the authority is, and where what everybody may have of it; only root opens the first one.
_PRIVATE: Final = "authority"
_KEY: Final = "ca.key"
_CERTIFICATE: Final = "ca.crt"


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
        try:
            key = (folder / _KEY).read_bytes()
        except FileNotFoundError:
            return None
        return authority.load((folder / _CERTIFICATE).read_bytes(), key, whose=str(folder), now=now)

    def store(self, made: Authority) -> None:
        """Store a new authority, and publish its certificate. Interrupted, nothing or all of it is there. Raises OSError."""
        folder = self.folder / _PRIVATE
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _replace(folder / _CERTIFICATE, made.certificate_pem, mode=0o644)
        _replace(folder / _KEY, made.key_pem, mode=0o600)  # last: `load` finds an authority by its key
        self.publish(made)

    def publish(self, made: Authority) -> None:
        """Publish the certificate of the authority if it is not published. Raises OSError."""
        if not self.is_published(made):
            _replace(self.published(), made.certificate_pem, mode=0o644)

    def is_published(self, made: Authority) -> bool:
        """Say whether the published certificate is that of this authority. Raises OSError."""
        with contextlib.suppress(FileNotFoundError):
            return self.published().read_bytes() == made.certificate_pem
        return False

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
