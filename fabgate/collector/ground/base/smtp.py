"""Reads the URL of a mail server, and sends mails through it.

Standard library only, because the environment is read with it.

- smtp://USER:PASSWORD@mail.example.org:587/ requires TLS before anything is sent (STARTTLS, RFC 3207);
- smtps://USER:PASSWORD@mail.example.org:465/ uses TLS from the start (RFC 8314);
- smtp://localhost:25/?tls=none uses no TLS; a password may then only be sent to this computer.
"""

from __future__ import annotations

import re
import smtplib
import ssl
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from email.errors import HeaderParseError
from email.headerregistry import Address
from email.message import EmailMessage
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

#: Time limit for each answer of the server, in seconds: a person waits for it.
TIMEOUT_S: Final = 5.0
STARTTLS, TLS, NONE = "starttls", "tls", "none"
_PORTS: Final = {STARTTLS: 587, TLS: 465, NONE: 25}
_WANTED: Final = (
    "smtp://USER:PASSWORD@HOST:587/ or smtps://USER:PASSWORD@HOST:465/, with %40 for @, %3A for : and %2F for / in the"
    " user and the password"
)
_ADDRESS: Final = re.compile(r"[^\s<>@,;\"()]+@[^\s<>@,;\"()]+")
_NAMED: Final = re.compile(r"(?P<name>[^<>@,;]+)<(?P<address>[^<>]+)>")
#: Errors that concern a single mail; the next one may work.
OF_ONE: Final = (
    smtplib.SMTPRecipientsRefused,
    smtplib.SMTPSenderRefused,
    smtplib.SMTPDataError,
    smtplib.SMTPNotSupportedError,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A mail server, and how to connect to it; without `username` there is no sign-in."""

    host: str
    port: int
    tls: str
    username: str = ""
    password: str = field(default="", repr=False)


def server_of(url: str) -> Server:
    """Return the server of a URL.

    Raises ValueError saying what was wanted, without the URL, which contains the password.
    """
    try:
        found = urlsplit(url)
        port = found.port
    except ValueError:
        raise ValueError(_WANTED) from None
    asked = dict(parse_qsl(found.query, keep_blank_values=True))
    tls = TLS if found.scheme == "smtps" else asked.pop("tls", STARTTLS)
    if found.scheme not in {"smtp", "smtps"} or not found.hostname or found.path not in {"", "/"} or found.fragment:
        raise ValueError(_WANTED)
    if asked or tls not in _PORTS or (found.scheme == "smtp" and tls == TLS):
        raise ValueError(
            "after host and port nothing but ?tls=starttls or ?tls=none; for TLS from the start, smtps:// without ?tls"
        )
    username, password = unquote(found.username or ""), unquote(found.password or "")
    if bool(username) != bool(password):
        raise ValueError("both a user and a password, or neither")
    if not (username + password).isascii():
        raise ValueError("a user and a password of ASCII characters: mail servers accept no others")
    if password and tls == NONE and found.hostname not in {"localhost", "127.0.0.1", "::1"}:
        raise ValueError("TLS where a password is sent to another computer; leave ?tls=none out")
    return Server(host=found.hostname, port=port or _PORTS[tls], tls=tls, username=username, password=password)


def sender_of(text: str) -> Address:
    """Return the sender: an address, or a name and an address in <>. Raises ValueError saying what was wanted."""
    found = _NAMED.fullmatch(text)
    if found and text.isprintable():
        return address_of(found["address"], found["name"].strip(' "'))
    return address_of(text)


def address_of(text: str, name: str = "") -> Address:
    """Return an address that has nothing around it. Raises ValueError saying what was wanted."""
    try:
        if text.isascii() and _ADDRESS.fullmatch(text):
            return Address(name, addr_spec=text)
    except (ValueError, IndexError, HeaderParseError):  # such as a dot in the wrong place
        pass
    raise ValueError("an address, or a name and an address in <>")


def hand_over(server: Server, messages: Sequence[EmailMessage]) -> list[OSError | None]:
    """Send messages in order. Return an error for each, or None if the server accepted it; nothing is raised.

    After an error of one recipient the others are still sent; an error of the server is returned for all that are left.
    """
    found: list[OSError | None] = []
    try:
        connection = _connected(server)
    except OSError as error:  # errors of smtplib and TLS are OSErrors, too
        return [error] * len(messages)
    try:
        for message in messages:
            try:
                connection.send_message(message)
                found.append(None)
            except OF_ONE as error:
                found.append(error)
    except OSError as error:
        found += [error] * (len(messages) - len(found))
    else:
        with suppress(OSError):  # the mails are accepted; how the connection ends does not matter
            connection.quit()
    finally:
        connection.close()
    return found


def check(server: Server) -> None:
    """Connect and sign in, without sending anything. Raises OSError."""
    connection = _connected(server)
    try:
        connection.noop()
    finally:
        with suppress(OSError):
            connection.quit()
        connection.close()


def _connected(server: Server) -> smtplib.SMTP:
    context = ssl.create_default_context()
    connection: smtplib.SMTP
    if server.tls == TLS:
        connection = smtplib.SMTP_SSL(server.host, server.port, timeout=TIMEOUT_S, context=context)
    else:
        connection = smtplib.SMTP(server.host, server.port, timeout=TIMEOUT_S)
    try:
        if server.tls == STARTTLS:
            connection.starttls(context=context)
        if server.username:
            connection.login(server.username, server.password)
    except OSError:
        connection.close()
        raise
    return connection
