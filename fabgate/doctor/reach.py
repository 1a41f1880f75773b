"""Opens a connection, and with TLS reads the server's certificate. Nothing is sent: no server notices an account."""

from __future__ import annotations

import socket
import ssl
from datetime import UTC, datetime
from typing import Final

WITHIN_S: Final = 5.0
#: A server with TLS answers the first message of a client at once, one without may wait for the rest of it.
_HELLO_S: Final = 1.0


def reach(host: str, port: int, tls: ssl.SSLContext | None) -> datetime | None:
    """Connect, and return when the server's certificate ends, None without TLS. Raises OSError."""
    with socket.create_connection((host, port), timeout=WITHIN_S) as plain:
        if tls is None:
            return None
        try:
            with tls.wrap_socket(plain, server_hostname=host) as sock:
                ends = (sock.getpeercert() or {}).get("notAfter")
        except (TimeoutError, ConnectionError) as error:  # it had accepted the connection
            raise ssl.SSLError(f"no answer to the start of a TLS connection ({error})") from error
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(ends), UTC) if isinstance(ends, str) else None


def speaks_tls(host: str, port: int) -> bool:
    """Return whether a server answers the beginning of TLS. Its certificate is not judged, and no account is used."""
    anyone = ssl.create_default_context()
    anyone.check_hostname, anyone.verify_mode = False, ssl.CERT_NONE
    try:
        with socket.create_connection((host, port), timeout=_HELLO_S) as plain, anyone.wrap_socket(plain):
            return True
    except ssl.SSLError as error:
        return "ALERT" in (error.reason or "")  # one that wants other versions, or a certificate of the client
    except OSError:
        return False


def why(error: OSError, *, host: str, port: int) -> tuple[str, str]:
    """Return in words why a server cannot be reached, and what to do."""
    where = f"{host}:{port}"
    match error:
        case socket.gaierror():
            return (
                f"the name {host} is unknown here",
                f"check the name, and the DNS of this network: getent hosts {host}",
            )
        case ssl.SSLCertVerificationError():
            return (
                f"the certificate of {where} is not accepted: {error.verify_message}",
                "check the name in the certificate, the clock, and that the ca file is that of your workshop",
            )
        case ssl.SSLError():
            return (
                f"{where} does not speak TLS: {error}",
                "check the port: it must be one that uses TLS",
            )
        case TimeoutError():
            return f"{where} does not answer", "check the network, the server's firewall, and that the server is on"
        case ConnectionRefusedError():
            return (
                f"{where} refuses the connection",
                "no program listens on this port: check the port, and start the program",
            )
    return f"{where} cannot be reached: {error.strerror or error}", "check the cable or the Wi-Fi, and the address"
