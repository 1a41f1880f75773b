"""A mail server in this process: it speaks as much SMTP as a sender needs, and keeps what it receives.

It can require a password, refuse an address, have no TLS or the wrong certificate, and stop answering.
"""

from __future__ import annotations

import base64
import email
import shutil
import socketserver
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

import pytest


@dataclass
class MailServer:
    """Its settings, and what it received."""

    certificate: Path
    #: NAME:PASSWORD, or empty: no password is required.
    account: str = ""
    has_starttls: bool = True
    has_implicit_tls: bool = False
    refused: set[str] = field(default_factory=set)
    #: The verb that it does not answer until it is closed; CONNECT: at once.
    hangs_at: str = ""
    #: The verb at which it closes the connection.
    drops_at: str = ""
    #: Called with each verb before it is answered.
    meanwhile: Callable[[str], None] = lambda _verb: None
    port: int = 0
    #: How many connections were made so far.
    connections: int = 0
    taken: list[tuple[str, EmailMessage]] = field(default_factory=list)
    #: Each verb in order, and whether it came through TLS.
    said: list[tuple[str, bool]] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    closed: threading.Event = field(default_factory=threading.Event)

    def url(self, account: str = "", query: str = "") -> str:
        scheme = "smtps" if self.has_implicit_tls else "smtp"
        return f"{scheme}://{account and account + '@'}localhost:{self.port}/{query}"

    def context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate)
        return context


class _Handler(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        server: MailServer = self.server.mail  # type: ignore[attr-defined]
        server.connections += 1
        try:
            if server.has_implicit_tls:
                self._secure()
            self._talk(server)
        except OSError:  # the sender went away, or would not have our certificate
            pass

    def _secure(self) -> None:
        self.connection = self.server.mail.context().wrap_socket(self.connection, server_side=True)  # type: ignore[attr-defined]
        self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", 0)

    def finish(self) -> None:
        try:
            super().finish()
        finally:
            self.connection.close()

    def _answer(self, *lines: str) -> None:
        for number, line in enumerate(lines):
            code, _, text = line.partition(" ")
            self.wfile.write(f"{code}{' ' if number == len(lines) - 1 else '-'}{text}\r\n".encode())

    def _talk(self, server: MailServer) -> None:  # noqa: C901 (a verb a case)
        if server.hangs_at == "CONNECT":
            server.closed.wait()
            return
        self._answer("220 mail.example.org ESMTP")
        is_known, recipients = not server.account, []
        while line := self.rfile.readline():
            verb, _, rest = line.decode().strip().partition(" ")
            is_safe = isinstance(self.connection, ssl.SSLSocket)
            server.said.append((verb.upper(), is_safe))
            server.meanwhile(verb.upper())
            if verb.upper() == server.hangs_at:
                server.closed.wait()
                return
            if verb.upper() == server.drops_at:
                return
            match verb.upper():
                case "EHLO":
                    offers = ["250 STARTTLS"] if server.has_starttls and not is_safe else []
                    self._answer("250 mail.example.org", "250 AUTH PLAIN LOGIN", *offers, "250 SIZE 1000000")
                case "STARTTLS":
                    self._answer("220 go ahead")
                    self._secure()
                case "AUTH":
                    given = base64.b64decode(rest.split()[1]).decode().split("\0")[1:]
                    is_known = ":".join(given) == server.account
                    self._answer("235 welcome" if is_known else "535 5.7.8 wrong name or password")
                case "MAIL":
                    recipients = []
                    self._answer("250 ok" if is_known else "530 5.7.0 sign in first")
                case "RCPT":
                    address = rest.partition("<")[2].partition(">")[0]
                    if address in server.refused:
                        self._answer("550 5.1.1 no such user here")
                    else:
                        recipients.append(address)
                        self._answer("250 ok")
                case "DATA":
                    self._answer("354 go on")
                    self._take(server, recipients)
                case "QUIT":
                    self._answer("221 bye")
                    return
                case _:
                    self._answer("250 ok")

    def _take(self, server: MailServer, recipients: list[str]) -> None:
        lines = []
        while (line := self.rfile.readline()) not in (b".\r\n", b""):
            lines.append(line.removeprefix(b".") if line.startswith(b"..") else line)
        server.raw.append(b"".join(lines))
        message = email.message_from_bytes(server.raw[-1], policy=default)
        server.taken += [(recipient, message) for recipient in recipients]
        self._answer("250 taken")


class _Server(socketserver.ThreadingTCPServer):
    block_on_close = True


@contextmanager
def serving(certificate: Path, **options: object) -> Iterator[MailServer]:
    """Serve on a free port of this computer while the block runs."""
    found = MailServer(certificate, **options)  # type: ignore[arg-type]
    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.mail = found  # type: ignore[attr-defined]
        found.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield found
        finally:
            found.closed.set()
            server.shutdown()
            thread.join()


def certificate_in(folder: Path, name: str = "localhost") -> Path:
    """Make a self-signed certificate for `name`, in one file with its key; skips where there is no openssl."""
    tool = shutil.which("openssl")
    if tool is None:
        pytest.skip("openssl is not installed here")
    file = folder / f"{name}.pem"
    options = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    alt = ["-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}"]
    subprocess.run(
        [tool, "req", *options, *alt, "-keyout", folder / "key", "-out", folder / "cert"],
        check=True,
        capture_output=True,
    )
    file.write_bytes((folder / "cert").read_bytes() + (folder / "key").read_bytes())
    return file
