"""The certificate of the pages: a renewed one is taken without a restart, and a pair that does not fit is not.

Each connection takes the context that holds when it begins. A new pair gets a context of its own, so open connections
keep theirs, and a refused pair changes nothing.
"""

from __future__ import annotations

import logging
import ssl
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from fabgate.errors import FabgateError

log = logging.getLogger(__name__)

#: How often a new connection makes us look at the files, in seconds.
LOOK_S: Final = 5.0
#: Codes of OpenSSL for a certificate that is right, but not now (openssl/x509_vfy.h).
_NOT_YET, _EXPIRED = 9, 10
_DAY_S: Final = 24 * 3600
#: A certificate that ends within this many days is mentioned in the log: ours is renewed 60 days before its end.
_SOON_DAYS: Final = 14

#: Which files these were: their numbers, sizes, and when they were changed, which the right to read them is, too.
_Stamp = tuple[tuple[int, int, int], ...]


class Certificate:
    """The pair of files, and the TLS that they give."""

    def __init__(self, certificate: Path, key: Path) -> None:
        """Read the files. Raises FabgateError if they give no TLS: a pair that is being replaced may fit later."""
        self._certificate, self._key = certificate, key
        self._seen = self._stamp()
        self._look_at_s = time.monotonic() + LOOK_S
        self._context = self._load()

    def context(self) -> ssl.SSLContext:
        """Return the TLS for a new connection; looks at the files now and then."""
        now_s = time.monotonic()
        if now_s >= self._look_at_s:
            self._look_at_s = now_s + LOOK_S
            self._look()
        return self._context

    def _look(self) -> None:
        try:
            stamp = self._stamp()
            if stamp == self._seen:
                return
            self._seen = stamp  # of before they are read: a later change is another stamp
            self._context = self._load()
        except FabgateError as error:
            log.error("the former certificate stays in use: %s", error)
        else:
            log.info("the pages now have the renewed certificate in %s", self._certificate)

    def _stamp(self) -> _Stamp:
        try:
            found = [path.stat() for path in (self._certificate, self._key)]
        except OSError:
            return ()  # reading them says why
        return tuple((one.st_ino, one.st_size, one.st_ctime_ns) for one in found)

    def _load(self) -> ssl.SSLContext:
        """Return TLS with the pair. Raises FabgateError."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        asked: list[bool] = []

        def passphrase() -> str:  # without this function OpenSSL would ask at the terminal
            asked.append(True)
            return ""

        try:
            context.load_cert_chain(self._certificate, self._key, passphrase)
        except OSError as error:  # an SSLError is one, too
            raise FabgateError(self._why(error, has_passphrase=bool(asked))) from error
        _warn_of_days(self._certificate, _end(self._certificate, context))
        return context

    def _why(self, error: OSError, *, has_passphrase: bool) -> str:
        names = f"FABGATE_WEB_CERT and FABGATE_WEB_KEY: found {str(self._certificate)!r} and {str(self._key)!r}"
        if has_passphrase:
            return f"{names}: the key has a passphrase, wanted one without; write it with `openssl pkey`"
        if not isinstance(error, ssl.SSLError):
            return f"{names}: {error.strerror}; wanted two files that this account can read; correct the paths"
        if error.reason == "KEY_VALUES_MISMATCH":
            return f"{names}, but the key is of another certificate; put the right one there"
        return (
            f"{names}, which give no TLS ({error.reason or error}); wanted a certificate and its key in PEM; write both"
            " files again"
        )


def _end(certificate: Path, server: ssl.SSLContext) -> datetime | bool:
    """Return when the certificate ends; True if that has passed, False if its first day has not come.

    A client that trusts this certificate shakes hands with the server in memory: Python tells the days of a certificate
    only to who has verified it.
    """
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = client.wrap_bio(back, there), server.wrap_bio(there, back, server_side=True)
    try:
        client.load_verify_locations(cafile=certificate)
        for _ in range(3):
            for one in ends:
                try:
                    one.do_handshake()
                except ssl.SSLWantReadError:
                    continue
        said = ends[0].getpeercert() or {}
        return datetime.fromtimestamp(ssl.cert_time_to_seconds(str(said["notAfter"])), UTC)
    except ssl.SSLCertVerificationError as error:
        if error.verify_code in {_NOT_YET, _EXPIRED}:
            return error.verify_code == _EXPIRED
        raise FabgateError(
            f"FABGATE_WEB_CERT: found {str(certificate)!r}, which no browser takes ({error.verify_message}); wanted the"
            " certificate of a server"
        ) from error
    except (OSError, KeyError, ValueError) as error:
        raise FabgateError(
            f"FABGATE_WEB_CERT: found {str(certificate)!r}, with which no connection comes about ({error}); wanted the"
            " certificate of a server"
        ) from error


def _warn_of_days(certificate: Path, end: datetime | bool) -> None:
    renew = "browsers and gates refuse it; renew it"
    if end is True:
        log.warning("the certificate in %s has expired: %s", certificate, renew)
    elif end is False:
        log.warning("the certificate in %s is not valid yet: check the clock of this computer", certificate)
    elif (left_s := (end - datetime.now(UTC)).total_seconds()) < _SOON_DAYS * _DAY_S:
        log.warning("the certificate in %s ends in %d days: renew it", certificate, left_s // _DAY_S)
